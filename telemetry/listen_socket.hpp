#pragma once
// Opening the socket that the management endpoint listens on.
//
// owns:    ListenSocket owns the acceptor and, for a unix socket, the file, which it removes if it is still
//          its own
// threads: made and destroyed by the control thread while no other thread uses it
// errors:  std::runtime_error for the operator, naming the address and the cause

#include <sys/types.h>

#include <string>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "conf/address.hpp"

namespace portico::telemetry {

class ListenSocket {
 public:
  /// Binds and listens. A unix socket gets mode 0660; a file left behind by a process that no longer
  /// listens is replaced, a live one or anything that is not a socket is refused.
  ListenSocket(boost::asio::io_context& context, const conf::ListenAddress& listen);
  ~ListenSocket();
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;

  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;
  [[nodiscard]] Acceptor& acceptor() noexcept { return acceptor_; }
  /// As bound: a port of 0 is resolved.
  [[nodiscard]] const conf::ListenAddress& address() const noexcept { return address_; }

 private:
  void open_tcp();
  void open_unix();

  Acceptor acceptor_;
  conf::ListenAddress address_;
  dev_t device_ = 0;  // of the unix socket's file, to know it again
  ino_t inode_ = 0;
};

}  // namespace portico::telemetry
