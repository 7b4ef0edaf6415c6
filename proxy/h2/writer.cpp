// The sending half of an HTTP/2 connection: frames and payload gathered into one write after another.

#include <algorithm>
#include <cstring>
#include <new>

#include "proxy/h2/connection.hpp"

namespace portico::proxy::h2 {

namespace {
// One write carries at most this much, so that a stream that has news waits behind little.
constexpr std::size_t most_bytes = 262'144;
constexpr std::size_t most_pieces = 512;
// The head of a DATA frame (RFC 9113 section 4.1).
constexpr std::size_t frame_head = 9;
// A frame that is written whole into the block: the largest that we send, and its head.
constexpr std::size_t largest_frame = 16'384 + frame_head;
}  // namespace

/// Writes until nothing is left to be said.
Task<void> Connection::write() {
  while (!broken_) {
    try {
      gather();
    } catch (const std::bad_alloc&) {
      // Frames that nghttp2 has let go of can't be asked for again.
      broken_ = true;
    }
    if (broken_) {
      settle(false);
      client_.stream.input.cancel();
      break;
    }
    if (pieces_.empty()) break;
    const Io io = co_await client_.stream.output.write_all(pieces_, config_->settings.timeouts.client_write);
    settle(io == Io::ok);
    if (io != Io::ok) {
      broken_ = true;
      client_.stream.input.cancel();
      break;
    }
    run_ready();
  }
  frames_.release();
  if (finished_) schedule();
}

/// Takes frames from nghttp2 until the write is large enough or there are none.
void Connection::gather() {
  pieces_.clear();
  frames_size_ = 0;
  if (!frames_) frames_ = worker_.reactor.buffers.borrow(BufferPool::large_size);
  std::size_t bytes = 0;
  while (pieces_.size() < most_pieces && bytes < most_bytes &&
         frames_size_ + largest_frame <= frames_.size()) {
    const std::uint8_t* frame = nullptr;
    const std::size_t before = frames_size_;
    const std::size_t pieces_before = pieces_.size();
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &frame);
    if (n < 0) {
      broken_ = true;
      return;
    }
    // A DATA frame has put itself into the write by way of send_data(), and n says nothing of it.
    if (n > 0) put({reinterpret_cast<const char*>(frame), static_cast<std::size_t>(n)});
    if (frames_size_ == before && pieces_.size() == pieces_before) break;
    bytes += frames_size_ - before;
    for (std::size_t i = pieces_before; i < pieces_.size(); ++i) bytes += pieces_[i].iov_len;
  }
}

/// Copies bytes of frames into the write.
void Connection::put(std::string_view bytes) {
  char* const at = frames_.data() + frames_size_;
  std::memcpy(at, bytes.data(), bytes.size());
  frames_size_ += bytes.size();
  if (!pieces_.empty()) {
    iovec& last = pieces_.back();
    if (static_cast<char*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += bytes.size();
      return;
    }
  }
  pieces_.push_back({at, bytes.size()});
}

void Connection::settle(bool written) noexcept {
  for (RequestStream* stream : writing_) {
    stream->settle(written);
    retire(*stream);
  }
  writing_.clear();
}

/// A stream has something for nghttp2 to ask for.
void Connection::data_ready(RequestStream& stream) noexcept {
  if (stream.deferred_) {
    stream.deferred_ = false;
    nghttp2_session_resume_data(session_.get(), stream.id_);
  }
  schedule();
}

/// nghttp2 asks how much of a response's body may go into a frame of at most `room` bytes.
ssize_t Connection::provide(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t room,
                            std::uint32_t* flags, nghttp2_data_source* source, void*) {
  auto& stream = *static_cast<RequestStream*>(source->ptr);
  const bool usable = stream.offering_ && !stream.withdrawn_ && !stream.lost_;
  const std::size_t left = usable ? stream.total_ - stream.gathered_ : 0;
  if (left == 0 && (!stream.last_ || stream.given_up_ || (stream.offering_ && !usable))) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const std::size_t size = std::min(room, left);
  if (size > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream.last_ && size == left) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream.trailers_.empty()) {
      try {
        Connection& self = stream.connection_;
        const std::span<const nghttp2_nv> fields = self.fields_.cut_trailers(stream.trailers_);
        if (!fields.empty() && nghttp2_submit_trailer(session, id, fields.data(), fields.size()) == 0) {
          *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
      } catch (const std::bad_alloc&) {
        // Without memory for them the response ends without trailers.
        stream.trailers_.clear();
      }
    }
  }
  return static_cast<ssize_t>(size);
}

/// nghttp2 has the head of a DATA frame ready: the frame goes into the write, its payload from where it lies.
int Connection::send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                          nghttp2_data_source* source, void*) {
  auto& stream = *static_cast<RequestStream*>(source->ptr);
  Connection& self = stream.connection_;
  try {
    self.writing_.reserve(self.writing_.size() + 1);
    self.put({reinterpret_cast<const char*>(head), frame_head});
    for (std::size_t left = size; left > 0;) {
      iovec& piece = stream.offered_[stream.piece_];
      const std::size_t part = std::min(left, piece.iov_len - stream.piece_offset_);
      self.pieces_.push_back({static_cast<char*>(piece.iov_base) + stream.piece_offset_, part});
      stream.piece_offset_ += part;
      left -= part;
      if (stream.piece_offset_ == piece.iov_len) {
        ++stream.piece_;
        stream.piece_offset_ = 0;
      }
    }
  } catch (const std::bad_alloc&) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (stream.in_flight_ == 0) self.writing_.push_back(&stream);
  stream.in_flight_ += size;
  stream.gathered_ += size;
  return 0;
}

}  // namespace portico::proxy::h2
