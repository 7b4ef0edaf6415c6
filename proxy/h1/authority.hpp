#pragma once
// The authority of a request: what Host says, and what an absolute-form target says.
//
// owns:    nothing
// threads: any; pure functions

#include <optional>
#include <string_view>

namespace portico::proxy::h1 {

/// True for `host`, `host:port`, `[v6]` and `[v6]:port`. Stricter than RFC 3986 section 3.2: no sub-delims
/// and no percent-encoding, which no host that can be reached needs and which would break the lists that the
/// name is copied into (X-Forwarded-Host, Forwarded). The port may be empty and is at most 65535.
bool valid_authority(std::string_view authority) noexcept;

/// The authority of an absolute-form target (RFC 9112 section 3.2.2), user information included; nothing
/// for any other target.
std::optional<std::string_view> authority_of(std::string_view target) noexcept;

}  // namespace portico::proxy::h1
