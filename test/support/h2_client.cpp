#include "test/support/h2_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace portico::test {

namespace {

// Enough to keep a connection busy; more is only made once this has left.
constexpr std::size_t output_mark = 262'144;

ClientOptions with_h2(ClientOptions options) {
  if (options.tls && options.tls->alpn.empty()) options.tls->alpn = {"h2"};
  return options;
}

std::vector<nghttp2_nv> pairs_of(const H2Fields& fields) {
  std::vector<nghttp2_nv> out;
  out.reserve(fields.size());
  // nghttp2 copies them and changes nothing; its type is older than const.
  const auto bytes = [](const std::string& text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  for (const auto& field : fields)
    out.push_back(
        {bytes(field.name), bytes(field.value), field.name.size(), field.value.size(), NGHTTP2_NV_FLAG_NONE});
  return out;
}

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(fmt::format("{}: {}", what, nghttp2_strerror(result)));
}

H2End end_of(Outcome outcome) {
  if (outcome == Outcome::fin) return H2End::fin;
  return outcome == Outcome::truncated ? H2End::truncated : H2End::cut;
}

}  // namespace

/// nghttp2's view of the client: plain functions with the client as their last argument.
struct H2Client::Callbacks {
  static H2Client& self(void* user) { return *static_cast<H2Client*>(user); }

  static Stream* find(void* user, std::int32_t id) {
    const auto found = self(user).streams_.find(id);
    return found == self(user).streams_.end() ? nullptr : found->second.get();
  }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                       void* user) {
    self(user).fields_.push_back({std::string(reinterpret_cast<const char*>(name), name_size),
                                  std::string(reinterpret_cast<const char*>(value), value_size)});
    return 0;
  }

  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                               std::size_t name_size, const std::uint8_t*, std::size_t, std::uint8_t,
                               void* user) {
    self(user).broken_rule_ =
        "a field that no response may have: " + std::string(reinterpret_cast<const char*>(name), name_size);
    return 0;
  }

  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    self(user).broken_rule_ = fmt::format("a frame of type {}: {}", frame->hd.type, nghttp2_strerror(error));
    return 0;
  }

  static void on_head(Stream& stream, H2Fields fields) {
    H2Response& response = stream.response;
    if (response.status != 0) {
      response.trailers = std::move(fields);
      return;
    }
    const auto status = all_of(fields, ":status");
    if (!status.empty() && status[0].starts_with('1')) {
      response.interim.push_back(std::move(fields));
      return;
    }
    if (!status.empty()) response.status = std::stoi(status[0]);
    std::erase_if(fields, [](const H2Field& field) { return field.name == ":status"; });
    response.headers = std::move(fields);
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Client& client = self(user);
    Stream* const stream = find(user, frame->hd.stream_id);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (stream != nullptr) on_head(*stream, std::exchange(client.fields_, {}));
        break;
      case NGHTTP2_RST_STREAM:
        if (stream != nullptr)
          client.end(*stream, H2End::reset, static_cast<H2Error>(frame->rst_stream.error_code));
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) client.has_settings_ = true;
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++client.pings_answered_;
        break;
      case NGHTTP2_GOAWAY: {
        const auto& goaway = frame->goaway;
        client.goaways_.push_back(
            {goaway.last_stream_id, static_cast<H2Error>(goaway.error_code),
             std::string(reinterpret_cast<const char*>(goaway.opaque_data), goaway.opaque_data_len)});
        break;
      }
      default:
        break;
    }
    const bool ends = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (stream != nullptr && ends && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
      client.end(*stream, H2End::complete);
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) {
    H2Client& client = self(user);
    client.owed_ += size;
    if (!client.held_) nghttp2_session_consume_connection(session, std::exchange(client.owed_, 0));
    Stream* const stream = find(user, id);
    if (stream == nullptr) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    stream->received += size;
    stream->owed += size;
    if (!stream->held) nghttp2_session_consume_stream(session, id, std::exchange(stream->owed, 0));
    if (stream->sink)
      stream->sink(bytes);
    else
      stream->response.body += bytes;
    return 0;
  }

  static int on_stream_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    H2Client& client = self(user);
    Stream* const stream = find(user, id);
    if (stream == nullptr || stream->response.end != H2End::open) return 0;
    const auto& goaways = client.goaways_;
    if (stream->was_reset) {
      client.end(*stream, H2End::cancelled, static_cast<H2Error>(code));
    } else if (!goaways.empty() && id > goaways.back().last_stream) {
      client.end(*stream, H2End::refused, goaways.back().code);
    } else {
      // nghttp2 gave the stream up by itself.
      client.broken_rule_ = fmt::format("stream {}: {}", id, nghttp2_http2_strerror(code));
    }
    return 0;
  }

  static int on_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    Stream* const stream = find(user, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && stream != nullptr) self(user).end(*stream, H2End::refused);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<Stream*>(source->ptr);
    const std::size_t n = std::min(size, stream.unsent());
    std::copy_n(stream.outgoing.begin() + static_cast<std::ptrdiff_t>(stream.sent), n, into);
    stream.sent += n;
    if (stream.unsent() > 0) return static_cast<ssize_t>(n);
    stream.outgoing.clear();
    stream.sent = 0;
    if (stream.outgoing_ends) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (stream.trailers_out) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto pairs = pairs_of(*stream.trailers_out);
        nghttp2_submit_trailer(session, id, pairs.data(), pairs.size());
      }
    } else if (n == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(n);
  }
};

