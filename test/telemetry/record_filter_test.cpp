#include "telemetry/record_filter.hpp"

#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;

TEST_CASE("a status that is asked for is a code, a class, or failed") {
  const auto range = [](std::string_view text) {
    const StatusFilter filter = parse_status_filter(text).value();
    return std::pair(filter.lowest, filter.highest);
  };
  CHECK(range("429") == std::pair<std::uint16_t, std::uint16_t>(429, 429));
  CHECK(range("100") == std::pair<std::uint16_t, std::uint16_t>(100, 100));
  CHECK(range("5xx") == std::pair<std::uint16_t, std::uint16_t>(500, 599));
  CHECK(parse_status_filter("failed").value().failed);
  for (const char* text :
       {"", "4", "42", "4290", "4x", "xxx", "600", "099", "4x9", "49x", "4XX", "FAILED", "-42"}) {
    INFO(text);
    CHECK_FALSE(parse_status_filter(text).has_value());
  }
}

TEST_CASE("a record fits where everything that is set fits") {
  ExampleRecord example;
  example.key(0xab, "sk-a...9f3c").model("gpt-5");
  RecordLabels labels;
  labels.route = "/v1/";
  const auto fits = [&](auto change) {
    RecordFilter filter;
    change(filter);
    return filter.fits(example.record(), labels);
  };
  CHECK(fits([](RecordFilter&) {}));
  CHECK(fits([](RecordFilter& filter) { filter.model = "gpt-5"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.model = "gpt"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.model = "unknown"; }));
  CHECK(fits([](RecordFilter& filter) { filter.key = "sk-a...9f3c"; }));
  CHECK(fits([](RecordFilter& filter) { filter.key = "abababab"; }));
  CHECK(fits([](RecordFilter& filter) { filter.key = "abababababababab"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.key = "ababababac"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.key = "abababa"; }));
  CHECK(fits([](RecordFilter& filter) { filter.dialect = "openai-chat"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.dialect = "other"; }));
  CHECK(fits([](RecordFilter& filter) { filter.route = "/v1/"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.route = "/"; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.status = parse_status_filter("failed"); }));
  CHECK(fits([](RecordFilter& filter) { filter.status = parse_status_filter("2xx"); }));
  CHECK_FALSE(fits([](RecordFilter& filter) {
    filter.status = parse_status_filter("2xx");
    filter.model = "other";
  }));

  example.model("").facts.error_status = 429;
  example.facts.failed = true;
  CHECK(fits([](RecordFilter& filter) { filter.model = "unknown"; }));
  CHECK(fits([](RecordFilter& filter) { filter.status = parse_status_filter("429"); }));
  CHECK(fits([](RecordFilter& filter) { filter.status = parse_status_filter("failed"); }));
  example.key(0, "");
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.key = ""; }));
  CHECK_FALSE(fits([](RecordFilter& filter) { filter.key = "00000000"; }));
}
