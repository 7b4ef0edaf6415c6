// Specification section 3, the client's address where a proxy in front tells it before the first byte.

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;
using namespace std::string_literals;

namespace {

constexpr std::string_view from_loopback = R"({"proxy_protocol_from": ["127.0.0.1"]})";

std::string with(std::string_view more) {
  return R"({"proxy_protocol_from": ["127.0.0.1"], )" + std::string(more) + "}";
}

std::string version1(std::string_view source) {
  return "PROXY TCP4 " + std::string(source) + " 192.0.2.1 51234 443\r\n";
}

/// Version 2, PROXY, TCP over IPv4, from 203.0.113.9.
std::string version2() {
  return "\r\n\r\n\0\r\nQUIT\n"s + "\x21\x11\x00\x0c"s + "\xcb\x00\x71\x09"s + "\xc0\x00\x02\x01"s +
         "\xc8\x22\x01\xbb"s;
}

/// Version 2, LOCAL, without an address.
std::string local() { return "\r\n\r\n\0\r\nQUIT\n"s + "\x20\x00\x00\x00"s; }

}  // namespace

TEST_CASE("the address in a PROXY header is the client's, in both versions", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client first = proxy.connect();
  CHECK(first.exchange(version1("203.0.113.7") + get("/v1/models")).status == 200);
  // The header stands once, and the address holds for the whole connection.
  CHECK(first.exchange(get("/v1/models", {"X-Forwarded-For: 127.0.0.1"})).status == 200);
  Client second = proxy.connect();
  CHECK(second.exchange(version2() + get("/v1/models")).status == 200);
  CHECK(cpa.wait_request(0).one("x-forwarded-for") == "203.0.113.7");
  CHECK(cpa.wait_request(0).one("x-real-ip") == "203.0.113.7");
  CHECK(cpa.wait_request(1).one("x-forwarded-for") == "203.0.113.7");
  CHECK(cpa.wait_request(2).one("x-forwarded-for") == "203.0.113.9");
  CHECK(eventually([&] {
    return proxy.manage("/api/v1/requests?limit=1").body.find(R"("client":"203.0.113.9")") !=
           std::string::npos;
  }));
}

TEST_CASE("a PROXY header may come in pieces", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client client = proxy.connect();
  client.send_split(version2() + get("/v1/models"), 3);
  CHECK(client.response().status == 200);
  CHECK(cpa.wait_request(0).one("x-forwarded-for") == "203.0.113.9");
}

TEST_CASE("a proxy that speaks for itself is its own client", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client client = proxy.connect();
  CHECK(client.exchange(local() + get("/v1/models")).status == 200);
  CHECK(cpa.wait_request(0).one("x-forwarded-for") == "127.0.0.1");
}

TEST_CASE("a client whose proxy does not know its address is nobody, and never local", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client client = proxy.connect();
  CHECK(client.exchange("PROXY UNKNOWN\r\n" + get("/v1/models")).status == 200);
  CHECK(cpa.wait_request(0).one("x-forwarded-for") == "0.0.0.0");
}

TEST_CASE("without the header that it must send, a proxy's connection is refused", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client client = proxy.connect();
  const Message answer = client.exchange(get("/v1/models"));
  CHECK(answer.status == 400);
  CHECK(answer.body.find("PROXY") != std::string::npos);
  CHECK(client.ends());
  CHECK(cpa.requests() == 0);
}

TEST_CASE("a PROXY header from a peer that is not named is no request", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(version1("203.0.113.7") + get("/v1/models")).status == 400);
  CHECK(client.ends());
  CHECK(cpa.requests() == 0);
}

TEST_CASE("a second PROXY header is no request", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = std::string(from_loopback)}};
  Client client = proxy.connect();
  CHECK(client.exchange(version1("203.0.113.7") + version1("127.0.0.1") + get("/v1/models")).status == 400);
  CHECK(cpa.requests() == 0);
}

TEST_CASE("a named client that is a trusted proxy itself is believed further", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = with(R"("trusted_proxies": ["203.0.113.7"])")}};
  Client client = proxy.connect();
  CHECK(client.exchange(version1("203.0.113.7") + get("/v1/models", {"X-Forwarded-For: 198.51.100.3"}))
            .status == 200);
  CHECK(cpa.wait_request(0).one("x-forwarded-for") == "198.51.100.3, 203.0.113.7");
}

TEST_CASE("connections count for the client that the header names", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = with(R"("limits": {"connections_per_client": 1})")}};
  Client first = proxy.connect();
  CHECK(first.exchange(version1("203.0.113.7") + get("/v1/models")).status == 200);
  Client second = proxy.connect();
  CHECK(second.exchange(version1("203.0.113.7") + get("/v1/models")).status == 429);
  CHECK(second.ends());
  Client other = proxy.connect();
  CHECK(other.exchange(version1("203.0.113.8") + get("/v1/models")).status == 200);
  first.close();
  // The place is free once the first one's end has been seen.
  CHECK(eventually(
      [&] { return proxy.connect().exchange(version1("203.0.113.7") + get("/v1/models")).status == 200; }));
}

TEST_CASE("a proxy that sends no header in time is closed without an answer", "[proxy_protocol]") {
  Origin cpa(Origin::serve(ok("x")));
  const Portico proxy{{.cpa = cpa.url(), .settings = with(R"("timeouts": {"handshake": "200ms"})")}};
  Client client = proxy.connect();
  client.send("PROXY TCP4 203.0.");
  CHECK(client.ends());
}
