#pragma once
// The ways in which the programs behind a proxy may read one and the same path: how far they decode it and
// how they clean it. Portico routes by one of them (once, merge_then_dots) and refuses a path whose owner
// depends on the choice.
//
// owns:    nothing; results are written into strings of the caller, whose capacity is reused
// threads: any; pure functions
// errors:  none: every byte string has a result

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace portico::routing {

/// How far a reader undoes percent-encoding (RFC 3986 section 2.1) before it looks at the segments.
enum class Decoding : std::uint8_t {
  none,          ///< matches the bytes on the wire
  once,          ///< what RFC 3986 means, and what Go's net/http hands to a router
  twice,         ///< decodes again what another hop has decoded
  keep_slashes,  ///< once, but `%2F` stays inside its segment (URL libraries that split before they decode)
};

/// What a reader does about empty segments and dot segments (RFC 3986 section 5.2.4).
enum class Cleaning : std::uint8_t {
  none,             ///< matches as it stands (gin)
  merge_then_dots,  ///< merges `//` first, so that `/a//..` is `/` (Nginx, Go's path.Clean)
  dots_then_merge,  ///< takes `..` for the parent of an empty segment, so that `/a//..` is `/a/` (RFC 3986)
};

struct Reader {
  Decoding decoding = Decoding::once;
  Cleaning cleaning = Cleaning::merge_then_dots;
  friend bool operator==(const Reader&, const Reader&) = default;
};

/// In the order in which a disagreement is easiest to explain.
inline constexpr std::array kDecodings{Decoding::none, Decoding::once, Decoding::twice,
                                       Decoding::keep_slashes};

/// Words for people, for example `decoded twice, dot segments removed`.
std::string_view describe(Reader reader) noexcept;

/// Replaces `out` by `path` decoded. An escape without two hexadecimal digits stays as it is.
void decode(std::string_view path, Decoding decoding, std::string& out);

/// Replaces `out` by `path` cleaned. Climbing above the root stays at the root; a trailing slash is kept, and
/// a trailing dot segment leaves one. Precondition: `path` begins with `/` and is not a view into `out`.
void clean(std::string_view path, Cleaning cleaning, std::string& out);

/// False only if no cleaning changes `path`. Cheaper than cleaning it.
[[nodiscard]] inline bool may_need_cleaning(std::string_view path) noexcept {
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (path[i - 1] == '/' && (path[i] == '/' || path[i] == '.')) return true;
  }
  return false;
}

/// The value of a hexadecimal digit, or -1.
[[nodiscard]] constexpr int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace portico::routing
