// Specification section 6: every limit and every time-out.

#include <fmt/format.h>

#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

std::string limit(const std::string& name, const std::string& value) {
  return fmt::format(R"({{"limits": {{"{}": {}}}}})", name, value);
}

std::string timeout(const std::string& name, const std::string& value) {
  return fmt::format(R"({{"timeouts": {{"{}": "{}"}}}})", name, value);
}

}  // namespace

TEST_CASE("a request head above its size limit is answered with 431", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("request_head", "\"2KiB\"")}};
  CHECK(proxy.exchange(get("/v1/models", {"X-A: " + std::string(1500, 'a')})).status == 200);
  const Message answer = proxy.exchange(get("/v1/models", {"X-A: " + std::string(2100, 'a')}));
  CHECK(answer.status == 431);
  CHECK(answer.body.find("header_too_large") != std::string::npos);
  // One that never ends is not waited for.
  Client client = proxy.connect();
  client.send("GET /v1/models HTTP/1.1\r\nX-A: " + std::string(4000, 'a'));
  CHECK(client.response().status == 431);
  CHECK(client.ends());
  CHECK(cpa.requests() == 1);
}

TEST_CASE("more request fields than the limit are answered with 431", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("request_fields", "10")}};
  CHECK(proxy.exchange(get("/v1/models", std::vector<std::string>(9, "X-A: b"))).status == 200);
  CHECK(proxy.exchange(get("/v1/models", std::vector<std::string>(10, "X-A: b"))).status == 431);
  CHECK(cpa.requests() == 1);
}

TEST_CASE("a request target above its limit is answered with 414", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("request_target", "128")}};
  const auto target = [](std::size_t size) { return "/v1/" + std::string(size - 4, 'a'); };
  CHECK(proxy.exchange(get(target(128))).status == 200);
  CHECK(proxy.exchange(get(target(129))).status == 414);
  CHECK(cpa.requests() == 1);
}

TEST_CASE("a head of the default limits' size passes", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  const std::string target = "/v1/" + std::string(16 * 1024 - 4, 'a');
  std::vector<std::string> lines;
  for (int i = 0; i < 190; ++i) lines.push_back(fmt::format("X-{}: {}", i, std::string(230, 'b')));
  const Message answer = proxy.exchange(get(target, lines));
  CHECK(answer.status == 200);
  const Message seen = cpa.wait_request(0);
  CHECK(seen.target == target);
  CHECK(seen.has_line(lines.back()));
}

TEST_CASE("a response head of the default limit's size passes", "[limits]") {
  std::vector<std::string> lines;
  for (int i = 0; i < 250; ++i) lines.push_back(fmt::format("X-{}: {}", i, std::string(240, 'b')));
  Origin cpa(Origin::serve(ok("body", lines)));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (int i = 0; i < 2; ++i) {
    const Message answer = client.exchange(get("/v1/models"));
    CHECK(answer.body == "body");
    for (const auto& line : lines) REQUIRE(answer.has_line(line));
  }
}

TEST_CASE("a request body whose Content-Length is above the limit is a 413 before the backend sees it",
          "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("request_body", "1000")}};
  CHECK(proxy.exchange(post("/v1/responses", std::string(1000, 'x'))).status == 200);
  const Message answer = proxy.exchange(post("/v1/responses", std::string(1001, 'x')));
  CHECK(answer.status == 413);
  CHECK(answer.body.find("body_too_large") != std::string::npos);
  // Not one byte of it need arrive.
  Client client = proxy.connect();
  client.send(request("POST", "/v1/responses", {"Content-Length: 1001"}));
  CHECK(client.response().status == 413);
  CHECK(cpa.requests() == 1);
  CHECK(cpa.connections() == 1);
}

