#pragma once
// A client that sends exactly the bytes a test gives it, in plain text or under TLS.
//
// owns:    its socket and its TLS session
// threads: one at a time
// errors:  WireError, ProtocolError

#include <optional>
#include <string>
#include <string_view>

#include "test/support/message.hpp"
#include "test/support/wire.hpp"

namespace portico::test {

struct ClientOptions {
  std::string source = {};  ///< local address to connect from; any when empty
  int receive_buffer = 0;   ///< bytes, set before connecting so that the window is small; 0: the kernel's
  std::optional<TlsClientOptions> tls = {};  ///< speak TLS from the first byte
};

class Client : public Wire {
 public:
  /// Connects; throws WireError when refused or not accepted until the deadline, or when the TLS handshake
  /// fails.
  explicit Client(const Address& address, const ClientOptions& options = {}, Deadline deadline = patience());
  /// As the constructor; empty when the connection is refused.
  static std::optional<Client> try_connect(const Address& address, Deadline deadline = patience());

  /// The next response.
  Message response(bool to_head_request = false, Deadline deadline = patience()) {
    return read_response(*this, to_head_request, deadline);
  }
  /// Sends, and reads the next response.
  Message exchange(std::string_view request) {
    send(request);
    return response();
  }
  /// True when the peer ends the connection in order, with nothing more to say.
  bool ends(Deadline deadline = patience()) {
    return wait_closed(deadline) == Outcome::fin && buffered().empty();
  }
};

}  // namespace portico::test
