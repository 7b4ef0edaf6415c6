#pragma once
// Looking for the few bytes that matter to JSON among the many that do not, sixteen at a time.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   read inside the given range only

#include <bit>
#include <cstddef>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace portico::telemetry {

namespace detail {

constexpr bool is_structure(char byte) noexcept {
  // With the bit 0x20 set, the square brackets become the curly ones.
  const auto folded = static_cast<unsigned char>(static_cast<unsigned char>(byte) | 0x20U);
  return byte == '"' || folded == '{' || folded == '}';
}

#if defined(__SSE2__)

using Block = __m128i;
inline constexpr std::ptrdiff_t block_size = sizeof(Block);

inline Block block_at(const char* at) noexcept {
  Block block;
  std::memcpy(&block, at, sizeof block);
  return block;
}
inline Block equal(Block block, char byte) noexcept { return _mm_cmpeq_epi8(block, _mm_set1_epi8(byte)); }
inline unsigned bits(Block hits) noexcept { return static_cast<unsigned>(_mm_movemask_epi8(hits)); }

/// Bytes below the space; those above 0x7f are none.
inline Block controls(Block block) noexcept {
  const Block highest = _mm_set1_epi8(' ' - 1);
  return _mm_cmpeq_epi8(_mm_max_epu8(block, highest), highest);
}

struct StringEnd {
  static Block hits(Block block) noexcept { return _mm_or_si128(equal(block, '"'), equal(block, '\\')); }
  static bool hit(char byte) noexcept { return byte == '"' || byte == '\\'; }
};
struct Structure {
  // With the bit 0x20 set, the square brackets become the curly ones.
  static Block hits(Block block) noexcept {
    const Block folded = _mm_or_si128(block, _mm_set1_epi8(0x20));
    return _mm_or_si128(_mm_or_si128(equal(folded, '{'), equal(folded, '}')), equal(block, '"'));
  }
  static bool hit(char byte) noexcept { return is_structure(byte); }
};
struct ScalarEnd {
  static Block hits(Block block) noexcept {
    return _mm_or_si128(equal(_mm_or_si128(block, _mm_set1_epi8(0x20)), '}'), equal(block, ','));
  }
  static bool hit(char byte) noexcept { return byte == ',' || byte == '}' || byte == ']'; }
};
/// What a text in a line ends with, well or not.
struct TextEnd {
  static Block hits(Block block) noexcept { return _mm_or_si128(StringEnd::hits(block), controls(block)); }
  static bool hit(char byte) noexcept {
    return StringEnd::hit(byte) || static_cast<unsigned char>(byte) < ' ';
  }
};
struct Control {
  static Block hits(Block block) noexcept { return controls(block); }
  static bool hit(char byte) noexcept { return static_cast<unsigned char>(byte) < ' '; }
};

/// The first hit of [at, end), or `end`. Bytes from `floor` on may be read, so that the last block may
/// overlap what was looked at before.
template <class What>
[[gnu::noinline]] const char* find_far(const char* at, const char* end, const char* floor) noexcept {
  for (; end - at >= block_size; at += block_size) {
    const unsigned found = bits(What::hits(block_at(at)));
    if (found != 0) return at + std::countr_zero(found);
  }
  if (end - floor >= block_size) {
    const std::ptrdiff_t known = block_size - (end - at);
    const unsigned found = bits(What::hits(block_at(end - block_size))) >> known;
    return found == 0 ? end : at + std::countr_zero(found);
  }
  while (at != end && !What::hit(*at)) ++at;
  return at;
}

/// Most of what is looked for is near.
template <class What>
[[gnu::always_inline]] inline const char* find(const char* at, const char* end, const char* floor) noexcept {
  if (end - at >= block_size) {
    const unsigned found = bits(What::hits(block_at(at)));
    if (found != 0) return at + std::countr_zero(found);
    at += block_size;
  }
  return find_far<What>(at, end, floor);
}

#else

struct StringEnd {
  static bool hit(char byte) noexcept { return byte == '"' || byte == '\\'; }
};
struct Structure {
  static bool hit(char byte) noexcept { return is_structure(byte); }
};
struct ScalarEnd {
  static bool hit(char byte) noexcept { return byte == ',' || byte == '}' || byte == ']'; }
};
struct TextEnd {
  static bool hit(char byte) noexcept {
    return StringEnd::hit(byte) || static_cast<unsigned char>(byte) < ' ';
  }
};
struct Control {
  static bool hit(char byte) noexcept { return static_cast<unsigned char>(byte) < ' '; }
};
template <class What>
const char* find(const char* at, const char* end, const char* /*floor*/) noexcept {
  while (at != end && !What::hit(*at)) ++at;
  return at;
}

#endif

}  // namespace detail

/// The first `"` or backslash of [at, end), or `end`. `floor` is at most `at`: where the bytes that may be
/// read begin.
inline const char* find_string_end(const char* at, const char* end, const char* floor) noexcept {
  return detail::find<detail::StringEnd>(at, end, floor);
}

/// The first `"`, bracket or brace of [at, end), or `end`.
inline const char* find_structure(const char* at, const char* end, const char* floor) noexcept {
  return detail::find<detail::Structure>(at, end, floor);
}

/// The first comma or closing bracket of [at, end), or `end`.
inline const char* find_scalar_end(const char* at, const char* end, const char* floor) noexcept {
  return detail::find<detail::ScalarEnd>(at, end, floor);
}

/// The first `"`, backslash or control byte of [at, end), or `end`.
inline const char* find_text_end(const char* at, const char* end, const char* floor) noexcept {
  return detail::find<detail::TextEnd>(at, end, floor);
}

/// The first control byte of [at, end), or `end`.
inline const char* find_control(const char* at, const char* end, const char* floor) noexcept {
  return detail::find<detail::Control>(at, end, floor);
}

/// The first `byte` of [at, end), or `end`.
inline const char* find_byte(const char* at, const char* end, char byte) noexcept {
  const void* found = std::memchr(at, byte, static_cast<std::size_t>(end - at));
  return found == nullptr ? end : static_cast<const char*>(found);
}

/// At most `limit` bytes of `text`, without a UTF-8 character that the limit would cut.
constexpr std::string_view cut_text(std::string_view text, std::size_t limit) noexcept {
  if (text.size() <= limit) return text;
  std::size_t size = limit;
  // A character has at most three continuation bytes; more of them are no UTF-8, and any cut is as good.
  while (size > 0 && limit - size < 3 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  return text.substr(0, size);
}

}  // namespace portico::telemetry
