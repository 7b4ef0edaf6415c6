#pragma once
// The times that an exchange notes for its record.
//
// threads: any
// Not for time-outs: those are the timer wheel's.

#include <cstdint>
#include <ctime>

namespace portico::proxy {

/// Nanoseconds of the monotonic clock; 0 is no moment.
using Moment = std::uint64_t;

/// Costs some 25 ns: the paths of an exchange take it where something has been waited for or handed on, not
/// for each read.
inline Moment now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<Moment>(time.tv_sec) * 1'000'000'000 + static_cast<Moment>(time.tv_nsec);
}

}  // namespace portico::proxy
