#include "proxy/request_rate.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using portico::conf::IpAddress;
using portico::proxy::ClientNetwork;
using portico::proxy::Moment;
using portico::proxy::RequestRate;

namespace {

constexpr Moment second = 1'000'000'000;
constexpr Moment start = 1'000 * second;

ClientNetwork client(std::uint32_t number) { return ClientNetwork(IpAddress::v4(number)); }

/// How many of `tries` requests at one moment pass.
int passing(RequestRate& rates, const RequestRate::Rate& rate, Moment now, int tries,
            ClientNetwork who = client(1)) {
  int passed = 0;
  for (int i = 0; i < tries; ++i) passed += rates.take(who, rate, now) == 0s ? 1 : 0;
  return passed;
}

}  // namespace

TEST_CASE("a burst passes at once, then as many a second as the rate says") {
  RequestRate rates(1);
  const RequestRate::Rate rate{10, 5};
  CHECK(passing(rates, rate, start, 100) == 5);
  CHECK(passing(rates, rate, start + second / 10 - 1'000, 100) == 0);
  CHECK(passing(rates, rate, start + second / 10, 100) == 1);
  CHECK(passing(rates, rate, start + second / 2, 100) == 4);
  // However long it is silent, it has no more than the burst.
  CHECK(passing(rates, rate, start + 1'000 * second, 100) == 5);
}

TEST_CASE("who keeps to the rate is never turned away") {
  RequestRate rates(2);
  for (const std::size_t per_second : {1U, 3U, 7U, 1'000U, 30'000U, 1'000'000U}) {
    CAPTURE(per_second);
    const RequestRate::Rate rate{per_second, 1};
    const ClientNetwork who = client(static_cast<std::uint32_t>(per_second));
    for (Moment i = 0; i < 2'000; ++i)
      REQUIRE(rates.take(who, rate, start + (i * second + per_second - 1) / per_second) == 0s);
  }
}

TEST_CASE("over a long time no more than the rate passes") {
  RequestRate rates(3);
  const RequestRate::Rate rate{3, 10};
  int passed = 0;
  for (Moment i = 0; i < 10'000; ++i)
    passed += rates.take(client(1), rate, start + i * second / 100) == 0s ? 1 : 0;
  CHECK(passed == 10 + 3 * 100 - 1);
}

TEST_CASE("a client that is turned away is told in how many whole seconds it may come again") {
  RequestRate rates(4);
  CHECK(rates.take(client(1), {1, 1}, start) == 0s);
  CHECK(rates.take(client(1), {1, 1}, start) == 1s);
  CHECK(rates.take(client(1), {1, 1}, start + second - 1'000) == 1s);
  CHECK(rates.take(client(1), {1, 1}, start + second) == 0s);
  CHECK(rates.take(client(2), {1'000, 1}, start) == 0s);
  CHECK(rates.take(client(2), {1'000, 1}, start) == 1s);
}

TEST_CASE("each client has its own bucket, and nobody has none") {
  RequestRate rates(5);
  const RequestRate::Rate rate{1, 1};
  for (std::uint32_t i = 1; i <= 1'000; ++i) REQUIRE(rates.take(client(i), rate, start) == 0s);
  for (std::uint32_t i = 1; i <= 1'000; ++i) REQUIRE(rates.take(client(i), rate, start) == 1s);
  CHECK(passing(rates, rate, start, 100, ClientNetwork()) == 100);
}

TEST_CASE("a rate of 0 turns nobody away and counts nothing") {
  RequestRate rates(6);
  CHECK(passing(rates, {0, 1}, start, 1'000) == 1'000);
  CHECK(passing(rates, {1, 5}, start, 10) == 5);
}

TEST_CASE("another rate holds at once, and what the old one took beyond it is forgiven") {
  RequestRate rates(7);
  CHECK(passing(rates, {1, 1'000}, start, 2'000) == 1'000);
  // The old bucket would be full again in 1,000 s; a bucket of the new rate is empty for a tenth of a second.
  CHECK(passing(rates, {10, 5}, start, 10) == 0);
  CHECK(passing(rates, {10, 5}, start + second / 10, 10) == 1);
  CHECK(passing(rates, {1'000'000, 1'000'000}, start + second, 2'000'000) == 1'000'000);
}

TEST_CASE(
    "a window that is full gives the slot of the bucket nearest to full, and never turns a newcomer away") {
  RequestRate rates(8);
  const RequestRate::Rate rate{1, 2};
  // More clients than there are slots; the last ones begin with a whole burst all the same.
  for (std::uint32_t i = 0; i < 200'000; ++i) REQUIRE(rates.take(client(i), rate, start + i) == 0s);
  int remembered = 0;
  for (std::uint32_t i = 199'000; i < 200'000; ++i)
    remembered += passing(rates, rate, start + second / 2, 2, client(i)) == 1 ? 1 : 0;
  CHECK(remembered > 900);
}

TEST_CASE("a bucket survives that the moments in its slot begin anew") {
  // The slot counts 2^44 ticks of 125 ns.
  const Moment around = (Moment{1} << 44) * 125;
  RequestRate rates(9);
  const RequestRate::Rate rate{10, 5};
  CHECK(passing(rates, rate, around - second / 10, 10) == 5);
  CHECK(passing(rates, rate, around, 10) == 1);
  CHECK(passing(rates, rate, around + second / 10, 10) == 1);
  CHECK(passing(rates, rate, around + 100 * second, 10) == 5);
}

TEST_CASE("workers that ask at once let exactly the burst pass") {
  RequestRate rates(10);
  const RequestRate::Rate rate{1, 10'000};
  REQUIRE(rates.take(client(1), rate, start) == 0s);
  std::atomic<int> passed{1};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { passed += passing(rates, rate, start, 5'000); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(passed == 10'000);
}
