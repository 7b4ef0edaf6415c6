// Specification section 5: pools, what may be sent twice, endpoints that fail.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// An origin that answers one request on its first connection and then, at the next one, ends that connection
/// without a byte of answer. Later connections answer everything, unless `always`.
Origin::Script dies_at_second_request(bool always = false, bool cut = false) {
  return [always, cut](Connection& connection) {
    connection.read_request(Deadline{60s});
    connection.send(ok("first"));
    while (true) {
      connection.read_request(Deadline{60s});
      if (connection.number() == 0 || always) {
        if (cut) connection.reset();
        return;
      }
      connection.send(ok("again"));
    }
  };
}

std::size_t sent(const Origin& origin, const std::string& target) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < origin.requests(); ++i) count += origin.request(i).target == target;
  return count;
}

double idle(const Portico& proxy) { return proxy.metric("portico_upstream_connections", {"state=\"idle\""}); }

}  // namespace

TEST_CASE("backend connections are kept and used again", "[upstream]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  for (int i = 0; i < 20; ++i) CHECK(proxy.exchange(post("/v1/responses", "{}")).body == "x");
  CHECK(cpa.requests() == 20);
  CHECK(cpa.connections() == 1);
}

TEST_CASE("the pooled connection that was used last is used first", "[upstream]") {
  Baton both;
  Baton second_done;
  Origin cpa([&](Connection& connection) {
    for (bool first = true;; first = false) {
      connection.read_request(Deadline{60s});
      if (first) {
        both.pass();
        if (!both.wait(2)) return;
        // Connection 1 goes back to the pool before connection 0.
        if (connection.number() == 0 && !second_done.wait(1)) return;
      }
      connection.send(ok(fmt::format("{}", connection.number())));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client a = proxy.connect();
  Client b = proxy.connect();
  a.send(get("/v1/models"));
  cpa.wait_request(0);
  b.send(get("/v1/models"));
  CHECK(b.response().body == "1");
  REQUIRE(eventually([&] { return idle(proxy) == 1; }));
  second_done.pass();
  CHECK(a.response().body == "0");
  REQUIRE(eventually([&] { return idle(proxy) == 2; }));
  for (int i = 0; i < 5; ++i) CHECK(proxy.exchange(get("/v1/models")).body == "0");
}

TEST_CASE("an idle backend connection is closed after its time-out", "[upstream]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"upstreams": {"cpa": {"keep_alive_timeout": "200ms"}}})"}};
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
  CHECK(cpa.connections() == 2);
}

TEST_CASE("no more idle backend connections are kept than the settings say", "[upstream]") {
  Baton all;
  Origin cpa([&](Connection& connection) {
    while (true) {
      connection.read_request(Deadline{60s});
      all.pass();
      if (!all.wait(8)) return;
      connection.send(ok("x"));
    }
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"upstreams": {"cpa": {"keep_alive_connections": 3}}})"}};
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send(get("/v1/models"));
  }
  for (auto& client : clients) CHECK(client.response().body == "x");
  CHECK(eventually([&] { return cpa.open_connections() == 3; }));
  CHECK(throughout(50ms, [&] { return cpa.open_connections() == 3; }));
}

TEST_CASE("no connection to a backend is opened in advance", "[upstream]") {
  Origin cpa(Origin::serve(ok("x")));
  Origin cpamp(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url()}};
  Client silent = proxy.connect();
  CHECK(throughout(200ms, [&] { return cpa.connections() + cpamp.connections() == 0; }));
  CHECK(silent.exchange(get("/v1/models")).body == "x");
  CHECK(throughout(100ms, [&] { return cpa.connections() == 1 && cpamp.connections() == 0; }));
}

TEST_CASE("a pooled connection that turns out dead: a GET is sent again once, on a fresh connection",
          "[upstream]") {
  const bool cut = GENERATE(false, true);
  Origin cpa(dies_at_second_request(false, cut));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/one")).body == "first");
  CHECK(client.exchange(get("/v1/two")).body == "first");
  CHECK(sent(cpa, "/v1/two") == 2);
  CHECK(cpa.connections() == 2);
  CHECK(proxy.metric("portico_upstream_retries_total") == 1);
}

