#pragma once
// Accepting connections and serving one exchange after another on each.
//
// owns:    the listening socket, and the file of a unix socket
// threads: the sample's thread

#include <functional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/io_context.hpp>

#include "conf/address.hpp"
#include "proxy/sample/context.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

/// One backend: what it answers and what stands in each of its responses.
struct Backend {
  std::function<boost::asio::awaitable<void>(Exchange&, Context&)> answer;
  std::string_view base_fields;
};

class Server {
 public:
  Server(boost::asio::io_context& io, Context& context, Backend backend);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Binds and begins to accept as soon as the io_context runs. Throws std::runtime_error that names the
  /// address and the cause. A unix socket's stale file is replaced; one that somebody listens on is not.
  void listen(const conf::ListenAddress& address);
  /// As bound.
  [[nodiscard]] const conf::ListenAddress& address() const noexcept { return address_; }

 private:
  using Protocol = boost::asio::generic::stream_protocol;

  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> serve(Socket socket);

  Context& context_;
  Backend backend_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  conf::ListenAddress address_;
  bool remove_file_ = false;
};

}  // namespace portico::sample
