#include "proxy/timer_wheel.hpp"

#include <memory>
#include <optional>

#include <catch2/catch.hpp>

using namespace portico::proxy;
using std::chrono::milliseconds;

namespace {

/// A timer that notes when it fired.
struct Probe {
  explicit Probe(TimerWheel& wheel)
      : timer(
            wheel,
            [](void* self) {
              auto* probe = static_cast<Probe*>(self);
              ++probe->fired;
              probe->at = TimerWheel::Clock::now();
            },
            this) {}
  int fired = 0;
  TimerWheel::Clock::time_point at;
  Timer timer;
};

struct Fixture {
  boost::asio::io_context context;
  TimerWheel wheel{context};
};

}  // namespace

TEST_CASE("a timer fires once, not before its deadline") {
  Fixture f;
  Probe probe(f.wheel);
  const auto start = TimerWheel::Clock::now();
  probe.timer.set(f.wheel.in(milliseconds(120)));
  f.context.run();
  REQUIRE(probe.fired == 1);
  REQUIRE(probe.at - start >= milliseconds(120));
}

TEST_CASE("a deadline that moves further away is kept, and the earlier one does not fire") {
  Fixture f;
  Probe probe(f.wheel);
  Probe early(f.wheel);
  const auto start = TimerWheel::Clock::now();
  probe.timer.set(f.wheel.in(milliseconds(60)));
  probe.timer.set(f.wheel.in(milliseconds(260)));
  early.timer.set(f.wheel.in(milliseconds(60)));
  f.context.run();
  REQUIRE(early.fired == 1);
  REQUIRE(probe.fired == 1);
  REQUIRE(probe.at - start >= milliseconds(260));
}

TEST_CASE("a deadline that comes nearer is moved at once") {
  Fixture f;
  Probe probe(f.wheel);
  Probe late(f.wheel);
  probe.timer.set(f.wheel.in(milliseconds(10'000)));
  late.timer.set(f.wheel.in(milliseconds(300)));
  probe.timer.set(f.wheel.in(milliseconds(50)));
  f.context.run();
  REQUIRE(probe.fired == 1);
  REQUIRE(probe.at < late.at);
}

TEST_CASE("a deadline beyond one turn of the wheel waits for its turn") {
  Fixture f;
  Probe far(f.wheel);
  Probe near(f.wheel);
  far.timer.set(f.wheel.in(milliseconds(50) * 1500));
  near.timer.set(f.wheel.in(milliseconds(150)));
  while (near.fired == 0) f.context.run_one();
  REQUIRE(far.fired == 0);
}

TEST_CASE("a cleared timer does not fire, and nothing keeps the loop alive for it") {
  Fixture f;
  Probe probe(f.wheel);
  probe.timer.set(f.wheel.in(milliseconds(60)));
  probe.timer.clear();
  f.context.run();
  REQUIRE(probe.fired == 0);
}

TEST_CASE("a timer may be destroyed by another that fires in the same tick") {
  Fixture f;
  struct Killer {
    explicit Killer(TimerWheel& wheel)
        : timer(
              wheel, [](void* self) { static_cast<Killer*>(self)->victim.reset(); }, this) {}
    std::unique_ptr<Probe> victim;
    Timer timer;
  };
  Killer first(f.wheel);
  Killer second(f.wheel);
  const Deadline deadline = f.wheel.in(milliseconds(60));
  first.victim = std::make_unique<Probe>(f.wheel);
  second.victim = std::make_unique<Probe>(f.wheel);
  first.timer.set(deadline);
  first.victim->timer.set(deadline);
  second.victim->timer.set(deadline);
  second.timer.set(deadline);
  f.context.run();
  REQUIRE(first.victim == nullptr);
  REQUIRE(second.victim == nullptr);
}

TEST_CASE("a timer may set itself again when it fires") {
  Fixture f;
  struct Repeater {
    explicit Repeater(TimerWheel& w)
        : wheel(w),
          timer(
              w,
              [](void* self) {
                auto* repeater = static_cast<Repeater*>(self);
                if (++repeater->fired < 3) repeater->timer.set(repeater->wheel.in(milliseconds(50)));
              },
              this) {}
    TimerWheel& wheel;
    int fired = 0;
    Timer timer;
  };
  Repeater repeater(f.wheel);
  repeater.timer.set(f.wheel.in(milliseconds(50)));
  f.context.run();
  REQUIRE(repeater.fired == 3);
}

TEST_CASE("a deadline passes even while the wheel stands still") {
  Fixture f;
  const Deadline deadline = f.wheel.in(milliseconds(0));
  REQUIRE_FALSE(f.wheel.passed(f.wheel.in(milliseconds(60'000))));
  boost::asio::steady_timer wait(f.context, milliseconds(200));
  wait.wait();
  REQUIRE(f.wheel.passed(deadline));
}
