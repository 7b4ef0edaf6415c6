#include "test/support/client.hpp"

#include <poll.h>

#include <cerrno>
#include <utility>

namespace portico::test {

namespace {

Fd connect(const Address& address, const ClientOptions& options, Deadline deadline) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (options.receive_buffer > 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof options.receive_buffer);
  if (!options.source.empty()) {
    const Address source = Address::ip(options.source, 0);
    if (::bind(fd.get(), source.get(), source.length) != 0) throw WireError(Outcome::rst, "bind");
  }
  if (::connect(fd.get(), address.get(), address.length) == 0) return fd;
  if (errno != EINPROGRESS) throw WireError(Outcome::rst, "connect to " + address.url());
  pollfd polled{fd.get(), POLLOUT, 0};
  if (::poll(&polled, 1, deadline.remaining_ms()) != 1)
    throw WireError(Outcome::timeout, "connect to " + address.url());
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) throw WireError(Outcome::rst, "connect to " + address.url());
  return fd;
}

}  // namespace

Client::Client(const Address& address, const ClientOptions& options, Deadline deadline)
    : Wire(connect(address, options, deadline)) {
  if (options.tls) start_tls(*options.tls, deadline);
}

std::optional<Client> Client::try_connect(const Address& address, Deadline deadline) {
  try {
    return Client(address, {}, deadline);
  } catch (const WireError& error) {
    if (error.outcome() == Outcome::rst) return std::nullopt;
    throw;
  }
}

}  // namespace portico::test
