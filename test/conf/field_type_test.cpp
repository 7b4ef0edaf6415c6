#include "conf/field_type.hpp"

#include <catch2/catch.hpp>

using namespace portico::conf;
using namespace std::chrono_literals;

TEST_CASE("a size is a number with one of the binary units") {
  CHECK(parse_size("0") == 0U);
  CHECK(parse_size("4096") == 4096U);
  CHECK(parse_size("64KiB") == 65'536U);
  CHECK(parse_size("64MiB") == 67'108'864U);
  CHECK(parse_size("1GiB") == 1'073'741'824U);
  CHECK(parse_size("2TiB") == 2'199'023'255'552U);
  CHECK(parse_size("18446744073709551615") == 18446744073709551615ULL);
  for (const auto* text : {"", "KiB", "64 KiB", "64kib", "64K", "64KB", "1.5MiB", "-1", "+1", "64KiBx",
                           "0x10", "18446744073709551616", "16777216TiB"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("a duration is a number with a unit") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("15s") == 15s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("1h") == 1h);
  CHECK(parse_duration("2d") == 48h);
  for (const auto* text : {"", "15", "s", "1.5s", "15 s", "15S", "1h30m", "-1s", "18446744073709551615ms",
                           "9223372036854775808ms", "99999999999999999d"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes and durations are written in the largest unit that divides them, and read back") {
  CHECK(size_text(0) == "0");
  CHECK(size_text(1024) == "1KiB");
  CHECK(size_text(1025) == "1025");
  CHECK(size_text(3ULL << 40U) == "3TiB");
  CHECK(duration_text(0ms) == "0ms");
  CHECK(duration_text(1500ms) == "1500ms");
  CHECK(duration_text(75s) == "75s");
  CHECK(duration_text(3600s) == "1h");
  CHECK(duration_text(24h * 30) == "30d");
  for (const std::uint64_t bytes : {1ULL, 1024ULL, 65'536ULL, 1'000'000ULL, 1ULL << 40U})
    CHECK(parse_size(size_text(bytes)) == bytes);
  for (const Milliseconds duration : {Milliseconds(1), Milliseconds(60'000), Milliseconds(86'400'000)})
    CHECK(parse_duration(duration_text(duration)) == duration);
}

TEST_CASE("what is shown of a value is short and holds no credentials of a URL") {
  CHECK(shown("a\nb") == "\"a\\nb\"");
  CHECK(shown(std::string(60, 'x')) == "\"" + std::string(48, 'x') + "\"...");
  CHECK(shown("http://user:hunter2@cpa:80") == "\"http://***@cpa:80\"");
  CHECK(shown("http://user:p@ss@cpa") == "\"http://***@cpa\"");
}
