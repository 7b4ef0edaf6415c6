#pragma once
// Who the client is, and what the backend is told about it: a security boundary.
//
// CPA believes the left-most address of the first X-Forwarded-For line, decides by it whether a caller is
// local and bans by it. So Portico writes that line itself: the socket's peer, or, behind a trusted proxy,
// the first address from the right that is not a trusted proxy.
//
// owns:    TrustedProxies owns its networks; ForwardedChain owns its text in place, no allocation
// threads: TrustedProxies is immutable; the rest belongs to one thread

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "conf/settings.hpp"
#include "proxy/h1/head.hpp"

namespace portico::proxy::http {

class TrustedProxies {
 public:
  TrustedProxies() = default;
  explicit TrustedProxies(std::span<const conf::Network> networks);
  [[nodiscard]] bool trusts(const conf::IpAddress& address) const noexcept;
  [[nodiscard]] bool trusts_unix() const noexcept { return unix_; }
  [[nodiscard]] bool empty() const noexcept { return networks_.empty() && !unix_; }

 private:
  std::vector<conf::Network> networks_;
  bool unix_ = false;
};

/// The other end of a client's connection.
struct Peer {
  conf::IpAddress ip;
  bool is_unix = false;
};

/// The believed client and the chain that the backend is handed.
class ForwardedChain {
 public:
  /// The client's address as plain text (no port, no brackets). A peer on a unix socket has none: `0.0.0.0`,
  /// which is an address to CPA and never local.
  [[nodiscard]] std::string_view client() const noexcept { return {text_, client_length_}; }
  /// Value of the one X-Forwarded-For line: the client, then the trusted hops to its right, the peer last.
  [[nodiscard]] std::string_view chain() const noexcept { return {text_, length_}; }
  /// The client as an address, for limits for each client.
  [[nodiscard]] const conf::IpAddress& address() const noexcept { return address_; }

  /// From a peer that is not trusted, or for a connection before any head: the peer alone.
  void assign(const Peer& peer) noexcept;
  /// From a trusted peer: walks the lines of `header` (all of them, in order) from the right past trusted
  /// addresses. Stops before an item that is no address; at most 32 hops are looked at and at most 16 handed
  /// on. Items with a port or brackets are understood and written plainly. Where the walk meets an item
  /// that is no address (`unknown`, `unix:`), the client is one that nobody can name: 0.0.0.0, never the
  /// proxy. With ClientAddressHeader::x_real_ip only X-Real-IP is believed, and only when it stands once. A
  /// peer that is not trusted is handled as by the other overload.
  void assign(const Peer& peer, const h1::HeadFields& fields, conf::ClientAddressHeader header,
              const TrustedProxies& trusted) noexcept;

 private:
  void append(const conf::IpAddress& address) noexcept;

  conf::IpAddress address_ = conf::IpAddress::v4(0);
  std::size_t client_length_ = 7;
  std::size_t length_ = 7;
  // Never empty: a backend that is told nothing takes Portico's own, local address for the client's.
  char text_[17 * 48] = "0.0.0.0";
};

}  // namespace portico::proxy::http
