#pragma once
// Bytes that tell where they belong: each position of each seed has its own value, so that a lost, doubled,
// moved or foreign byte is seen.
//
// owns:    a Pattern is a seed, a Checker a seed and a position
// threads: one object one thread

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace portico::test {

/// The byte at `position` of the stream that `seed` names.
inline char pattern_at(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t x = (position >> 3) + seed * 0x9e3779b97f4a7c15ULL;
  x ^= x >> 31;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 29;
  return static_cast<char>(x >> (8 * (position & 7)));
}

/// `size` bytes of the stream from `position`.
inline std::string pattern(std::uint64_t seed, std::size_t size, std::uint64_t position = 0) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = pattern_at(seed, position + i);
  return out;
}

/// Compares a stream with the pattern as it arrives.
class Checker {
 public:
  explicit Checker(std::uint64_t seed) : seed_(seed) {}
  void take(std::string_view bytes) {
    for (const char c : bytes) good_ = (c == pattern_at(seed_, position_++)) && good_;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::uint64_t size() const { return position_; }

 private:
  std::uint64_t seed_;
  std::uint64_t position_ = 0;
  bool good_ = true;
};

}  // namespace portico::test
