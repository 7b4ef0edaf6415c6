#pragma once
// What requests and responses have in common once their fields are cut: body framing (RFC 9112 section 6),
// the connection options (RFC 9110 section 7.6.1) and whether the connection goes on (RFC 9112 section 9.3).
//
// owns:    nothing
// threads: any; pure functions

#include <cstdint>

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {

struct Delimiters {
  bool chunked = false;
  bool has_length = false;
  std::uint64_t length = 0;
};

/// Reads Transfer-Encoding and Content-Length as strictly as their HeadErrors say: two readers of what passes
/// cannot disagree about where the body ends.
HeadError read_delimiters(const HeadFields& fields, std::uint8_t minor, Delimiters& out) noexcept;

/// Reads every Connection field; bad_connection when an element is no token.
HeadError read_connection(const HeadFields& fields, ConnectionOptions& out) noexcept;

/// Whether the sender wants the connection to go on: HTTP/1.1 unless it says close, HTTP/1.0 only when it
/// says keep-alive; close wins over keep-alive.
bool persists(std::uint8_t minor, const ConnectionOptions& options) noexcept;

/// True when Connection lists upgrade and the one Upgrade field says websocket and nothing else.
bool upgrades_to_websocket(const HeadFields& fields, const ConnectionOptions& options) noexcept;

/// True when a field with this id lists `element` (lower case, without parameters).
bool lists_element(const HeadFields& fields, FieldId id, std::string_view element) noexcept;

/// Reads `HTTP/1.` and a digit that must be 0 or 1 from the eight bytes of `version`. bad_version for another
/// well-formed version, `malformed` for anything else.
HeadError read_version(std::string_view version, HeadError malformed, std::uint8_t& minor) noexcept;

}  // namespace portico::proxy::h1
