// The house's rule that exactly one exit records: wherever an exchange is cut, it is counted once.

#include <fmt/format.h>

#include <atomic>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

double ended(const Portico& proxy) { return proxy.metric("portico_exchanges_ended_total"); }

}  // namespace

TEST_CASE("an exchange whose client leaves at any byte of its request or response is counted once",
          "[record]") {
  const std::string answer = ok_chunked({"X-A: b"}) + chunk("first") + chunk("second") + "0\r\n\r\n";
  Origin cpa([&](Connection& connection) {
    while (true) {
      connection.read_request(Deadline{60s});
      connection.send_split(answer, 7);
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  const std::string asked = post("/v1/responses", "0123456789");
  double exchanges = 0;

  for (std::size_t k = 0; k <= asked.size(); k += 3) {
    Client client = proxy.connect();
    client.send(asked.substr(0, k));
    // A head that is not whole is no exchange.
    if (k > asked.find("\r\n\r\n") + 3) {
      ++exchanges;
      REQUIRE(eventually([&] { return ended(proxy) + proxy.metric("portico_streams") >= exchanges; }));
    }
    if (k % 2 == 0) {
      client.reset();
    } else {
      client.close();
    }
    REQUIRE(eventually([&] { return ended(proxy) == exchanges && proxy.metric("portico_streams") == 0; }));
  }
  for (std::size_t k = 1; k < 60; k += 4) {
    Client client = proxy.connect();
    client.send(asked);
    client.read_exact(k);
    client.reset();
    ++exchanges;
    REQUIRE(eventually([&] { return ended(proxy) == exchanges && proxy.metric("portico_streams") == 0; }));
  }
  CHECK(proxy.metric("portico_requests_total") == exchanges);
  CHECK(eventually([&] { return proxy.metric("portico_connections") == 0; }));
}

TEST_CASE("an exchange whose backend breaks off at any byte of its response is counted once", "[record]") {
  const std::string answer = ok_chunked({"X-A: b"}) + chunk("first") + chunk("second") + "0\r\n\r\n";
  // Read by the origin's threads.
  std::atomic<std::size_t> cut_at{0};
  std::atomic<bool> reset{false};
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    if (cut_at > 0) connection.send(answer.substr(0, cut_at));
    if (reset) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  double exchanges = 0;
  for (cut_at = 0; cut_at < answer.size(); cut_at += 3) {
    reset = cut_at % 2 == 0;
    Client client = proxy.connect();
    client.send(post("/v1/responses", "x"));
    // A 502 that lets the connection go on, or a break: either way something is told.
    client.fill();
    ++exchanges;
    REQUIRE(eventually([&] { return ended(proxy) == exchanges && proxy.metric("portico_streams") == 0; }));
  }
  CHECK(proxy.metric("portico_requests_total") == exchanges);
  CHECK(proxy.metric("portico_exchanges_ended_total", {R"(how="backend_broke_off")"}) == exchanges);
}
