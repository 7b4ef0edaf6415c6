#include "proxy/sample/websocket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace portico::sample {
namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t max_message = std::size_t{64} * 1024 * 1024;

}  // namespace

struct WebSocket::Impl {
  explicit Impl(Exchange& exchange) : stream(exchange.take_socket()), base_fields(exchange.base_fields()) {
    http::request_parser<http::string_body> parser;
    boost::system::error_code ignored;
    const auto head = exchange.raw_head();
    parser.put(asio::buffer(head.data(), head.size()), ignored);
    request = parser.release();
    stream.read_message_max(max_message);
    stream.auto_fragment(false);
  }

  websocket::stream<Socket> stream;
  http::request<http::string_body> request;
  boost::beast::flat_buffer buffer;
  std::string_view base_fields;
};

WebSocket::WebSocket(Exchange& exchange) : impl_(std::make_unique<Impl>(exchange)) {}
WebSocket::~WebSocket() = default;

asio::awaitable<bool> WebSocket::accept(const Fields& fields) {
  impl_->stream.set_option(
      websocket::stream_base::decorator([this, &fields](websocket::response_type& response) {
        // Of the fields that stand in every response only the label is in a 101: CPA sends no CORS there.
        const auto label = impl_->base_fields.substr(0, impl_->base_fields.find("\r\n"));
        const auto colon = label.find(": ");
        const auto name = label.substr(0, colon);
        const auto value = label.substr(colon + 2);
        response.erase(http::field::server);
        response.set({name.data(), name.size()}, boost::beast::string_view(value.data(), value.size()));
        for (const auto& [field, text] : fields) response.set({field.data(), field.size()}, text);
      }));
  const auto [error] = co_await impl_->stream.async_accept(impl_->request, as_result);
  co_return !error;
}

asio::awaitable<std::optional<WebSocket::Message>> WebSocket::read() {
  const auto [error, size] = co_await impl_->stream.async_read(impl_->buffer, as_result);
  if (error) co_return std::nullopt;
  Message message{impl_->stream.got_text(), boost::beast::buffers_to_string(impl_->buffer.data())};
  impl_->buffer.consume(size);
  co_return message;
}

asio::awaitable<bool> WebSocket::write(std::string_view payload, bool text) {
  impl_->stream.text(text);
  const auto [error, size] =
      co_await impl_->stream.async_write(asio::buffer(payload.data(), payload.size()), as_result);
  co_return !error;
}

void WebSocket::drop(bool reset) {
  boost::system::error_code ignored;
  auto& socket = impl_->stream.next_layer();
  if (reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

std::optional<std::uint32_t> WebSocket::last_heard_ms() {
  return portico::sample::last_heard_ms(impl_->stream.next_layer());
}

asio::awaitable<bool> may_upgrade(Exchange& exchange) {
  if (!exchange.has_early_bytes()) co_return true;
  co_await exchange.respond(400, "text/plain; charset=utf-8", "Bad Request: bytes before the upgrade");
  co_return false;
}

}  // namespace portico::sample
