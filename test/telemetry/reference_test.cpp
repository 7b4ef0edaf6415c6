#include "telemetry/reference.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "telemetry/failures/failures_json.hpp"
#include "telemetry/management.hpp"
#include "telemetry/record_json.hpp"
#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
namespace json = boost::json;

namespace {

std::set<std::string> names(const json::object& object) {
  std::set<std::string> out;
  for (const auto& member : object) out.emplace(member.key());
  return out;
}

std::set<std::string> names(FieldRows rows) {
  std::set<std::string> out;
  for (const FieldRow& row : rows) CHECK(out.emplace(row.name).second);
  return out;
}

}  // namespace

TEST_CASE("the management page equals the tables") {
  const std::string path = PORTICO_SOURCE_DIR "/telemetry/MANAGEMENT.md";
  const std::string page = render_management_reference();
  if (std::getenv("PORTICO_WRITE_REFERENCE") != nullptr) std::ofstream(path, std::ios::binary) << page;
  std::ifstream file(path, std::ios::binary);
  INFO("to renew " << path << " run this test with PORTICO_WRITE_REFERENCE=1 and read the difference");
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == page);
}

TEST_CASE("a record has exactly the documented names") {
  portico::test::ExampleRecord example;
  std::string text;
  append_record_json(text, example.record(), std::nullopt, {});
  CHECK(names(json::parse(text).as_object()) == names(record_fields()));
}

TEST_CASE("a failure has exactly the documented names") {
  portico::test::ExampleRecord example;
  const Verdict verdict{Category::quota, FaultField::none, Confidence::high};
  FailureStore store;
  store.take(example.fails(429).record(), verdict, {});
  const std::chrono::system_clock::time_point now(
      std::chrono::microseconds(portico::test::ExampleRecord::moment_us + 1'000'000));
  const json::object document =
      json::parse(render_failures(store, parse_window("15m").value(), now)).as_object();
  CHECK(names(document) == std::set<std::string>{"window", "from", "to", "failures"});
  REQUIRE(document.at("failures").as_array().size() == 1);
  CHECK(names(document.at("failures").at(0).as_object()) == names(failure_fields()));
}

TEST_CASE("every page is documented, with a path of its own") {
  std::set<std::string> paths;
  for (const FieldRow& row : ManagementServer::pages()) {
    CHECK(paths.emplace(row.name).second);
    CHECK_FALSE(row.meaning.empty());
  }
  CHECK(paths.contains("/api/v1/usage"));
}
