#pragma once
// How often something happened, by the minute for the last hours and by the hour for the last month.
//
// owns:    only the minutes and hours in which it happened: at most 8 bytes for each of minute_buckets +
//          hour_buckets
// threads: one

#include <cstddef>
#include <cstdint>
#include <vector>

#include "telemetry/window.hpp"

namespace portico::telemetry {

class Tally {
 public:
  /// Counts one at this moment, in microseconds since the epoch. Moments may come a little out of order; if
  /// the clock is set back, what then lies ahead is forgotten.
  void add(std::uint64_t unix_us);
  /// How often since the window's first bucket.
  [[nodiscard]] std::uint64_t count(const WindowBuckets& window) const noexcept;

 private:
  struct Bucket {
    std::int32_t number = 0;
    std::uint32_t count = 0;
  };
  static void add(std::vector<Bucket>& buckets, std::int64_t number, std::int64_t kept,
                  std::int64_t disorder);

  std::vector<Bucket> minutes_;  // by number
  std::vector<Bucket> hours_;
};

}  // namespace portico::telemetry
