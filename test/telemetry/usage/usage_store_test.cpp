#include "telemetry/usage/usage_store.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;

namespace {

constexpr std::uint64_t minute_us = 60'000'000;
constexpr std::uint64_t hour_us = 60 * minute_us;
constexpr std::uint64_t day_us = 24 * hour_us;

std::chrono::system_clock::time_point moment(std::uint64_t unix_us) {
  return std::chrono::system_clock::time_point(std::chrono::microseconds(unix_us));
}

RecordLabels labels() {
  RecordLabels labels;
  labels.route = portico::test::example_route;
  labels.endpoint = portico::test::example_endpoint;
  return labels;
}

UsageCounts total(const UsageStore& store, const char* window, std::uint64_t now_us) {
  UsageCounts sum;
  for (const UsageRow& row : store.rows(buckets_of(parse_window(window).value(), moment(now_us)))) {
    sum += row.cell->counts;
  }
  return sum;
}

// Requests by model, in the last minutes or hours.
std::map<std::string, std::uint64_t> by_model(const UsageStore& store, const char* window,
                                              std::uint64_t now_us) {
  std::map<std::string, std::uint64_t> sums;
  for (const UsageRow& row : store.rows(buckets_of(parse_window(window).value(), moment(now_us)))) {
    const SeriesName& name = store.name(row.series);
    sums[name.overflow ? "(other)" : name.model] += row.cell->counts.requests;
  }
  return sums;
}

}  // namespace

TEST_CASE("a record counts at its end, by the minute and by the hour") {
  UsageStore store(100);
  ExampleRecord example;
  // Begun in one minute, ended in the next.
  example.facts.duration_us = 2 * minute_us;
  const std::uint64_t end = ExampleRecord::moment_us / hour_us * hour_us + 30 * minute_us;
  store.take(example.at_us(end).record(), labels());
  CHECK(total(store, "1m", end + 30'000'000).requests == 1);
  CHECK(total(store, "1m", end + 3 * minute_us).requests == 0);
  CHECK(total(store, "3h", end + 3 * hour_us).requests == 1);
  CHECK(total(store, "3h", end + 3 * hour_us + minute_us).requests == 0);
  CHECK(total(store, "4h", end).requests == 1);
  CHECK(total(store, "31d", end + 31 * day_us).requests == 1);
  CHECK(total(store, "31d", end + 31 * day_us + hour_us).requests == 0);
}

