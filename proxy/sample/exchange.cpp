#include "proxy/sample/exchange.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>

#include "proxy/sample/wire.hpp"

namespace portico::sample {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t read_size = 16384;
constexpr std::size_t max_head = std::size_t{256} * 1024;
// What is left of a request body is read up to here for the sake of the connection, as Go's server does.
constexpr std::size_t max_leftover = std::size_t{256} * 1024;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string reason_of(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  if (known == http::status::unknown) return fmt::format("status code {}", status);
  return std::string(http::obsolete_reason(known));
}

std::optional<std::uint32_t> last_heard_ms(Socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  // A unix socket refuses the question, which is an answer too.
  if (!socket.is_open() || ::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
    return std::nullopt;
  }
  return info.tcpi_last_ack_recv;
}

asio::awaitable<bool> Exchange::read_head() {
  auto& buffer = connection_.buffer;
  std::size_t size = 0;
  for (std::size_t looked = 0; size == 0;) {
    const std::string_view bytes(static_cast<const char*>(buffer.data().data()), buffer.size());
    const auto end = bytes.find("\r\n\r\n", looked);
    if (end != std::string_view::npos) {
      size = end + 4;
      break;
    }
    if (bytes.size() >= max_head) {
      persistent_ = false;
      co_await respond(431, "text/plain; charset=utf-8", "431 Request Header Fields Too Large");
      co_return false;
    }
    looked = bytes.size() < 3 ? 0 : bytes.size() - 3;
    const auto space = buffer.prepare(4096);
    const auto [error, received] = co_await connection_.socket.async_read_some(space, as_result);
    if (error) co_return false;
    buffer.commit(received);
  }
  raw_head_.assign(static_cast<const char*>(buffer.data().data()), size);
  buffer.consume(size);

  parser_ = std::make_unique<Parser>();
  parser_->header_limit(static_cast<std::uint32_t>(max_head));
  parser_->body_limit(boost::none);
  error_code error;
  parser_->put(asio::buffer(raw_head_), error);
  if (error || !parser_->is_header_done()) {
    persistent_ = false;
    co_await respond(400, "text/plain; charset=utf-8", "400 Bad Request");
    co_return false;
  }
  const auto& message = parser_->get();
  method_ = {message.method_string().data(), message.method_string().size()};
  target_ = {message.target().data(), message.target().size()};
  const auto question = target_.find('?');
  path_ = target_.substr(0, question);
  query_ = question == std::string_view::npos ? std::string_view{} : target_.substr(question + 1);
  continue_wanted_ = boost::beast::iequals(message[http::field::expect], "100-continue");
  persistent_ = parser_->keep_alive() && message.version() == 11;
  co_return true;
}

std::string_view Exchange::field(std::string_view name) const {
  const auto value = parser_->get()[boost::beast::string_view(name.data(), name.size())];
  return {value.data(), value.size()};
}

bool Exchange::is_upgrade() const {
  return method_ == "GET" && boost::beast::iequals(parser_->get()[http::field::upgrade], "websocket") &&
         http::token_list{parser_->get()[http::field::connection]}.exists("upgrade");
}

std::vector<std::pair<std::string_view, std::string_view>> Exchange::raw_fields() const {
  // Beast's container groups equal names, so the lines are cut here once more.
  std::vector<std::pair<std::string_view, std::string_view>> out;
  std::string_view rest = raw_head_;
  rest.remove_prefix(rest.find("\r\n") + 2);
  for (auto end = rest.find("\r\n"); end != 0 && end != std::string_view::npos; end = rest.find("\r\n")) {
    const auto line = rest.substr(0, end);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos)
      out.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
    rest.remove_prefix(end + 2);
  }
  return out;
}

asio::awaitable<std::optional<std::size_t>> Exchange::read_some(std::span<char> into) {
  if (parser_->is_done()) co_return 0;
  if (continue_wanted_) {
    continue_wanted_ = false;
    if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return std::nullopt;
  }
  auto& body = parser_->get().body();
  body.data = into.data();
  body.size = into.size();
  body.more = true;
  while (body.size == into.size() && !parser_->is_done()) {
    auto [error, size] =
        co_await http::async_read_some(connection_.socket, connection_.buffer, *parser_, as_result);
    if (error && error != http::error::need_buffer) {
      broken_ = true;
      co_return std::nullopt;
    }
  }
  co_return into.size() - body.size;
}

asio::awaitable<std::optional<std::string>> Exchange::read_body(std::size_t limit) {
  std::string body;
  std::vector<char> piece(read_size);
  while (true) {
    const auto size = co_await read_some(piece);
    if (!size) co_return std::nullopt;
    if (*size == 0) co_return body;
    if (body.size() + *size > limit) {
      persistent_ = false;
      co_await respond(413, "application/json", R"({"error":{"message":"request body too large"}})");
      co_return std::nullopt;
    }
    body.append(piece.data(), *size);
  }
}

