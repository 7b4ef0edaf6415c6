// Pipelined requests keep their order and their borders.

#include <fmt/format.h>

#include <atomic>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;

namespace {

Origin::Script names_target() {
  return Origin::serve([](const Message& seen) { return ok(seen.target + " " + seen.body); });
}

}  // namespace

TEST_CASE("100 pipelined GETs are answered in order", "[pipelining]") {
  Origin cpa(names_target());
  Origin cpamp(names_target());
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url()}};
  const std::size_t every = GENERATE(values<std::size_t>({100'000, 1000, 7}));
  std::string all;
  // Different backends, so that order is not the backend's doing.
  const auto target = [](int i) { return (i % 3 == 0 ? "/usage-service/" : "/v1/") + std::to_string(i); };
  for (int i = 0; i < 100; ++i) all += get(target(i));
  Client client = proxy.connect();
  client.send_split(all, every);
  for (int i = 0; i < 100; ++i) REQUIRE(client.response().body == target(i) + " ");
}

TEST_CASE("requests pipelined behind a POST's body are found", "[pipelining]") {
  Origin cpa(names_target());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(post("/v1/a", "one") + get("/v1/b") + request("POST", "/v1/c", {"Transfer-Encoding: chunked"}) +
              chunked("three", 2) + get("/v1/d") + request("POST", "/v1/e", {"Transfer-Encoding: chunked"}) +
              chunk("five") + "0\r\nX-T: 1\r\n\r\n" + get("/v1/f"));
  for (const char* expected : {"/v1/a one", "/v1/b ", "/v1/c three", "/v1/d ", "/v1/e five", "/v1/f "})
    CHECK(client.response().body == expected);
}

TEST_CASE("answers of Portico's own keep their place among the backend's", "[pipelining]") {
  Origin cpa(names_target());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/a") + get("/") + get("/v1/b") + request("OPTIONS", "*") + get("/v1/c"));
  CHECK(client.response().body == "/v1/a ");
  CHECK(client.response().status == 302);
  CHECK(client.response().body == "/v1/b ");
  CHECK(client.response().status == 204);
  CHECK(client.response().body == "/v1/c ");
}

TEST_CASE("a request pipelined behind a refused WebSocket upgrade is answered", "[pipelining]") {
  Origin cpa(Origin::serve([](const Message& seen) {
    return seen.has("Upgrade") ? "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno" : ok(seen.target);
  }));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(websocket::handshake("/v1/responses") + get("/v1/next"));
  CHECK(client.response().body == "no");
  CHECK(client.response().body == "/v1/next");
}

TEST_CASE("a request pipelined behind a HEAD, a 204 and a 304 is answered", "[pipelining]") {
  Origin cpa(Origin::serve([](const Message& seen) -> std::string {
    if (seen.method == "HEAD") return "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    if (seen.target == "/v1/204") return "HTTP/1.1 204 No Content\r\n\r\n";
    if (seen.target == "/v1/304") return "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n";
    return ok(seen.target);
  }));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(request("HEAD", "/v1/x") + get("/v1/204") + get("/v1/304") + get("/v1/last"));
  CHECK(client.response(true).status == 200);
  CHECK(client.response().status == 204);
  CHECK(client.response().status == 304);
  CHECK(client.response().body == "/v1/last");
}

TEST_CASE("nothing behind a request that says close is answered", "[pipelining]") {
  Origin cpa(names_target());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/a", {"Connection: close"}) + get("/v1/b"));
  CHECK(client.response().body == "/v1/a ");
  CHECK(client.wait_closed() != Outcome::timeout);
  CHECK(client.buffered().empty());
  CHECK(cpa.requests() == 1);
}

TEST_CASE("a request that arrives while a response streams waits for its turn", "[pipelining]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      if (seen.target == "/v1/stream") {
        connection.send(ok_chunked() + chunk("a"));
        if (!go.wait(1)) return;
        connection.send(chunk("b") + "0\r\n\r\n");
      } else {
        connection.send(ok("next"));
      }
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/stream"));
  Message stream = read_response_head(client);
  CHECK(client.read_exact(6) == "1\r\na\r\n");
  client.send(get("/v1/next"));
  CHECK(client.stays_silent(50ms));
  go.pass();
  CHECK(client.read_exact(11) == "1\r\nb\r\n0\r\n\r\n");
  CHECK(client.response().body == "next");
}

TEST_CASE("requests that pile up behind a slow one cost no memory", "[pipelining]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    for (bool first = true;; first = false) {
      connection.read_request(Deadline{60s});
      if (first && !go.wait(1)) return;
      connection.send(ok("x"));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  proxy.manage("/metrics");
  Client client = proxy.connect();
  client.send(get("/v1/slow"));
  cpa.wait_request(0);
  const std::size_t before = proxy.process().rss_bytes();
  std::string flood;
  while (flood.size() < (64U << 20)) flood += get("/v1/next");
  CHECK(client.send_until_stuck(flood, 300ms) < flood.size());
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + (4U << 20));
  go.pass();
  for (int i = 0; i < 20; ++i) CHECK(client.response().body == "x");
}

TEST_CASE("a client that pipelined and then goes away closes the backend request within a second",
          "[pipelining]") {
  const bool cut = GENERATE(true, false);
  CAPTURE(cut);
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/slow"));
  cpa.wait_request(0);
  client.send(get("/v1/next"));
  cut ? client.reset() : client.close();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
  CHECK(cpa.requests() == 1);
}

TEST_CASE(
    "a client that cuts after more requests than are read ahead closes the backend request within a second",
    "[pipelining]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/slow"));
  cpa.wait_request(0);
  std::string flood;
  while (flood.size() < (64U << 20)) flood += get("/v1/next");
  CHECK(client.send_until_stuck(flood, 200ms) < flood.size());
  client.reset();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
}
