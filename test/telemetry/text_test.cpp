#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "telemetry/time_text.hpp"
#include "telemetry/utf8.hpp"

using namespace portico::telemetry;
using std::chrono::system_clock;

TEST_CASE("a moment is written as RFC 3339 with milliseconds and as an HTTP date") {
  // `date -u -d @1794150245` gives Sun Nov  8 15:04:05 UTC 2026.
  const system_clock::time_point moment{std::chrono::milliseconds(1'794'150'245'007)};
  REQUIRE(rfc3339(moment) == "2026-11-08T15:04:05.007Z");
  REQUIRE(http_date(moment) == "Sun, 08 Nov 2026 15:04:05 GMT");
  REQUIRE(rfc3339(system_clock::time_point{}) == "1970-01-01T00:00:00.000Z");
  REQUIRE(http_date(system_clock::time_point{}) == "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_CASE("a moment far beyond what the clock counts to is written too") {
  REQUIRE(rfc3339(std::chrono::sys_seconds(std::chrono::seconds(253'402'300'799))) ==
          "9999-12-31T23:59:59.000Z");
}

TEST_CASE("well-formed UTF-8 passes and every other byte becomes a question mark") {
  REQUIRE(utf8("/v1/ \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
          "/v1/ \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  REQUIRE(utf8("a\xff"
               "b") == "a?b");
  REQUIRE(utf8("\xc0\xaf") == "??");            // overlong
  REQUIRE(utf8("\xe0\x80\x80") == "???");       // overlong
  REQUIRE(utf8("\xed\xa0\x80") == "???");       // surrogate
  REQUIRE(utf8("\xf4\x90\x80\x80") == "????");  // above U+10FFFF
  REQUIRE(utf8("\xf8\x88\x80\x80\x80") == "?????");
  REQUIRE(utf8("cut \xe2\x82") == "cut ??");
  REQUIRE(utf8("\x80") == "?");
}
