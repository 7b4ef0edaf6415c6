#include "proxy/timer_wheel.hpp"

#include <algorithm>

namespace portico::proxy {

void Timer::set(Deadline deadline) noexcept {
  deadline_ = deadline;
  if (deadline == Deadline::never) return;
  // Linked at an earlier tick: it will be seen there and moved on. Only a deadline that came nearer moves
  // now.
  if (link_ != nullptr && due_ <= static_cast<std::uint64_t>(deadline)) return;
  unlink();
  wheel_.link(*this, static_cast<std::uint64_t>(deadline));
}

void Timer::unlink() noexcept {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
  --wheel_.linked_;
}

TimerWheel::TimerWheel(boost::asio::io_context& context) : timer_(context), origin_(Clock::now()) {}

TimerWheel::Tick TimerWheel::clock_tick() const noexcept {
  return static_cast<Tick>((Clock::now() - origin_) / tick) + 1;
}

bool TimerWheel::passed(Deadline deadline) noexcept {
  if (!ticking_) now_ = std::max(now_, clock_tick());
  return static_cast<Tick>(deadline) <= now_;
}

Deadline TimerWheel::in(std::chrono::milliseconds duration) noexcept {
  // While the wheel turns, its own time is at most a tick old and costs no clock reading.
  if (!ticking_) now_ = std::max(now_, clock_tick());
  const auto ticks = static_cast<Tick>((duration + tick - std::chrono::milliseconds(1)) / tick);
  return static_cast<Deadline>(now_ + ticks + 1);
}

void TimerWheel::link(Timer& timer, Tick due) noexcept {
  due = std::clamp(due, now_ + 1, now_ + slots - 1);
  timer.due_ = due;
  Timer*& slot = wheel_[due % slots];
  timer.next_ = slot;
  timer.link_ = &slot;
  if (slot != nullptr) slot->link_ = &timer.next_;
  slot = &timer;
  ++linked_;
  if (!ticking_) start_ticking();
}

void TimerWheel::start_ticking() {
  if (stopped_) return;
  ticking_ = true;
  timer_.expires_at(origin_ + tick * static_cast<std::int64_t>(now_));
  timer_.async_wait([this](const boost::system::error_code& error) {
    ticking_ = false;
    if (!error) on_tick();
  });
}

void TimerWheel::on_tick() {
  const Tick last = clock_tick();
  ticking_ = true;  // so that what fires sees the wheel's time
  while (now_ < last) {
    ++now_;
    Timer*& slot = wheel_[now_ % slots];
    // Taken out one by one from a private list, because what fires may set or destroy any timer.
    Timer* pending = slot;
    slot = nullptr;
    if (pending != nullptr) pending->link_ = &pending;
    while (pending != nullptr) {
      Timer& timer = *pending;
      timer.unlink();
      if (timer.deadline_ == Deadline::never) continue;
      const Tick due = static_cast<Tick>(timer.deadline_);
      if (due > now_) {
        link(timer, due);
        continue;
      }
      timer.deadline_ = Deadline::never;
      timer.fire_(timer.owner_);
    }
  }
  ticking_ = false;
  if (linked_ > 0) start_ticking();
}

void TimerWheel::stop() noexcept {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace portico::proxy
