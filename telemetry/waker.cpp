#include "telemetry/waker.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <stdexcept>

namespace portico::telemetry {

Waker::Waker() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::runtime_error("cannot make an event descriptor for the telemetry thread");
}

Waker::~Waker() { ::close(descriptor_); }

void Waker::clear() const noexcept {
  std::uint64_t count = 0;
  // Nothing to read means that nobody wrote.
  static_cast<void>(!::read(descriptor_, &count, sizeof count));
}

void Waker::wake() noexcept {
  // Of several workers that see the thread asleep, one writes.
  if (state_.exchange(State::awake, std::memory_order_acq_rel) == State::awake) return;
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the thread has been woken already.
  static_cast<void>(!::write(descriptor_, &one, sizeof one));
}

}  // namespace portico::telemetry