TEST_CASE("a chunked request body that grows above the limit is a 413 and never looks whole to the backend",
          "[limits]") {
  Baton ended;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    ended.pass();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = limit("request_body", "1000")}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/responses", {"Transfer-Encoding: chunked"}));
  client.send(chunk(std::string(900, 'x')));
  client.send(chunk(std::string(101, 'x')) + "0\r\n\r\n");
  CHECK(client.response().status == 413);
  CHECK(eventually([&] { return cpa.connections() == 0 || cpa.open_connections() == 0; }));
  CHECK_FALSE(ended.wait(1, Deadline{0ms}));
}

TEST_CASE("a route may have its own limit for the request body", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"limits": {"request_body": "1000"}, "routes": [
      {"prefix": "/big/", "upstream": "cpa", "request_body": "5000"}, {"prefix": "/", "upstream": "cpa"}]})"}};
  CHECK(proxy.exchange(post("/small/x", std::string(2000, 'x'))).status == 413);
  CHECK(proxy.exchange(post("/big/x", std::string(2000, 'x'))).status == 200);
  CHECK(proxy.exchange(post("/big/x", std::string(5001, 'x'))).status == 413);
}

TEST_CASE("a response head above its limit is a 502", "[limits]") {
  const bool ends = GENERATE(true, false);
  Origin cpa([ends](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nX-A: " + std::string(3000, 'a') +
                    (ends ? "\r\nContent-Length: 0\r\n\r\n" : ""));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = limit("response_head", "\"2KiB\"")}};
  const Message answer = proxy.exchange(get("/v1/models"));
  CHECK(answer.status == 502);
  CHECK(answer.body.find("upstream_bad_response") != std::string::npos);
}

TEST_CASE("1xx responses without end are a 502 and do not keep a client waiting for ever", "[limits]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    for (int i = 0; i < 5000; ++i) connection.send("HTTP/1.1 102 Processing\r\n\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("response_head", "500ms")}};
  Client client = proxy.connect();
  client.send(get("/v1/models"));
  Message answer;
  do {
    answer = client.response();
  } while (answer.status < 200);
  CHECK((answer.status == 502 || answer.status == 504));
}

TEST_CASE("one connection more than the limit in all is answered with 503 and closed", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("connections", "3")}};
  std::vector<Client> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(proxy.connect());
    CHECK(clients.back().exchange(get("/v1/models")).status == 200);
  }
  Client fourth = proxy.connect();
  const Message answer = fourth.exchange(get("/v1/models"));
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After"));
  CHECK(answer.one("Connection") == "close");
  CHECK(answer.body.find("too_many_connections") != std::string::npos);
  CHECK(fourth.ends());
  CHECK(cpa.requests() == 3);
  // Room again once one has gone.
  clients.pop_back();
  CHECK(eventually([&] { return proxy.exchange(get("/v1/models")).status == 200; }));
}

TEST_CASE("one connection more than the limit of one client is answered with 429, others are served",
          "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = limit("connections_per_client", "2")}};
  std::vector<Client> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(proxy.connect({.source = "127.0.0.2"}));
    CHECK(clients.back().exchange(get("/v1/models")).status == 200);
  }
  Client third = proxy.connect({.source = "127.0.0.2"});
  const Message answer = third.exchange(get("/v1/models"));
  CHECK(answer.status == 429);
  CHECK(answer.has("Retry-After"));
  CHECK(third.ends());
  Client other = proxy.connect({.source = "127.0.0.3"});
  CHECK(other.exchange(get("/v1/models")).status == 200);
  clients.pop_back();
  CHECK(eventually([&] {
    Client again = proxy.connect({.source = "127.0.0.2"});
    return again.exchange(get("/v1/models")).status == 200;
  }));
}

