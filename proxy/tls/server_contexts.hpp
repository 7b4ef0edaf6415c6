#pragma once
// The server's side of TLS for one worker: certificates by name, protocols, tickets.
//
// owns:    its OpenSSL contexts and everything in them; a session made here keeps what it needs alive by
// itself threads: made on the control thread, then one worker's. Each worker has its own, so that no
// handshake waits for a
//          lock that another worker holds
// errors:  CertificateError from the constructor; new_session() returns null for want of memory
// The session is for non-blocking use: it writes in parts and lets the buffer of a repeated write move.

#include <cstddef>
#include <memory>
#include <string_view>

#include "proxy/tls/credentials.hpp"
#include "proxy/tls/openssl.hpp"
#include "proxy/tls/ticket_keys.hpp"

namespace portico::proxy::tls {

/// Which protocols ALPN may choose (RFC 7301), the first one preferred.
enum class Protocols : std::uint8_t { http1, h2_and_http1 };

class ServerContexts {
 public:
  /// Precondition: there is a credential. The first one serves who names no known host.
  ServerContexts(const Credentials& credentials, Protocols protocols,
                 std::shared_ptr<const TicketKeys> tickets);
  ServerContexts(const ServerContexts&) = delete;
  ServerContexts& operator=(const ServerContexts&) = delete;
  ~ServerContexts();

  /// A session in accept state, without a transport.
  [[nodiscard]] SslPtr new_session() const noexcept;
  /// Tickets are made and read with these from now on, those of running handshakes too.
  void set_tickets(std::shared_ptr<const TicketKeys> tickets) noexcept;

  /// Which certificate serves `name` as it stands in SNI (RFC 6066 section 3): letter case and a dot at the
  /// end do not matter, an exact name beats a wildcard, which stands for one label. The position of the
  /// context, counted as in size(); 0 for an unknown name.
  [[nodiscard]] std::size_t choice(std::string_view name) const noexcept;
  /// Contexts: certificates with the same names and different types of key share one.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace portico::proxy::tls
