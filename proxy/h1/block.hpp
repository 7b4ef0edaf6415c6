#pragma once
// Looking at sixteen bytes at once. Nearly every byte of a head is plain text that only has to be cleared, so
// this is where the reading of a head saves most of its instructions. Written with the compilers' vector
// type, which every processor has an answer to, rather than one processor's intrinsics.
//
// owns:    nothing
// threads: any; pure functions

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace portico::proxy::h1 {

using Block = unsigned char __attribute__((vector_size(16)));
/// What a comparison of blocks gives: all bits of a byte set where it held.
using Hits = signed char __attribute__((vector_size(16)));

inline constexpr std::size_t block_size = sizeof(Block);

/// The sixteen bytes at `at`, which need no alignment.
inline Block load_block(const char* at) noexcept {
  Block block;
  std::memcpy(&block, at, sizeof block);
  return block;
}

/// A block of sixteen times `byte`.
constexpr Block every(char byte) noexcept { return Block{} + static_cast<unsigned char>(byte); }

namespace detail {

/// first_hit for any processor that is little-endian.
constexpr std::size_t first_hit_in_halves(Hits hits) noexcept {
  struct Halves {
    std::uint64_t low;
    std::uint64_t high;
  };
  static_assert(std::endian::native == std::endian::little, "the first byte has to be the lowest");
  const auto [low, high] = std::bit_cast<Halves>(hits);
  if (low != 0) return static_cast<std::size_t>(std::countr_zero(low)) / 8;
  // No bit in either: 64 zeros, which makes it block_size.
  return 8 + static_cast<std::size_t>(std::countr_zero(high)) / 8;
}

}  // namespace detail

/// Index of the first byte that is a hit; block_size when none is.
inline std::size_t first_hit(Hits hits) noexcept {
#if defined(__SSE2__)
  // The one thing the vector type cannot say: a bit for each byte. It halves what a block costs.
  const auto mask = static_cast<unsigned>(_mm_movemask_epi8(std::bit_cast<__m128i>(hits)));
  return static_cast<std::size_t>(std::countr_zero(mask | 1U << block_size));
#else
  return detail::first_hit_in_halves(hits);
#endif
}

}  // namespace portico::proxy::h1
