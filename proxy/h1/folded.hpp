#pragma once
// A word known when Portico is compiled, to be met in any case: header names and the values that decide.
//
// owns:    its own copy of the word, as machine words
// threads: any; immutable
// Not for words longer than 24 bytes.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace portico::proxy::h1 {

/// Up to 24 bytes as three machine words that overlap, so that nothing outside the bytes is read.
struct PackedWord {
  std::uint64_t first = 0;
  std::uint64_t middle = 0;
  std::uint64_t last = 0;
};

namespace detail {

template <typename Word>
constexpr std::uint64_t load(const char* at) noexcept {
  if (std::is_constant_evaluated()) {
    std::array<char, sizeof(Word)> bytes{};
    for (char& byte : bytes) byte = *at++;
    return std::bit_cast<Word>(bytes);
  }
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

}  // namespace detail

/// Precondition: `bytes` is at most 24 bytes long.
constexpr PackedWord pack(std::string_view bytes) noexcept {
  using detail::load;
  const char* const begin = bytes.data();
  const std::size_t size = bytes.size();
  if (size >= 16)
    return {load<std::uint64_t>(begin), load<std::uint64_t>(begin + 8),
            load<std::uint64_t>(begin + size - 8)};
  if (size >= 8) return {load<std::uint64_t>(begin), 0, load<std::uint64_t>(begin + size - 8)};
  if (size >= 4) return {load<std::uint32_t>(begin), 0, load<std::uint32_t>(begin + size - 4)};
  if (size == 0) return {};
  return {load<std::uint8_t>(begin), load<std::uint8_t>(begin + size / 2),
          load<std::uint8_t>(begin + size - 1)};
}

/// One word, prepared.
class Folded {
 public:
  /// `word` is in lower case and at most 24 bytes long.
  constexpr explicit Folded(std::string_view word) noexcept
      : word_(pack(word)),
        letters_{mask(word_.first), mask(word_.middle), mask(word_.last)},
        size_(word.size()) {}

  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }

  /// True when `bytes` is the word but for the case of ASCII letters. Exact: no other byte passes for
  /// another.
  [[nodiscard]] bool matches(std::string_view bytes) const noexcept {
    return bytes.size() == size_ && matches(pack(bytes));
  }
  /// The same for bytes that are size() long and packed already.
  [[nodiscard]] constexpr bool matches(const PackedWord& bytes) const noexcept {
    return (((bytes.first ^ word_.first) & letters_.first) |
            ((bytes.middle ^ word_.middle) & letters_.middle) |
            ((bytes.last ^ word_.last) & letters_.last)) == 0;
  }

 private:
  // The bits that have to be equal: all of them, but for the one that makes a letter upper or lower case.
  static constexpr std::uint64_t mask(std::uint64_t word) noexcept {
    std::uint64_t bits = ~std::uint64_t{0};
    for (int at = 0; at < 64; at += 8) {
      const auto byte = static_cast<char>((word >> at) & 0xffU);
      if (byte >= 'a' && byte <= 'z') bits &= ~(std::uint64_t{0x20} << at);
    }
    return bits;
  }

  PackedWord word_;
  PackedWord letters_;
  std::size_t size_;
};

}  // namespace portico::proxy::h1
