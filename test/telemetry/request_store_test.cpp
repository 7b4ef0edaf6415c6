#include "telemetry/request_store.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;
namespace json = boost::json;

namespace {

void put(RequestStore& store, ExampleRecord& example, std::string_view id) {
  RecordLabels labels;
  labels.listener = "0.0.0.0:8080";
  labels.route = "/v1/";
  labels.upstream = "cpa";
  labels.endpoint = "http://127.0.0.1:8317";
  store.take(example.text(Text::request_id, id).record(), std::nullopt, labels);
}

json::array requests(const RequestStore& store, const RecordFilter& filter = {}, std::size_t limit = 1'000) {
  return json::parse(store.render(filter, limit)).at("requests").as_array();
}

std::vector<std::string> ids(const json::array& requests) {
  std::vector<std::string> out;
  for (const json::value& request : requests) out.emplace_back(request.at("id").as_string());
  return out;
}

}  // namespace

TEST_CASE("the newest come first, and the oldest go") {
  RequestStore store(3);
  CHECK(requests(store).empty());
  ExampleRecord example;
  put(store, example, "a");
  put(store, example, "b");
  CHECK(ids(requests(store)) == std::vector<std::string>{"b", "a"});
  put(store, example, "c");
  put(store, example, "d");
  put(store, example, "e");
  CHECK(ids(requests(store)) == std::vector<std::string>{"e", "d", "c"});
  CHECK(ids(requests(store, {}, 2)) == std::vector<std::string>{"e", "d"});
  CHECK(store.size() == 3);
}

TEST_CASE("a store without places keeps nothing") {
  RequestStore store(0);
  ExampleRecord example;
  put(store, example, "a");
  CHECK(store.size() == 0);
  CHECK(store.render({}, 10) == R"({"requests":[]})");
}

TEST_CASE("a limit counts what fits, not what was looked at") {
  RequestStore store(10);
  ExampleRecord good;
  ExampleRecord bad;
  bad.fails(429);
  put(store, bad, "bad-1");
  put(store, bad, "bad-2");
  for (int i = 0; i < 5; ++i) put(store, good, "good");
  RecordFilter filter;
  filter.status = parse_status_filter("4xx");
  CHECK(ids(requests(store, filter, 1)) == std::vector<std::string>{"bad-2"});
  CHECK(ids(requests(store, filter)) == std::vector<std::string>{"bad-2", "bad-1"});
}

TEST_CASE("what is kept is a copy, labels and verdict too") {
  RequestStore store(2);
  {
    ExampleRecord example;
    example.model(fmt::format("model-{:x>200}", "")).fails(404);
    const std::string route = "/v1beta/";
    RecordLabels labels;
    labels.route = route;
    store.take(example.record(), Verdict{Category::model_name, FaultField::model_names, Confidence::medium},
               labels);
  }
  const json::value kept = requests(store).at(0);
  CHECK(kept.at("model").as_string().size() == 206);
  CHECK(kept.at("route") == "/v1beta/");
  CHECK(kept.at("endpoint").is_null());
  CHECK(kept.at("failure").at("category") == "model_name");
}