TEST_CASE("a request is sent again at most once, and not when the connection was fresh", "[upstream]") {
  Origin cpa([](Connection& connection) {
    connection.read_request(Deadline{60s});
    if (connection.number() > 0) return;
    connection.send(ok("first"));
    connection.read_request(Deadline{60s});
  });
  Portico proxy{{.cpa = cpa.url()}};
  CHECK(proxy.exchange(get("/v1/one")).body == "first");
  const Message pooled = proxy.exchange(get("/v1/two"));
  CHECK(pooled.status == 502);
  CHECK(sent(cpa, "/v1/two") == 2);
  CHECK(proxy.exchange(get("/v1/three")).status == 502);
  CHECK(sent(cpa, "/v1/three") == 1);
}

TEST_CASE("a POST whose bytes may have been processed is never sent twice", "[upstream]") {
  const bool cut = GENERATE(false, true);
  const bool coded = GENERATE(false, true);
  Origin cpa(dies_at_second_request(false, cut));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/one")).body == "first");
  const std::string text = coded
                               ? request("POST", "/v1/two", {"Transfer-Encoding: chunked"}) + chunked("{}", 9)
                               : post("/v1/two", "{}");
  const Message answer = client.exchange(text);
  CHECK(answer.status == 502);
  CHECK(sent(cpa, "/v1/two") == 1);
  // The client's connection is in step: the next request works.
  CHECK(proxy.exchange(get("/v1/three")).body == "first");
}

TEST_CASE("a POST without a body is not sent twice either", "[upstream]") {
  Origin cpa(dies_at_second_request());
  Portico proxy{{.cpa = cpa.url()}};
  CHECK(proxy.exchange(get("/v1/one")).body == "first");
  CHECK(proxy.exchange(request("POST", "/v1/two", {"Content-Length: 0"})).status == 502);
  CHECK(sent(cpa, "/v1/two") == 1);
}

TEST_CASE("nothing under /v0/management/ is ever repeated", "[upstream]") {
  Origin cpamp(dies_at_second_request());
  Portico proxy{{.cpamp = cpamp.url()}};
  CHECK(proxy.exchange(get("/health")).body == "first");
  const std::string target = "/v0/management/usage-queue?count=10";
  CHECK(proxy.exchange(get(target)).status == 502);
  CHECK(sent(cpamp, target) == 1);
}

