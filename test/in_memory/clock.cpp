#include "test/in_memory/clock.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace portico::in_memory {

namespace {
// Not at the beginning of time, so that a moment some time ago is none before it.
constinit std::chrono::nanoseconds monotonic = std::chrono::hours(1);
}  // namespace

void pass(std::chrono::milliseconds time) noexcept { monotonic += time; }

}  // namespace portico::in_memory

// Stands in front of the C library's: the standard library's steady_clock and our own code ask this one.
extern "C" int clock_gettime(clockid_t id, timespec* time) noexcept {
  if (id != CLOCK_MONOTONIC) return static_cast<int>(::syscall(SYS_clock_gettime, id, time));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(portico::in_memory::monotonic);
  time->tv_sec = seconds.count();
  time->tv_nsec = (portico::in_memory::monotonic - seconds).count();
  return 0;
}
