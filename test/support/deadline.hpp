#pragma once
// Waiting in tests: always for a condition, always until a deadline.
//
// owns:    plain values
// threads: any
// PORTICO_TEST_SLACK multiplies every deadline (sanitizer builds are slow); 1 when it is not set.

#include <chrono>
#include <concepts>
#include <cstdlib>
#include <thread>

namespace portico::test {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// The factor by which deadlines are stretched.
inline int slack() {
  static const int factor = [] {
    const char* text = std::getenv("PORTICO_TEST_SLACK");
    const int value = text == nullptr ? 1 : std::atoi(text);
    return value < 1 ? 1 : value;
  }();
  return factor;
}

/// A point in time after which a wait gives up.
class Deadline {
 public:
  /// `wait` from now, stretched by slack().
  explicit Deadline(milliseconds wait) : at_(Clock::now() + wait * slack()) {}
  [[nodiscard]] bool expired() const { return Clock::now() >= at_; }
  /// For poll(2): whole milliseconds, rounded up, never negative.
  [[nodiscard]] int remaining_ms() const {
    const auto left = std::chrono::ceil<milliseconds>(at_ - Clock::now()).count();
    return left > 0 ? static_cast<int>(left) : 0;
  }
  [[nodiscard]] Clock::time_point at() const { return at_; }

 private:
  Clock::time_point at_;
};

/// Long enough that only a fault reaches it.
inline Deadline patience() { return Deadline{10s}; }

/// True as soon as `condition()` holds; false when it still does not at the deadline.
template <std::invocable F>
bool eventually(F condition, Deadline deadline = patience()) {
  while (!condition()) {
    if (deadline.expired()) return condition();
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// True when `condition()` holds the whole time: for what must not happen. `time` is not stretched.
template <std::invocable F>
bool throughout(milliseconds time, F condition) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) {
    if (!condition()) return false;
    std::this_thread::sleep_for(1ms);
  }
  return condition();
}

}  // namespace portico::test
