#pragma once
// A WebSocket (RFC 6455) in the server's role, whole messages at a time. Beast does the work in one source
// file, so that its templates are compiled once.
//
// owns:    the socket, taken over from the exchange
// threads: the sample's thread; one read and one write may run at a time
// errors:  a lost client is an ordinary result, never an exception

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "proxy/sample/exchange.hpp"

namespace portico::sample {

class WebSocket {
 public:
  struct Message {
    bool text = true;
    std::string payload;
  };

  /// Takes over the connection of an exchange whose request is an upgrade.
  explicit WebSocket(Exchange& exchange);
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;
  ~WebSocket();

  /// Answers 101 with these fields added, or what the handshake deserves; false when there is no WebSocket.
  boost::asio::awaitable<bool> accept(const Fields& fields);
  /// The next message; nullopt when the client is gone. Pings and closes are answered on the way.
  boost::asio::awaitable<std::optional<Message>> read();
  /// Sends one message in one frame.
  boost::asio::awaitable<bool> write(std::string_view payload, bool text = true);
  /// Ends the connection without a close frame; as a reset when `reset`.
  void drop(bool reset = false);
  [[nodiscard]] std::optional<std::uint32_t> last_heard_ms();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Refuses what is no proper upgrade: bytes behind the head, which RFC 6455 section 4.1 forbids a client to
/// send before the answer. True when the upgrade may go on.
boost::asio::awaitable<bool> may_upgrade(Exchange& exchange);

}  // namespace portico::sample
