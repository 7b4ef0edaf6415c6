#include "telemetry/listen_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace portico::telemetry {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int backlog = 64;
constexpr mode_t unix_mode = 0660;

[[noreturn]] void fail(const conf::ListenAddress& address, std::string_view cause) {
  throw std::runtime_error(fmt::format("cannot listen on {}: {}", address.text(), cause));
}

void check(const error_code& error, const conf::ListenAddress& address) {
  if (error) fail(address, error.message());
}

tcp::endpoint endpoint_of(const conf::ListenAddress& listen) {
  if (listen.any) return {tcp::v6(), listen.port};
  // IpAddress holds IPv4 as ::ffff:a.b.c.d.
  const asio::ip::address_v6 v6(listen.ip.bytes());
  if (listen.ip.is_v4()) return {asio::ip::make_address_v4(asio::ip::v4_mapped, v6), listen.port};
  return {v6, listen.port};
}

// True when some process accepts connections on the unix socket.
bool is_served(const asio::local::stream_protocol::endpoint& endpoint) {
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  error_code error;
  probe.open(endpoint.protocol(), error);
  // A live one with a full backlog would hold us up.
  probe.non_blocking(true, error);
  probe.connect(endpoint, error);
  return error != asio::error::connection_refused && error != boost::system::errc::no_such_file_or_directory;
}

}  // namespace

ListenSocket::ListenSocket(asio::io_context& context, const conf::ListenAddress& listen)
    : acceptor_(context), address_(listen) {
  if (listen.is_unix) {
    open_unix();
  } else {
    open_tcp();
  }
}

ListenSocket::~ListenSocket() {
  if (!address_.is_unix) return;
  struct stat now {};
  // A successor may have put its own socket there meanwhile.
  if (::lstat(address_.path.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_) {
    ::unlink(address_.path.c_str());
  }
}

void ListenSocket::open_tcp() {
  tcp::endpoint endpoint = endpoint_of(address_);
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (error == asio::error::address_family_not_supported && address_.any) {
    endpoint = {tcp::v4(), address_.port};
    acceptor_.open(endpoint.protocol(), error);
  }
  check(error, address_);
  acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  check(error, address_);
  // A new process takes over while the old one drains, with the same settings: this address must be free to
  // it too.
  const int on = 1;
  ::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (endpoint.protocol() == tcp::v6()) {
    acceptor_.set_option(asio::ip::v6_only(!address_.any), error);
    check(error, address_);
  }
  acceptor_.bind(endpoint, error);
  check(error, address_);
  acceptor_.listen(backlog, error);
  check(error, address_);

  tcp::endpoint bound;
  const stream_protocol::endpoint local = acceptor_.local_endpoint(error);
  check(error, address_);
  bound.resize(local.size());
  std::memcpy(bound.data(), local.data(), local.size());
  address_.port = bound.port();
}

void ListenSocket::open_unix() {
  const char* path = address_.path.c_str();
  if (address_.path.size() >= sizeof(sockaddr_un{}.sun_path)) fail(address_, "the path is too long");
  const asio::local::stream_protocol::endpoint endpoint(address_.path);

  struct stat found {};
  if (::lstat(path, &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) fail(address_, "a file that is not a socket is in the way");
    if (is_served(endpoint)) fail(address_, "another process listens there");
    ::unlink(path);
  }
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  check(error, address_);
  // bind() takes the file's mode from the socket's, less the umask: so it is at no moment wider than it
  // shall be. chmod() then gives back what the umask took.
  ::fchmod(acceptor_.native_handle(), unix_mode);
  acceptor_.bind(endpoint, error);
  check(error, address_);
  if (::lstat(path, &found) == 0) {
    device_ = found.st_dev;
    inode_ = found.st_ino;
  }
  if (::chmod(path, unix_mode) != 0) fail(address_, "its mode cannot be set");
  acceptor_.listen(backlog, error);
  check(error, address_);
}

}  // namespace portico::telemetry
