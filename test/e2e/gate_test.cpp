// The gate of the chaos test does what it is told, and knows it before anybody else does.

#include "test/support/gate.hpp"

#include <algorithm>
#include <string>

#include <catch2/catch.hpp>

#include "test/support/client.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"

using namespace portico::test;

namespace {

constexpr const char* source = "127.0.8.1";

/// Sends back what it gets, for as long as it gets any.
Origin::Script echo() {
  return [](Connection& connection) {
    while (connection.fill(Deadline{60s}) == Outcome::data)
      connection.send(connection.take(connection.buffered().size()));
  };
}

Client through(const Gate& gate) { return Client(gate.address(), {.source = source}); }

}  // namespace

TEST_CASE("what a gate delays, splits and joins arrives unchanged, and so do both ends", "[gate]") {
  Origin origin(echo());
  const Gate gate(Address::of_url(origin.url()), {.delay = 0.3, .split = 0.5, .join = 0.3}, 7);
  Client client = through(gate);
  const std::string sent = pattern(1, 300'000);
  for (std::size_t at = 0; at < sent.size(); at += 20'000) {
    client.send(sent.substr(at, 20'000));
    CHECK(client.read_exact(20'000) == sent.substr(at, 20'000));
  }
  client.half_close();
  CHECK(client.ends());
  CHECK(gate.harm_from(source) == Harm::none);
  CHECK(gate.harmed() == 0);
  CHECK(gate.connections() == 1);
}

TEST_CASE("a gate that cuts tells how as soon as the client can see it", "[gate]") {
  const bool with_reset = GENERATE(true, false);
  Origin origin(echo());
  const Gate gate(Address::of_url(origin.url()),
                  {.fin = with_reset ? 0.0 : 1.0, .reset = with_reset ? 1.0 : 0.0, .within = 10'000}, 3);
  Client client = through(gate);
  // More than it lets pass; where it has cut already, sending fails.
  static_cast<void>(client.send_until_stuck(pattern(1, 50'000), 100ms));
  CHECK(client.wait_closed() == (with_reset ? Outcome::rst : Outcome::fin));
  CHECK(gate.harm_from(source) == (with_reset ? Harm::cut : Harm::ended));
  CHECK(gate.harmed() == 1);
  CHECK(client.buffered().size() < 10'000);
}

TEST_CASE("a gate that stalls stays silent, then cuts", "[gate]") {
  Origin origin(echo());
  const Gate gate(Address::of_url(origin.url()), {.stall = 1, .within = 10'000, .longest_stall = 200ms}, 5);
  Client client = through(gate);
  static_cast<void>(client.send_until_stuck(pattern(1, 50'000), 100ms));
  const Outcome end = client.wait_closed();
  CHECK((end == Outcome::fin || end == Outcome::rst));
  CHECK(gate.harm_from(source) != Harm::none);
}

TEST_CASE("a gate that doubles a piece says so, at the side to which it came", "[gate]") {
  Origin origin([](Connection& connection) { connection.stall_until_closed(); });
  const Gate gate(Address::of_url(origin.url()), {.duplicate_up = 1, .within = 1'000}, 11);
  Client client = through(gate);
  const std::string sent = pattern(1, 20'000);
  client.send(sent);
  CHECK(client.wait_closed() == Outcome::rst);
  CHECK(gate.harm_from(source) == Harm::duplicated);
  CHECK(gate.harmed(Harm::duplicated) == 1);
  // Some of them once more, from where they ended on as before.
  const std::string got = origin.all_bytes();
  const auto same = std::mismatch(sent.begin(), sent.end(), got.begin()).first - sent.begin();
  REQUIRE(got.size() > sent.size());
  const std::size_t twice = got.size() - sent.size();
  REQUIRE(twice <= static_cast<std::size_t>(same));
  CHECK(got.substr(static_cast<std::size_t>(same)) == sent.substr(static_cast<std::size_t>(same) - twice));
}
