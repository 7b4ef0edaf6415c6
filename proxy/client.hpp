#pragma once
// The client's side of exchanges: where their requests come from and their answers go.
//
// An HTTP/1.1 connection is one Client for all its exchanges, in order. An HTTP/2 connection has one for each
// of its streams, whose Stream is a port of the connection.
//
// owns:    its Stream
// threads: its worker

#include <cstdint>

#include "proxy/http/client_address.hpp"
#include "proxy/listener.hpp"
#include "proxy/stream.hpp"
#include "telemetry/cells.hpp"

namespace portico::proxy {

class Exchange;
class Worker;

namespace h2 {
class RequestStream;
}  // namespace h2

class Client {
 public:
  Client(Worker& w, Reactor& reactor, telemetry::ListenerLabel l, ListenerKind k,
         const http::Peer& p) noexcept
      : worker(w), stream(reactor), listener(l), kind(k), peer(p) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// How it ends after its last exchange.
  enum class End : std::uint8_t {
    close,   ///< nothing is unread
    linger,  ///< the client may still be sending: let it read the answer first
    reset,   ///< what it got is not the whole: make that plain
  };

  Worker& worker;
  Stream stream;
  const telemetry::ListenerLabel listener;
  const ListenerKind kind;
  http::Peer peer;
  h2::RequestStream* h2 = nullptr;  ///< where heads and ends go in HTTP/2; null in HTTP/1.1
  Exchange* exchange = nullptr;     ///< the one in progress
  End end = End::close;

 protected:
  ~Client() = default;
};

}  // namespace portico::proxy
