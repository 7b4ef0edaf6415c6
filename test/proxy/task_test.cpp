#include "proxy/task.hpp"

#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico::proxy;

namespace {

/// Suspends until it is opened.
struct Gate {
  std::coroutine_handle<> waiter;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiter, nullptr).resume(); }
};

Task<int> half(int value) { co_return value / 2; }

Task<int> failing() {
  throw std::runtime_error("no");
  co_return 0;
}

Task<void> wait_at(Gate& gate, std::vector<int>& log, int mark) {
  co_await gate;
  log.push_back(mark);
}

Detached run(std::vector<int>& log) {
  const int value = co_await half(84);
  log.push_back(value);
  bool caught = false;
  try {
    co_await failing();
  } catch (const std::runtime_error&) {
    caught = true;
  }
  log.push_back(caught ? 1 : 0);
}

Detached run_beside(Gate& gate, std::vector<int>& log) {
  Fork fork;
  fork.start(wait_at(gate, log, 1));
  log.push_back(fork.running() ? 0 : -1);
  co_await fork.join();
  log.push_back(2);
  co_await fork.join();
  log.push_back(3);
}

Task<void> fail_at(Gate& gate) {
  co_await gate;
  throw std::runtime_error("late");
}

Detached run_failing_fork(Gate& gate, std::vector<int>& log) {
  Fork fork;
  fork.start(fail_at(gate));
  bool caught = false;
  try {
    co_await fork.join();
  } catch (const std::runtime_error&) {
    caught = true;
  }
  log.push_back(caught ? 7 : -7);
}

Detached count_down(int& left) {
  // Each of these ends without suspending: the stack must not grow with their number.
  while (left > 0) {
    const int now = co_await half(2 * left);
    left = now - 1;
  }
}

}  // namespace

TEST_CASE("a task gives its value, or its exception, to who awaits it") {
  std::vector<int> log;
  run(log);
  REQUIRE(log == std::vector<int>{42, 1});
}

TEST_CASE("a fork runs beside its parent, and join waits for it, once or again") {
  Gate gate;
  std::vector<int> log;
  run_beside(gate, log);
  REQUIRE(log == std::vector<int>{0});
  gate.open();
  REQUIRE(log == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("an exception of a fork comes out of join") {
  Gate gate;
  std::vector<int> log;
  run_failing_fork(gate, log);
  gate.open();
  REQUIRE(log == std::vector<int>{7});
}

TEST_CASE("a hundred thousand awaits in a row need no more stack than one") {
  int left = 100'000;
  count_down(left);
  REQUIRE(left == 0);
}
