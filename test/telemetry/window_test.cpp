#include "telemetry/window.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace portico::telemetry;
using namespace std::chrono_literals;

TEST_CASE("a window is a whole number of minutes, hours or days") {
  const auto minutes = [](std::string_view text) { return parse_window(text).value().length.count(); };
  CHECK(minutes("1m") == 1);
  CHECK(minutes("15m") == 15);
  CHECK(minutes("1h") == 60);
  CHECK(minutes("24h") == 1440);
  CHECK(minutes("7d") == 7 * 1440);
  CHECK(minutes("31d") == 31 * 1440);
  CHECK(minutes("44640m") == 31 * 1440);
  CHECK(parse_window("15m").value().text == "15m");
}

TEST_CASE("what is no window, or longer than 31 days, is refused") {
  for (const char* text : {"",
                           "m",
                           "15",
                           "0m",
                           "00m",
                           "015m",
                           "-1h",
                           "+1h",
                           "1.5h",
                           "1 h",
                           "1h ",
                           " 1h",
                           "1H",
                           "1w",
                           "1s",
                           "32d",
                           "745h",
                           "44641m",
                           "99999999999999999999m",
                           "9223372036854775807d",
                           "1hh",
                           "h1",
                           "1\0h"}) {
    INFO(text);
    CHECK_FALSE(parse_window(text).has_value());
  }
}

TEST_CASE("a window is answered from the whole buckets that it touches") {
  const std::chrono::system_clock::time_point now{std::chrono::hours(500'000) + 20min + 30s};
  const WindowBuckets minutes = buckets_of(parse_window("15m").value(), now);
  CHECK_FALSE(minutes.by_hour);
  CHECK(minutes.first == 500'000 * 60 + 5);
  CHECK(minutes.from == std::chrono::system_clock::time_point(500'000h + 5min));
  CHECK_FALSE(buckets_of(parse_window("3h").value(), now).by_hour);

  const WindowBuckets hours = buckets_of(parse_window("24h").value(), now);
  CHECK(hours.by_hour);
  CHECK(hours.first == 500'000 - 24);
  CHECK(hours.from == std::chrono::system_clock::time_point(std::chrono::hours(500'000 - 24)));
  CHECK(buckets_of(parse_window("181m").value(), now).by_hour);
}

TEST_CASE("the buckets that are kept cover the longest window of their kind") {
  const std::chrono::system_clock::time_point now{std::chrono::hours(500'000) + 59min + 59s};
  const auto now_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count());
  CHECK(minute_of(now_us) - buckets_of(parse_window("3h").value(), now).first == minute_buckets - 1);
  CHECK(hour_of(now_us) - buckets_of(parse_window("31d").value(), now).first == hour_buckets - 1);
}
