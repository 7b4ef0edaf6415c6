#include "telemetry/access.hpp"

#include <stdexcept>
#include <string>

#include <catch2/catch.hpp>

using namespace portico;
using namespace portico::telemetry;

namespace {

conf::AdminSettings admin(std::string_view listen, std::string token = {}) {
  conf::AdminSettings settings;
  settings.listen = conf::ListenAddress::parse(listen).value();
  settings.token = std::move(token);
  return settings;
}

}  // namespace

TEST_CASE("an address that other machines reach needs a token") {
  CHECK_THROWS_AS(AccessRule(admin("0.0.0.0:9180")), std::runtime_error);
  CHECK_THROWS_AS(AccessRule(admin(":9180")), std::runtime_error);
  CHECK_THROWS_AS(AccessRule(admin("[::]:9180")), std::runtime_error);
  CHECK_THROWS_AS(AccessRule(admin("192.0.2.1:9180")), std::runtime_error);
  CHECK_NOTHROW(AccessRule(admin("0.0.0.0:9180", "secret")));
  CHECK_NOTHROW(AccessRule(admin("127.0.0.1:9180")));
  CHECK_NOTHROW(AccessRule(admin("[::1]:9180")));
  CHECK_NOTHROW(AccessRule(admin("unix:/run/portico.sock")));
}

TEST_CASE("only the whole token opens, whatever the case of the scheme") {
  const AccessRule rule(admin("0.0.0.0:9180", "secret"));
  CHECK(rule.check("Bearer secret", true, "any.example") == AccessVerdict::allowed);
  CHECK(rule.check("bearer  secret", true, "") == AccessVerdict::allowed);
  CHECK(rule.check("", true, "localhost") == AccessVerdict::token_missing);
  CHECK(rule.check("Basic secret", true, "localhost") == AccessVerdict::token_missing);
  CHECK(rule.check("secret", true, "localhost") == AccessVerdict::token_missing);
  CHECK(rule.check("Bearer ", true, "localhost") == AccessVerdict::token_wrong);
  CHECK(rule.check("Bearer secre", true, "localhost") == AccessVerdict::token_wrong);
  CHECK(rule.check("Bearer secret2", true, "localhost") == AccessVerdict::token_wrong);
  CHECK(rule.check("Bearer SECRET", true, "localhost") == AccessVerdict::token_wrong);
}

TEST_CASE("a loopback port without a token answers only to names of this machine") {
  const AccessRule rule(admin("127.0.0.1:9180"));
  for (const std::string_view host :
       {"localhost", "LocalHost:9180", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:9180"}) {
    INFO(host);
    CHECK(rule.check("", true, host) == AccessVerdict::allowed);
  }
  for (const std::string_view host :
       {"", "evil.example", "evil.example:9180", "localhost.evil.example", "127.0.0.1.evil.example",
        "192.0.2.1", "[::2]:9180", "[::1", "[::1]x", ":9180", "127.0.0.1 evil"}) {
    INFO(host);
    CHECK(rule.check("", true, host) == AccessVerdict::host_not_local);
  }
  CHECK(rule.check("", false, "") == AccessVerdict::allowed);
}

TEST_CASE("a unix socket answers to any name: no browser gets there") {
  const AccessRule rule(admin("unix:/run/portico.sock"));
  CHECK(rule.check("", true, "portico") == AccessVerdict::allowed);
}