TEST_CASE("a request head that is not complete in time is answered with 408 and the connection closed",
          "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("request_head", "300ms")}};
  SECTION("bytes that stop") {
    Client client = proxy.connect();
    client.send("GET /v1/models HTTP/1.1\r\nHost:");
    CHECK(client.response().status == 408);
    CHECK(client.ends());
  }
  SECTION("bytes that trickle: the time counts from the first one") {
    Client client = proxy.connect();
    const auto until = Clock::now() + 5s;
    bool refused = false;
    try {
      while (!refused && Clock::now() < until) {
        client.send("G");
        refused = client.fill(Deadline{20ms}) != Outcome::timeout;
      }
    } catch (const WireError&) {
      refused = true;
    }
    CHECK(refused);
  }
  SECTION("the second request of a connection") {
    Client client = proxy.connect();
    CHECK(client.exchange(get("/v1/models")).status == 200);
    client.send("GET");
    CHECK(client.response().status == 408);
    CHECK(client.ends());
  }
  CHECK(cpa.connections() <= 1);
}

TEST_CASE("a connection that is idle for too long is closed without a word", "[limits]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("keep_alive", "200ms")}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/models")).status == 200);
  CHECK(client.ends());
}

TEST_CASE("a connection that never sends a byte is closed", "[limits]") {
  Portico proxy{{.settings = R"({"timeouts": {"keep_alive": "200ms", "request_head": "200ms"}})"}};
  Client client = proxy.connect();
  CHECK(client.wait_closed() != Outcome::timeout);
}

TEST_CASE("a gap in the request body above the time-out is answered with 408", "[limits]") {
  const bool coded = GENERATE(true, false);
  Baton whole;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    whole.pass();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("request_body", "300ms")}};
  Client client = proxy.connect();
  client.send(coded ? request("POST", "/v1/responses", {"Transfer-Encoding: chunked"})
                    : request("POST", "/v1/responses", {"Content-Length: 1000"}));
  // Pieces that keep coming are no gap, for longer than the time-out in all.
  for (int i = 0; i < 20; ++i) {
    client.send(coded ? chunk("x") : "x");
    std::this_thread::sleep_for(25ms);
  }
  CHECK(client.response().status == 408);
  CHECK(client.wait_closed() != Outcome::timeout);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
  CHECK_FALSE(whole.wait(1, Deadline{0ms}));
}

TEST_CASE("a response head that does not come in time is a 504", "[limits]") {
  const bool part = GENERATE(true, false);
  Origin cpa([part](Connection& connection) {
    connection.read_request();
    if (part) connection.send("HTTP/1.1 200 OK\r\nX-A:");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("response_head", "300ms")}};
  const Message answer = proxy.exchange(post("/v1/responses", "{}"));
  CHECK(answer.status == 504);
  CHECK(answer.body.find("upstream_timeout") != std::string::npos);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("a gap in the response body above the time-out resets the stream", "[limits]") {
  const bool coded = GENERATE(true, false);
  Origin cpa([coded](Connection& connection) {
    connection.read_request();
    connection.send(coded ? ok_chunked() : "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 20; ++i) {
      connection.send(coded ? chunk("x") : "x");
      std::this_thread::sleep_for(25ms);
    }
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("response_body", "300ms")}};
  const Message answer = proxy.exchange(get("/v1/models"));
  CHECK(answer.body == std::string(20, 'x'));
  CHECK(answer.end == End::reset);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
  CHECK(eventually([&] { return proxy.metric("portico_exchanges_ended_total", {"how=\"timeout\""}) == 1; }));
}

TEST_CASE("a gap in a body that ends with the connection resets the stream too", "[limits]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\n\r\nx");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("response_body", "300ms")}};
  CHECK(proxy.exchange(get("/v1/models")).end == End::reset);
}

TEST_CASE("a client that takes no byte for too long is reset", "[limits]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked());
    const std::string part = chunk(pattern(1, 65'536));
    for (int i = 0; i < 2000; ++i) connection.send(part, Deadline{60s});
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = timeout("client_write", "500ms")}};
  Client client = proxy.connect({.receive_buffer = 16 * 1024});
  client.send(get("/v1/files"));
  CHECK(eventually([&] { return cpa.connections() == 1 && cpa.open_connections() == 0; }));
  Message answer = read_response_head(client);
  read_response_body(client, answer, false, [](std::string_view) {});
  CHECK(answer.end == End::reset);
}