TEST_CASE("what is a request, what a warm-up, and what no account") {
  UsageStore store(100);
  const std::uint64_t now = ExampleRecord::moment_us + minute_us;
  ExampleRecord example;
  example.facts.first_token_us = 200'000;
  store.take(example.record(), labels());

  ExampleRecord turn;
  turn.facts.kind = RecordKind::turn;
  store.take(turn.record(), labels());
  turn.facts.warmup = true;
  store.take(turn.record(), labels());

  ExampleRecord connection;
  connection.facts.kind = RecordKind::connection;
  connection.facts.turns = 2;
  store.take(connection.record(), labels());
  connection.facts.turns = 0;
  connection.facts.tokens = {};
  connection.facts.usage_quality = UsageQuality::none;
  connection.facts.ended = Ended::client_gone;
  store.take(connection.record(), labels());

  ExampleRecord failed;
  store.take(failed.fails(500).record(), labels());

  const UsageCounts sum = total(store, "1h", now);
  CHECK(sum.requests == 4);
  CHECK(sum.turns == 1);
  CHECK(sum.warmups == 1);
  CHECK(sum.failed == 1);
  CHECK(sum.client_gone == 1);
  CHECK(sum.tokens[static_cast<std::size_t>(TokenKind::input)] == 20);
  CHECK(sum.tokens[static_cast<std::size_t>(TokenKind::output)] == 10);
  CHECK(sum.quality[static_cast<std::size_t>(UsageQuality::complete)] == 2);
  CHECK(sum.quality[static_cast<std::size_t>(UsageQuality::none)] == 2);
  CHECK(sum.request_bytes == 400);
  CHECK(sum.response_bytes == 4'000);
}

TEST_CASE("each combination of model, key, dialect, route and endpoint is a series of its own") {
  UsageStore store(100);
  ExampleRecord example;
  store.take(example.record(), labels());
  store.take(example.record(), labels());
  CHECK(store.series() == 1);
  store.take(example.model("gpt-6").record(), labels());
  store.take(example.key(8, "sk-a...9f3c").record(), labels());
  example.facts.dialect = Dialect::openai_responses;
  store.take(example.record(), labels());
  example.facts.route = 3;
  store.take(example.record(), labels());
  example.facts.endpoint = 1;
  store.take(example.record(), labels());
  CHECK(store.series() == 6);
}

TEST_CASE("above the bound new series count as other, and the overflow is told") {
  UsageStore store(10);
  ExampleRecord example;
  for (int i = 0; i < 25; ++i) store.take(example.model("m" + std::to_string(i)).record(), labels());
  CHECK(store.series() == 10);
  CHECK(store.overflowed() == 15);
  const auto models = by_model(store, "1h", ExampleRecord::moment_us + minute_us);
  CHECK(models.at("(other)") == 15);
  CHECK(models.at("m9") == 1);
  CHECK(total(store, "1h", ExampleRecord::moment_us + minute_us).requests == 25);
}

TEST_CASE("made-up models and keys can't take the place of real ones") {
  UsageStore store(40);
  ExampleRecord example;
  for (int i = 0; i < 1'000; ++i) {
    ExampleRecord flood;
    store.take(flood.model("made-up-" + std::to_string(i)).fails(400).record(), labels());
  }
  CHECK(store.series() == 10);
  for (int i = 0; i < 30; ++i) store.take(example.model("real-" + std::to_string(i)).record(), labels());
  CHECK(store.series() == 40);
  CHECK(by_model(store, "1h", ExampleRecord::moment_us + minute_us).at("real-29") == 1);

  // One that failed first and works later makes room for another that fails.
  UsageStore second(40);
  for (int i = 0; i < 20; ++i) {
    ExampleRecord late;
    second.take(late.model("late-" + std::to_string(i)).fails(503).record(), labels());
    ExampleRecord works;
    second.take(works.model("late-" + std::to_string(i)).record(), labels());
  }
  CHECK(second.series() == 20);
  CHECK(second.overflowed() == 0);
}

TEST_CASE("what only looks like success vouches for nothing") {
  UsageStore store(40);
  const auto flood = [&](auto change) {
    for (int i = 0; i < 100; ++i) {
      ExampleRecord example;
      example.key(static_cast<std::uint8_t>(i + 1), "****");
      change(example);
      store.take(example.record(), labels());
    }
  };
  flood([](ExampleRecord& example) { example.facts.dialect = Dialect::other; });
  flood([](ExampleRecord& example) { example.facts.dialect = Dialect::management; });
  flood([](ExampleRecord& example) { example.facts.own_answer = true; });
  flood([](ExampleRecord& example) { example.text(Text::method, "OPTIONS"); });
  flood([](ExampleRecord& example) { example.facts.status = 302; });
  CHECK(store.series() == 10);
}

TEST_CASE("a series whose records are all too old goes, and its place serves another") {
  UsageStore store(10);
  ExampleRecord example;
  for (int i = 0; i < 10; ++i) store.take(example.model("old-" + std::to_string(i)).record(), labels());
  const std::uint64_t later = ExampleRecord::moment_us + 32 * day_us;
  store.take(example.model("new").at_us(later).record(), labels());
  CHECK(store.series() == 1);
  CHECK(by_model(store, "31d", later).at("new") == 1);
  CHECK(total(store, "31d", later).requests == 1);
}

TEST_CASE("memory is bounded: old cells are folded into other, and sums stay exact") {
  UsageStore store(10'000);
  ExampleRecord example;
  std::uint64_t requests = 0;
  std::uint64_t now = ExampleRecord::moment_us;
  std::mt19937_64 random(3);
  // 96 MiB is the bound for each timeline; this would take more than twice that in hours.
  for (int hour = 0; hour < 110; ++hour) {
    now += hour_us;
    example.facts.duration_us = 1'000 + random() % 1'000'000;
    for (int model = 0; model < 9'000; ++model) {
      store.take(example.model("m" + std::to_string(model)).at_us(now).record(), labels());
      ++requests;
    }
  }
  const std::size_t one_timeline = 16ULL * 1024 * 1024 + 10'000ULL * 8 * 1024;
  CHECK(store.bytes() <= 2 * one_timeline);
  CHECK(store.bytes() > one_timeline / 2);
  CHECK(total(store, "31d", now).requests == requests);
  const auto models = by_model(store, "31d", now);
  CHECK(models.at("(other)") > 0);
  CHECK(by_model(store, "4h", now).at("m17") == 5);

  // What comes late into a folded hour is other too.
  const std::uint64_t before = models.at("(other)");
  store.take(example.model("m17").at_us(ExampleRecord::moment_us + hour_us).record(), labels());
  CHECK(by_model(store, "31d", now).at("(other)") == before + 1);
}

TEST_CASE("late records and a clock that is set back lose nothing of what is kept") {
  UsageStore store(100);
  ExampleRecord example;
  const std::uint64_t now = ExampleRecord::moment_us;
  store.take(example.at_us(now).record(), labels());
  store.take(example.at_us(now - 5 * minute_us).record(), labels());
  store.take(example.at_us(now - 2 * hour_us).record(), labels());
  CHECK(total(store, "3h", now).requests == 3);

  // Further back than minutes are kept: those go, and what comes is seen at once.
  store.take(example.at_us(now - 5 * hour_us).record(), labels());
  CHECK(total(store, "1h", now - 5 * hour_us).requests == 1);
  CHECK(total(store, "4h", now - 5 * hour_us).requests == 4);
}

TEST_CASE("the sums of minutes and of hours are those of what was taken, in any order") {
  UsageStore store(200);
  std::mt19937_64 random(7);
  UsageCounts expected;
  const std::uint64_t now = ExampleRecord::moment_us;
  for (int i = 0; i < 20'000; ++i) {
    ExampleRecord example;
    example.model("m" + std::to_string(random() % 80)).key(static_cast<std::uint8_t>(random() % 9), "****");
    example.tokens(random() % 1'000, random() % 1'000);
    if (random() % 5 == 0) example.fails(429);
    example.facts.ended = random() % 7 == 0 ? Ended::client_gone : Ended::complete;
    store.take(example.at_us(now - random() % (3 * hour_us)).record(), labels());
    ++expected.requests;
    expected.failed += example.facts.failed ? 1 : 0;
    expected.client_gone += example.facts.ended == Ended::client_gone ? 1 : 0;
    for (std::size_t k = 0; k < token_kind_count; ++k) expected.tokens[k] += example.facts.tokens.kinds[k];
  }
  for (const char* window : {"3h", "4h"}) {
    const UsageCounts sum = total(store, window, now);
    CHECK(sum.requests == expected.requests);
    CHECK(sum.failed == expected.failed);
    CHECK(sum.client_gone == expected.client_gone);
    CHECK(sum.tokens == expected.tokens);
  }
}
