// Specification section 7: what a client sees when Portico itself must answer.

#include <fmt/format.h>

#include <tuple>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

boost::json::value body_of(const Message& answer) { return boost::json::parse(answer.body); }

std::string text(const boost::json::value& value) { return std::string(value.as_string()); }

/// Words that would say too much about the machine or the program.
bool leaks(const Message& answer) {
  const std::string all = answer.head + answer.body;
  for (const char* word :
       {"0.1.0", "127.0.0.1", "localhost", "boost", "errno", "exception", ".cpp", "refused"})
    if (all.find(word) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("an error under an OpenAI path has OpenAI's shape", "[answers]") {
  Portico proxy{{}};
  const auto path =
      GENERATE(values<std::string>({"/v1/chat/completions", "/v1/responses", "/backend-api/codex/responses",
                                    "/openai/v1/videos", "/v1/models"}));
  CAPTURE(path);
  const Message answer = proxy.exchange(post(path, "{}", {"X-Request-Id: id-1", "Accept: text/html"}));
  CHECK(answer.status == 502);
  CHECK(answer.one("Content-Type").starts_with("application/json"));
  const auto error = body_of(answer).at("error");
  CHECK(text(error.at("code")) == "upstream_unreachable");
  CHECK_FALSE(text(error.at("message")).empty());
  CHECK_FALSE(text(error.at("type")).empty());
  CHECK(error.as_object().contains("param"));
  CHECK(answer.body.find("id-1") != std::string::npos);
  CHECK_FALSE(leaks(answer));
}

TEST_CASE("an error under /v1/messages, or for a request with anthropic-version, has Anthropic's shape",
          "[answers]") {
  Portico proxy{{}};
  const auto [path, lines] = GENERATE(
      table<std::string, std::vector<std::string>>({{"/v1/messages", {}},
                                                    {"/v1/messages?beta=true", {}},
                                                    {"/v1/messages/count_tokens", {}},
                                                    {"/v1/models", {"Anthropic-Version: 2023-06-01"}}}));
  CAPTURE(path);
  auto all = lines;
  all.emplace_back("X-Request-Id: id-2");
  const Message answer = proxy.exchange(post(path, "{}", all));
  CHECK(answer.status == 502);
  const auto body = body_of(answer);
  CHECK(text(body.at("type")) == "error");
  CHECK_FALSE(text(body.at("error").at("type")).empty());
  CHECK_FALSE(text(body.at("error").at("message")).empty());
  CHECK(answer.body.find("upstream_unreachable") != std::string::npos);
  CHECK(answer.body.find("id-2") != std::string::npos);
  CHECK_FALSE(leaks(answer));
}

TEST_CASE("an error under /v1beta/ has Google's shape", "[answers]") {
  Portico proxy{{}};
  const Message answer = proxy.exchange(
      post("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "{}", {"X-Request-Id: id-3"}));
  CHECK(answer.status == 502);
  const auto error = body_of(answer).at("error");
  CHECK(error.at("code").to_number<int>() == 502);
  CHECK_FALSE(text(error.at("message")).empty());
  CHECK_FALSE(text(error.at("status")).empty());
  CHECK(answer.body.find("upstream_unreachable") != std::string::npos);
  CHECK(answer.body.find("id-3") != std::string::npos);
  CHECK_FALSE(leaks(answer));
}

TEST_CASE("elsewhere a browser gets HTML and everybody else JSON", "[answers]") {
  Portico proxy{{}};
  const Message page =
      proxy.exchange(get("/management.html", {"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
                                              "X-Request-Id: id-4<script>"}));
  CHECK(page.status == 502);
  CHECK(page.one("Content-Type").starts_with("text/html"));
  CHECK(page.body.find("upstream_unreachable") != std::string::npos);
  CHECK(page.body.find("<script>") == std::string::npos);
  CHECK_FALSE(leaks(page));
  const Message json = proxy.exchange(get("/v0/management/usage", {"Accept: */*", "X-Request-Id: id-5"}));
  CHECK(json.status == 502);
  CHECK(json.one("Content-Type").starts_with("application/json"));
  CHECK(json.body.find("upstream_unreachable") != std::string::npos);
  CHECK(json.body.find("id-5") != std::string::npos);
  CHECK_NOTHROW(body_of(json));
}

TEST_CASE("every answer of Portico's own carries the request id and says what to do", "[answers]") {
  BlackHole hole;
  Origin cpamp([](Connection& connection) {
    connection.read_request();
    connection.send("rubbish\r\n\r\n");
  });
  Portico proxy{
      {.cpa = hole.url(),
       .cpamp = cpamp.url(),
       .settings = R"({"limits": {"request_body": "100", "request_head": "4KiB", "request_target": "256"},
                                 "timeouts": {"connect": "100ms", "request_body": "200ms"}})"}};
  const auto [status, code, request_text] = GENERATE(table<int, std::string, std::string>({
      {400, "ambiguous_path", get("/v1/../v0/management/x")},
      {400, "bad_request", get("/v1/%zz")},
      {405, "method_not_allowed", request("TRACE", "/v1/models")},
      {413, "body_too_large", request("POST", "/v1/x", {"Content-Length: 101"})},
      {414, "uri_too_long", get("/v1/" + std::string(300, 'a'))},
      {431, "header_too_large", get("/v1/x", {"X-A: " + std::string(5000, 'a')})},
      {502, "upstream_bad_response", get("/health")},
      {504, "upstream_timeout", get("/v1/models")},
  }));
  CAPTURE(code);
  Client client = proxy.connect();
  const Message answer = client.exchange(request_text);
  CHECK(answer.status == status);
  CHECK(answer.body.find(code) != std::string::npos);
  const std::string id = answer.one("X-Request-Id");
  CHECK_FALSE(id.empty());
  CHECK(answer.body.find(id) != std::string::npos);
  CHECK_FALSE(leaks(answer));
  CHECK_FALSE(answer.has("Server"));
}

TEST_CASE("an error answer to HEAD has no body", "[answers]") {
  Portico proxy{{}};
  Client client = proxy.connect();
  client.send(request("HEAD", "/v1/models"));
  const Message answer = client.response(true);
  CHECK(answer.status == 502);
  CHECK(client.buffered().empty());
  client.send(request("HEAD", "/"));
  CHECK(client.response(true).status == 302);
}

TEST_CASE("after an answer of Portico's own the connection goes on where the framing is certain",
          "[answers]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/")).status == 302);
  CHECK(client.exchange(get("/v1/models")).body == "x");
  CHECK(client.exchange(request("OPTIONS", "*")).status == 204);
  CHECK(client.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a body behind a local answer is never read as the next request", "[answers]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target); }));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"limits": {"request_body": "10KiB"}})"}};
  const std::string inner = get("/v1/smuggled");
  const auto text = GENERATE_COPY(values<std::string>({
      post("/", inner),                                                                      // 302
      request("POST", "/", {"Transfer-Encoding: chunked"}) + chunked(inner, 7),              // 302
      post("/v1/../v0/management/x", inner),                                                 // 400
      request("TRACE", "/v1/x", {fmt::format("Content-Length: {}", inner.size())}) + inner,  // 405
      post("/v1/x", inner + std::string(11'000, ' ')),                                       // 413
      request("POST", "/v1/x", {"Transfer-Encoding: chunked"}) + chunk(std::string(11'000, ' ')) +
          chunked(inner, 99),
      request("OPTIONS", "*", {fmt::format("Content-Length: {}", inner.size())}) + inner,  // 204
  }));
  Client client = proxy.connect();
  client.send(text);
  const Message answer = client.response();
  CHECK(answer.status != 200);
  // Either the body was consumed and the connection goes on, or it ends.
  try {
    client.send(get("/v1/next"));
    CHECK(client.response().body == "/v1/next");
  } catch (const WireError& error) {
    CHECK(error.outcome() != Outcome::timeout);
  }
  CHECK(cpa.all_bytes().find("/v1/smuggled HTTP") == std::string::npos);
}

TEST_CASE("an answer is not lost to a reset when the client is still sending", "[answers]") {
  Portico proxy{{.settings = R"({"limits": {"request_body": "1000"}})"}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/x", {"Content-Length: 3000000"}));
  // The client first sends all it has and only then looks.
  const std::size_t taken = client.send_until_stuck(std::string(3'000'000, 'x'), 200ms);
  CHECK(taken > 0);
  const Message answer = client.response();
  CHECK(answer.status == 413);
  CHECK(answer.end == End::complete);
}

TEST_CASE("lingering ends: a client that never stops sending is cut off", "[answers]") {
  Portico proxy{{.settings = R"({"limits": {"request_body": "1000"}})"}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/x", {"Content-Length: 60000000000"}));
  CHECK(client.response().status == 413);
  const Deadline deadline{60s};
  bool cut = false;
  try {
    while (!deadline.expired()) client.send(std::string(65'536, 'x'), deadline);
  } catch (const WireError& error) {
    cut = error.outcome() == Outcome::rst;
  }
  CHECK(cut);
}
