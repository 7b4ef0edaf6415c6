#include "telemetry/http_server.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <mutex>
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
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include "telemetry/http_stream.hpp"
#include "telemetry/http_transport.hpp"
#include "telemetry/listen_socket.hpp"
#include "telemetry/log.hpp"
#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::generic::stream_protocol;
using boost::system::error_code;
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

// The answer to HTTP on a port that speaks TLS: most likely somebody forgot the s of https.
HttpReply tls_needed() {
  return {400,
          "text/plain; charset=utf-8",
          "This port speaks TLS only: ask again with https:// as scheme.\n",
          {}};
}

bool is_letter(char byte) noexcept { return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'); }

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
  Impl(const conf::ListenAddress& listen, Handler handler, HttpBounds bounds, ThreadHooks hooks,
       std::shared_ptr<const ServerTls> tls)
      : handler_(std::move(handler)),
        bounds_(bounds),
        hooks_(std::move(hooks)),
        tls_(std::move(tls)),
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
  [[nodiscard]] bool speaks_tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_ != nullptr;
  }
  void replace_tls(std::shared_ptr<const ServerTls> tls) {
    const std::lock_guard lock(tls_mutex_);
    tls_.swap(tls);
  }

 private:
  // How a connection begins: served plain or under TLS, as the port is; plain HTTP on a TLS port; not at all.
  enum class Opening : std::uint8_t { served, plain_http, failed };

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
  asio::awaitable<void> serve(stream_protocol::socket socket, std::shared_ptr<const ServerTls> tls);
  asio::awaitable<Opening> open(Transport& transport, const ServerTls& tls,
                                boost::beast::flat_buffer& buffer);
  asio::awaitable<void> linger(Transport& transport);
  HttpReply answer(const Parser::value_type& message) const;
  void turn_away(stream_protocol::socket& socket, bool tls) const;
  [[nodiscard]] std::shared_ptr<const ServerTls> tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
  }

  // The context comes after what its coroutines refer to: it destroys them.
  Handler handler_;
  HttpBounds bounds_;
  ThreadHooks hooks_;
  mutable std::mutex tls_mutex_;  // of tls_ alone
  std::shared_ptr<const ServerTls> tls_;
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
    std::shared_ptr<const ServerTls> secured = tls();
    if (connections_ >= bounds_.connections) {
      turn_away(socket, secured != nullptr);
      continue;
    }
    asio::co_spawn(context_, serve(std::move(socket), std::move(secured)), report);
  }
}

// As much as fits without waiting: a connection over the limit gets no memory of its own, and so no
// handshake.
void HttpServer::Impl::turn_away(stream_protocol::socket& socket, bool tls) const {
  if (tls) return;
  const HttpReply reply = plain_error(
      503, "too_many_connections", "The management endpoint serves its maximum of connections; try again.");
  const std::string bytes = format_head(reply, false) + reply.body;
  error_code error;
  socket.non_blocking(true, error);
  socket.send(asio::buffer(bytes), 0, error);
  socket.shutdown(stream_protocol::socket::shutdown_send, error);
}

asio::awaitable<void> HttpServer::Impl::serve(stream_protocol::socket socket,
                                              std::shared_ptr<const ServerTls> tls) {
  const CountGuard guard(connections_);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  const auto transport = std::make_shared<Transport>(std::move(socket));
  Transport::Plain& plain = transport->plain();
  // Fails on a unix socket, which needs it not.
  plain.socket().set_option(asio::ip::tcp::no_delay(true), error);

  boost::beast::flat_buffer buffer(max_head + max_body);
  plain.expires_after(bounds_.request_time);
  Opening opening = Opening::served;
  if (tls) opening = co_await open(*transport, *tls, buffer);

  bool keep_alive = opening != Opening::failed;
  while (keep_alive) {
    Parser parser;
    parser.header_limit(max_head);
    parser.body_limit(max_body);
    co_await http::async_read(*transport, buffer, parser, token);

    HttpReply reply;
    bool to_head = false;
    if (!error) {
      keep_alive = opening == Opening::served && parser.get().keep_alive();
      if (opening == Opening::served) reply = answer(parser.get());
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

    if (opening == Opening::plain_http) reply = tls_needed();
    if (reply.stream) keep_alive = false;
    const std::string head = format_head(reply, keep_alive);
    const std::array<asio::const_buffer, 2> bytes{
        asio::buffer(head), asio::buffer(reply.body.data(), to_head ? 0 : reply.body.size())};
    plain.expires_after(bounds_.answer_time);
    co_await asio::async_write(*transport, bytes, token);
    if (error) co_return;
    if (reply.stream && !to_head) co_await send_stream(transport, *reply.stream, bounds_);
    plain.expires_after(bounds_.request_time);
  }
  co_await linger(*transport);
}

// The first byte tells who is there: a TLS record never begins with a letter, a request line always does.
asio::awaitable<HttpServer::Impl::Opening> HttpServer::Impl::open(Transport& transport, const ServerTls& tls,
                                                                  boost::beast::flat_buffer& buffer) {
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  buffer.commit(co_await transport.async_read_some(buffer.prepare(1), token));
  if (error) co_return Opening::failed;
  if (is_letter(*static_cast<const char*>(buffer.data().data()))) co_return Opening::plain_http;
  SslPtr session = tls.new_session();
  if (!session) co_return Opening::failed;
  Transport::Tls& secured = transport.begin_tls(std::move(session));
  buffer.consume(co_await secured.async_handshake(asio::ssl::stream_base::server,
                                                  asio::const_buffer(buffer.data()), token));
  if (!error) co_return Opening::served;
  const long verdict = SSL_get_verify_result(secured.native_handle());
  log(Level::debug, "a TLS handshake with the management endpoint failed: {}{}{}", error.message(),
      verdict == X509_V_OK ? "" : ": ", verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict));
  co_return Opening::failed;
}

// Closing with bytes unread would send a reset that overtakes the answer (RFC 9112 section 9.6).
asio::awaitable<void> HttpServer::Impl::linger(Transport& transport) {
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  Transport::Plain& plain = transport.plain();
  plain.expires_after(linger_timeout);
  // RFC 8446 section 6.1: without close_notify the end of a stream could be anybody's.
  Transport::Tls* const tls = transport.tls();
  if (tls != nullptr && SSL_is_init_finished(tls->native_handle()) == 1) co_await tls->async_shutdown(token);
  plain.socket().shutdown(stream_protocol::socket::shutdown_send, error);
  if (error) co_return;
  std::array<char, 4096> waste{};
  std::size_t total = 0;
  while (total < max_lingering_bytes) {
    const std::size_t size = co_await plain.async_read_some(asio::buffer(waste), token);
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
                       ThreadHooks hooks, std::shared_ptr<const ServerTls> tls)
    : impl_(std::make_unique<Impl>(listen, std::move(handler), bounds, std::move(hooks), std::move(tls))) {}

HttpServer::~HttpServer() = default;

conf::ListenAddress HttpServer::address() const { return impl_->address(); }

bool HttpServer::speaks_tls() const { return impl_->speaks_tls(); }

void HttpServer::replace_tls(std::shared_ptr<const ServerTls> tls) { impl_->replace_tls(std::move(tls)); }

}  // namespace portico::telemetry
