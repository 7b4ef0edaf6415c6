#include "telemetry/failures/tally.hpp"

#include <chrono>

#include <catch2/catch.hpp>

namespace portico::telemetry {
namespace {

constexpr std::uint64_t minute = 60'000'000;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t start = 500'000 * hour;

std::uint64_t count(const Tally& tally, std::string_view window, std::uint64_t now) {
  return tally.count(buckets_of(*parse_window(window),
                                std::chrono::system_clock::time_point(std::chrono::microseconds(now))));
}

TEST_CASE("a tally counts by minutes in short windows and by hours in long ones") {
  Tally tally;
  for (std::uint64_t i = 0; i < 600; ++i) tally.add(start + i * minute);
  const std::uint64_t now = start + 599 * minute;
  CHECK(count(tally, "15m", now) == 16);
  CHECK(count(tally, "3h", now) == 181);
  CHECK(count(tally, "24h", now) == 600);
  CHECK(count(tally, "31d", now + 31 * 24 * hour) == 60);
  CHECK(count(tally, "31d", now + 33 * 24 * hour) == 0);
}

TEST_CASE("moments may come out of order") {
  Tally tally;
  tally.add(start + 2 * minute);
  tally.add(start);
  tally.add(start + minute);
  tally.add(start + minute);
  CHECK(count(tally, "1m", start + 2 * minute) == 3);
  CHECK(count(tally, "2m", start + 2 * minute) == 4);
}

TEST_CASE("what lies ahead of a clock that was set back is forgotten") {
  Tally tally;
  tally.add(start + 100 * hour);
  tally.add(start);
  CHECK(count(tally, "1h", start) == 1);
  CHECK(count(tally, "24h", start) == 1);
}

}  // namespace
}  // namespace portico::telemetry
