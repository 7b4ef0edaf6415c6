// The instruments first: a test can only find what its origin, client and reader are able to show.

#include <catch2/catch.hpp>

#include "test/support/client.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;

namespace {

/// What a client sees of an origin that sends `bytes` and then ends the connection, or cuts it.
Message seen(const std::string& bytes, bool cut) {
  Origin origin([&](Connection& connection) {
    connection.read_request();
    connection.send(bytes);
    if (cut)
      connection.reset();
    else
      connection.half_close();
    connection.stall_until_closed();
  });
  Client client(Address::of_url(origin.url()));
  return client.exchange(get("/"));
}

}  // namespace

TEST_CASE("the test's reader tells a whole body from a cut one", "[support]") {
  CHECK(seen(ok("hello"), false).end == End::complete);
  CHECK(seen(ok("hello").substr(0, ok("hello").size() - 1), false).end == End::cut);
  CHECK(seen(ok("hello").substr(0, ok("hello").size() - 1), true).end == End::reset);
  CHECK(seen(ok_chunked() + chunked("hello", 2), false).end == End::complete);
  CHECK(seen(ok_chunked() + chunk("hello"), false).end == End::cut);
  CHECK(seen(ok_chunked() + chunk("hello"), true).end == End::reset);
  CHECK(seen("HTTP/1.1 200 OK\r\n\r\nhello", false).end == End::complete);
  CHECK(seen("HTTP/1.1 200 OK\r\n\r\nhello", true).end == End::reset);
}

TEST_CASE("the test's reader refuses broken framing", "[support]") {
  CHECK_THROWS_AS(seen(ok_chunked() + "x\r\nhello\r\n0\r\n\r\n", false), ProtocolError);
  CHECK_THROWS_AS(seen(ok_chunked() + "5\r\nhelloX\r\n0\r\n\r\n", false), ProtocolError);
  CHECK_THROWS_AS(seen("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", false), ProtocolError);
  CHECK_THROWS_AS(seen(ok("x", {"Transfer-Encoding: chunked"}), false), ProtocolError);
}

TEST_CASE("the origin counts connections and requests and records every byte", "[support]") {
  Origin origin(Origin::serve(ok("x")));
  Client first(Address::of_url(origin.url()));
  CHECK(first.exchange(get("/one")).body == "x");
  CHECK(first.exchange(post("/two", "body")).body == "x");
  Client second(Address::of_url(origin.url()));
  CHECK(second.exchange(get("/three")).body == "x");
  CHECK(origin.connections() == 2);
  CHECK(origin.requests() == 3);
  CHECK(origin.request(1).body == "body");
  CHECK(origin.all_bytes() == get("/one") + post("/two", "body") + get("/three"));
  CHECK(origin.errors().empty());
}

TEST_CASE("the origin listens on IPv6 and on unix sockets too", "[support]") {
  TemporaryFolder folder;
  for (const auto& address : {Address::ip("::1", 0), Address::unix_path(folder.file("o.sock"))}) {
    Origin origin(address, Origin::serve(ok("x")));
    Client client(Address::of_url(origin.url()));
    CHECK(client.exchange(get("/")).body == "x");
  }
}

TEST_CASE("a black hole lets nobody connect", "[support]") {
  BlackHole hole;
  CHECK_THROWS_AS(Client(Address::of_url(hole.url()), {}, Deadline{300ms}), WireError);
}

TEST_CASE("the checker sees a lost, a changed and a foreign byte", "[support]") {
  const std::string good = pattern(7, 1000);
  const auto passes = [](std::uint64_t seed, const std::string& bytes) {
    Checker checker(seed);
    checker.take(bytes);
    return checker.good();
  };
  CHECK(passes(7, good));
  CHECK_FALSE(passes(8, good));
  CHECK_FALSE(passes(7, good.substr(1)));
  std::string changed = good;
  changed[999] = static_cast<char>(changed[999] ^ 1);
  CHECK_FALSE(passes(7, changed));
  CHECK(pattern(7, 500, 500) == good.substr(500));
}

TEST_CASE("frames survive masking and all three length forms", "[support]") {
  Origin origin(websocket::echo());
  Client client(Address::of_url(origin.url()));
  const Message answer = client.exchange(websocket::handshake("/v1/ws"));
  REQUIRE(answer.status == 101);
  // The example of RFC 6455 section 1.3.
  CHECK(answer.one("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  for (const std::size_t size : {0U, 125U, 126U, 65'535U, 65'536U}) {
    client.send(websocket::client_frame(websocket::Opcode::binary, pattern(1, size)));
    CHECK(websocket::read_frame(client).payload == pattern(1, size));
  }
}
