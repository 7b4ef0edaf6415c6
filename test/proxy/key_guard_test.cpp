#include "proxy/key_guard.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using portico::conf::IpAddress;
using portico::conf::KeyGuardSettings;
using portico::proxy::ClientNetwork;
using portico::proxy::KeyGuard;
using portico::proxy::Moment;

namespace {

constexpr Moment second = 1'000'000'000;
constexpr Moment start = 1'000 * second;

ClientNetwork client(std::uint32_t number) { return ClientNetwork(IpAddress::v4(number)); }

KeyGuardSettings settings(std::size_t failures, std::chrono::milliseconds window,
                          std::chrono::milliseconds pause) {
  return {failures, window, pause, {}};
}

const KeyGuardSettings usual = settings(20, 60s, 60s);

/// `count` failures at one moment; how many of them closed the brake.
int fail(KeyGuard& guard, int count, Moment now, const KeyGuardSettings& rules = usual,
         ClientNetwork who = client(1)) {
  int closed = 0;
  for (int i = 0; i < count; ++i) closed += guard.failed(who, rules, now) ? 1 : 0;
  return closed;
}

}  // namespace

TEST_CASE("the last failure that is allowed closes the brake for the pause, and then it begins anew") {
  KeyGuard guard(1);
  CHECK(fail(guard, 19, start) == 0);
  CHECK(guard.pause_of(client(1), start) == 0s);
  CHECK(guard.failed(client(1), usual, start));
  CHECK(guard.pause_of(client(1), start) == 60s);
  CHECK(guard.pause_of(client(1), start + 59 * second) == 1s);
  CHECK(guard.pause_of(client(1), start + 60 * second) == 0s);
  CHECK(fail(guard, 19, start + 60 * second) == 0);
  CHECK(fail(guard, 1, start + 61 * second) == 1);
}

TEST_CASE("failures that are rarer than the window allows are forgiven") {
  KeyGuard guard(2);
  for (Moment minute = 0; minute < 50; ++minute) CHECK(fail(guard, 19, start + minute * 60 * second) == 0);
  // Within the window of the last nineteen.
  CHECK(fail(guard, 1, start + (49 * 60 + 59) * second) == 1);
}

TEST_CASE("only the address that failed is braked, an IPv6 client with its /64") {
  KeyGuard guard(3);
  const auto v6 = [](const char* address) { return ClientNetwork(IpAddress::parse(address).value()); };
  CHECK(fail(guard, 20, start, usual, v6("2001:db8::1")) == 1);
  CHECK(guard.pause_of(v6("2001:db8::2"), start) == 60s);
  CHECK(guard.pause_of(v6("2001:db8:0:1::1"), start) == 0s);
  CHECK(guard.pause_of(client(1), start) == 0s);
}

TEST_CASE("nobody is never braked, and neither is anybody where no failure is too much") {
  KeyGuard guard(4);
  CHECK(fail(guard, 100, start, usual, ClientNetwork()) == 0);
  CHECK(guard.pause_of(ClientNetwork(), start) == 0s);
  CHECK(fail(guard, 100, start, settings(0, 60s, 60s)) == 0);
  CHECK(guard.pause_of(client(1), start) == 0s);
  CHECK(guard.braked(start).empty());
}

TEST_CASE("failures that were under way when the brake closed make the pause longer by their share") {
  KeyGuard guard(5);
  CHECK(fail(guard, 20, start) == 1);
  CHECK(fail(guard, 20, start + second) == 0);
  CHECK(guard.pause_of(client(1), start) == 120s);
  // A flood of them is bounded.
  CHECK(fail(guard, 100'000, start + 2 * second) == 0);
  CHECK(guard.pause_of(client(1), start + 2 * second) == KeyGuard::most_pauses * 60s);
  CHECK(guard.pause_of(client(1), start + (2 + Moment{KeyGuard::most_pauses} * 60) * second) == 0s);
}

TEST_CASE("the settings of the moment decide") {
  KeyGuard guard(6);
  CHECK(fail(guard, 10, start) == 0);
  CHECK(fail(guard, 1, start, settings(5, 60s, 10s)) == 1);
  CHECK(guard.pause_of(client(1), start) == 10s);
  CHECK(fail(guard, 1, start, settings(1, 60s, 300ms), client(2)) == 1);
  CHECK(guard.pause_of(client(2), start) == 1s);
  CHECK(guard.pause_of(client(2), start + 300 * second / 1000) == 0s);
  // More than a slot can count.
  CHECK(fail(guard, 100, start, settings(SIZE_MAX, 60s, 10s), client(3)) == 0);
}

TEST_CASE("who is braked is listed with the time that is left and the failures that count") {
  KeyGuard guard(7);
  CHECK(fail(guard, 21, start, usual, client(1)) == 1);
  CHECK(fail(guard, 3, start, settings(3, 1s, 5s), client(2)) == 1);
  CHECK(fail(guard, 19, start, usual, client(3)) == 0);
  const std::vector<KeyGuard::Braked> braked = guard.braked(start + second);
  REQUIRE(braked.size() == 2);
  const KeyGuard::Braked& longer = braked[0].client == client(1) ? braked[0] : braked[1];
  const KeyGuard::Braked& shorter = braked[0].client == client(1) ? braked[1] : braked[0];
  CHECK(longer.left == 62s);
  CHECK(longer.failures == 21);
  CHECK(shorter.client == client(2));
  CHECK(shorter.left == 4s);
  CHECK(shorter.failures == 3);
  CHECK(guard.braked(start + 5 * second).size() == 1);
  CHECK(guard.braked(start + 63 * second).empty());
}

TEST_CASE(
    "more guessers than there are slots push out those that are free first, not those that are braked") {
  KeyGuard guard(8);
  const KeyGuardSettings long_pause = settings(2, 60s, 3'600s);
  for (std::uint32_t i = 1; i <= 1'000; ++i) REQUIRE(fail(guard, 2, start, long_pause, client(i)) == 1);
  for (std::uint32_t i = 1; i <= 100'000; ++i)
    REQUIRE(fail(guard, 1, start + second, long_pause, client(1'000'000 + i)) == 0);
  CHECK(guard.braked(start + second).size() == 1'000);
  // A newcomer is counted all the same.
  CHECK(fail(guard, 2, start + 2 * second, long_pause, client(9'000'000)) == 1);
}

TEST_CASE("failures that workers report at once are all counted, and one of them closes the brake") {
  KeyGuard guard(9);
  const KeyGuardSettings many = settings(40'000, 60s, 60s);
  REQUIRE_FALSE(guard.failed(client(1), many, start));
  std::atomic<int> closed{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { closed += fail(guard, 9'999, start, many); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(closed == 0);
  CHECK(fail(guard, 3, start, many) == 1);
}

TEST_CASE("workers that fight for the same slots brake nobody who did not fail so often") {
  KeyGuard guard(10);
  const KeyGuardSettings strict = settings(50, 60s, 60s);
  std::vector<std::thread> threads;
  threads.reserve(4);
  // Each of more clients than there are slots fails less than 50 times in all.
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round)
        for (std::uint32_t number = 1; number <= 60'000; ++number)
          fail(guard, 1, start, strict, client(number));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(guard.braked(start).empty());
}
