#include "telemetry/usage/usage_json.hpp"

#include <chrono>
#include <set>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;
namespace json = boost::json;

namespace {

const std::chrono::system_clock::time_point now{
    std::chrono::microseconds(ExampleRecord::moment_us + 30'000'000)};

RecordLabels labels() {
  RecordLabels labels;
  labels.route = portico::test::example_route;
  labels.endpoint = portico::test::example_endpoint;
  return labels;
}

UsageQuery asking(std::vector<Dimension> group_by) {
  UsageQuery query;
  query.window = parse_window("15m").value();
  query.group_by = std::move(group_by);
  return query;
}

json::object render(const UsageStore& store, const UsageQuery& query) {
  return json::parse(render_usage(store, query, now)).as_object();
}

std::set<std::string> names(const json::object& object) {
  std::set<std::string> out;
  for (const auto& member : object) out.emplace(member.key());
  return out;
}

std::set<std::string> names(FieldRows rows) {
  std::set<std::string> out;
  for (const FieldRow& row : rows) out.emplace(row.name);
  return out;
}

}  // namespace

TEST_CASE("usage has exactly the documented names") {
  UsageStore store(10);
  ExampleRecord example;
  store.take(example.record(), labels());
  const json::object document = render(store, asking({Dimension::model, Dimension::key}));
  CHECK(names(document) == names(usage_fields()));
  CHECK(names(document.at("totals").as_object()) == names(usage_counts_fields()));
  std::set<std::string> expected = names(usage_counts_fields());
  expected.insert({"model", "key", "key_fingerprint"});
  CHECK(names(document.at("groups").at(0).as_object()) == expected);
}

TEST_CASE("an empty store answers with zeros and nulls") {
  const UsageStore store(10);
  const json::object document = render(store, asking({Dimension::model}));
  CHECK(document.at("window") == "15m");
  CHECK(document.at("from") == "2026-11-08T14:49:00.000Z");
  CHECK(document.at("to") == "2026-11-08T15:04:35.000Z");
  CHECK(document.at("groups").as_array().empty());
  const json::object& totals = document.at("totals").as_object();
  CHECK(totals.at("requests") == 0);
  CHECK(totals.at("tokens").at("total") == 0);
  CHECK(totals.at("duration_seconds").at("p99").is_null());
}

TEST_CASE("groups are sorted by requests, then by name, and add up to the totals") {
  UsageStore store(10);
  ExampleRecord example;
  example.facts.first_token_us = 250'000;
  for (int i = 0; i < 3; ++i) store.take(example.model("big").record(), labels());
  store.take(example.model("b").record(), labels());
  ExampleRecord failed;
  store.take(failed.model("").fails(404).record(), labels());
  const json::object document = render(store, asking({Dimension::model, Dimension::dialect}));
  CHECK(json::serialize(document.at("group_by")) == R"(["model","dialect"])");
  const json::array& groups = document.at("groups").as_array();
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].at("model") == "big");
  CHECK(groups[0].at("dialect") == "openai-chat");
  CHECK(groups[0].at("requests") == 3);
  CHECK(groups[0].at("tokens").at("input") == 30);
  CHECK(groups[0].at("tokens").at("total") == 45);
  CHECK(groups[0].at("usage_quality").at("complete") == 3);
  CHECK(groups[1].at("model") == "b");
  CHECK(groups[2].at("model") == "unknown");
  CHECK(groups[2].at("failed") == 1);
  CHECK(groups[2].at("time_to_first_token_seconds").at("p50").is_null());
  CHECK(document.at("totals").at("requests") == 5);
  CHECK(document.at("totals").at("tokens").at("output") == 20);
  const double p50 = document.at("totals").at("time_to_first_token_seconds").at("p50").as_double();
  CHECK(p50 == Approx(0.25).epsilon(0.05));
  CHECK(document.at("totals").at("duration_seconds").at("p95").to_number<double>() ==
        Approx(1).epsilon(0.05));
}

TEST_CASE("two keys with one mask are two groups; no key is null") {
  UsageStore store(10);
  ExampleRecord example;
  store.take(example.key(1, "****").record(), labels());
  store.take(example.key(1, "****").model("other-model").record(), labels());
  store.take(example.key(0xab, "****").record(), labels());
  store.take(example.key(0, "").record(), labels());
  const json::array groups = render(store, asking({Dimension::key})).at("groups").as_array();
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].at("requests") == 2);
  CHECK(groups[0].at("key_fingerprint") == "0101010101010101");
  CHECK(groups[1].at("key").is_null());
  CHECK(groups[1].at("key_fingerprint").is_null());
  CHECK(groups[2].at("key") == "****");
  CHECK(groups[2].at("key_fingerprint") == "abababababababab");
}

TEST_CASE("filters leave only what fits, in totals too") {
  UsageStore store(20);
  ExampleRecord example;
  store.take(example.record(), labels());
  store.take(example.model("two").record(), labels());
  store.take(example.key(9, "sk-b...0000").record(), labels());
  example.facts.dialect = Dialect::anthropic_messages;
  store.take(example.record(), labels());
  const auto requests = [&](auto change) {
    UsageQuery query = asking({});
    change(query);
    return render(store, query).at("totals").at("requests").to_number<int>();
  };
  CHECK(requests([](UsageQuery&) {}) == 4);
  CHECK(requests([](UsageQuery& query) { query.model = "two"; }) == 3);
  CHECK(requests([](UsageQuery& query) { query.model = "tw"; }) == 0);
  CHECK(requests([](UsageQuery& query) { query.key = "sk-b...0000"; }) == 2);
  CHECK(requests([](UsageQuery& query) { query.key = "09090909"; }) == 2);
  CHECK(requests([](UsageQuery& query) { query.key = "0909090"; }) == 0);
  CHECK(requests([](UsageQuery& query) { query.dialect = "anthropic-messages"; }) == 1);
  CHECK(requests([](UsageQuery& query) { query.route = "/v1/"; }) == 4);
  CHECK(requests([](UsageQuery& query) { query.endpoint = "http://127.0.0.1:1"; }) == 0);
  CHECK(render(store, asking({})).at("groups").as_array().empty());
}

TEST_CASE("what is above the bound is one group named other") {
  UsageStore store(1);
  ExampleRecord example;
  store.take(example.record(), labels());
  store.take(example.model("tail").record(), labels());
  const json::array groups = render(store, asking({Dimension::model, Dimension::key, Dimension::dialect,
                                                   Dimension::route, Dimension::endpoint}))
                                 .at("groups")
                                 .as_array();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].at("route") == "/v1/");
  for (const char* name : {"model", "key", "dialect", "route", "endpoint"})
    CHECK(groups[1].at(name) == "other");
  CHECK(groups[1].at("key_fingerprint").is_null());
}

TEST_CASE("names from the wire can't break the document") {
  UsageStore store(10);
  ExampleRecord example;
  store.take(example.model("a\"\\\n\x01\x7f\xff\xc3\xa9").record(), labels());
  const json::object document = render(store, asking({Dimension::model}));
  CHECK(document.at("groups").at(0).at("model") == "a\"\\\n\x01\x7f?\xc3\xa9");
}

TEST_CASE("beyond ten thousand groups the rest is counted, not listed") {
  UsageStore store(20'000);
  ExampleRecord example;
  for (int i = 0; i < 10'005; ++i) store.take(example.model("m" + std::to_string(i)).record(), labels());
  const json::object document = render(store, asking({Dimension::model}));
  CHECK(document.at("groups").as_array().size() == 10'000);
  CHECK(document.at("groups_omitted") == 5);
  CHECK(document.at("totals").at("requests") == 10'005);
}
