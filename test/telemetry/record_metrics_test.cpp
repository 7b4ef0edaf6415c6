#include "telemetry/record_metrics.hpp"

#include <map>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;

namespace {

// Sample lines by what stands before the value.
std::map<std::string, std::string> samples(const RecordMetrics& metrics,
                                           void (RecordMetrics::*write)(MetricsWriter&) const,
                                           MetricType type = MetricType::counter) {
  const MetricHead head{"x", type, "", "X.", {"category", "field", "model"}};
  MetricsWriter out(MetricsFormat::prometheus_text);
  out.begin(head);
  (metrics.*write)(out);
  std::istringstream text(out.finish());
  std::map<std::string, std::string> lines;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t space = line.rfind(' ');
    const bool fresh = lines.emplace(line.substr(0, space), line.substr(space + 1)).second;
    INFO(line);
    CHECK(fresh);
  }
  return lines;
}

constexpr Verdict no_model{Category::model_name, FaultField::model_names, Confidence::high};

}  // namespace

TEST_CASE("tokens are counted by dialect, model and kind, for accounts only") {
  RecordMetrics metrics(10);
  ExampleRecord example;
  metrics.take(example.record(), std::nullopt);
  metrics.take(example.record(), std::nullopt);
  metrics.take(example.model("").record(), std::nullopt);
  example.facts.kind = RecordKind::connection;
  example.facts.turns = 1;
  metrics.take(example.record(), std::nullopt);
  example.facts.kind = RecordKind::turn;
  example.facts.warmup = true;
  metrics.take(example.record(), std::nullopt);
  ExampleRecord silent;
  silent.model("silent").facts.tokens = {};
  metrics.take(silent.record(), std::nullopt);

  const auto tokens = samples(metrics, &RecordMetrics::write_tokens);
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="gpt-5",kind="input"})") == "20");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="gpt-5",kind="output"})") == "10");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="unknown",kind="input"})") == "10");
  CHECK(tokens.size() == 12);
  const auto durations = samples(metrics, &RecordMetrics::write_request_duration, MetricType::histogram);
  CHECK(durations.at("x_count") == "4");
}

TEST_CASE("times are observed where the record has them") {
  RecordMetrics metrics(10);
  ExampleRecord example;
  metrics.take(example.record(), std::nullopt);
  CHECK(samples(metrics, &RecordMetrics::write_first_token, MetricType::histogram).empty());
  CHECK(samples(metrics, &RecordMetrics::write_per_token, MetricType::histogram).empty());
  CHECK(samples(metrics, &RecordMetrics::write_overhead, MetricType::histogram).at("x_count") == "0");

  example.facts.stream = true;
  example.facts.first_token_us = 200'000;
  example.facts.overhead_us = 40;
  metrics.take(example.tokens(1, 5).record(), std::nullopt);
  const std::string labels = R"({dialect="openai-chat",model="gpt-5")";
  const auto first_token = samples(metrics, &RecordMetrics::write_first_token, MetricType::histogram);
  CHECK(first_token.at("x_sum" + labels + "}") == "0.2");
  CHECK(first_token.at("x_bucket" + labels + R"(,le="0.1"})") == "0");
  CHECK(first_token.at("x_bucket" + labels + R"(,le="0.25"})") == "1");
  CHECK(first_token.at("x_bucket" + labels + R"(,le="+Inf"})") == "1");
  const auto per_token = samples(metrics, &RecordMetrics::write_per_token, MetricType::histogram);
  CHECK(per_token.at("x_sum" + labels + "}") == "0.2");
  const auto overhead = samples(metrics, &RecordMetrics::write_overhead, MetricType::histogram);
  CHECK(overhead.at(R"(x_bucket{le="2.5e-05"})") == "0");
  CHECK(overhead.at(R"(x_bucket{le="5e-05"})") == "1");
  const auto first_byte = samples(metrics, &RecordMetrics::write_first_byte, MetricType::histogram);
  CHECK(first_byte.at("x_count") == "2");
  // A bound belongs to its bucket.
  CHECK(first_byte.at(R"(x_bucket{le="0.1"})") == "2");
  CHECK(first_byte.at(R"(x_bucket{le="0.05"})") == "0");
}

TEST_CASE("failures are counted by category, field and model") {
  RecordMetrics metrics(10);
  ExampleRecord example;
  example.fails(400);
  metrics.take(example.record(), no_model);
  metrics.take(example.record(), no_model);
  metrics.take(example.record(), Verdict{Category::quota, FaultField::none, Confidence::high});
  const auto failures = samples(metrics, &RecordMetrics::write_failures);
  CHECK(failures.size() == 2);
  CHECK(failures.at(R"(x_total{category="model_name",field="model_names",model="gpt-5"})") == "2");
  CHECK(failures.at(R"(x_total{category="quota",field="none",model="gpt-5"})") == "1");
}

TEST_CASE("made-up models fill a quarter of the labels at most, and nothing is lost") {
  RecordMetrics metrics(8);
  ExampleRecord bad;
  bad.fails(400);
  for (int i = 0; i < 100; ++i) metrics.take(bad.model("made-up-" + std::to_string(i)).record(), no_model);
  auto failures = samples(metrics, &RecordMetrics::write_failures);
  CHECK(failures.size() == 3);
  CHECK(failures.at(R"(x_total{category="model_name",field="model_names",model="other"})") == "98");

  // A real one still gets its label, even a made-up one that turns out to be real.
  ExampleRecord good;
  metrics.take(good.model("real").record(), std::nullopt);
  metrics.take(good.model("made-up-50").record(), std::nullopt);
  for (int i = 0; i < 100; ++i) metrics.take(good.model("real-" + std::to_string(i)).record(), std::nullopt);
  const auto tokens = samples(metrics, &RecordMetrics::write_tokens);
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="real",kind="input"})") == "10");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="made-up-50",kind="input"})") == "10");
  // 8 names in all: 2 made up, these two, and 4 more.
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="other",kind="input"})") == "960");
}

TEST_CASE("names that are shown alike are one label, those of Portico's own included") {
  RecordMetrics metrics(10);
  ExampleRecord example;
  for (const char* name : {"a\xff", "a\xfe", "a?", "unknown", "", "other", "\"\n\\"}) {
    metrics.take(example.model(name).record(), std::nullopt);
  }
  const auto tokens = samples(metrics, &RecordMetrics::write_tokens);
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="a?",kind="input"})") == "30");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="unknown",kind="input"})") == "20");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="other",kind="input"})") == "10");
  CHECK(tokens.at(R"(x_total{dialect="openai-chat",model="\"\n\\",kind="input"})") == "10");
}
