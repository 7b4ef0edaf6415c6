#include "proxy/h1/authority.hpp"

#include <string>

#include <catch2/catch.hpp>

namespace portico::proxy::h1 {
namespace {

TEST_CASE("an authority is a name or an address with an optional port") {
  for (const std::string good :
       {"a", "api.example.com", "api.example.com:8080", "10.0.0.1", "10.0.0.1:80", "[::1]", "[::1]:8317",
        "[2001:DB8::a.b]", "my_service", "host:", "host:0", "host:65535", "a~b"}) {
    INFO(good);
    CHECK(valid_authority(good));
  }
}

TEST_CASE("an authority with any other byte or form is refused") {
  for (const std::string bad :
       {"",           ":80",         "a b",   " a",           "a/b",        "a@b",     "user:pass@a",
        "a?b",        "a#b",         "a,b",   "a;b",          "a\"b",       "a'b",     "a=b",
        "a\\b",       "a%20b",       "a<b",   "a\x80",        "host:80:80", "host:8a", "host:-1",
        "host:65536", "host:000080", "[::1",  "::1",          "[]",         "[::1]a",  "[::1]:x",
        "[:]",        "[a.b]",       "[::g]", "[::1%25eth0]", "[[::1]]",    "a[::1]"}) {
    INFO(bad);
    CHECK_FALSE(valid_authority(bad));
  }
  CHECK_FALSE(valid_authority(std::string("a\0b", 3)));
}

TEST_CASE("the authority of an absolute-form target ends at the path, query or fragment") {
  CHECK(authority_of("http://a.example/x") == "a.example");
  CHECK(authority_of("HTTPS://a.example:1?x") == "a.example:1");
  CHECK(authority_of("http://a.example") == "a.example");
  CHECK(authority_of("http://u@a#x") == "u@a");
  CHECK(authority_of("http:///x") == "");
}

TEST_CASE("a target in another form has no authority") {
  for (const std::string target :
       {"/", "/http://a/b", "*", "a:80", "//a/b", "http:/a", "", "://a", "a/b://c"}) {
    INFO(target);
    CHECK_FALSE(authority_of(target).has_value());
  }
}

}  // namespace
}  // namespace portico::proxy::h1
