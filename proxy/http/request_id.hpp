#pragma once
// Makes request ids: 32 hexadecimal digits, unique within a deployment.
//
// owns:    256 bits of state
// threads: one; each worker has its own, seeded on its own
// Not for secrets: who has seen a few ids can compute the next ones.

#include <array>
#include <cstdint>
#include <string_view>

namespace portico::proxy::http {

class RequestIds {
 public:
  /// `seed` holds at least 128 bits of the system's randomness, so that two workers or two processes never
  /// run through the same ids.
  explicit RequestIds(const std::array<std::uint64_t, 4>& seed) noexcept;

  /// Writes the next id, lower case, and returns a view of `out`.
  std::string_view next(char (&out)[32]) noexcept;

 private:
  std::uint64_t draw() noexcept;
  std::array<std::uint64_t, 4> state_;
};

}  // namespace portico::proxy::http
