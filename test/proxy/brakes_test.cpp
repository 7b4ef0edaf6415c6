#include "proxy/brakes.hpp"

#include <memory>
#include <vector>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using portico::conf::IpAddress;
using portico::conf::Network;
using portico::conf::Settings;
using portico::proxy::Brakes;
using portico::proxy::ClientNetwork;
using portico::proxy::Moment;
using portico::proxy::http::AnswerCode;
using portico::proxy::http::TrustedProxies;
using portico::telemetry::WorkerCells;

namespace {

/// Brakes with one worker's counters, which end pauses by a clock of the test's own.
struct Example {
  Settings settings;
  TrustedProxies trusted{std::vector<Network>{*Network::parse("10.0.0.0/8")}};
  std::unique_ptr<WorkerCells> cells = std::make_unique<WorkerCells>();
  Brakes brakes{1};
  Moment now = portico::proxy::now();

  std::optional<Brakes::Refusal> ask(std::string_view address) {
    ClientNetwork failing;
    return brakes.admit(*IpAddress::parse(address), trusted, settings, now, *cells, failing);
  }
  /// A request whose key a backend refuses; the line for the log.
  std::string fail(std::string_view address) {
    ClientNetwork failing;
    brakes.admit(*IpAddress::parse(address), trusted, settings, now, *cells, failing);
    return brakes.failed(failing, settings.key_guard, now);
  }
};

}  // namespace

TEST_CASE("an address that failed too often is turned away, told for how long, and named once in the log") {
  Example example;
  example.settings.key_guard.failures = 3;
  CHECK(example.fail("192.0.2.1").empty());
  CHECK(example.fail("192.0.2.1").empty());
  const std::string line = example.fail("192.0.2.1");
  CHECK(line ==
        "192.0.2.1: 3 requests within 60 s were refused for their key; the address is answered 429 for 60 s "
        "(key_guard)");
  const auto refusal = example.ask("192.0.2.1");
  REQUIRE(refusal);
  CHECK(refusal->code == AnswerCode::too_many_failed_keys);
  CHECK(refusal->retry_after == 60s);
  CHECK_FALSE(example.ask("192.0.2.2"));
  CHECK(example.cells->key_guard_blocked.value() == 1);
  CHECK(example.cells->rate_limited.value() == 0);
  // A reload that turns the brake off lets everybody pass.
  example.settings.key_guard.failures = 0;
  CHECK_FALSE(example.ask("192.0.2.1"));
}

TEST_CASE("trusted proxies, clients that nobody can name and exempt ones are never braked") {
  Example example;
  example.settings.key_guard.failures = 2;
  example.settings.key_guard.exempt = {*Network::parse("192.0.2.0/25"), *Network::parse("2001:db8::7")};
  for (const char* address : {"10.1.2.3", "0.0.0.0", "192.0.2.5", "2001:db8::7"}) {
    CAPTURE(address);
    for (int i = 0; i < 5; ++i) CHECK(example.fail(address).empty());
    CHECK_FALSE(example.ask(address));
  }
  // Their neighbours are.
  for (const char* address : {"11.1.2.3", "192.0.2.200", "2001:db8::8"}) {
    CAPTURE(address);
    CHECK(example.fail(address).empty());
    CHECK_FALSE(example.fail(address).empty());
    CHECK(example.ask(address));
  }
  // An exempt address may lie in a network that is braked.
  CHECK_FALSE(example.ask("2001:db8::7"));
}

TEST_CASE("an address that asks too fast is turned away, an exempt one too, but not who stands for many") {
  Example example;
  example.settings.limits.request_rate = 1;
  example.settings.limits.request_burst = 2;
  example.settings.key_guard.exempt = {*Network::parse("192.0.2.5")};
  for (const char* address : {"192.0.2.1", "192.0.2.5"}) {
    CHECK_FALSE(example.ask(address));
    CHECK_FALSE(example.ask(address));
    const auto refusal = example.ask(address);
    REQUIRE(refusal);
    CHECK(refusal->code == AnswerCode::too_many_requests);
    CHECK(refusal->retry_after == 1s);
  }
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(example.ask("10.1.2.3"));
    CHECK_FALSE(example.ask("0.0.0.0"));
  }
  CHECK(example.cells->rate_limited.value() == 2);
  CHECK(example.cells->key_guard_blocked.value() == 0);
}

TEST_CASE("requests that the brake turns away leave the rate alone") {
  Example example;
  example.settings.limits.request_rate = 1;
  example.settings.limits.request_burst = 2;
  example.settings.key_guard.failures = 1;
  CHECK_FALSE(example.fail("192.0.2.1").empty());
  for (int i = 0; i < 10; ++i) CHECK(example.ask("192.0.2.1")->code == AnswerCode::too_many_failed_keys);
  example.settings.key_guard.failures = 0;
  CHECK_FALSE(example.ask("192.0.2.1"));
  CHECK(example.ask("192.0.2.1")->code == AnswerCode::too_many_requests);
}

TEST_CASE("of those who are braked the ones that pause longest are named first, as many as are asked for") {
  Example example;
  example.settings.key_guard.failures = 1;
  example.settings.key_guard.pause = 100s;
  CHECK_FALSE(example.fail("192.0.2.1").empty());
  example.settings.key_guard.pause = 300s;
  CHECK_FALSE(example.fail("2001:db8::1").empty());
  example.settings.key_guard.pause = 200s;
  CHECK_FALSE(example.fail("192.0.2.3").empty());
  const auto all = example.brakes.braked(100);
  REQUIRE(all.count == 3);
  REQUIRE(all.longest.size() == 3);
  CHECK(all.longest[0].address == "2001:db8::/64");
  CHECK(all.longest[0].failures == 1);
  CHECK(all.longest[0].left > 200s);
  CHECK(all.longest[1].address == "192.0.2.3");
  CHECK(all.longest[2].address == "192.0.2.1");
  const auto two = example.brakes.braked(2);
  CHECK(two.count == 3);
  CHECK(two.longest.size() == 2);
  CHECK(example.brakes.braked(0).longest.empty());
}
