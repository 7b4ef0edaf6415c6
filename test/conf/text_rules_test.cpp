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

TEST_CASE("a file that is needed has a name, and a folder stands at the root") {
  CHECK(file_objection("").empty());
  CHECK(needed_file_objection("") == "must name a file");
  CHECK(needed_file_objection("certs/a b.pem").empty());
  CHECK_FALSE(needed_file_objection("a\nb"sv).empty());
  CHECK(absolute_path_objection("").empty());
  CHECK(absolute_path_objection("/var/www").empty());
  CHECK_FALSE(absolute_path_objection("www").empty());
  CHECK_FALSE(absolute_path_objection("./www").empty());
  CHECK_FALSE(absolute_path_objection("/a\0b"sv).empty());
}

TEST_CASE("the name of a certificate is a host name, not an address, a URL or a pattern") {
  for (const auto* name : {"", "cpa", "cpa.example", "a_b.c-d.example", "xn--bcher-kva.example"})
    CHECK(host_name_objection(name).empty());
  for (const std::string_view name :
       {"cpa.example."sv, "cpa:443"sv, "10.0.0.1"sv, "::1"sv, "[::1]"sv, "*.example"sv, "https://cpa"sv,
        ".cpa"sv, "a b"sv, "a\0b"sv, "b\xc3\xbc.example"sv}) {
    CAPTURE(name);
    CHECK_FALSE(host_name_objection(name).empty());
  }
}
