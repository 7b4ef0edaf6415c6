#pragma once
// How much a client may ask of an HTTP/2 connection that costs us more than it costs the client: requests
// that are taken back at once, pings, settings, frames without content (RFC 9113 section 10.5).
//
// Each kind has an allowance that fills again with time. An honest client stays far below all of them; who
// empties one is told ENHANCE_YOUR_CALM.
//
// owns:    a few numbers
// threads: one; pure, time is passed in

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace portico::proxy::h2 {

/// What is counted.
enum class Nuisance : std::uint8_t {
  reset,     ///< a request taken back before its answer was complete
  ping,      ///< answered with as many bytes, or an answer that nobody asked for
  settings,  ///< applied and acknowledged
  empty,     ///< DATA, HEADERS or CONTINUATION without content
  priority,  ///< PRIORITY, PRIORITY_UPDATE
  window,    ///< WINDOW_UPDATE
  invalid,   ///< what costs its stream, but not the connection
};
inline constexpr std::size_t nuisance_count = 7;

class Patience {
 public:
  /// True while `kind` may happen once more. `now_ns`: of any clock that does not go back.
  bool allows(Nuisance kind, std::uint64_t now_ns) noexcept {
    constexpr std::uint64_t second = 1'000'000'000;
    Allowance& left = left_[static_cast<std::size_t>(kind)];
    const Rate rate = rates[static_cast<std::size_t>(kind)];
    const std::uint64_t each = second / rate.per_second;
    // The moment up to which what has happened is paid for: a bucket in one number.
    const std::uint64_t floor = now_ns > each * rate.burst ? now_ns - each * rate.burst : 0;
    left.paid_until = std::max(left.paid_until, floor) + each;
    return left.paid_until <= now_ns + each;
  }

 private:
  struct Rate {
    std::uint64_t burst;
    std::uint64_t per_second;
  };
  struct Allowance {
    std::uint64_t paid_until = 0;
  };
  // In the order of Nuisance. WINDOW_UPDATE comes with each piece of a download, twice.
  static constexpr std::array<Rate, nuisance_count> rates{
      {{500, 50}, {100, 10}, {50, 5}, {100, 10}, {1'000, 100}, {20'000, 20'000}, {100, 10}}};
  std::array<Allowance, nuisance_count> left_{};
};

}  // namespace portico::proxy::h2
