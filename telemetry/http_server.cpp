#include "telemetry/http_server.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include "telemetry/listen_socket.hpp"
#include "telemetry/log.hpp"
#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::generic::stream_protocol;
using boost::system::error_code;
using Stream = boost::beast::basic_stream<stream_protocol>;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t max_head = 8192;
constexpr std::size_t max_body = 1024;
constexpr std::size_t max_lingering_bytes = 262'144;
constexpr std::chrono::seconds linger_timeout{2};
constexpr std::chrono::milliseconds accept_pause{100};

constexpr std::string_view json_type = "application/json; charset=utf-8";

std::string_view view_of(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

std::string_view field_of(const Parser::value_type& message, http::field field) {
  const auto found = message.find(field);
  return found == message.end() ? std::string_view{} : view_of(found->value());
}

HttpReply plain_error(int status, std::string_view code, std::string_view sentence) {
  return {
      status, json_type, fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", code, sentence), {}};
}

std::string format_head(const HttpReply& reply, bool keep_alive) {
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\n"
      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: {}\r\n",
      reply.status, view_of(http::obsolete_reason(static_cast<http::status>(reply.status))),
      http_date(std::chrono::system_clock::now()), reply.content_type, keep_alive ? "keep-alive" : "close");
  // A stream ends with its connection (RFC 9112 section 6.3), which HTTP/1.0 understands too.
  if (!reply.stream) head += fmt::format("Content-Length: {}\r\n", reply.body.size());
  for (const auto& [name, value] : reply.fields) head += fmt::format("{}: {}\r\n", name, value);
  head += "\r\n";
  return head;
}

// Counts a connection for as long as its coroutine lives, however that ends.
class CountGuard {
 public:
  explicit CountGuard(std::size_t& count) noexcept : count_(count) { ++count_; }
  ~CountGuard() { --count_; }
  CountGuard(const CountGuard&) = delete;
  CountGuard& operator=(const CountGuard&) = delete;

 private:
  std::size_t& count_;
};

// What a stream's coroutine and the read beside it both hold: the read may end after the coroutine.
struct Watch {
  explicit Watch(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;  // cancelled: look again
  std::array<char, 512> waste{};
  bool gone = false;  // the client, or the socket itself: there is nothing to read from any more
};

// However the coroutine ends, a read that completes after it must not touch the socket.
class WatchEnd {
 public:
  explicit WatchEnd(Watch& watch) noexcept : watch_(watch) {}
  ~WatchEnd() { watch_.gone = true; }
  WatchEnd(const WatchEnd&) = delete;
  WatchEnd& operator=(const WatchEnd&) = delete;

 private:
  Watch& watch_;
};

// A client of a stream has nothing more to say: what it sends is thrown away, its end is what counts.
void watch_client(stream_protocol::socket& socket, const std::shared_ptr<Watch>& watch) {
  socket.async_read_some(asio::buffer(watch->waste), [&socket, watch](error_code error, std::size_t) {
    if (watch->gone || error == asio::error::operation_aborted) return;
    if (!error) {
      watch_client(socket, watch);
      return;
    }
    watch->gone = true;
    watch->timer.cancel();
  });
}

void tell(std::string_view what, const std::exception_ptr& failure) noexcept {
  write_log(Level::error, what);
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    write_log(Level::error, e.what());
  } catch (...) {
    write_log(Level::error, "an unknown error");
  }
}

void report(const std::exception_ptr& failure) noexcept {
  if (failure) tell("the management endpoint dropped a connection after an internal error:", failure);
}

void run_hook(const std::function<void()>& hook) noexcept {
  try {
    hook();
  } catch (...) {
    tell("what shares the management endpoint's thread failed:", std::current_exception());
  }
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const conf::ListenAddress& listen, Handler handler, HttpBounds bounds, ThreadHooks hooks)
      : handler_(std::move(handler)),
        bounds_(bounds),
        hooks_(std::move(hooks)),
        context_(1),
        socket_(context_, listen) {
    asio::co_spawn(context_, accept_loop(), report);
    // Signals are the control thread's business: a new thread inherits the mask.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Impl() {
    context_.stop();
    thread_.join();
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] conf::ListenAddress address() const { return socket_.address(); }

 private:
  void run() noexcept {
    pthread_setname_np(pthread_self(), "portico-telem");
    if (hooks_.start) run_hook([this] { hooks_.start(context_.get_executor()); });
    // An exception that reaches this place ended one handler, no more; the others go on.
    while (!context_.stopped()) {
      try {
        context_.run();
      } catch (...) {
        report(std::current_exception());
      }
    }
    if (hooks_.stop) run_hook(hooks_.stop);
  }

  asio::awaitable<void> accept_loop();
  asio::awaitable<void> serve(Stream stream);
  asio::awaitable<void> send_stream(Stream& stream, ReplyStream& body);
  asio::awaitable<void> linger(Stream& stream);
  HttpReply answer(const Parser::value_type& message) const;
  void turn_away(stream_protocol::socket& socket) const;

  // The context comes after what its coroutines refer to: it destroys them.
  Handler handler_;
  HttpBounds bounds_;
  ThreadHooks hooks_;
  std::size_t connections_ = 0;
  asio::io_context context_;
  ListenSocket socket_;
  std::thread thread_;
};