H2Client::H2Client(const Address& address, const H2ClientOptions& options, Deadline deadline)
    : wire_(address, with_h2(options.connection), deadline),
      tls_(options.connection.tls.has_value()),
      session_(nullptr, &nghttp2_session_del) {
  if (tls_ && wire_.tls().alpn != "h2") throw WireError(Outcome::alert, "ALPN '" + wire_.tls().alpn + "'");
  nghttp2_session_callbacks* made = nullptr;
  check(nghttp2_session_callbacks_new(&made), "callbacks");
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> callbacks(
      made, &nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_header_callback(made, &Callbacks::on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(made, &Callbacks::on_invalid_header);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, &Callbacks::on_invalid_frame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, &Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, &Callbacks::on_stream_close);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(made, &Callbacks::on_not_sent);
  nghttp2_option* chosen = nullptr;
  check(nghttp2_option_new(&chosen), "options");
  const std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)> option(chosen, &nghttp2_option_del);
  nghttp2_option_set_no_auto_window_update(chosen, 1);
  nghttp2_session* session = nullptr;
  check(nghttp2_session_client_new2(&session, made, this, chosen), "session");
  session_.reset(session);
  const std::array<nghttp2_settings_entry, 3> settings{{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.initial_window},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, options.max_frame_size},
  }};
  check(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()), "settings");
  check(nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                              static_cast<std::int32_t>(options.connection_window)),
        "window");
  flush();
}

H2Client::~H2Client() = default;

H2Fields H2Client::head(std::string_view method, std::string_view path, const H2Fields& more) const {
  H2Fields out = {{":method", std::string(method)},
                  {":scheme", tls_ ? "https" : "http"},
                  {":authority", "front.example"},
                  {":path", std::string(path)}};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

H2Client::StreamId H2Client::submit(const H2Fields& request, std::unique_ptr<Stream> stream, bool has_body) {
  const auto pairs = pairs_of(request);
  nghttp2_data_provider provider{};
  provider.source.ptr = stream.get();
  provider.read_callback = &Callbacks::read_body;
  const StreamId id = nghttp2_submit_request(session_.get(), nullptr, pairs.data(), pairs.size(),
                                             has_body ? &provider : nullptr, nullptr);
  check(id, "request");
  streams_[id] = std::move(stream);
  flush();
  return id;
}

H2Client::StreamId H2Client::open(const H2Fields& request) {
  return submit(request, std::make_unique<Stream>(), false);
}

H2Client::StreamId H2Client::open(const H2Fields& request, std::string body) {
  auto stream = std::make_unique<Stream>();
  stream->outgoing = std::move(body);
  stream->outgoing_ends = true;
  return submit(request, std::move(stream), true);
}

H2Client::StreamId H2Client::open_upload(const H2Fields& request) {
  return submit(request, std::make_unique<Stream>(), true);
}

void H2Client::send_data(StreamId stream, std::string_view bytes) {
  at(stream).outgoing += bytes;
  nghttp2_session_resume_data(session_.get(), stream);
  flush();
}

void H2Client::finish(StreamId stream) {
  at(stream).outgoing_ends = true;
  nghttp2_session_resume_data(session_.get(), stream);
  flush();
}

void H2Client::send_trailers(StreamId stream, H2Fields trailers) {
  at(stream).trailers_out = std::move(trailers);
  finish(stream);
}

void H2Client::reset(StreamId stream, H2Error code) {
  at(stream).was_reset = true;
  check(
      nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, static_cast<std::uint32_t>(code)),
      "reset");
  flush();
}

void H2Client::end(Stream& stream, H2End how, H2Error code) {
  // A reset behind the end tells only that the rest of the request is not wanted.
  if (stream.response.end == H2End::open) stream.response.end = how;
  if (how != H2End::complete) stream.response.code = code;
}

void H2Client::queue_frames() {
  while (out_.size() < output_mark) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
    check(static_cast<int>(std::min<ssize_t>(size, 0)), "send");
    if (size == 0) return;
    out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  }
}

void H2Client::flush() {
  while (true) {
    queue_frames();
    const std::size_t taken = wire_.send_until_stuck(out_, 0ms);
    out_.erase(0, taken);
    if (taken == 0 || !out_.empty()) return;
  }
}

