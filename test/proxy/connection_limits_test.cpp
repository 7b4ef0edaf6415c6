#include "proxy/connection_limits.hpp"

#include <array>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using portico::conf::IpAddress;
using portico::proxy::ConnectionLimits;
using Verdict = ConnectionLimits::Verdict;

TEST_CASE("the limit on all connections is exact") {
  ConnectionLimits limits(1);
  std::vector<ConnectionLimits::Place> places(3);
  const IpAddress client = IpAddress::v4(0x0a000001);
  REQUIRE(limits.enter(&client, 2, 100, places[0]) == Verdict::admitted);
  REQUIRE(limits.enter(nullptr, 2, 100, places[1]) == Verdict::admitted);
  REQUIRE(limits.enter(&client, 2, 100, places[2]) == Verdict::too_many);
  REQUIRE(limits.total() == 2);
  limits.leave(places[1]);
  REQUIRE(limits.enter(&client, 2, 100, places[2]) == Verdict::admitted);
}

TEST_CASE("each client address has its own limit, and leaving makes room") {
  ConnectionLimits limits(2);
  const IpAddress a = IpAddress::v4(0x0a000001);
  const IpAddress b = IpAddress::v4(0x0a000002);
  std::array<ConnectionLimits::Place, 4> places;
  REQUIRE(limits.enter(&a, 100, 2, places[0]) == Verdict::admitted);
  REQUIRE(limits.enter(&a, 100, 2, places[1]) == Verdict::admitted);
  REQUIRE(limits.enter(&a, 100, 2, places[2]) == Verdict::too_many_from_client);
  REQUIRE(limits.total() == 2);
  REQUIRE(limits.enter(&b, 100, 2, places[2]) == Verdict::admitted);
  limits.leave(places[0]);
  REQUIRE(limits.enter(&a, 100, 2, places[3]) == Verdict::admitted);
}

TEST_CASE("leaving twice counts once") {
  ConnectionLimits limits(3);
  const IpAddress a = IpAddress::v4(1);
  ConnectionLimits::Place first;
  ConnectionLimits::Place second;
  REQUIRE(limits.enter(&a, 10, 1, first) == Verdict::admitted);
  limits.leave(first);
  limits.leave(first);
  REQUIRE(limits.total() == 0);
  REQUIRE(limits.enter(&a, 10, 1, first) == Verdict::admitted);
  REQUIRE(limits.enter(&a, 10, 1, second) == Verdict::too_many_from_client);
}

TEST_CASE("IPv6 clients are counted by their /64, IPv4 clients by their address") {
  ConnectionLimits limits(4);
  const IpAddress a = *IpAddress::parse("2001:db8::1");
  const IpAddress same_network = *IpAddress::parse("2001:db8::ffff:1");
  const IpAddress other_network = *IpAddress::parse("2001:db8:0:1::1");
  std::array<ConnectionLimits::Place, 4> places;
  REQUIRE(limits.enter(&a, 10, 1, places[0]) == Verdict::admitted);
  REQUIRE(limits.enter(&same_network, 10, 1, places[1]) == Verdict::too_many_from_client);
  REQUIRE(limits.enter(&other_network, 10, 1, places[1]) == Verdict::admitted);
}

TEST_CASE("workers that come and go at once leave nothing behind") {
  ConnectionLimits limits(5);
  const auto visit = [&limits](std::uint32_t seed) {
    for (std::uint32_t i = 0; i < 20'000; ++i) {
      const IpAddress client = IpAddress::v4(seed + i % 50);
      ConnectionLimits::Place place;
      if (limits.enter(&client, 1'000, 1'000, place) == Verdict::admitted) limits.leave(place);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t seed : {1U, 1U, 20U, 40U}) threads.emplace_back(visit, seed);
  for (std::thread& thread : threads) thread.join();
  REQUIRE(limits.total() == 0);
  // Every address has its whole limit again.
  for (std::uint32_t i = 1; i < 100; ++i) {
    const IpAddress client = IpAddress::v4(i);
    ConnectionLimits::Place place;
    ConnectionLimits::Place over;
    REQUIRE(limits.enter(&client, 1'000, 1, place) == Verdict::admitted);
    REQUIRE(limits.enter(&client, 1'000, 1, over) == Verdict::too_many_from_client);
    limits.leave(place);
  }
}
