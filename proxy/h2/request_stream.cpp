#include "proxy/h2/request_stream.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/exchange.hpp"
#include "proxy/h2/connection.hpp"

namespace portico::proxy::h2 {

RequestStream::RequestStream(Connection& connection, std::int32_t id) noexcept
    : Client(connection.worker_, connection.worker_.reactor, connection.client_.listener,
             connection.client_.kind, connection.client_.peer),
      connection_(connection),
      id_(id) {
  h2 = this;
  stream.attach(*this);
}

RequestStream::~RequestStream() {
  discard();
  closed_ = true;
  // While this is still a port.
  stream.close();
}

// ---- request
// -----------------------------------------------------------------------------------------------------

void RequestStream::put_head(const RequestText& text, std::string_view key) {
  Chunk chunk;
  head_size_ = text.size();
  connection_.heads_size_ += head_size_;
  chunk.block = worker.reactor.buffers.borrow(head_size_);
  text.write({chunk.block.data(), head_size_}, key);
  chunk.end = static_cast<std::uint32_t>(head_size_);
  chunks_.push_back(std::move(chunk));
  chunked_ = text.chunked();
  tunnel_ = text.websocket();
}

void RequestStream::append_data(std::string_view data) {
  const auto credit = static_cast<std::uint32_t>(data.size());
  if (!chunked_) {
    append(data, credit);
    return;
  }
  std::array<char, 18> size;
  char* at = std::to_chars(size.data(), size.data() + 16, data.size(), 16).ptr;
  *at++ = '\r';
  *at++ = '\n';
  append({size.data(), static_cast<std::size_t>(at - size.data())}, 0);
  append(data, credit);
  append("\r\n", 0);
}

/// Blocks that were handed out stand before next_chunk_: what is appended never moves what is being read.
void RequestStream::append(std::string_view bytes, std::uint32_t credit) {
  while (!bytes.empty()) {
    if (next_chunk_ == chunks_.size() || chunks_.back().end == chunks_.back().block.size()) {
      chunks_.push_back({worker.reactor.buffers.borrow(), 0, 0, 0});
    }
    Chunk& chunk = chunks_.back();
    const std::size_t n = std::min(bytes.size(), chunk.block.size() - chunk.end);
    std::memcpy(chunk.block.data() + chunk.end, bytes.data(), n);
    chunk.end += static_cast<std::uint32_t>(n);
    const auto counted = std::min(credit, static_cast<std::uint32_t>(n));
    chunk.credit += counted;
    credit -= counted;
    bytes.remove_prefix(n);
  }
}

void RequestStream::finish_request(std::string_view trailers) {
  request_ended_ = true;
  if (chunked_) {
    append("0\r\n", 0);
    append(trailers, 0);
    append("\r\n", 0);
  }
  note_event(input_event);
}

/// Gives back what nobody will read.
void RequestStream::discard() noexcept {
  for (; next_chunk_ < chunks_.size(); ++next_chunk_) {
    connection_.release(*this, chunks_[next_chunk_].credit);
    chunks_[next_chunk_].block.release();
  }
}

Port::Got RequestStream::receive(Block& block, std::uint32_t& first, std::uint32_t& past) noexcept {
  if (next_chunk_ < chunks_.size()) {
    Chunk& chunk = chunks_[next_chunk_];
    block = std::move(chunk.block);
    first = chunk.begin;
    past = chunk.end;
    const std::size_t credit = chunk.credit;
    if (++next_chunk_ == chunks_.size()) {
      chunks_.clear();
      next_chunk_ = 0;
    }
    connection_.release(*this, credit);
    return Got::bytes;
  }
  if (lost_) return Got::failed;
  return tunnel_ && request_ended_ ? Got::end : Got::nothing;
}

void RequestStream::wake_input() noexcept { note_event(input_event); }

// ---- response
// ----------------------------------------------------------------------------------------------------

void RequestStream::respond(std::span<char> head, bool bodiless) noexcept {
  if (closed_ || responded_) return;
  responded_ = true;
  last_ = bodiless;
  nghttp2_data_provider body{};
  body.source.ptr = this;
  body.read_callback = &Connection::provide;
  try {
    const std::span<const nghttp2_nv> fields = connection_.fields_.cut(head, tunnel_ && head[9] == '1');
    nghttp2_submit_response(connection_.session_.get(), id_, fields.data(), fields.size(),
                            bodiless ? nullptr : &body);
  } catch (const std::bad_alloc&) {
    nghttp2_submit_rst_stream(connection_.session_.get(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_INTERNAL_ERROR);
  }
  connection_.schedule();
}

void RequestStream::interim(std::span<char> head) noexcept {
  if (closed_ || responded_) return;
  try {
    const std::span<const nghttp2_nv> fields = connection_.fields_.cut(head, false);
    nghttp2_submit_headers(connection_.session_.get(), NGHTTP2_FLAG_NONE, id_, nullptr, fields.data(),
                           fields.size(), nullptr);
  } catch (const std::bad_alloc&) {
    // An interim response may be left out.
    return;
  }
  connection_.schedule();
}

void RequestStream::finish(std::string_view trailers) noexcept {
  if (closed_ || last_ || !responded_) return;
  last_ = true;
  try {
    trailers_ = trailers;
  } catch (const std::bad_alloc&) {
    trailers_.clear();
  }
  connection_.data_ready(*this);
}

Port::Put RequestStream::send(std::span<iovec> pieces, std::uint64_t& sent) noexcept {
  if (!offering_) {
    std::size_t total = 0;
    for (const iovec& piece : pieces) total += piece.iov_len;
    if (total == 0) return Put::all;
    if (closed_ || lost_) return Put::failed;
    offered_ = pieces;
    total_ = total;
    piece_ = piece_offset_ = gathered_ = written_ = told_ = 0;
    offering_ = true;
    withdrawn_ = false;
    connection_.data_ready(*this);
    return Put::nothing;
  }
  sent += written_ - told_;
  const bool further = written_ > std::exchange(told_, written_);
  if (lost_ && in_flight_ == 0) {
    leave_offer();
    return Put::failed;
  }
  if (written_ == total_) {
    leave_offer();
    return Put::all;
  }
  return further ? Put::some : Put::nothing;
}

void RequestStream::leave_offer() noexcept {
  offering_ = false;
  withdrawn_ = false;
  offered_ = {};
}

void RequestStream::withdraw() noexcept {
  withdrawn_ = true;
  // What is in the connection's present write must stay until that has ended.
  if (in_flight_ == 0) note_event(withdrawn_event);
}

/// The client does not want the answer any more, or can't be given it.
void RequestStream::lose() noexcept {
  lost_ = true;
  note_event(input_event);
  note_event(output_event);
}

/// The connection's write that this had bytes in has ended.
void RequestStream::settle(bool written) noexcept {
  written_ += std::exchange(in_flight_, 0);
  lost_ |= !written;
  if (offering_) note_event(withdrawn_ ? withdrawn_event : output_event);
}

void RequestStream::close(bool reset) noexcept {
  if (closed_ || end_sent_) return;
  nghttp2_submit_rst_stream(connection_.session_.get(), NGHTTP2_FLAG_NONE, id_,
                            reset ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
  connection_.schedule();
}

// ---- events
// ------------------------------------------------------------------------------------------------------

void RequestStream::note_event(std::uint8_t event) noexcept {
  events_ |= event;
  if (!ReadyLink::is_linked()) connection_.ready_.push_back(*this);
  connection_.schedule();
}

/// Passes on one event, in whose course this may end.
void RequestStream::dispatch() noexcept {
  const auto lowest = static_cast<std::uint8_t>(events_ & -events_);
  events_ = static_cast<std::uint8_t>(events_ & ~lowest);
  if (events_ != 0) connection_.ready_.push_back(*this);
  switch (lowest) {
    case input_event:
      stream.input.port_event();
      return;
    case output_event:
      stream.output.port_event(false);
      return;
    case withdrawn_event:
      leave_offer();
      given_up_ = true;
      stream.output.port_event(true);
      return;
    default:
      return;
  }
}

}  // namespace portico::proxy::h2