void H2Client::take_in() {
  const auto bytes = wire_.buffered();
  const ssize_t used = nghttp2_session_mem_recv(
      session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (used < 0) throw ProtocolError(fmt::format("HTTP/2: {}", nghttp2_strerror(static_cast<int>(used))));
  wire_.drop(bytes.size());
}

void H2Client::connection_ended(Outcome outcome) {
  ended_ = outcome;
  for (const auto& [id, stream] : streams_) end(*stream, end_of(outcome), stream->response.code);
}

bool H2Client::wait_until(const std::function<bool()>& condition, Deadline deadline) {
  while (true) {
    if (!ended_) flush();
    if (!broken_rule_.empty()) throw ProtocolError("HTTP/2: " + broken_rule_);
    if (condition()) return true;
    if (ended_ || deadline.expired()) return false;
    // What the kernel did not take is tried again soon: the peer may wait for it before it says anything.
    const bool stuck = !out_.empty();
    const Outcome outcome = wire_.fill(stuck ? Deadline{5ms} : deadline);
    if (outcome == Outcome::data)
      take_in();
    else if (outcome != Outcome::timeout)
      connection_ended(outcome);
  }
}

void H2Client::listen_for(milliseconds time) {
  wait_until([] { return false; }, Deadline{time});
}

void H2Client::demand(bool came, StreamId stream, const char* what) {
  if (came) return;
  const auto& response = at(stream).response;
  throw WireError(ended_.value_or(response.end == H2End::open ? Outcome::timeout : Outcome::fin),
                  fmt::format("{} of stream {} (status {}, {} bytes, {}, {})", what, stream, response.status,
                              at(stream).received, name_of(response.end), name_of(response.code)));
}

bool H2Client::wait_sent(StreamId stream, Deadline deadline) {
  const Stream& it = at(stream);
  return wait_until([&] { return (it.unsent() == 0 && out_.empty()) || it.response.end != H2End::open; },
                    deadline);
}

const H2Response& H2Client::wait_head(StreamId stream, Deadline deadline) {
  const H2Response& response = at(stream).response;
  wait_until([&] { return response.status != 0 || response.end != H2End::open; }, deadline);
  demand(response.status != 0, stream, "head");
  return response;
}

const H2Response& H2Client::wait_interim(StreamId stream, std::size_t count, Deadline deadline) {
  const H2Response& response = at(stream).response;
  const auto came = [&] { return response.interim.size() >= count; };
  wait_until([&] { return came() || response.end != H2End::open; }, deadline);
  demand(came(), stream, "interim head");
  return response;
}

const H2Response& H2Client::wait_body(StreamId stream, std::size_t bytes, Deadline deadline) {
  const Stream& it = at(stream);
  const auto came = [&] { return it.received >= bytes; };
  wait_until([&] { return came() || it.response.end != H2End::open; }, deadline);
  demand(came(), stream, "body");
  return it.response;
}

const H2Response& H2Client::wait_end(StreamId stream, Deadline deadline) {
  const H2Response& response = at(stream).response;
  demand(wait_until([&] { return response.end != H2End::open; }, deadline) || ended_, stream, "end");
  return response;
}

std::string H2Client::read_exact(StreamId stream, std::size_t bytes, Deadline deadline) {
  Stream& it = at(stream);
  const std::string& body = wait_body(stream, it.taken + bytes, deadline).body;
  std::string out = body.substr(it.taken, bytes);
  it.taken += bytes;
  return out;
}

void H2Client::release(StreamId stream) {
  Stream& it = at(stream);
  it.held = false;
  nghttp2_session_consume_stream(session_.get(), stream, std::exchange(it.owed, 0));
  flush();
}

void H2Client::release_connection() {
  held_ = false;
  nghttp2_session_consume_connection(session_.get(), std::exchange(owed_, 0));
  flush();
}

bool H2Client::ping(Deadline deadline) {
  const std::size_t before = pings_answered_;
  check(nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr), "ping");
  return wait_until([&] { return pings_answered_ > before; }, deadline);
}

void H2Client::say_goodbye() {
  check(nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR), "goaway");
  flush();
  wire_.close();
}

std::uint32_t H2Client::setting(nghttp2_settings_id id) const {
  return nghttp2_session_get_remote_settings(session_.get(), id);
}

bool H2Client::takes_extended_connect(Deadline deadline) {
  if (!wait_until([&] { return has_settings_; }, deadline)) throw WireError(Outcome::timeout, "SETTINGS");
  return setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

Outcome H2Client::wait_closed(Deadline deadline) {
  wait_until([] { return false; }, deadline);
  if (!ended_) throw WireError(Outcome::timeout, "end of the connection");
  return *ended_;
}

H2Fields websocket_connect(const H2Client& client, std::string_view path, const H2Fields& more) {
  H2Fields out = client.head("CONNECT", path, {{"sec-websocket-version", "13"}});
  out.insert(out.begin() + 1, {":protocol", "websocket"});
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

websocket::Frame read_frame(H2Client& client, H2Client::StreamId stream, Deadline deadline) {
  return websocket::read_frame([&](std::size_t n) { return client.read_exact(stream, n, deadline); });
}

}  // namespace portico::test
