#include "proxy/h2/connection.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <exception>
#include <new>
#include <utility>

#include <boost/asio/post.hpp>

#include "proxy/exchange.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy::h2 {

namespace {

constexpr unsigned reads_in_a_row = 16;
// What is said last (GOAWAY) may take this long to leave.
constexpr std::chrono::milliseconds farewell{1'000};

struct FreeOption {
  void operator()(nghttp2_option* option) const noexcept { nghttp2_option_del(option); }
};

}  // namespace

Connection::Connection(Client& client)
    : client_(client), worker_(client.worker), config_(client.worker.config()) {}

Connection::~Connection() {
  dead_.clear_and_dispose(std::default_delete<RequestStream>());
  assert(streams_.empty());
}

/// Makes the session and queues our half of the preface.
bool Connection::start() {
  nghttp2_option* made = nullptr;
  if (nghttp2_option_new(&made) != 0) return false;
  const std::unique_ptr<nghttp2_option, FreeOption> option(made);
  // Windows open as exchanges take what was received.
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new2(&session, callbacks(), this, made) != 0) return false;
  session_.reset(session);

  const conf::Settings& settings = config_->settings;
  const std::array<nghttp2_settings_entry, 5> entries{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<std::uint32_t>(settings.http2.streams)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(settings.limits.request_head)},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  }};
  if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries.data(), entries.size()) != 0) return false;
  return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                               static_cast<std::int32_t>(most_buffered)) == 0;
}

Task<void> Connection::run() {
  Input& input = client_.stream.input;
  client_.end = Client::End::linger;
  if (!start()) {
    client_.end = Client::End::reset;
    co_return;
  }
  // A client that has said that it speaks HTTP/2 has to show it.
  head_deadline_ = worker_.reactor.wheel.in(config_->settings.timeouts.request_head);
  idle_deadline_ = worker_.reactor.wheel.in(config_->settings.timeouts.keep_alive);
  if (worker_.draining()) on_drain();
  turn();
  for (unsigned reads = 1; !broken_ && !ending_; ++reads) {
    if (!input.empty()) {
      const std::string_view bytes = input.data();
      if (!receive(bytes)) break;
      input.consume(bytes.size());
      turn();
    }
    if (over() || ending_) break;
    if (reads % reads_in_a_row == 0) co_await Yield(worker_.reactor);
    if (broken_) break;
    const Io io = co_await input.more(deadline());
    if (io == Io::ok) continue;
    if (io == Io::timeout) {
      if (!worker_.reactor.wheel.passed(deadline())) continue;
      if (worker_.reactor.wheel.passed(goodbye_deadline_)) {
        // Whether it has heard the notice or not.
        asked_ = false;
        say_goodbye();
        turn();
        continue;
      }
      terminate(head_deadline_ != Deadline::never ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR);
      break;
    }
    if (io == Io::cancelled && client_.stream.open() && !broken_) continue;
    broken_ = true;
    client_.end = stream_count_ == 0 ? Client::End::close : Client::End::reset;
  }
  co_await wind_up();
}

/// Lets what was queued leave, ends every exchange, and waits until all is quiet.
Task<void> Connection::wind_up() {
  const Deadline limit = worker_.reactor.wheel.in(farewell);
  while (!broken_ && (writer_.running() || nghttp2_session_want_write(session_.get()) != 0) &&
         !worker_.reactor.wheel.passed(limit) && !worker_.cutting()) {
    schedule();
    Sleep pause(worker_.reactor, worker_.reactor.wheel.in(TimerWheel::tick));
    co_await pause;
  }
  if (writer_.running()) client_.end = Client::End::reset;
  broken_ = true;
  abandon_streams();
  if (client_.end == Client::End::reset) client_.stream.reset();
  if (client_.end == Client::End::close) client_.stream.close();
  struct Quiet {
    Connection& self;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept {
      self.finished_ = waiter;
      self.schedule();
    }
    void await_resume() const noexcept {}
  };
  do {
    co_await Quiet{*this};
  } while (stream_count_ > 0 || !streams_.empty() || writer_.running() || scheduled_);
}

/// Shows nghttp2 what came. False when the connection can't go on.
bool Connection::receive(std::string_view bytes) {
  const ssize_t n = nghttp2_session_mem_recv(
      session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  frame_follower_.feed(bytes);
  if (!frame_follower_.in_head()) {
    head_deadline_ = Deadline::never;
  } else if (head_deadline_ == Deadline::never || timed_head_ != frame_follower_.heads()) {
    timed_head_ = frame_follower_.heads();
    head_deadline_ = worker_.reactor.wheel.in(config_->settings.timeouts.request_head);
  }
  if (n >= 0) return true;
  if (n == NGHTTP2_ERR_FLOODED || n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  } else if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    terminate(NGHTTP2_PROTOCOL_ERROR);
  } else {
    worker_.cells.internal_errors.add();
    terminate(NGHTTP2_INTERNAL_ERROR);
  }
  return false;
}

/// Nothing more is to be read: we or the client have said goodbye, and all streams have ended.
bool Connection::over() const noexcept {
  return nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
}

