// Where one message ends and the next begins when something goes wrong in between: no byte of a body is ever
// read as a request, on either side, and no request goes out without its body.

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// Something that would be served if it were read as a request.
const std::string hidden = "GET /v1/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

bool saw_hidden(const Origin& origin) {
  for (std::size_t i = 0; i < origin.requests(); ++i) {
    if (origin.request(i).target == "/v1/hidden") return true;
  }
  return false;
}

/// Reads the head of a request and no more of it, until told to answer; then answers what comes on.
Origin::Script answers_without_reading(Baton& go) {
  return [&go](Connection& connection) {
    const Message first = connection.read_head();
    if (first.target != "/v1/upload") {
      connection.send(ok("other"));
      return;
    }
    if (!go.wait(1)) return;
    connection.send(ok("early"));
    connection.stall_until_closed();
  };
}

}  // namespace

TEST_CASE("a body that ends in the piece that makes it too large is not read as the next request",
          "[boundary]") {
  Baton head;
  Origin cpa([&](Connection& connection) {
    const Message seen = connection.read_head();
    head.pass();
    if (seen.target == "/v1/hidden") connection.send(ok("hidden"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"limits": {"request_body": "1KiB"}})"}};
  Client client = proxy.connect();
  const std::string filler(1'100, 'a');
  client.send(request("POST", "/v1/files", {"Transfer-Encoding: chunked"}) +
              fmt::format("{:x}\r\n{}", filler.size() + hidden.size(), filler.substr(0, 500)));
  // The upload is under way: the backend has the head.
  REQUIRE(head.wait(1));
  client.send(filler.substr(500) + hidden + "\r\n0\r\n\r\n" + hidden);
  CHECK(client.response().status == 413);
  CHECK(client.wait_closed() == Outcome::fin);
  CHECK_FALSE(saw_hidden(cpa));
}

TEST_CASE("after an early answer a body that was taken but could not be passed on is not read as a request",
          "[boundary]") {
  Baton go;
  Origin cpa(answers_without_reading(go));
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const std::size_t size = 32'000'000;
  client.send(request("POST", "/v1/upload", {fmt::format("Content-Length: {}", size)}));
  client.send_until_stuck(pattern(1, size), 500ms);
  go.pass();
  const Message answer = client.response();
  CHECK(answer.status == 200);
  CHECK(answer.one("Connection") == "close");
  CHECK(cpa.requests() == 1);
}

TEST_CASE("a backend connection that has only a part of a body is not used for another request",
          "[boundary]") {
  Baton go;
  Origin cpa(answers_without_reading(go));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"response_body": "300ms"}})"}};
  Client client = proxy.connect();
  const std::size_t size = 32'000'000;
  client.send(request("POST", "/v1/upload", {fmt::format("Content-Length: {}", size)}));
  client.send_until_stuck(pattern(1, size), 800ms);
  go.pass();
  CHECK(client.response().status == 200);
  CHECK(proxy.exchange(get("/v1/other")).body == "other");
  CHECK(cpa.connections() == 2);
  CHECK(eventually([&] { return proxy.metric("portico_upstream_connections", {R"(state="idle")"}) <= 1; }));
}

TEST_CASE("a POST does not go out on a connection whose end came together with its last response",
          "[boundary]") {
  // Response and FIN leave together, and the response does not say that the connection ends.
  Origin cpa([](Connection& connection) {
    connection.read_request();
    const int on = 1;
    ::setsockopt(connection.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    connection.send(ok("x"));
    connection.half_close();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (int i = 0; i < 30; ++i) CHECK(client.exchange(post("/v1/responses", "0123456789")).status == 200);
}

TEST_CASE("a stream that is answered already goes on when the rest of the request does not come",
          "[boundary]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    connection.read_head();
    connection.send(ok_chunked() + chunk("first"));
    if (!go.wait(1)) return;
    connection.send(chunk("second") + "0\r\n\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"request_body": "100ms"}})"}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/upload", {"Content-Length: 100"}) + "abc");
  read_response_head(client);
  CHECK(client.read_until("first\r\n").ends_with("first\r\n"));
  // Longer than the gap that a request body may have.
  CHECK(client.stays_silent(500ms));
  go.pass();
  CHECK(client.read_until("0\r\n\r\n").find("second") != std::string::npos);
}
