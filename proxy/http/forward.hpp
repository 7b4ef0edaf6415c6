#pragma once
// Rewriting heads on their way through: what is removed, what is kept byte for byte, what is added.
//
// Fields are kept as the raw lines they came in, so case, order, duplicates and spacing survive; runs of kept
// lines are copied at once. Added lines stand at the end.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   read from the head's views, written to `out`
// errors:  0 is returned when `out` is too small; nothing else can fail

#include <cstddef>
#include <span>
#include <string_view>

#include "proxy/h1/head.hpp"

namespace portico::proxy::http {

/// Bytes that write_upstream_head and write_client_head may add to the size of the head as received.
inline constexpr std::size_t max_added_bytes = 4096;

/// What the backend is told besides the client's own lines.
struct UpstreamHeadFacts {
  std::string_view client = "0.0.0.0";  ///< plain address, X-Real-IP and Forwarded; never empty
  std::string_view chain = "0.0.0.0";   ///< X-Forwarded-For; never empty
  std::string_view proto = "http";      ///< `http` or `https`
  /// X-Forwarded-Host and Forwarded, checked to hold no quote; left out when empty or above 1024 bytes.
  std::string_view host;
  std::string_view request_id;          ///< X-Request-Id, at most 128 bytes
  std::string_view via;                 ///< pseudonym of at most 255 bytes, or empty: no Via
  std::uint8_t http_version = 11;       ///< of the request as the client sent it, for Via: 10, 11 or 20
  std::string_view upstream_authority;  ///< Host for an HTTP/1.0 request that has none
};

/// Writes the request head for the backend, always HTTP/1.1 on a persistent connection. Removes hop-by-hop
/// fields, what Connection lists (its first 32 names, and none that h1::removable() protects), X-Forwarded-*,
/// X-Real-IP, Forwarded and X-Request-Id. Keeps Upgrade and Connection: upgrade only for head.websocket, TE
/// only as `trailers` and not beside an upgrade, Expect only from HTTP/1.1. The request target goes on as
/// received.
std::size_t write_upstream_head(const h1::RequestHead& head, const UpstreamHeadFacts& facts,
                                std::span<char> out) noexcept;

/// What the client is told besides the backend's own lines.
struct ClientHeadFacts {
  std::string_view request_id;
  std::string_view via;
  std::uint8_t client_minor = 1;  ///< the client's HTTP/1.x
  bool close = false;             ///< say Connection: close
  bool keep_alive = false;        ///< say Connection: keep-alive (HTTP/1.0 clients need it)
  bool relay_trailers = false;    ///< keep Trailer
  bool dechunk = false;           ///< the body goes on as payload only: leave Transfer-Encoding out
};

/// Writes the response head for the client (final, 1xx or 101). The status line says HTTP/1.1. A backend's
/// own X-Request-Id that differs from ours goes on as X-Upstream-Request-Id (the first, if there are more).
/// A 1xx but 101 only loses its hop-by-hop fields: nothing is added to it. A 101 says Connection: upgrade.
std::size_t write_client_head(const h1::ResponseHead& head, const ClientHeadFacts& facts,
                              std::span<char> out) noexcept;

/// True when an X-Request-Id may be kept: 1 to 128 bytes, visible ASCII.
bool sane_request_id(std::string_view value) noexcept;
/// The client's X-Request-Id where it stands once and is sane; otherwise empty, and one must be made.
std::string_view kept_request_id(const h1::HeadFields& fields) noexcept;

/// X-Forwarded-Proto and X-Forwarded-Host as a trusted peer gave them, where they are well-formed and stand
/// once; otherwise `fallback`.
std::string_view forwarded_proto(const h1::HeadFields& fields, std::string_view fallback) noexcept;
std::string_view forwarded_host(const h1::HeadFields& fields, std::string_view fallback) noexcept;

/// True when `accept` is the Sec-WebSocket-Accept that belongs to `key` (RFC 6455 section 4.2.2).
bool accept_matches(std::string_view key, std::string_view accept) noexcept;

}  // namespace portico::proxy::http
