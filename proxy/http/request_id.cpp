#include "proxy/http/request_id.hpp"

#include <bit>
#include <cstring>

namespace portico::proxy::http {

namespace {

/// Eight hexadecimal digits at once: nibbles are spread to bytes, then '0' is added, and the distance from
/// '9' to 'a' where a nibble is above 9. In which order the digits land is nothing to a random number.
void write_digits(std::uint32_t value, char* out) noexcept {
  std::uint64_t x = value;
  x = (x | x << 16) & 0x0000'ffff'0000'ffffU;
  x = (x | x << 8) & 0x00ff'00ff'00ff'00ffU;
  x = (x | x << 4) & 0x0f0f'0f0f'0f0f'0f0fU;
  const std::uint64_t above_nine = (x + 0x0606'0606'0606'0606U) >> 4 & 0x0101'0101'0101'0101U;
  x += 0x3030'3030'3030'3030U + above_nine * ('a' - '0' - 10);
  std::memcpy(out, &x, sizeof x);
}

void write_digits(std::uint64_t value, char* out) noexcept {
  write_digits(static_cast<std::uint32_t>(value >> 32), out);
  write_digits(static_cast<std::uint32_t>(value), out + 8);
}

}  // namespace

// The first draws hang on half of the state, and a state of mostly zeros takes many turns to fill. So a seed
// is stirred first (SplitMix64), twice, until every word hangs on all; no two seeds end in the same state.
RequestIds::RequestIds(const std::array<std::uint64_t, 4>& seed) noexcept : state_(seed) {
  std::uint64_t stirred = 0;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t& word : state_) {
      stirred += word + 0x9e37'79b9'7f4a'7c15U;
      stirred = (stirred ^ stirred >> 30) * 0xbf58'476d'1ce4'e5b9U;
      stirred = (stirred ^ stirred >> 27) * 0x94d0'49bb'1331'11ebU;
      stirred ^= stirred >> 31;
      word = stirred;
    }
  }
}

// xoshiro256** by Blackman and Vigna.
std::uint64_t RequestIds::draw() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::string_view RequestIds::next(char (&out)[32]) noexcept {
  write_digits(draw(), out);
  write_digits(draw(), out + 16);
  return {out, sizeof out};
}

}  // namespace portico::proxy::http
