#include "telemetry/process_usage.hpp"

#include <unistd.h>

#include <array>
#include <chrono>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

TEST_CASE("a command's name with spaces and parentheses does not shift the fields") {
  const auto stat = parse_process_stat(
      "7 (a b) 9 (c)) S 1 7 7 0 -1 4194304 10 0 0 0 11 12 0 0 20 0 5 0 123456 987654321 4321 "
      "18446744073709551615 1");
  REQUIRE(stat);
  REQUIRE(stat->threads == 5);
  REQUIRE(stat->start_ticks == 123456);
  REQUIRE(stat->virtual_bytes == 987654321);
  REQUIRE(stat->resident_pages == 4321);
}

TEST_CASE("a line of another form gives nothing") {
  REQUIRE_FALSE(parse_process_stat(""));
  REQUIRE_FALSE(parse_process_stat("7 (a"));
  REQUIRE_FALSE(parse_process_stat("7 (a) S 1 2 3"));
  REQUIRE_FALSE(parse_process_stat("7 (a) S 1 7 7 0 -1 4194304 10 0 0 0 11 12 0 0 20 0 x 0 1 2 3"));
}

TEST_CASE("this process has memory, threads, a start in the past and one more descriptor after opening it") {
  const ProcessUsage before = read_process_usage();
  REQUIRE(before.resident_bytes.value() > 100'000);
  REQUIRE(before.virtual_bytes.value() >= before.resident_bytes.value());
  REQUIRE(before.threads.value() >= 1);
  REQUIRE(before.cpu_seconds.value() >= 0);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  REQUIRE(before.start_time_seconds.value() > now - 86'400);
  REQUIRE(before.start_time_seconds.value() < now + 5);

  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const ProcessUsage after = read_process_usage();
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE(after.open_fds.value() == before.open_fds.value() + 2);
}
