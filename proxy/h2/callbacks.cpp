// What nghttp2 tells of received frames. These functions only note: see Connection::turn().

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "proxy/exchange.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/h2/connection.hpp"

namespace portico::proxy::h2 {

namespace {

Connection& self_of(void* self) noexcept { return *static_cast<Connection*>(self); }

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(bytes), size};
}

/// A Sec-WebSocket-Key (RFC 6455 section 4.1) of 16 random characters.
using Key = std::array<unsigned char, RequestText::key_size + 1>;
Key make_key(http::RequestIds& random) noexcept {
  char id[32];
  const std::string_view made = random.next(id);
  Key key{};
  EVP_EncodeBlock(key.data(), reinterpret_cast<const unsigned char*>(made.data()), 16);
  return key;
}

bool is_request(const nghttp2_frame& frame) noexcept {
  return frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST;
}

}  // namespace

nghttp2_session_callbacks* Connection::callbacks() {
  struct Free {
    void operator()(nghttp2_session_callbacks* made) const noexcept { nghttp2_session_callbacks_del(made); }
  };
  static const std::unique_ptr<nghttp2_session_callbacks, Free> all = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, &Connection::on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, &Connection::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, &Connection::on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, &Connection::on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &Connection::on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, &Connection::on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, &Connection::on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(made, &Connection::send_data);
    return std::unique_ptr<nghttp2_session_callbacks, Free>(made);
  }();
  return all.get();
}

RequestStream* Connection::stream_of(std::int32_t id) const noexcept {
  return static_cast<RequestStream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

/// Counts what a client should not do often; past its allowance the connection ends.
void Connection::tolerate(Nuisance kind) noexcept {
  if (!patience_.allows(kind, now())) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

int Connection::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Connection& connection = self_of(self);
  const conf::Settings& settings = connection.config_->settings;
  if (!is_request(*frame)) {
    connection.trailers_.begin(settings.limits.request_head);
    return 0;
  }
  connection.text_.begin(settings.limits.request_head);
  connection.text_stream_ = frame->hd.stream_id;
  // Streams that were reset count until their exchanges have ended.
  if (connection.stream_count_ >= 2 * settings.http2.streams) {
    connection.tolerate(Nuisance::reset);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  try {
    auto stream = std::make_unique<RequestStream>(connection, frame->hd.stream_id);
    if (nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream.get()) != 0) return 0;
    connection.streams_.push_back(*stream.release());
    ++connection.stream_count_;
  } catch (const std::bad_alloc&) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  return 0;
}

int Connection::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                          std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                          std::uint8_t, void* self) {
  Connection& connection = self_of(self);
  try {
    if (!is_request(*frame)) {
      if (connection.trailers_.add(text_of(name, name_size), text_of(value, value_size))) return 0;
      connection.tolerate(Nuisance::reset);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (connection.text_.add(text_of(name, name_size), text_of(value, value_size))) return 0;
    // It will be answered with 431, unless it goes on like this: compressed, a few bytes can stand for many.
    constexpr std::size_t bomb = 4;
    if (connection.text_.seen() > bomb * connection.config_->settings.limits.request_head) {
      connection.terminate(NGHTTP2_ENHANCE_YOUR_CALM);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
  } catch (const std::bad_alloc&) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
}

int Connection::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Connection& connection = self_of(self);
  const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  RequestStream* const stream = frame->hd.stream_id > 0 ? connection.stream_of(frame->hd.stream_id) : nullptr;
  try {
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (frame->hd.length == 0) connection.tolerate(Nuisance::empty);
        if (stream == nullptr) break;
        if (is_request(*frame)) {
          connection.on_request(*stream, last);
        } else if (last) {
          stream->finish_request(connection.trailers_.lines());
        }
        break;
      case NGHTTP2_DATA:
        if (frame->hd.length <= frame->data.padlen && !last) connection.tolerate(Nuisance::empty);
        if (stream != nullptr && last) stream->finish_request(std::string_view());
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
        connection.tolerate(Nuisance::settings);
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && std::exchange(connection.asked_, false)) {
          connection.say_goodbye();
        } else {
          connection.tolerate(Nuisance::ping);
        }
        break;
      case NGHTTP2_RST_STREAM:
        // Only what interrupts an answer costs us anything.
        if (stream != nullptr && !stream->end_sent_) connection.tolerate(Nuisance::reset);
        break;
      case NGHTTP2_PRIORITY:
      case NGHTTP2_PRIORITY_UPDATE:
        connection.tolerate(Nuisance::priority);
        break;
      case NGHTTP2_WINDOW_UPDATE:
        connection.tolerate(Nuisance::window);
        break;
      default:
        break;
    }
  } catch (const std::bad_alloc&) {
    connection.terminate(NGHTTP2_INTERNAL_ERROR);
  }
  return 0;
}