asio::awaitable<std::string> Exchange::read_leftover() {
  std::string body;
  if (continue_wanted_) co_return body;
  std::vector<char> piece(read_size);
  while (body.size() <= max_leftover) {
    const auto size = co_await read_some(piece);
    if (!size) co_return std::string();
    if (*size == 0) co_return body;
    body.append(piece.data(), *size);
  }
  co_return std::string();
}

std::string Exchange::head_text(int status, std::string_view content_type, const Fields& fields,
                                std::optional<std::uint64_t> length) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n{}", status, reason_of(status), connection_.base_fields);
  for (const auto& [name, value] : fields) {
    if (name < "Content-Type") out += fmt::format("{}: {}\r\n", name, value);
  }
  if (!content_type.empty()) out += fmt::format("Content-Type: {}\r\n", content_type);
  for (const auto& [name, value] : fields) {
    if (name >= "Content-Type") out += fmt::format("{}: {}\r\n", name, value);
  }
  out += fmt::format("Date: {}\r\n", http_date(unix_seconds()));
  if (!persistent_) out += "Connection: close\r\n";
  if (length && status != 204) out += fmt::format("Content-Length: {}\r\n", *length);
  if (!length && chunked_) out += "Transfer-Encoding: chunked\r\n";
  out += "\r\n";
  return out;
}

asio::awaitable<bool> Exchange::send_interim(int status) {
  const std::string head = fmt::format("HTTP/1.1 {} {}\r\n\r\n", status, reason_of(status));
  co_return co_await write(head);
}

asio::awaitable<bool> Exchange::respond(int status, std::string_view content_type, std::string body,
                                        Fields fields) {
  std::string message = head_text(status, content_type, fields, body.size());
  if (method_ != "HEAD") message += body;
  co_return co_await write(message);
}

asio::awaitable<bool> Exchange::begin(int status, std::string_view content_type, const Fields& fields,
                                      std::optional<std::uint64_t> length) {
  // Without a length an HTTP/1.0 client gets the body up to the end of the connection.
  chunked_ = !length && parser_->get().version() == 11;
  if (!length && !chunked_) persistent_ = false;
  const std::string head = head_text(status, content_type, fields, length);
  co_return co_await write(head);
}

asio::awaitable<bool> Exchange::send(std::string_view bytes) {
  if (method_ == "HEAD" || bytes.empty()) co_return true;
  if (!chunked_) co_return co_await write(bytes);
  const std::string chunk = fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
  co_return co_await write(chunk);
}

asio::awaitable<bool> Exchange::finish() {
  if (method_ == "HEAD" || !chunked_) co_return true;
  co_return co_await write("0\r\n\r\n");
}

asio::awaitable<bool> Exchange::write(std::string_view bytes) {
  const auto [error, size] = co_await asio::async_write(connection_.socket, asio::buffer(bytes), as_result);
  if (error) broken_ = true;
  co_return !error;
}

asio::awaitable<bool> Exchange::pause(std::chrono::milliseconds time) {
  if (time.count() == 0) co_return !broken_;
  asio::steady_timer timer(connection_.socket.get_executor(), time);
  const auto [error] = co_await timer.async_wait(as_result);
  co_return !error && !broken_;
}

asio::awaitable<void> Exchange::client_leaves() {
  // A coroutine of its own looks at the socket, because a stream between two events has no other reason to.
  auto wait_for = Socket::wait_read;
  while (true) {
    const auto [error] = co_await connection_.socket.async_wait(wait_for, as_result);
    if (error) co_return;
    char byte = 0;
    const auto size = ::recv(connection_.socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
      broken_ = true;
      co_return;
    }
    // The next request is there already, and hides the end of the connection behind it: only a reset shows.
    if (size > 0) wait_for = Socket::wait_error;
  }
}

asio::awaitable<void> Exchange::unless_client_leaves(asio::awaitable<void> work) {
  using namespace asio::experimental::awaitable_operators;
  auto either = std::move(work) || client_leaves();
  co_await std::move(either);
}

std::optional<std::uint32_t> Exchange::last_heard_ms() const {
  return portico::sample::last_heard_ms(connection_.socket);
}

void Exchange::cut(bool reset) {
  error_code ignored;
  if (reset) connection_.socket.set_option(asio::socket_base::linger(true, 0), ignored);
  connection_.socket.close(ignored);
  persistent_ = false;
}

asio::awaitable<bool> Exchange::finish_request() {
  if (!connection_.socket.is_open() || broken_) co_return false;
  // A client that was never told to continue may or may not send its body: no telling where the next request
  // would begin.
  if (continue_wanted_ && !parser_->is_done()) co_return false;
  std::vector<char> piece(parser_->is_done() ? 0 : read_size);
  for (std::size_t left = max_leftover; !parser_->is_done();) {
    const auto size = co_await read_some(piece);
    if (!size || *size > left) co_return false;
    left -= *size;
  }
  co_return persistent_;
}

}  // namespace portico::sample
