// Specification section 3: what passes untouched, what is removed, what is rewritten.

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

struct World {
  explicit World(std::string answer = ok("fine"), std::string settings = {})
      : cpa(Origin::serve(std::move(answer))), proxy({.cpa = cpa.url(), .settings = std::move(settings)}) {}
  /// Sends one request; returns what the backend saw.
  Message forwarded(const std::string& text) {
    response = proxy.exchange(text);
    return cpa.wait_request(0);
  }
  Origin cpa;
  Portico proxy;
  Message response;
};

std::vector<std::string> raw_lines(const Message& message, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& line : message.lines)
    if (std::find(names.begin(), names.end(), line.name) != names.end()) out.push_back(line.raw);
  return out;
}

constexpr const char* trusting = R"({"trusted_proxies": ["127.0.0.0/8"]})";

}  // namespace

TEST_CASE("method, target, header case, order, duplicates and spacing reach the backend untouched",
          "[forwarding]") {
  World world;
  const std::vector<std::string> lines = {"hOsT:   Front.Example:8080  ",
                                          "X-b: 2",
                                          "x-B:1",
                                          "X-a:\t3 ",
                                          "Accept-Encoding: gzip, br;q=0.5",
                                          "Cookie: a=b; c=\"d\"",
                                          "Cookie: e=f",
                                          "Authorization: bEaReR sk-Test",
                                          "x-api-key: K1",
                                          "X-Goog-Api-Key: K2",
                                          "User-Agent: claude-cli/1.0 (x; y)",
                                          "Empty:",
                                          "X-Bytes: \xc3\xa4\x80\xff"};
  std::string text = "PROPFIND /v1/x?key=a%20b&auth_token=C HTTP/1.1\r\n";
  for (const auto& line : lines) text += line + "\r\n";
  const Message seen = world.forwarded(text + "\r\n");
  CHECK(seen.start_line == "PROPFIND /v1/x?key=a%20b&auth_token=C HTTP/1.1");
  REQUIRE(seen.lines.size() >= lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) CHECK(seen.lines[i].raw == lines[i]);
  CHECK(seen.all("Host").size() == 1);
}

TEST_CASE("response headers reach the client untouched and in order, and are never obeyed", "[forwarding]") {
  const std::vector<std::string> lines = {"X-Accel-Redirect: /v0/management/secret",
                                          "x-accel-buffering: no",
                                          "LOCATION: http://other.example/x",
                                          "Set-Cookie: a=1",
                                          "set-cookie: b=2",
                                          "X-CPA-TRACE-ID: a.b",
                                          "Server: gin"};
  World world(ok("body", lines));
  world.forwarded(get("/v1/models"));
  const Message& answer = world.response;
  CHECK(answer.status == 200);
  CHECK(answer.body == "body");
  REQUIRE(answer.lines.size() >= lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) CHECK(answer.lines[i].raw == lines[i]);
}

