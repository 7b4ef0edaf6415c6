#include "conf/text_rules.hpp"

#include <string_view>

#include <catch2/catch.hpp>

using namespace portico::conf;
using namespace std::string_view_literals;

TEST_CASE("the path of a rule is one that a cleaned and decoded path can equal") {
  for (const auto* path : {"/", "/v1/", "/v1internal:method", "/a b", "/\xc3\xa4", "/..a/.b/c..", "/a/"})
    CHECK(route_path_objection(path).empty());
  for (const std::string_view path :
       {""sv, "v1"sv, "/a%20"sv, "//"sv, "/a//b"sv, "/."sv, "/.."sv, "/a/../b"sv, "/a/."sv, "/./a"sv,
        "/a?b"sv, "/a#b"sv, "/a\\b"sv, "/a\nb"sv, "/a\0b"sv, "/\x7f"sv}) {
    CAPTURE(path);
    CHECK_FALSE(route_path_objection(path).empty());
  }
}

TEST_CASE("nothing that goes onto the wire may hold a control byte") {
  for (const std::string_view text : {"a\r\nb"sv, "a\nb"sv, "a\0b"sv, "a\tb"sv, "\x7f"sv, "\xc3\xa4"sv}) {
    CAPTURE(text);
    CHECK_FALSE(token_objection(text).empty());
    CHECK_FALSE(field_value_objection(text).empty());
    CHECK_FALSE(location_objection(text).empty());
    CHECK_FALSE(secret_objection(text).empty());
    CHECK_FALSE(name_objection(text).empty());
  }
}

TEST_CASE("a token, a field value, a location, a secret and a name each have their own alphabet") {
  CHECK(token_objection("").empty());
  CHECK(token_objection("portico-1.0").empty());
  CHECK_FALSE(token_objection("a b").empty());
  CHECK_FALSE(token_objection("a:80").empty());
  CHECK(field_value_objection("text/plain; charset=utf-8").empty());
  CHECK_FALSE(field_value_objection("").empty());
  CHECK_FALSE(field_value_objection(" a").empty());
  CHECK_FALSE(field_value_objection("a ").empty());
  CHECK(location_objection("/management.html?x=1").empty());
  CHECK(location_objection("https://example.org/").empty());
  CHECK_FALSE(location_objection("").empty());
  CHECK_FALSE(location_objection("/a b").empty());
  CHECK(secret_objection("").empty());
  CHECK(secret_objection("s3cret!").empty());
  CHECK_FALSE(secret_objection("two words").empty());
  CHECK(name_objection("cpa_2-eu").empty());
  CHECK_FALSE(name_objection("").empty());
  CHECK_FALSE(name_objection("a.b").empty());
}
