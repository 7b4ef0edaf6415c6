// Specification section 2: who owns a path, and which targets are refused.

#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// Both backends, each of which names itself.
struct TwoBackends {
  Origin cpa{Origin::serve(ok("cpa"))};
  Origin cpamp{Origin::serve(ok("cpamp"))};
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url()}};
};

}  // namespace

TEST_CASE("each rule of the default table has its owner", "[routing]") {
  TwoBackends world;
  const auto [path, owner] = GENERATE(table<std::string, std::string>({
      {"/management.html", "cpamp"},
      {"/health", "cpamp"},
      {"/status", "cpamp"},
      {"/setup", "cpamp"},
      {"/models", "cpamp"},
      {"/usage-service/info", "cpamp"},
      {"/v0/management/usage", "cpamp"},
      {"/v0/management/", "cpamp"},
      {"/v0/management", "cpamp"},
      {"/v0/resource/plugins/a.js", "cpamp"},
      {"/v1/chat/completions", "cpa"},
      {"/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "cpa"},
      {"/backend-api/codex/responses", "cpa"},
      {"/openai/v1/videos", "cpa"},
      {"/api/anything", "cpa"},
      {"/v1internal:method", "cpa"},
      {"/healthz", "cpa"},
      {"/anthropic/callback?code=1&state=2", "cpa"},
      {"/codex/callback", "cpa"},
      {"/google/callback", "cpa"},
      {"/antigravity/callback", "cpa"},
      {"/keep-alive", "cpa"},
      {"/some/thing/else", "cpa"},
      {"/health/", "cpa"},
      {"/modelsx", "cpa"},
  }));
  CAPTURE(path);
  CHECK(world.proxy.exchange(get(path)).body == owner);
  const Origin& used = owner == "cpa" ? world.cpa : world.cpamp;
  const Origin& unused = owner == "cpa" ? world.cpamp : world.cpa;
  REQUIRE(used.requests() == 1);
  CHECK(unused.connections() == 0);
  // The target is forwarded byte for byte.
  CHECK(used.request(0).target == path);
}

TEST_CASE("the redirect of / is relative, whatever host the client chose", "[routing]") {
  TwoBackends world;
  const Message answer = world.proxy.exchange("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  CHECK(answer.status == 302);
  CHECK(answer.one("Location") == "/management.html");
  CHECK(answer.head.find("evil") == std::string::npos);
  CHECK(answer.body.find("evil") == std::string::npos);
  CHECK(world.cpa.connections() + world.cpamp.connections() == 0);
}

TEST_CASE("a query does not decide about the owner", "[routing]") {
  TwoBackends world;
  CHECK(world.proxy.exchange(get("/v1/models?next=/v0/management/../x")).body == "cpa");
  CHECK(world.proxy.exchange(get("/models?x=/v1/")).body == "cpamp");
  CHECK(world.proxy.exchange(get("/?a=b")).status == 302);
}

TEST_CASE("a target on which two readers could disagree is refused and no backend sees it", "[routing]") {
  TwoBackends world;
  const std::string target = GENERATE(values<std::string>(
      {"/v0/management/../x", "/v0/management/..%2fx", "/v0/management/%2e%2e/x",
       "/v0%2fmanagement/../../v1/x", "/v1/../v0/management/usage", "/v1/%2e%2e/v0/management/x",
       "//v0/management/config", "/v0//management/config", "/./v0/management/config",
       "/%76%30/management/config", "/v0/management%2fconfig", "/v1%2f..%2fv0%2fmanagement",
       "/x/../management.html", "/%256d%256fdels", "/v1/..%252fv0/management/x"}));
  CAPTURE(target);
  const Message answer = world.proxy.exchange(get(target));
  CHECK(answer.status == 400);
  CHECK(answer.body.find("ambiguous_path") != std::string::npos);
  CHECK(world.cpa.connections() + world.cpamp.connections() == 0);
}

TEST_CASE("control bytes, backslash, invalid escapes and a raw # are refused", "[routing]") {
  TwoBackends world;
  const std::string target =
      GENERATE(values<std::string>({"/v1/\\x", "/v1/%5cx", "/v1/%00", "/v1/%0d%0aX", "/v1/%zz", "/v1/%4",
                                    "/v1/%", "/v1/x#y", "/v1/\x01", "/v1/\x7f", "v1/models", "*x"}));
  CAPTURE(target);
  const Message answer = world.proxy.exchange(get(target));
  CHECK(answer.status == 400);
  CHECK(world.cpa.connections() + world.cpamp.connections() == 0);
}

TEST_CASE("legitimate escapes pass as they are", "[routing]") {
  TwoBackends world;
  const std::string target = GENERATE(values<std::string>(
      {"/v1beta/models/publishers%2Fgoogle%2Fmodels%2Fgemini:generateContent", "/v1/files/a%20b",
       "/v1/%C3%A4%e4%b8%ad", "/v1beta/models/gemini-2.5-pro:countTokens?key=a%2Fb%25", "/v1/x?q=%zz%"}));
  CAPTURE(target);
  CHECK(world.proxy.exchange(get(target)).body == "cpa");
  CHECK(world.cpa.request(0).target == target);
}

TEST_CASE("an absolute-form target is routed by its path", "[routing]") {
  TwoBackends world;
  CHECK(
      world.proxy.exchange("GET http://front.example/models HTTP/1.1\r\nHost: front.example\r\n\r\n").body ==
      "cpamp");
  CHECK(world.proxy.exchange("GET http://front.example/v1/models HTTP/1.1\r\nHost: front.example\r\n\r\n")
            .body == "cpa");
}

TEST_CASE("OPTIONS * is answered with 204 by Portico itself", "[routing]") {
  TwoBackends world;
  const Message answer = world.proxy.exchange(request("OPTIONS", "*"));
  CHECK(answer.status == 204);
  CHECK(world.cpa.connections() + world.cpamp.connections() == 0);
  CHECK(world.proxy.exchange(request("GET", "*")).status == 400);
  CHECK(world.proxy.exchange(request("OPTIONS", "/v1/models")).body == "cpa");
}

TEST_CASE("CONNECT and TRACE are answered with 405 and no backend sees them", "[routing]") {
  TwoBackends world;
  const auto text =
      GENERATE(values<std::string>({"CONNECT front.example:443 HTTP/1.1\r\nHost: front.example:443\r\n\r\n",
                                    "TRACE /v1/models HTTP/1.1\r\nHost: front.example\r\n\r\n"}));
  const Message answer = world.proxy.exchange(text);
  CHECK(answer.status == 405);
  CHECK(answer.has("Allow"));
  CHECK(world.cpa.connections() + world.cpamp.connections() == 0);
}

TEST_CASE("routes in the settings file replace the table", "[routing]") {
  Origin cpa(Origin::serve(ok("cpa")));
  Origin cpamp(Origin::serve(ok("cpamp")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url(), .settings = R"({"routes": [
      {"exact": "/hello", "respond": {"status": 200, "body": "hi", "content_type": "text/plain"}},
      {"exact": "/old", "redirect": "/new"},
      {"prefix": "/panel/", "upstream": "cpamp"},
      {"prefix": "/", "upstream": "cpa"}]})"}};
  const Message fixed = proxy.exchange(get("/hello"));
  CHECK(fixed.status == 200);
  CHECK(fixed.body == "hi");
  CHECK(proxy.exchange(get("/old")).one("Location") == "/new");
  CHECK(proxy.exchange(get("/panel/x")).body == "cpamp");
  CHECK(proxy.exchange(get("/models")).body == "cpa");
}