Deadline Connection::deadline() noexcept {
  Deadline next = stream_count_ == 0 ? idle_deadline_ : Deadline::never;
  if (head_deadline_ != Deadline::never) next = head_deadline_;
  return std::min(next, goodbye_deadline_);
}

void Connection::terminate(std::uint32_t code) noexcept {
  ending_ = true;
  nghttp2_session_terminate_session(session_.get(), code);
  schedule();
}

// ---- going on
// ---------------------------------------------------------------------------------------------------

/// Goes on with everything that has news. Never from within a callback of nghttp2.
void Connection::turn() noexcept {
  run_ready();
  dead_.clear_and_dispose(std::default_delete<RequestStream>());
  if (broken_ || writer_.running()) return;
  if (nghttp2_session_want_write(session_.get()) != 0) writer_.start(write());
  // The reader has nothing to wait for any more.
  if (!writer_.running() && over()) client_.stream.input.cancel();
}

/// Has turn() run after the events that are at hand, so that what they write leaves together.
void Connection::schedule() noexcept {
  if (scheduled_) return;
  scheduled_ = true;
  boost::asio::post(worker_.context, [this] {
    scheduled_ = false;
    turn();
    if (broken_ && stream_count_ == 0 && !writer_.running() && !scheduled_) {
      if (const std::coroutine_handle<> waiter = std::exchange(finished_, nullptr)) waiter.resume();
    }
  });
}

void Connection::run_ready() noexcept {
  while (!ready_.empty()) {
    RequestStream& stream = ready_.front();
    ready_.pop_front();
    if (!stream.started_) {
      stream.started_ = true;
      serve(*this, stream);
    } else {
      stream.dispatch();
    }
  }
}

/// Runs the exchange of one stream.
Detached Connection::serve(Connection& connection, RequestStream& stream) {
  try {
    // The head is there: this takes it without waiting.
    const Io io = co_await stream.stream.input.more(Deadline::never);
    if (io == Io::ok && stream.refused_) {
      co_await Exchange::refuse_head(stream, stream.refusal_, stream.objection_, stream.stream.input.data());
    } else if (io == Io::ok) {
      Exchange exchange(stream, stream.head_size_);
      co_await exchange.run();
    }
  } catch (const std::exception& error) {
    // Nothing on the data path throws but for want of memory.
    stream.worker.cells.internal_errors.add();
    telemetry::log(telemetry::Level::error, "a request was dropped: {}", error.what());
    stream.end = Client::End::reset;
  }
  connection.stream_done(stream);
}

void Connection::stream_done(RequestStream& stream) noexcept {
  stream.discard();
  if (stream.Client::end == Client::End::reset || !stream.responded_) {
    stream.close(true);
  } else {
    stream.finish(std::string_view());
  }
  leave(stream);
}

/// No exchange of this stream runs any more, or ever will.
void Connection::leave(RequestStream& stream) noexcept {
  heads_size_ -= stream.head_size_;
  stream.started_ = stream.exchange_done_ = true;
  if (--stream_count_ == 0 && !broken_) {
    idle_deadline_ = worker_.reactor.wheel.in(config_->settings.timeouts.keep_alive);
    client_.stream.input.set_idle_deadline(deadline());
    if (draining_) on_drain();
  }
  retire(stream);
  schedule();
}

/// Once its exchange has ended, nghttp2 has closed it and none of its bytes are being written, the next turn
/// frees it.
void Connection::retire(RequestStream& stream) noexcept {
  if (!stream.exchange_done_ || !stream.closed_ || stream.in_flight_ > 0 || stream.retired_) return;
  stream.retired_ = true;
  streams_.erase(streams_.iterator_to(stream));
  dead_.push_back(stream);
}

/// The connection is lost to its streams: their exchanges end as those of a client that left.
void Connection::abandon_streams() noexcept {
  for (auto at = streams_.begin(); at != streams_.end();) {
    RequestStream& stream = *at++;
    if (!std::exchange(stream.closed_, true))
      nghttp2_session_set_stream_user_data(session_.get(), stream.id_, nullptr);
    stream.lose();
    // Its exchange has not begun, and need not.
    if (!stream.started_) leave(stream);
    retire(stream);
  }
}

void Connection::say_goodbye() noexcept {
  goodbye_deadline_ = Deadline::never;
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR, nullptr,
                        0);
  schedule();
}

// ---- the process's end
// ------------------------------------------------------------------------------------------

void Connection::on_drain() noexcept {
  const bool first = !std::exchange(draining_, true);
  if (stream_count_ == 0) {
    // Not a termination: the end of an answer may still be queued behind it.
    say_goodbye();
  } else if (first) {
    // The client may have sent requests that are on their way: the ping's answer comes after them.
    nghttp2_submit_shutdown_notice(session_.get());
    asked_ = true;
    goodbye_deadline_ = worker_.reactor.wheel.in(farewell);
    client_.stream.input.set_idle_deadline(deadline());
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    schedule();
  }
}

void Connection::on_cut() noexcept {
  for (RequestStream& stream : streams_) {
    if (stream.exchange != nullptr) stream.exchange->abort(Cause::cut);
  }
  broken_ = true;
  client_.stream.reset();
  schedule();
}

}  // namespace portico::proxy::h2
