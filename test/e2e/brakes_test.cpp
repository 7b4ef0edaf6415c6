// What keeps one client address from asking too much: the brake on guessing keys, and the rate of requests.

#include <fmt/format.h>

#include <atomic>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;
namespace json = boost::json;

namespace {

/// As CPA refuses a key that it does not know.
const std::string wrong_key_answer =
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json; charset=utf-8\r\n"
    "Content-Length: 27\r\n\r\n{\"error\":\"Invalid API key\"}";
/// As CPA answers where a provider refused the account that it had chosen.
const std::string wrong_account_answer =
    "HTTP/1.1 401 Unauthorized\r\nX-Cpa-Trace-Id: 20261122101500-b06d5527e1fa3c98-5a7733d0\r\n"
    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// A backend with one key.
Origin::Script keyed() {
  return Origin::serve([](const Message& request) {
    const std::string key = request.one("Authorization");
    if (key == "Bearer account") return wrong_account_answer;
    return key == "Bearer right" ? ok("welcome") : wrong_key_answer;
  });
}

std::string with_key(std::string_view path, std::string_view key, std::string_view client = {}) {
  std::vector<std::string> lines{fmt::format("Authorization: Bearer {}", key)};
  if (!client.empty()) lines.push_back(fmt::format("X-Forwarded-For: {}", client));
  return get(path, lines);
}

std::string code_of(const Message& answer) {
  return std::string(json::parse(answer.body).at("error").at("code").as_string());
}

/// Loopback is a proxy that names its clients.
constexpr std::string_view trusting = R"("trusted_proxies": ["127.0.0.1"])";

}  // namespace

TEST_CASE("after 20 wrong keys within a minute an address is answered 429, and the backend sees no more",
          "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (int i = 0; i < 20; ++i)
    CHECK(client.exchange(with_key("/v1/models", fmt::format("guess-{}", i))).status == 401);
  // Whatever the connection, the key and the path.
  const Message openai = client.exchange(with_key("/v1/models", "right"));
  CHECK(openai.status == 429);
  CHECK(code_of(openai) == "too_many_failed_keys");
  const int wait = std::stoi(openai.one("Retry-After"));
  CHECK(wait > 50);
  CHECK(wait <= 60);
  const Message anthropic = proxy.exchange(post("/v1/messages", "{}", {"x-api-key: right"}));
  CHECK(anthropic.status == 429);
  CHECK(json::parse(anthropic.body).at("error").at("type") == "rate_limit_error");
  const Message google = proxy.exchange(post("/v1beta/models/gemini:generateContent?key=right", "{}"));
  CHECK(google.status == 429);
  CHECK(json::parse(google.body).at("error").at("status") == "RESOURCE_EXHAUSTED");
  CHECK(proxy.exchange(with_key("/status", "right")).status == 429);
  CHECK(cpa.requests() == 20);
  CHECK(proxy.metric("portico_key_guard_blocked_requests_total") == 4);
  CHECK(proxy.metric("portico_key_guard_addresses") == 1);
  CHECK(proxy.metric("portico_rate_limited_requests_total") == 0);
}

TEST_CASE("only the address that guesses is braked, and the status names it", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(), .settings = fmt::format("{{{}}}", trusting)}};
  const json::value before = json::parse(proxy.manage("/api/v1/status").body).at("key_guard");
  CHECK(before == json::parse(R"({"braked": 0, "addresses": []})"));
  Client client = proxy.connect();
  for (int i = 0; i < 20; ++i) client.exchange(with_key("/v1/models", "wrong", "203.0.113.9"));
  for (int i = 0; i < 20; ++i)
    client.exchange(with_key("/v1/models", "wrong", fmt::format("2001:db8::{:x}", i)));
  CHECK(client.exchange(with_key("/v1/models", "right", "203.0.113.9")).status == 429);
  CHECK(client.exchange(with_key("/v1/models", "right", "2001:db8::ffff")).status == 429);
  CHECK(client.exchange(with_key("/v1/models", "right", "203.0.113.10")).status == 200);
  CHECK(client.exchange(with_key("/v1/models", "right", "2001:db8:0:1::1")).status == 200);
  const json::value status = json::parse(proxy.manage("/api/v1/status").body).at("key_guard");
  CHECK(status.at("braked") == 2);
  REQUIRE(status.at("addresses").as_array().size() == 2);
  std::vector<std::string> named;
  for (const json::value& one : status.at("addresses").as_array()) {
    named.emplace_back(one.at("address").as_string());
    CHECK(one.at("failures") == 20);
    CHECK(one.at("until").as_string().ends_with("Z"));
  }
  CHECK(((named == std::vector<std::string>{"203.0.113.9", "2001:db8::/64"}) ||
         (named == std::vector<std::string>{"2001:db8::/64", "203.0.113.9"})));
}