asio::awaitable<void> HttpServer::Impl::accept_loop() {
  asio::steady_timer pause(context_);
  bool failing = false;
  for (;;) {
    stream_protocol::socket socket(context_);
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await socket_.acceptor().async_accept(socket, token);
    if (error) {
      // Mostly EMFILE, which does not pass by asking again at once. One line for each bad spell.
      if (!failing)
        log(Level::warn, "the management endpoint cannot accept connections: {}", error.message());
      failing = true;
      pause.expires_after(accept_pause);
      co_await pause.async_wait(token);
      continue;
    }
    failing = false;
    if (connections_ >= bounds_.connections) {
      turn_away(socket);
      continue;
    }
    asio::co_spawn(context_, serve(Stream(std::move(socket))), report);
  }
}

// As much as fits without waiting: a connection over the limit gets no memory of its own.
void HttpServer::Impl::turn_away(stream_protocol::socket& socket) const {
  const HttpReply reply = plain_error(
      503, "too_many_connections", "The management endpoint serves its maximum of connections; try again.");
  const std::string bytes = format_head(reply, false) + reply.body;
  error_code error;
  socket.non_blocking(true, error);
  socket.send(asio::buffer(bytes), 0, error);
  socket.shutdown(stream_protocol::socket::shutdown_send, error);
}

asio::awaitable<void> HttpServer::Impl::serve(Stream stream) {
  const CountGuard guard(connections_);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  // Fails on a unix socket, which needs it not.
  stream.socket().set_option(asio::ip::tcp::no_delay(true), error);

  boost::beast::flat_buffer buffer(max_head + max_body);
  bool keep_alive = true;
  while (keep_alive) {
    Parser parser;
    parser.header_limit(max_head);
    parser.body_limit(max_body);
    stream.expires_after(bounds_.request_time);
    co_await http::async_read(stream, buffer, parser, token);

    HttpReply reply;
    bool to_head = false;
    if (!error) {
      reply = answer(parser.get());
      keep_alive = parser.get().keep_alive();
      to_head = parser.get().method() == http::verb::head;
    } else {
      keep_alive = false;
      if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        reply = plain_error(431, "header_too_large", "The request's head is larger than 8 KiB.");
      } else if (error == http::error::body_limit) {
        reply = plain_error(413, "body_too_large", "The request's body is larger than 1 KiB.");
      } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
                 error != http::error::end_of_stream && error != http::error::partial_message) {
        reply = plain_error(400, "bad_request", "The request is not well-formed HTTP.");
      } else {
        break;  // gone or too slow: nobody to answer
      }
    }

    if (reply.stream) keep_alive = false;
    const std::string head = format_head(reply, keep_alive);
    const std::array<asio::const_buffer, 2> bytes{
        asio::buffer(head), asio::buffer(reply.body.data(), to_head ? 0 : reply.body.size())};
    stream.expires_after(bounds_.answer_time);
    co_await asio::async_write(stream, bytes, token);
    if (error) co_return;
    if (reply.stream && !to_head) co_await send_stream(stream, *reply.stream);
  }
  co_await linger(stream);
}

asio::awaitable<void> HttpServer::Impl::send_stream(Stream& stream, ReplyStream& body) {
  const auto watch = std::make_shared<Watch>(context_);
  const WatchEnd end(*watch);
  body.on_ready([watch] { watch->timer.cancel(); });
  // Past basic_stream, whose time limit would hold for the read too.
  watch_client(stream.socket(), watch);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::string bytes;
  bool more = true;
  while (more && !watch->gone) {
    bytes.clear();
    more = body.fill(bytes);
    if (more && bytes.empty()) {
      watch->timer.expires_after(bounds_.silence);
      co_await watch->timer.async_wait(token);
      if (error) continue;  // woken
      bytes = body.keep_alive();
    }
    stream.expires_after(bounds_.answer_time);
    co_await asio::async_write(stream, asio::buffer(bytes), token);
    if (error) break;
  }
  // The read must not be left to meet the one of a lingering close.
  stream.socket().cancel(error);
}

// Closing with bytes unread would send a reset that overtakes the answer (RFC 9112 section 9.6).
asio::awaitable<void> HttpServer::Impl::linger(Stream& stream) {
  error_code error;
  stream.socket().shutdown(stream_protocol::socket::shutdown_send, error);
  if (error) co_return;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::array<char, 4096> waste{};
  std::size_t total = 0;
  stream.expires_after(linger_timeout);
  while (total < max_lingering_bytes) {
    const std::size_t size = co_await stream.async_read_some(asio::buffer(waste), token);
    if (error) co_return;
    total += size;
  }
}

HttpReply HttpServer::Impl::answer(const Parser::value_type& message) const {
  if (message.count(http::field::host) > 1) {
    return plain_error(400, "bad_request", "The request has more than one Host.");
  }
  HttpRequest request;
  request.method = view_of(message.method_string());
  request.target = view_of(message.target());
  request.has_host = message.count(http::field::host) == 1;
  request.host = field_of(message, http::field::host);
  request.authorization = field_of(message, http::field::authorization);
  request.accept = field_of(message, http::field::accept);
  try {
    return handler_(request);
  } catch (const std::exception& e) {
    log(Level::error, "the management endpoint failed to answer: {}", e.what());
    return plain_error(500, "internal_error", "The management endpoint failed to answer; see the log.");
  }
}

HttpServer::HttpServer(const conf::ListenAddress& listen, Handler handler, HttpBounds bounds,
                       ThreadHooks hooks)
    : impl_(std::make_unique<Impl>(listen, std::move(handler), bounds, std::move(hooks))) {}

HttpServer::~HttpServer() = default;

conf::ListenAddress HttpServer::address() const { return impl_->address(); }

}  // namespace portico::telemetry
