#include "proxy/http/request_id.hpp"

#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "proxy/http/forward.hpp"

using namespace portico::proxy::http;

TEST_CASE("a request id is 32 lower-case hexadecimal digits, each digit as frequent as the next") {
  RequestIds ids({1, 2, 3, 4});
  std::array<std::array<int, 16>, 32> seen{};
  constexpr int rounds = 16'000;
  for (int i = 0; i < rounds; ++i) {
    char out[32];
    const auto id = ids.next(out);
    REQUIRE(id.size() == 32);
    REQUIRE(sane_request_id(id));
    for (std::size_t at = 0; at < 32; ++at) {
      const auto digit = std::string_view("0123456789abcdef").find(id[at]);
      REQUIRE(digit != std::string_view::npos);
      ++seen[at][digit];
    }
  }
  for (const auto& place : seen) {
    for (const int count : place) {
      CHECK(count > rounds / 16 * 4 / 5);
      CHECK(count < rounds / 16 * 6 / 5);
    }
  }
}

TEST_CASE("request ids do not repeat, not even between generators with seeds that differ in one bit") {
  std::set<std::string> seen;
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    RequestIds ids({0, 0, 0, seed});
    for (int i = 0; i < 10'000; ++i) {
      char out[32];
      CHECK(seen.emplace(ids.next(out)).second);
    }
  }
}
