#include "telemetry/query.hpp"

#include <array>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

constexpr std::array<std::string_view, 2> known{"model", "limit"};

}  // namespace

TEST_CASE("parameters are decoded as HTML forms write them") {
  const Query query("/x?model=a%2Fb+c%C3%A9%2b&limit=5", known);
  CHECK(query.error().empty());
  CHECK(query.value("model") == "a/b c\xc3\xa9+");
  CHECK(query.value("limit") == "5");
  CHECK(Query("/x?mo%64el=%25", known).value("model") == "%");
}

TEST_CASE("what is missing or empty has no value") {
  for (const char* target : {"/x", "/x?", "/x?&&", "/x?model", "/x?model=", "/x?limit=1&"}) {
    INFO(target);
    const Query query(target, known);
    CHECK(query.error().empty());
    CHECK_FALSE(query.value("model").has_value());
  }
}

TEST_CASE("what can't be understood is told") {
  CHECK_THAT(Query("/x?modle=a", known).error(), Catch::Contains("model, limit"));
  CHECK_THAT(Query("/x?model=a&limit=1&model=b", known).error(),
             Catch::Contains("model is given more than once"));
  CHECK_THAT(Query("/x?=a", known).error(), Catch::Contains("unknown"));
  CHECK_THAT(Query("/x?a=1", {}).error(), Catch::Contains("none"));
  for (const char* value : {"%", "%4", "%4g", "%g4", "%-1", "%ff", "%c3"}) {
    INFO(value);
    CHECK_THAT(Query(std::string("/x?model=") + value, known).error(), Catch::Contains("escape"));
  }
  CHECK(Query("/x?secret-in-a-name=1", known).error().find("secret") == std::string::npos);
}