TEST_CASE("a guesser with a good key of its own is braked all the same", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (int i = 0; i < 20; ++i) {
    CHECK(client.exchange(with_key("/v1/models", "right")).status == 200);
    CHECK(client.exchange(with_key("/v1/models", "wrong")).status == 401);
  }
  CHECK(client.exchange(with_key("/v1/models", "right")).status == 429);
}

TEST_CASE("a 401 for the account that CPA had chosen does not count against the client", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"key_guard": {"failures": 3}})"}};
  Client client = proxy.connect();
  for (int i = 0; i < 10; ++i) CHECK(client.exchange(with_key("/v1/models", "account")).status == 401);
  CHECK(client.exchange(with_key("/v1/models", "right")).status == 200);
}

TEST_CASE("wrong keys count together on all routes and all workers", "[brakes]") {
  Origin cpa(keyed());
  Origin cpamp(keyed());
  Portico proxy{{.cpa = cpa.url(),
                 .cpamp = cpamp.url(),
                 .settings = R"({"workers": 3, "key_guard": {"failures": 12}})"}};
  for (int i = 0; i < 6; ++i) {
    CHECK(proxy.exchange(with_key("/v1/models", "wrong")).status == 401);
    CHECK(proxy.exchange(with_key("/status", "wrong")).status == 401);
  }
  for (int i = 0; i < 6; ++i) CHECK(proxy.exchange(with_key("/v1/models", "right")).status == 429);
  CHECK(cpa.requests() == 6);
  CHECK(cpamp.requests() == 6);
}

TEST_CASE("after the pause the address is served again, and counted anew", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"key_guard": {"failures": 3, "pause": "500ms"}})"}};
  Client client = proxy.connect();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 3; ++i) CHECK(client.exchange(with_key("/v1/models", "wrong")).status == 401);
    const Message braked = client.exchange(with_key("/v1/models", "right"));
    CHECK(braked.status == 429);
    CHECK(braked.one("Retry-After") == "1");
    CHECK(eventually([&] { return client.exchange(with_key("/v1/models", "right")).status == 200; }));
    CHECK(proxy.metric("portico_key_guard_addresses") == 0);
  }
}

TEST_CASE("exempt addresses, and proxies and clients that stand for many, are never braked", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(),
                 .settings = fmt::format(
                     R"({{{}, "key_guard": {{"failures": 2, "exempt": ["192.0.2.0/24"]}}}})", trusting)}};
  Client client = proxy.connect();
  // The proxy itself, a client that it can't name, and an exempt one.
  for (const std::string who : {"", "unknown", "192.0.2.77"}) {
    CAPTURE(who);
    for (int i = 0; i < 5; ++i) CHECK(client.exchange(with_key("/v1/models", "wrong", who)).status == 401);
  }
  for (int i = 0; i < 5; ++i) client.exchange(with_key("/v1/models", "wrong", "198.51.100.1"));
  CHECK(client.exchange(with_key("/v1/models", "wrong", "198.51.100.1")).status == 429);
  // A reload may let somebody out, and turn the brake off.
  proxy.reload(R"({"key_guard": {"exempt": ["192.0.2.0/24", "198.51.100.1"]}})");
  CHECK(eventually(
      [&] { return proxy.exchange(with_key("/v1/models", "right", "198.51.100.1")).status == 200; }));
  proxy.reload(R"({"key_guard": {"failures": 0, "exempt": []}})");
  CHECK(eventually(
      [&] { return proxy.exchange(with_key("/v1/models", "right", "198.51.100.1")).status == 200; }));
}

