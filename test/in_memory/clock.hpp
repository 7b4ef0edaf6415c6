#pragma once
// Monotonic time that stands still until it is moved: a program that links this has no other.
//
// Time-outs then pass when a test says so and not before, whatever else the machine does, and a minute of
// them costs nothing. The time of day is the real one.
//
// owns:    the monotonic clock of the process
// threads: one
// Timers of an io_context look at the clock only when the kernel says so: see Portico::advance().

#include <chrono>

namespace portico::in_memory {

/// Moves the clock.
void pass(std::chrono::milliseconds time) noexcept;

}  // namespace portico::in_memory
