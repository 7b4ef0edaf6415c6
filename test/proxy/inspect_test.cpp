// Every recorded exchange of test/wire gives exactly what its .expect.json says, however its bytes are cut.

#include "proxy/inspect.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "conf/cli.hpp"

using namespace portico;
using conf::Split;

namespace {

namespace json = boost::json;
const std::filesystem::path folder = PORTICO_SOURCE_DIR "/test/wire";

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  constexpr std::string_view ending = ".expect.json";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(ending)) names.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct Case {
  explicit Case(const std::string& name)
      : request(read(folder / (name + ".request.http"))),
        response(read(folder / (name + ".response.http"))),
        expect(json::parse(read(folder / (name + ".expect.json"))).as_object()) {
    for (const auto& secret : expect.at("must_not_leak").as_array()) secrets.emplace_back(secret.as_string());
    for (const char* aside : {"case", "about", "must_not_leak"}) expect.erase(aside);
  }
  [[nodiscard]] std::string inspect(const Split& split) const {
    return proxy::inspect(request, response, split);
  }

  std::string request;
  std::string response;
  json::object expect;
  std::vector<std::string> secrets;
};

/// What `found` has other than `expected`, by name.
std::string differences(const json::object& expected, const json::object& found) {
  std::string out;
  for (const auto& [name, value] : expected) {
    const json::value* got = found.if_contains(name);
    if (got == nullptr || *got != value) {
      out += std::string(name) + ": expected " + json::serialize(value) + ", found " +
             (got == nullptr ? "nothing" : json::serialize(*got)) + "\n";
    }
  }
  for (const auto& [name, value] : found)
    if (!expected.contains(name)) out += std::string(name) + ": not expected\n";
  return out;
}

}  // namespace

TEST_CASE("a recorded exchange gives exactly the expected facts") {
  const std::vector<std::string> names = cases();
  REQUIRE(names.size() >= 40);
  for (const std::string& name : names) {
    INFO(name);
    const Case recorded(name);
    const std::string found = recorded.inspect({});
    CHECK(differences(recorded.expect, json::parse(found).as_object()) == "");
    for (const std::string& secret : recorded.secrets) {
      INFO(secret);
      CHECK(found.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("the facts do not depend on where the bytes are cut") {
  for (const std::string& name : cases()) {
    const Case recorded(name);
    const std::string whole = recorded.inspect({});
    std::string wrong;
    const std::size_t size = std::max(recorded.request.size(), recorded.response.size());
    for (std::size_t first = 1; first < size; ++first)
      if (recorded.inspect({Split::How::once, first}) != whole)
        wrong += "cut at " + std::to_string(first) + "\n";
    if (recorded.inspect({Split::How::every, 1}) != whole) wrong += "byte by byte\n";
    for (std::uint64_t seed = 0; seed < 200; ++seed)
      if (recorded.inspect({Split::How::random, seed}) != whole)
        wrong += "seed " + std::to_string(seed) + "\n";
    INFO(name);
    CHECK(wrong == "");
  }
}