TEST_CASE("a braked request with a body is answered without the backend, and its connection is not confused",
          "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"key_guard": {"failures": 1}})"}};
  CHECK(proxy.exchange(with_key("/v1/models", "wrong")).status == 401);
  // One that came whole leaves the connection open, one that is still to come ends it.
  Client whole = proxy.connect();
  CHECK(whole.exchange(post("/v1/responses", "0123456789", {"Authorization: Bearer right"})).status == 429);
  CHECK(whole.exchange(with_key("/v1/models", "right")).status == 429);
  Client partial = proxy.connect();
  partial.send(request("POST", "/v1/responses", {"Content-Length: 100000", "Authorization: Bearer right"}));
  const Message answer = partial.response();
  CHECK(answer.status == 429);
  CHECK(answer.one("Connection") == "close");
  CHECK(cpa.requests() == 1);
}

TEST_CASE("what Portico turns away is a failure of the category limit", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"key_guard": {"failures": 1}})"}};
  CHECK(proxy.exchange(with_key("/v1/models", "wrong")).status == 401);
  CHECK(proxy.exchange(with_key("/v1/models", "right")).status == 429);
  json::value found;
  REQUIRE(eventually([&] {
    const json::value all = json::parse(proxy.manage("/api/v1/failures?window=1h").body);
    for (const json::value& one : all.at("failures").as_array())
      if (one.at("code") == "too_many_failed_keys") found = one;
    return !found.is_null();
  }));
  CHECK(found.at("category") == "limit");
  CHECK(found.at("speaker") == "portico");
  CHECK(found.at("next_step").as_string().find("key_guard.exempt") != json::string::npos);
}

TEST_CASE("a burst of one address passes, then no more than the rate, and others are not touched",
          "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{
      {.cpa = cpa.url(),
       .settings = fmt::format(R"({{{}, "workers": 2, "limits": {{"request_rate": 1, "request_burst": 5}}}})",
                               trusting)}};
  const auto ask = [&](std::string_view who) { return proxy.exchange(with_key("/v1/models", "right", who)); };
  const Clock::time_point begun = Clock::now();
  int passed = 0;
  Message refused;
  for (int i = 0; i < 20; ++i) {
    const Message answer = ask("203.0.113.1");
    if (answer.status == 200) ++passed;
    if (answer.status == 429) refused = answer;
  }
  const auto took = std::chrono::floor<std::chrono::seconds>(Clock::now() - begun).count();
  CHECK(passed >= 5);
  CHECK(passed <= 5 + 1 + static_cast<int>(took));
  REQUIRE(refused.status == 429);
  CHECK(code_of(refused) == "too_many_requests");
  CHECK(refused.one("Retry-After") == "1");
  CHECK(ask("203.0.113.2").status == 200);
  CHECK(proxy.metric("portico_rate_limited_requests_total") == 20 - passed);
  CHECK(proxy.metric("portico_key_guard_blocked_requests_total") == 0);
  // It fills again, and the proxy itself has no limit.
  CHECK(eventually([&] { return ask("203.0.113.1").status == 200; }));
  for (int i = 0; i < 20; ++i) CHECK(ask("").status == 200);
}

TEST_CASE("a reload changes the rate at once", "[brakes]") {
  Origin cpa(keyed());
  Portico proxy{{.cpa = cpa.url()}};
  const auto ask = [&] { return proxy.exchange(with_key("/v1/models", "right")).status; };
  for (int i = 0; i < 150; ++i) REQUIRE(ask() == 200);
  proxy.reload(R"({"limits": {"request_rate": 1, "request_burst": 1}})");
  CHECK(eventually([&] { return ask() == 429; }));
  proxy.reload(R"({"limits": {"request_rate": 0}})");
  CHECK(eventually([&] { return ask() == 200; }));
  for (int i = 0; i < 150; ++i) REQUIRE(ask() == 200);
}
