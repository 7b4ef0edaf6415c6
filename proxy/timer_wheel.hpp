#pragma once
// All time-outs of a worker in one wheel of coarse ticks, driven by one timer.
//
// Moving a deadline further away is one store: the entry stays where it is in the wheel and is looked at
// again when its old slot comes round. So a stream may set its deadline at each read for nothing.
//
// owns:    nothing; entries are linked in place and unlink themselves when destroyed
// threads: one worker
// time:    a timer fires up to two ticks (100 ms) late; early only by what a busy worker lags behind

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace portico::proxy {

class TimerWheel;

/// A point in a wheel's time. Deadlines are passed down, durations are not.
enum class Deadline : std::uint64_t { never = UINT64_MAX };

/// One deadline and what happens when it passes.
class Timer {
 public:
  using Fire = void (*)(void* owner);
  Timer(TimerWheel& wheel, Fire fire, void* owner) noexcept : wheel_(wheel), fire_(fire), owner_(owner) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { unlink(); }

  /// Fires once at `deadline`; replaces what was set before.
  void set(Deadline deadline) noexcept;
  void clear() noexcept { deadline_ = Deadline::never; }

 private:
  friend class TimerWheel;
  void unlink() noexcept;

  TimerWheel& wheel_;
  Fire fire_;
  void* owner_;
  Deadline deadline_ = Deadline::never;
  std::uint64_t due_ = 0;  // the tick whose slot it is linked in
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this; null when not linked
};

class TimerWheel {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds tick{50};

  explicit TimerWheel(boost::asio::io_context& context);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// The deadline `duration` from now.
  Deadline in(std::chrono::milliseconds duration) noexcept;
  /// Whether `deadline` has passed.
  [[nodiscard]] bool passed(Deadline deadline) noexcept;
  /// Ends the ticking for good, so that the io_context can run out of work.
  void stop() noexcept;

 private:
  friend class Timer;
  static constexpr std::size_t slots = 1024;
  using Tick = std::uint64_t;

  void link(Timer& timer, Tick due) noexcept;
  void start_ticking();
  void on_tick();
  [[nodiscard]] Tick clock_tick() const noexcept;

  boost::asio::steady_timer timer_;
  Clock::time_point origin_;
  Tick now_ = 1;
  std::size_t linked_ = 0;
  bool ticking_ = false;
  bool stopped_ = false;
  std::array<Timer*, slots> wheel_{};
};

}  // namespace portico::proxy
