#include "proxy/session.hpp"

#include <unistd.h>

#include <algorithm>

#include "proxy/exchange.hpp"
#include "proxy/h2/connection.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

namespace {
// How long a client that may still be sending is listened to after the last answer, and for how much.
constexpr std::chrono::milliseconds linger_time{5'000};
constexpr std::chrono::milliseconds draining_linger_time{1'000};
constexpr std::size_t linger_bytes = 4'194'304;
// How long what was already relayed may take to reach the client before the connection is reset.
constexpr std::chrono::milliseconds flush_time{2'000};
constexpr std::chrono::milliseconds turn_away_time{1'000};
constexpr unsigned exchanges_in_a_row = 16;
}  // namespace

Session::Session(Worker& w, telemetry::ListenerLabel l, ListenerKind k, const http::Peer& p,
                 ConnectionLimits::Place place) noexcept
    : Client(w, w.reactor, l, k, p), place_(place) {
  worker.cells.listener(listener).connections.add();
  worker.add(*this);
}

Session::~Session() {
  worker.cells.listener(listener).connections.sub();
  worker.limits.leave(place_);
  worker.remove(*this);
}

void Session::on_drain() noexcept {
  if (http2_ != nullptr) http2_->on_drain();
  if (waiting_) stream.input.cancel();
}

void Session::on_cut() noexcept {
  if (http2_ != nullptr) {
    http2_->on_cut();
    return;
  }
  if (exchange == nullptr) {
    stream.close();
    return;
  }
  exchange->abort(Cause::cut);
  // Not a clean end: what the client got is not the whole.
  stream.reset();
}

Detached serve(Worker& worker, telemetry::ListenerLabel listener, ListenerKind kind, int fd, http::Peer peer,
               ConnectionLimits::Place place) {
  Session session(worker, listener, kind, peer, place);
  try {
    if (session.stream.adopt(fd)) {
      const Session::Opened opened = co_await session.open();
      if (opened == Session::Opened::http1) co_await session.run_http1();
      if (opened == Session::Opened::http2) co_await session.run_http2();
      co_await session.finish();
    }
  } catch (const std::exception& error) {
    // Nothing on the data path throws but for want of memory.
    worker.cells.internal_errors.add();
    telemetry::log(telemetry::Level::error, "a connection was dropped: {}", error.what());
    session.stream.reset();
  }
  co_await session.stream.closed();
}

Task<void> Session::run_http1() {
  for (unsigned exchanges = 1;; ++exchanges) {
    const Head head = co_await read_head();
    if (head == Head::closed) co_return;
    if (head == Head::http2) {
      co_await run_http2();
      co_return;
    }
    if (head == Head::refused) {
      http::AnswerCode code =
          head_timed_out_ ? http::AnswerCode::request_timeout : http::AnswerCode::bad_request;
      if (head_error_ == h1::HeadError::too_large) code = http::AnswerCode::header_too_large;
      if (head_error_ == h1::HeadError::target_too_long) code = http::AnswerCode::uri_too_long;
      const std::string_view sentence = head_timed_out_ ? std::string_view() : h1::sentence_of(head_error_);
      complain_of_proxy_header();
      co_await Exchange::refuse_head(*this, code, sentence, stream.input.data());
      co_return;
    }
    Exchange current(*this, head_size_);
    const bool again = co_await current.run();
    if (!again) co_return;
    // Pipelined requests that need no backend would keep the worker to themselves.
    if (exchanges % exchanges_in_a_row == 0 && !stream.input.empty()) co_await Yield(worker.reactor);
  }
}

Task<void> Session::run_http2() {
  struct Running {
    Session& self;
    ~Running() { self.http2_ = nullptr; }
  };
  h2::Connection connection(*this);
  const Running running{*this};
  http2_ = &connection;
  co_await connection.run();
}

/// Waits for a complete head at the front of the input. An idle connection may wait long for the first byte
/// of a request, a begun head must be complete soon.
Task<Session::Head> Session::read_head() {
  const ConfigPtr config = worker.config();
  const conf::Settings& settings = config->settings;
  Input& input = stream.input;
  h1::HeadScanner scanner;
  head_error_ = h1::HeadError::none;
  head_timed_out_ = false;
  bool begun = false;
  bool line_skipped = false;
  bool may_be_http2 = first_ && kind == ListenerKind::plain && settings.http2.cleartext == conf::Switch::on;
  first_ = false;
  Deadline deadline = worker.reactor.wheel.in(settings.timeouts.keep_alive);
  for (;;) {
    if (!input.empty() && !begun) {
      begun = true;
      deadline = worker.reactor.wheel.in(settings.timeouts.request_head);
    }
    if (!input.empty() && scanner.size() == 0 && !line_skipped) {
      if (const std::optional<std::size_t> empty_line = h1::leading_crlf(input.data())) {
        line_skipped = *empty_line > 0;
        if (line_skipped) input.consume(*empty_line);
        if (line_skipped && input.empty()) {
          // Nothing of a request yet: the connection is as idle as before.
          begun = false;
          deadline = worker.reactor.wheel.in(settings.timeouts.keep_alive);
        }
      }
    }
    const std::string_view bytes = input.data();
    if (may_be_http2 && !bytes.empty()) {
      const std::size_t known = std::min(bytes.size(), h2::preface.size());
      may_be_http2 = bytes.substr(0, known) == h2::preface.substr(0, known);
      if (may_be_http2 && known == h2::preface.size()) co_return Head::http2;
    }
    if (!bytes.empty() && bytes.front() != '\r') {
      if (!h1::may_start_request(bytes.front())) {
        head_error_ = h1::HeadError::bad_method;
        co_return Head::refused;
      }
      // The preface looks like a head that is complete before it is.
      const h1::HeadScanner::State state =
          may_be_http2 ? h1::HeadScanner::State::need_more : scanner.scan(bytes);
      if (state == h1::HeadScanner::State::bad) {
        head_error_ = scanner.error();
        co_return Head::refused;
      }
      if (state == h1::HeadScanner::State::complete && scanner.size() <= settings.limits.request_head) {
        head_size_ = scanner.size();
        co_return Head::complete;
      }
      if (bytes.size() > settings.limits.request_head || state == h1::HeadScanner::State::complete) {
        // Still in its first line: it is the target that is too long.
        const bool in_first_line =
            bytes.substr(0, settings.limits.request_target).find('\n') == std::string_view::npos;
        head_error_ = in_first_line ? h1::HeadError::target_too_long : h1::HeadError::too_large;
        co_return Head::refused;
      }
    } else if (!bytes.empty() && bytes.size() > 1) {
      // A CR that is not the beginning of one empty line.
      head_error_ = h1::HeadError::bad_request_line;
      co_return Head::refused;
    }
    input.make_room(settings.limits.request_head + 1);

    waiting_ = !begun;
    if (waiting_ && worker.draining()) co_return Head::closed;
    const Io io = co_await input.more(deadline);
    waiting_ = false;
    if (io == Io::ok) continue;
    if (io == Io::timeout && begun) {
      head_timed_out_ = true;
      co_return Head::refused;
    }
    co_return Head::closed;
  }
}

Detached turn_away(Worker& worker, telemetry::ListenerLabel listener, int fd, http::Peer peer,
                   http::AnswerCode code) {
  Exchange::account_for_refusal(worker, listener, peer, {}, {}, {}, code);
  if (!worker.enter_turned_away()) {
    ::close(fd);
    co_return;
  }
  Stream stream(worker.reactor);
  if (stream.adopt(fd)) {
    char id[32];
    http::AnswerFacts facts;
    facts.request_id = worker.request_ids.next(id);
    facts.date = worker.http_date();
    facts.close = true;
    const std::string text = http::format_answer(code, facts);
    Io io = co_await stream.output.write(text, turn_away_time);
    stream.shutdown_write();
    const Deadline deadline = worker.reactor.wheel.in(turn_away_time);
    std::size_t thrown_away = 0;
    while (io == Io::ok && thrown_away < BufferPool::large_size && !worker.cutting()) {
      thrown_away += stream.input.data().size();
      stream.input.consume(stream.input.data().size());
      io = co_await stream.input.more(deadline);
    }
  }
  co_await stream.closed();
  worker.leave_turned_away();
}

Task<void> Session::finish() {
  switch (end) {
    case End::close:
      break;
    case End::linger:
      co_await linger();
      break;
    case End::reset:
      co_await reset_after_flush();
      break;
  }
}

/// A close while the client is sending would make its system throw the answer away with a reset. So: end our
/// side, and read on until the client has seen it, within bounds.
Task<void> Session::linger() {
  stream.shutdown_write();
  // A process that is ending waits for nobody who only keeps a connection open.
  const Deadline deadline = worker.reactor.wheel.in(worker.draining() ? draining_linger_time : linger_time);
  std::size_t thrown_away = 0;
  Io io = Io::ok;
  while (io == Io::ok && thrown_away < linger_bytes && !worker.cutting()) {
    thrown_away += stream.input.data().size();
    stream.input.consume(stream.input.data().size());
    io = co_await stream.input.more(deadline);
  }
}

/// What the client got is not the whole, and a reset says so; but it may read what it got up to there.
Task<void> Session::reset_after_flush() {
  const Deadline deadline = worker.reactor.wheel.in(flush_time);
  while (stream.open() && stream.unacknowledged() > 0 && !worker.reactor.wheel.passed(deadline) &&
         !worker.cutting()) {
    Sleep pause(worker.reactor, worker.reactor.wheel.in(TimerWheel::tick));
    co_await pause;
  }
  stream.reset();
}

}  // namespace portico::proxy
