#pragma once
// The PROXY protocol (HAProxy's proxy-protocol.txt, versions 1 and 2): the header in which a proxy in front
// tells, before the first byte of a connection, who its client is.
//
// It is read as strictly as the head of a request: what only one side would take for a header is bad. Whether
// a peer may send one at all is not decided here; from a peer that must, anything else is bad.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   borrowed for the call
// errors:  ProxyHeader::State::bad with a sentence for a person, without any byte of the header

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "conf/address.hpp"

namespace portico::proxy::http {

/// What is known of a PROXY header from the bytes that have come.
struct ProxyHeader {
  enum class State : std::uint8_t { need_more, complete, bad };
  /// Whom the connection is to be taken for.
  enum class Source : std::uint8_t {
    peer,     ///< LOCAL: the proxy speaks for itself (a health check), so the socket's peer it is
    address,  ///< `address`
    nobody,   ///< a client without an address (UNKNOWN, UNSPEC, unix). Never the proxy, who may be local
  };

  State state = State::need_more;
  std::size_t size = 0;  ///< of the header, when complete: what follows is the client's
  Source source = Source::nobody;
  conf::IpAddress address;
  std::string_view sentence;  ///< when bad: what is wrong
};

/// No header is longer: more bytes never need more.
inline constexpr std::size_t max_proxy_header = 16 + 2'048;

/// Reads the header at the front of `bytes`, which are all that the connection has brought so far. After
/// need_more call it again with more of them; what it makes of the whole does not depend on how that was
/// split. Bytes that no header begins with are bad at once, so that no other protocol's client is waited for.
///
/// Version 2 may carry at most 2 KiB behind its first 16 bytes. Its TLVs are skipped, but they must fill the
/// header exactly, and a CRC32C among them must be right.
ProxyHeader read_proxy_header(std::string_view bytes) noexcept;

}  // namespace portico::proxy::http
