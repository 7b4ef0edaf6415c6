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

constexpr bool ends_string(char byte) noexcept { return byte == '"' || byte == '\\'; }
constexpr bool is_structure(char byte) noexcept {
  // With the bit 0x20 set, the square brackets become the curly ones.
  const auto folded = static_cast<unsigned char>(static_cast<unsigned char>(byte) | 0x20U);
  return byte == '"' || folded == '{' || folded == '}';
}

#if defined(__SSE2__)
inline __m128i block_at(const char* at) noexcept {
  __m128i block;
  std::memcpy(&block, at, sizeof block);
  return block;
}
inline unsigned string_ends(__m128i block) noexcept {
  return static_cast<unsigned>(_mm_movemask_epi8(
      _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')))));
}
inline unsigned structures(__m128i block) noexcept {
  const __m128i folded = _mm_or_si128(block, _mm_set1_epi8(0x20));
  const __m128i brackets =
      _mm_or_si128(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{')), _mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
  return static_cast<unsigned>(
      _mm_movemask_epi8(_mm_or_si128(brackets, _mm_cmpeq_epi8(block, _mm_set1_epi8('"')))));
}
#endif

}  // namespace detail

/// The first `"` or backslash of [at, end), or `end`.
inline const char* find_string_end(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  for (; end - at >= 16; at += 16) {
    const unsigned hits = detail::string_ends(detail::block_at(at));
    if (hits != 0) return at + std::countr_zero(hits);
  }
#endif
  while (at != end && !detail::ends_string(*at)) ++at;
  return at;
}

/// The first `"`, bracket or brace of [at, end), or `end`.
inline const char* find_structure(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  for (; end - at >= 16; at += 16) {
    const unsigned hits = detail::structures(detail::block_at(at));
    if (hits != 0) return at + std::countr_zero(hits);
  }
#endif
  while (at != end && !detail::is_structure(*at)) ++at;
  return at;
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