TEST_CASE("nothing is repeated once a byte of the answer arrived", "[upstream]") {
  const std::string part =
      GENERATE(values<std::string>({"H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early\r\n\r\n"}));
  Origin cpa([&](Connection& connection) {
    connection.read_request(Deadline{60s});
    connection.send(ok("first"));
    connection.read_request(Deadline{60s});
    connection.send(part);
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/one")).body == "first");
  client.send(get("/v1/two"));
  Message answer = client.response();
  if (answer.status == 103) answer = client.response();
  CHECK(answer.status == 502);
  CHECK(sent(cpa, "/v1/two") == 1);
}

TEST_CASE("a pooled connection that the backend closed in order is not used for the next POST",
          "[upstream]") {
  Origin cpa([](Connection& connection) {
    connection.read_request(Deadline{60s});
    connection.send(ok("x"));
  });
  Portico proxy{{.cpa = cpa.url()}};
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(proxy.exchange(post("/v1/responses", "{}")).body == "x");
    REQUIRE(eventually([&] { return idle(proxy) == 0; }));
  }
  CHECK(cpa.requests() == 10);
}

TEST_CASE("a connection whose backend wants it closed is not pooled", "[upstream]") {
  const auto answer = GENERATE(
      values<std::string>({ok("x", {"Connection: close"}), "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
                           "HTTP/1.1 200 OK\r\n\r\nx"}));
  const bool by_end = answer.find("Length") == std::string::npos;
  Origin cpa([&](Connection& connection) {
    connection.read_request(Deadline{60s});
    connection.send(answer);
    if (!by_end) connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  for (int i = 0; i < 3; ++i) CHECK(proxy.exchange(get("/v1/models")).body == "x");
  CHECK(cpa.connections() == 3);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("bytes after a response poison its connection and reach no client", "[upstream]") {
  const bool at_once = GENERATE(true, false);
  Baton answered;
  Origin cpa([&](Connection& connection) {
    connection.read_request(Deadline{60s});
    if (at_once) {
      connection.send(ok("mine") + ok("foreign"));
    } else {
      connection.send(ok("mine"));
      if (!answered.wait(connection.number() + 1)) return;
      connection.send(ok("foreign"));
    }
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(proxy.exchange(get("/v1/models")).body == "mine");
    answered.pass();
    REQUIRE(eventually([&] { return cpa.open_connections() == 0; }));
  }
  CHECK(cpa.connections() == 3);
}

TEST_CASE(
    "a response that breaks framing rules poisons its connection and gives 502 when nothing was relayed",
    "[upstream]") {
  Origin cpa([](Connection& connection) {
    const Message seen = connection.read_request(Deadline{60s});
    if (seen.target == "/v1/bad")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
    else
      connection.send(ok("good"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message bad = client.exchange(get("/v1/bad"));
  CHECK(bad.status == 502);
  CHECK(bad.body.find("upstream_bad_response") != std::string::npos);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
  CHECK(proxy.exchange(get("/v1/good")).body == "good");
  CHECK(cpa.connections() == 2);
}

TEST_CASE("an answer that came before the whole request was sent leaves no connection in the pool",
          "[upstream]") {
  Origin cpa([](Connection& connection) {
    const Message head = connection.read_head(Deadline{60s});
    connection.send(ok(head.target));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/one", {"Content-Length: 100"}) + "part");
  CHECK(client.response().body == "/v1/one");
  CHECK(proxy.exchange(get("/v1/two")).body == "/v1/two");
  CHECK(cpa.connections() == 2);
}

TEST_CASE("a backend that can't be reached is answered with 502", "[upstream]") {
  Portico proxy{{}};
  const Message answer = proxy.exchange(post("/v1/responses", "{}"));
  CHECK(answer.status == 502);
  CHECK(answer.body.find("upstream_unreachable") != std::string::npos);
}

TEST_CASE("a backend that neither accepts nor refuses is answered with 504", "[upstream]") {
  BlackHole hole;
  Portico proxy{{.cpa = hole.url(), .settings = R"({"timeouts": {"connect": "200ms"}})"}};
  const Message answer = proxy.exchange(get("/v1/models"));
  CHECK(answer.status == 504);
  CHECK(answer.body.find("upstream_timeout") != std::string::npos);
}

TEST_CASE("a backend that ends the connection instead of answering is a 502", "[upstream]") {
  const bool cut = GENERATE(false, true);
  Origin cpa([cut](Connection& connection) {
    connection.read_request();
    if (cut) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  CHECK(proxy.exchange(get("/v1/models")).status == 502);
  CHECK(proxy.exchange(post("/v1/models", "{}")).status == 502);
}

TEST_CASE("of several endpoints the one with the fewest exchanges in progress is chosen", "[upstream]") {
  const auto hold = [](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked());
    connection.stall_until_closed();
  };
  Origin a(hold);
  Origin b(hold);
  Portico proxy{{.settings = fmt::format(R"({{"upstreams": {{"cpa": {{"endpoints": ["{}", "{}"]}}}}}})",
                                         a.url(), b.url())}};
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send(get("/v1/models"));
    CHECK(read_response_head(clients.back()).status == 200);
  }
  CHECK(a.requests() == 5);
  CHECK(b.requests() == 5);
}

TEST_CASE("an endpoint that refuses is set aside, the others serve, and it is tried again", "[upstream]") {
  Origin good(Origin::serve(ok("good")));
  const std::uint16_t port = free_port();
  Portico proxy{{.settings = fmt::format(
                     R"({{"upstreams": {{"cpa": {{"endpoints": ["http://127.0.0.1:{}", "{}"]}}}}}})", port,
                     good.url())}};
  for (int i = 0; i < 10; ++i) CHECK(proxy.exchange(post("/v1/responses", "{}")).body == "good");
  // Set aside: not every exchange tries it.
  CHECK(proxy.metric("portico_upstream_connect_failures_total") < 5);
  Origin back(Address::ip("127.0.0.1", port), Origin::serve(ok("back")));
  CHECK(eventually([&] { return proxy.exchange(get("/v1/models")).body == "back"; }));
}

TEST_CASE("a backend may be a unix socket or an IPv6 address", "[upstream]") {
  TemporaryFolder folder;
  Origin cpa(Address::unix_path(folder.file("cpa.sock")), Origin::serve(ok("unix")));
  Origin cpamp(Address::ip("::1", 0), Origin::serve(ok("six")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url()}};
  CHECK(proxy.exchange(get("/v1/models")).body == "unix");
  CHECK(proxy.exchange(get("/health")).body == "six");
}

TEST_CASE("a backend may be a host name", "[upstream]") {
  Origin cpa(Origin::serve(ok("named")));
  Portico proxy{{.cpa = fmt::format("http://localhost:{}", Address::of_url(cpa.url()).port())}};
  CHECK(proxy.exchange(get("/v1/models")).body == "named");
}
