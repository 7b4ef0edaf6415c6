#pragma once
// How workers wake the telemetry thread, seldom and cheaply.
//
// The thread is in one of three states. While it works it finds new records by itself. While it naps (a timed
// pause after work, so that a busy worker pays no wake-up for each record) only a ring that fills up wakes
// it. While it sleeps the next record does.
//
// owns:    an event descriptor
// threads: wake_for() by any worker; the rest by the telemetry thread
// memory:  a lost wake-up needs the worker to miss the state `asleep` and the thread to miss the record. The
// worker
//          stores its ring's head and then loads the state; the thread stores the state and then looks at the
//          heads. All four are sequentially consistent, so in their one order at least one of the loads comes
//          after the other side's store. The descriptor's write synchronises with its read in the kernel;
//          records are published by the ring's own release and acquire, not by the waker.

#include <atomic>
#include <cstdint>

namespace portico::telemetry {

class Waker {
 public:
  enum class State : std::uint8_t { awake, napping, asleep };

  /// Throws std::runtime_error when the system gives no descriptor.
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  /// After a record was published: wakes the thread if it sleeps, or naps and the ring is `filling`. One
  /// system call at most until the thread has woken.
  void wake_for(bool filling) noexcept {
    const State state = state_.load(std::memory_order_seq_cst);
    if (state == State::awake || (state == State::napping && !filling)) [[likely]]
      return;
    wake();
  }

  /// Telemetry thread. After `asleep` it must look at the rings once more before it waits for the descriptor.
  void set(State state) noexcept { state_.store(state, std::memory_order_seq_cst); }
  /// Readable after a wake-up.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// Takes what was written, so that the descriptor is quiet again.
  void clear() const noexcept;

 private:
  void wake() noexcept;

  std::atomic<State> state_{State::awake};
  int descriptor_;
};

}  // namespace portico::telemetry
