#include "proxy/sample/server.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace portico::sample {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
// CPA waits this long for the first byte of a connection, then closes it.
constexpr std::chrono::seconds first_byte_timeout{10};

asio::generic::stream_protocol::endpoint endpoint_of(const conf::ListenAddress& address) {
  if (address.is_unix) return asio::local::stream_protocol::endpoint(address.path);
  if (address.any) return asio::ip::tcp::endpoint(asio::ip::tcp::v6(), address.port);
  if (address.ip.is_v4()) {
    const auto& bytes = address.ip.bytes();
    const asio::ip::address_v4 v4(
        asio::ip::address_v4::bytes_type{bytes[12], bytes[13], bytes[14], bytes[15]});
    return asio::ip::tcp::endpoint(v4, address.port);
  }
  return asio::ip::tcp::endpoint(asio::ip::address_v6(address.ip.bytes()), address.port);
}

/// True when a unix socket's file is there and nobody listens on it.
bool is_stale(const asio::generic::stream_protocol::endpoint& endpoint) {
  asio::io_context io;
  Socket probe(io);
  error_code error;
  probe.connect(endpoint, error);
  return error == asio::error::connection_refused;
}

std::uint16_t port_of(const asio::generic::stream_protocol::endpoint& endpoint) {
  sockaddr_storage storage{};
  std::memcpy(&storage, endpoint.data(), endpoint.size());
  // Both families have the port in the same place, right behind the family.
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof(v4));
  return ntohs(v4.sin_port);
}

asio::awaitable<void> wait_first_byte_timeout() {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, first_byte_timeout);
  co_await timer.async_wait(as_result);
}

asio::awaitable<void> wait_readable(Socket& socket) {
  co_await socket.async_wait(Socket::wait_read, as_result);
}

}  // namespace

Server::Server(asio::io_context& io, Context& context, Backend backend)
    : context_(context), backend_(std::move(backend)), acceptor_(io) {}

Server::~Server() {
  if (remove_file_) ::unlink(address_.path.c_str());
}

void Server::listen(const conf::ListenAddress& address) {
  error_code error;
  const auto check = [&] {
    if (error)
      throw std::runtime_error(fmt::format("cannot listen on {}: {}", address.text(), error.message()));
  };
  if (address.is_unix && address.path.size() >= sizeof(sockaddr_un::sun_path)) {
    error = asio::error::name_too_long;
  }
  check();
  const auto endpoint = endpoint_of(address);
  if (address.is_unix && is_stale(endpoint)) ::unlink(address.path.c_str());
  acceptor_.open(endpoint.protocol(), error);
  check();
  if (!address.is_unix) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  check();
  if (address.any) acceptor_.set_option(asio::ip::v6_only(false), error);
  check();
  acceptor_.bind(endpoint, error);
  check();
  remove_file_ = address.is_unix;
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  check();
  address_ = address;
  if (!address.is_unix) address_.port = port_of(acceptor_.local_endpoint());
  asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
}

asio::awaitable<void> Server::accept() {
  while (true) {
    Socket socket(acceptor_.get_executor());
    const auto [error] = co_await acceptor_.async_accept(socket, as_result);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, most likely: trying again at once would only spin.
      asio::steady_timer timer(acceptor_.get_executor(), std::chrono::milliseconds(50));
      co_await timer.async_wait(as_result);
      continue;
    }
    error_code ignored;
    if (!address_.is_unix) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    asio::co_spawn(acceptor_.get_executor(), serve(std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> Server::serve(Socket socket) {
  using namespace asio::experimental::awaitable_operators;
  Stats::OpenConnection open(context_.stats);
  Connection connection{std::move(socket), {}, backend_.base_fields};
  auto either = wait_readable(connection.socket) || wait_first_byte_timeout();
  const auto first = co_await std::move(either);
  if (first.index() == 1) co_return;
  bool go_on = true;
  while (go_on) {
    Exchange exchange(connection);
    if (!co_await exchange.read_head()) break;
    co_await backend_.answer(exchange, context_);
    go_on = co_await exchange.finish_request();
  }
  error_code ignored;
  connection.socket.shutdown(asio::socket_base::shutdown_send, ignored);
}

}  // namespace portico::sample