TEST_CASE("hop-by-hop headers and what Connection lists are removed from requests", "[forwarding]") {
  World world;
  const Message seen = world.forwarded(get(
      "/v1/models",
      {"Connection: keep-alive, X-Private, x-other", "X-Private: 1", "X-OTHER: 2", "Keep-Alive: timeout=5",
       "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "TE: gzip", "X-Kept: 3"}));
  for (const char* name :
       {"X-Private", "X-Other", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Upgrade"})
    CHECK_FALSE(seen.has(name));
  CHECK(seen.has_line("X-Kept: 3"));
}

TEST_CASE("hop-by-hop headers and what Connection lists are removed from responses", "[forwarding]") {
  World world(ok("x", {"Connection: X-Private", "X-Private: 1", "Keep-Alive: timeout=5",
                       "Proxy-Connection: close", "X-Kept: 3"}));
  world.forwarded(get("/v1/models"));
  for (const char* name : {"X-Private", "Keep-Alive", "Proxy-Connection"})
    CHECK_FALSE(world.response.has(name));
  CHECK(world.response.has_line("X-Kept: 3"));
}

TEST_CASE("a Connection header that lists a header Portico vouches for is an attack", "[forwarding]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  const std::string name =
      GENERATE(values<std::string>({"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "X-Real-IP",
                                    "Host", "authorization", "Content-Length", "Cookie"}));
  CAPTURE(name);
  // Refusing is one way; if the request is forwarded, the header must be there.
  const Message answer = proxy.exchange(
      post("/v1/models", "{}", {"Connection: close, " + name, "Authorization: Bearer k", "Cookie: a=b"}));
  if (answer.status == 400) {
    CHECK(cpa.connections() == 0);
  } else {
    const Message seen = cpa.wait_request(0);
    CHECK(seen.has(name));
    CHECK(seen.body == "{}");
  }
}

TEST_CASE("from an untrusted peer every forwarding header is discarded and written from the socket",
          "[forwarding]") {
  World world;
  const Message seen = world.forwarded(
      get("/v1/models", {"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ::1", "x-forwarded-for: 10.0.0.1",
                         "X-Real-IP: 127.0.0.1", "X-REAL-IP: 10.9.9.9", "X-Forwarded-Proto: https",
                         "X-Forwarded-Host: evil.example", "Forwarded: for=127.0.0.1;host=evil.example",
                         "X-Forwarded-Prefix: /evil", "X-Forwarded-Port: 1", "X-Forwarded-Server: evil"}));
  // The socket's peer happens to be 127.0.0.1 here; the next test comes from another address.
  CHECK(seen.all("X-Forwarded-For") == std::vector<std::string>{"127.0.0.1"});
  CHECK(seen.all("X-Real-IP") == std::vector<std::string>{"127.0.0.1"});
  CHECK(seen.all("X-Forwarded-Proto") == std::vector<std::string>{"http"});
  CHECK(seen.all("X-Forwarded-Host") == std::vector<std::string>{"front.example"});
  CHECK(seen.all("Forwarded") == std::vector<std::string>{"for=127.0.0.1;proto=http;host=\"front.example\""});
  for (const char* name : {"X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server"})
    CHECK_FALSE(seen.has(name));
  CHECK(seen.head.find("evil") == std::string::npos);
}

TEST_CASE("no header that a client sends reaches CPA as the client's address", "[forwarding]") {
  World world;
  Client client = world.proxy.connect({.source = "127.0.0.77"});
  const std::string name = GENERATE(values<std::string>(
      {"X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR", "X-Real-IP", "x-real-ip", "Forwarded"}));
  const std::string value = GENERATE(
      values<std::string>({"127.0.0.1", "::1", "127.0.0.1, 127.0.0.1", "unknown", "", "for=127.0.0.1"}));
  CAPTURE(name, value);
  client.exchange(get("/v1/models", {name + ": " + value, name + ": 10.1.1.1"}));
  const Message seen = world.cpa.wait_request(0);
  CHECK(seen.all("X-Forwarded-For") == std::vector<std::string>{"127.0.0.77"});
  CHECK(seen.all("X-Real-IP") == std::vector<std::string>{"127.0.0.77"});
  CHECK(seen.all("Forwarded") ==
        std::vector<std::string>{"for=127.0.0.77;proto=http;host=\"front.example\""});
}

TEST_CASE(
    "behind a trusted proxy the chain is walked from the right and only what is vouched for is handed on",
    "[forwarding]") {
  World world(ok("x"), trusting);
  const auto [lines, client, chain] = GENERATE(table<std::vector<std::string>, std::string, std::string>({
      {{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 127.0.0.1"},
      {{"X-Forwarded-For: 127.0.0.1, 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 127.0.0.1"},
      {{"X-Forwarded-For: 1.1.1.1, 203.0.113.7, 127.0.0.9"},
       "203.0.113.7",
       "203.0.113.7, 127.0.0.9, 127.0.0.1"},
      {{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.7"},
       "203.0.113.7",
       "203.0.113.7, 127.0.0.1"},
      {{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1", "2001:db8::1, 127.0.0.1"},
      {{}, "127.0.0.1", "127.0.0.1"},
      {{"X-Forwarded-For: ::1, rubbish"}, "0.0.0.0", "0.0.0.0, 127.0.0.1"},
  }));
  CAPTURE(lines);
  const Message seen = world.forwarded(get("/v1/models", lines));
  CHECK(seen.all("X-Forwarded-For") == std::vector<std::string>{chain});
  CHECK(seen.all("X-Real-IP") == std::vector<std::string>{client});
}

TEST_CASE("scheme and host of a trusted proxy are believed, X-Forwarded-Prefix never", "[forwarding]") {
  World world(ok("x"), trusting);
  const Message seen =
      world.forwarded(get("/v1/models", {"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https",
                                         "X-Forwarded-Host: public.example", "X-Forwarded-Prefix: /evil",
                                         "Forwarded: for=127.0.0.1"}));
  CHECK(seen.one("X-Forwarded-Proto") == "https");
  CHECK(seen.one("X-Forwarded-Host") == "public.example");
  CHECK_FALSE(seen.has("X-Forwarded-Prefix"));
  CHECK(seen.head.find("for=127.0.0.1") == std::string::npos);
}

TEST_CASE("header names with underscores pass", "[forwarding]") {
  World world;
  const Message seen = world.forwarded(get("/v1/models", {"Session_id: abc", "x_y_z: 1"}));
  CHECK(seen.has_line("Session_id: abc"));
  CHECK(seen.has_line("x_y_z: 1"));
}

TEST_CASE("a sane X-Request-Id is kept: backend and client see it", "[forwarding]") {
  World world;
  const Message seen = world.forwarded(get("/v1/models", {"X-Request-Id: abc-123_~!"}));
  CHECK(seen.one("X-Request-Id") == "abc-123_~!");
  CHECK(world.response.one("X-Request-Id") == "abc-123_~!");
}

TEST_CASE("an X-Request-Id that is missing, too long, odd or double is made anew", "[forwarding]") {
  World world;
  const auto lines = GENERATE(values<std::vector<std::string>>({{},
                                                                {"X-Request-Id: " + std::string(129, 'a')},
                                                                {"X-Request-Id: has blank"},
                                                                {"X-Request-Id: \xc3\xa4"},
                                                                {"X-Request-Id:"},
                                                                {"X-Request-Id: one", "X-Request-Id: two"}}));
  const Message seen = world.forwarded(get("/v1/models", lines));
  const std::string id = seen.one("X-Request-Id");
  CHECK(id.size() >= 16);
  CHECK(id.size() <= 128);
  CHECK(std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; }));
  CHECK(world.response.one("X-Request-Id") == id);
  const auto given = get("/v1/models", lines);
  CHECK(given.find(id) == std::string::npos);
}

TEST_CASE("request ids are not repeated", "[forwarding]") {
  World world;
  Client client = world.proxy.connect();
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(client.exchange(get("/v1/models")).one("X-Request-Id"));
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
}

TEST_CASE("a backend's own X-Request-Id does not replace ours", "[forwarding]") {
  World world(ok("x", {"X-Request-Id: theirs"}));
  const Message seen = world.forwarded(get("/v1/models", {"X-Request-Id: ours"}));
  CHECK(world.response.one("X-Request-Id") == "ours");
  CHECK(world.response.one("X-Upstream-Request-Id") == "theirs");
}

TEST_CASE("traceparent and tracestate pass untouched", "[forwarding]") {
  World world;
  const Message seen = world.forwarded(
      get("/v1/models",
          {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b"}));
  CHECK(seen.has_line("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  CHECK(seen.has_line("tracestate: a=b"));
}

TEST_CASE("Via is off unless set", "[forwarding]") {
  SECTION("off") {
    World world;
    CHECK_FALSE(world.forwarded(get("/v1/models")).has("Via"));
    CHECK_FALSE(world.response.has("Via"));
  }
  SECTION("set") {
    World world(ok("x"), R"({"via": "door"})");
    CHECK(world.forwarded(get("/v1/models")).one("Via").find("door") != std::string::npos);
    CHECK(world.response.one("Via").find("door") != std::string::npos);
  }
}

TEST_CASE("Expect: 100-continue is answered by the backend's own 100", "[forwarding]") {
  Origin cpa([](Connection& connection) {
    Message head = connection.read_head();
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    read_request_body(connection, head);
    connection.send(ok(head.body));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send("POST /v1/responses HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  CHECK(client.response().status == 100);
  CHECK(cpa.request(0).one("Expect") == "100-continue");
  client.send("hello");
  CHECK(client.response().body == "hello");
}

TEST_CASE("Expect: 100-continue is answered by the backend's final status without a body being sent",
          "[forwarding]") {
  Origin cpa([](Connection& connection) {
    connection.read_head();
    connection.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send("POST /v1/responses HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  const Message answer = client.response();
  CHECK(answer.status == 401);
  CHECK(answer.body == "no");
}

TEST_CASE("1xx responses are relayed before the final one", "[forwarding]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    connection.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
        ok("done"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message first = client.exchange(get("/v1/models"));
  CHECK(first.status == 103);
  CHECK(first.one("Link") == "</a.css>; rel=preload");
  CHECK(client.response().one("Link") == "</b.css>; rel=preload");
  CHECK(client.response().status == 102);
  CHECK(client.response().body == "done");
}

TEST_CASE("an HTTP/1.0 client is sent no 1xx", "[forwarding]") {
  World world("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + ok("done"));
  const Message answer = world.proxy.exchange("GET /v1/models HTTP/1.0\r\n\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.body == "done");
}

TEST_CASE("trailers are relayed to a client that said TE: trailers", "[forwarding]") {
  World world(ok_chunked({"Trailer: X-Sum"}) + chunk("hello") +
              "0\r\nX-Sum: 42\r\nContent-Length: 9\r\n\r\n");
  const Message seen = world.forwarded(get("/v1/models", {"TE: trailers", "Connection: TE"}));
  CHECK(seen.one("TE") == "trailers");
  CHECK(world.response.body == "hello");
  REQUIRE(world.response.trailers.size() == 1);
  CHECK(world.response.trailers[0].raw == "X-Sum: 42");
}

TEST_CASE("trailers are not relayed to a client that did not say TE: trailers", "[forwarding]") {
  World world(ok_chunked() + chunk("hello") + "0\r\nX-Sum: 42\r\n\r\n");
  world.forwarded(get("/v1/models"));
  CHECK(world.response.body == "hello");
  CHECK(world.response.trailers.empty());
  // The connection is in step afterwards.
  Client client = world.proxy.connect();
  CHECK(client.exchange(get("/v1/models")).body == "hello");
  CHECK(client.exchange(get("/v1/models")).body == "hello");
}

TEST_CASE("an HTTP/1.0 client gets a chunked answer as plain bytes and the end of the connection",
          "[forwarding]") {
  World world(ok_chunked() + chunk("hello") + chunk(" world") + "0\r\nX-Sum: 1\r\n\r\n");
  Client client = world.proxy.connect();
  client.send("GET /v1/models HTTP/1.0\r\nHost: x\r\n\r\n");
  const Message answer = client.response();
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.has("Transfer-Encoding"));
  CHECK(answer.body == "hello world");
  CHECK(answer.end == End::complete);
  CHECK(world.cpa.request(0).start_line == "GET /v1/models HTTP/1.1");
}

TEST_CASE("an HTTP/1.0 client that asks for keep-alive keeps its connection", "[forwarding]") {
  World world;
  Client client = world.proxy.connect();
  const std::string text = "GET /v1/models HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
  const Message first = client.exchange(text);
  CHECK(first.body == "fine");
  CHECK(first.one("Connection") == "keep-alive");
  CHECK(client.exchange(text).body == "fine");
}

TEST_CASE("an HTTP/1.0 client without keep-alive, or a client that says close, is closed after the answer",
          "[forwarding]") {
  World world;
  const auto text =
      GENERATE(values<std::string>({"GET /v1/models HTTP/1.0\r\n\r\n",
                                    "GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}));
  Client client = world.proxy.connect();
  CHECK(client.exchange(text).body == "fine");
  CHECK(client.ends());
}

TEST_CASE("a backend that closes its connection does not close the client's", "[forwarding]") {
  World world(ok("fine", {"Connection: close"}));
  Client client = world.proxy.connect();
  for (int i = 0; i < 3; ++i) {
    const Message answer = client.exchange(get("/v1/models"));
    CHECK(answer.body == "fine");
    CHECK_FALSE(answer.has("Connection"));
  }
}

TEST_CASE("an answer to HEAD has the backend's Content-Length and no body", "[forwarding]") {
  Origin cpa([](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      connection.send(seen.method == "HEAD" ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : ok("hello"));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(request("HEAD", "/v1/models"));
  const Message answer = client.response(true);
  CHECK(answer.one("Content-Length") == "5");
  CHECK(client.exchange(get("/v1/models")).body == "hello");
  CHECK(cpa.connections() == 1);
}

TEST_CASE("204 and 304 have no body and the connection goes on", "[forwarding]") {
  Origin cpa([](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      if (seen.target == "/v1/none") connection.send("HTTP/1.1 204 No Content\r\n\r\n");
      if (seen.target == "/v1/same")
        connection.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n");
      if (seen.target == "/v1/some") connection.send(ok("some"));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/none")).status == 204);
  const Message same = client.exchange(get("/v1/same"));
  CHECK(same.status == 304);
  CHECK(same.one("ETag") == "\"x\"");
  CHECK(client.exchange(get("/v1/some")).body == "some");
  CHECK(cpa.connections() == 1);
}

TEST_CASE("a method is a token that begins with a letter", "[forwarding]") {
  World world;
  const std::string method =
      GENERATE(values<std::string>({"*", "*3", "$5", "+OK", "-ERR", ":1", "1GET", "G(T", "_GET", ""}));
  CAPTURE(method);
  const Message answer = world.proxy.exchange(method + " /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(answer.status == 400);
  CHECK(world.cpa.connections() == 0);
}

TEST_CASE("an unknown method that is a token passes", "[forwarding]") {
  World world;
  CHECK(world.forwarded(request("g3t-Me", "/v1/models")).method == "g3t-Me");
}

TEST_CASE("credentials reach the backend and Portico adds none", "[forwarding]") {
  World world;
  const Message seen = world.forwarded(get("/v1/models", {"x-api-key: k", "x-goog-api-key: g"}));
  CHECK(raw_lines(seen, {"x-api-key", "x-goog-api-key", "Authorization"}) ==
        std::vector<std::string>{"x-api-key: k", "x-goog-api-key: g"});
}