/// A head is complete: its exchange begins when nghttp2 has seen all that came with it.
void Connection::on_request(RequestStream& stream, bool ended) {
  using Verdict = RequestText::Verdict;
  const Verdict verdict = text_.finish(!ended);
  stream.request_ended_ = ended;
  if (verdict == Verdict::good && heads_size_ > 0 && heads_size_ + text_.size() > most_heads) {
    // It may come again once others have ended: none of it was looked at (RFC 9113 section 8.7). From here on
    // nghttp2 passes over what the stream still brings.
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_REFUSED_STREAM);
    return;
  }
  const auto refuse = [&stream](http::AnswerCode code, std::string_view sentence) {
    stream.refused_ = true;
    stream.refusal_ = code;
    stream.objection_ = sentence;
  };
  switch (verdict) {
    case Verdict::good:
      if (text_.websocket()) {
        const Key key = make_key(worker_.request_ids);
        stream.put_head(text_, text_of(key.data(), RequestText::key_size));
      } else {
        stream.put_head(text_, {});
      }
      break;
    case Verdict::too_large:
      refuse(http::AnswerCode::header_too_large, {});
      break;
    case Verdict::malformed:
      refuse(http::AnswerCode::bad_request, "A header field of the request is not allowed in HTTP/2.");
      break;
    case Verdict::ambiguous:
      refuse(http::AnswerCode::bad_request, h1::sentence_of(h1::HeadError::duplicate_host));
      break;
    case Verdict::no_such_use:
      refuse(http::AnswerCode::bad_request, "Portico knows no other extended CONNECT than websocket.");
      break;
  }
  if (stream.refused_) {
    // As much of a request line as the answer and the record look at.
    stream.append(text_.method(), 0);
    stream.append(" ", 0);
    stream.append(text_.path().substr(0, config_->settings.limits.request_target), 0);
    stream.append(" HTTP/1.1\r\n", 0);
  }
  stream.note_event(RequestStream::input_event);
}

int Connection::on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int, void* self) {
  Connection& connection = self_of(self);
  connection.tolerate(Nuisance::invalid);
  // Refused before it was looked at, its fields are not known.
  if (!is_request(*frame) || frame->hd.stream_id != connection.text_stream_) return 0;
  Exchange::account_for_refusal(connection.worker_, connection.client_.listener, connection.client_.peer,
                                connection.text_.method(), connection.text_.path(), {},
                                http::AnswerCode::bad_request);
  return 0;
}

int Connection::on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                        std::size_t size, void* self) {
  Connection& connection = self_of(self);
  connection.buffered_ += size;
  connection.owed_ += size;
  RequestStream* const stream = connection.stream_of(id);
  if (stream == nullptr || stream->exchange_done_ || stream->closed_) {
    connection.credit(size);
    return 0;
  }
  try {
    stream->append_data(text_of(data, size));
    connection.credit(0);
  } catch (const std::bad_alloc&) {
    connection.terminate(NGHTTP2_INTERNAL_ERROR);
  }
  stream->note_event(RequestStream::input_event);
  return 0;
}

/// `taken` bytes of what was received are kept no more. The connection's window opens at once for what comes,
/// and stays shut for it while too much is kept.
void Connection::credit(std::size_t taken) noexcept {
  buffered_ -= taken;
  if (owed_ == 0 || buffered_ > most_buffered) return;
  nghttp2_session_consume_connection(session_.get(), std::exchange(owed_, 0));
  schedule();
}

/// An exchange has taken `size` bytes of its stream's window.
void Connection::release(RequestStream& stream, std::size_t size) noexcept {
  if (size == 0) return;
  if (!stream.closed_) nghttp2_session_consume_stream(session_.get(), stream.id_, size);
  credit(size);
  schedule();
}

int Connection::on_stream_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* self) {
  Connection& connection = self_of(self);
  RequestStream* const stream = connection.stream_of(id);
  if (stream == nullptr) return 0;
  stream->closed_ = true;
  // After the end of the answer was handed over, this is how every stream ends.
  if (!stream->end_sent_) stream->lose();
  // It was taken back before its exchange began, or its head never became a request.
  if (!stream->started_) connection.leave(*stream);
  connection.retire(*stream);
  return 0;
}

int Connection::on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Connection& connection = self_of(self);
  if (frame->hd.type == NGHTTP2_RST_STREAM) {
    const std::uint32_t code = frame->rst_stream.error_code;
    // Not what an exchange or an answer that is whole gives as the reason, but a fault of the client's: it
    // has had its request for nothing, as if it had taken it back itself.
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_CANCEL && code != NGHTTP2_INTERNAL_ERROR)
      connection.tolerate(Nuisance::reset);
    return 0;
  }
  if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  RequestStream* const stream = connection.stream_of(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->end_sent_ = true;
  // RFC 9113 section 8.1: the answer is whole, and the rest of the request is not wanted.
  if (!stream->request_ended_)
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  return 0;
}

}  // namespace portico::proxy::h2
