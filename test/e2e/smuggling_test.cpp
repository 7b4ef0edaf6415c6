// Requests and responses on which two readers could disagree about where a message ends.

#include <fmt/format.h>

#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;
using namespace std::string_literals;

namespace {

struct Case {
  std::string name;
  std::string bytes;
};

/// A POST with these framing lines, a body that reads as a request of its own, and a second request behind.
Case framed(const std::string& lines) {
  return {lines,
          "POST /v1/first HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n\r\n0\r\n\r\n" + get("/v1/smuggled")};
}

/// A chunked POST whose coding is broken.
Case coded(const std::string& body) {
  return {body, "POST /v1/first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
                    get("/v1/smuggled")};
}

Case headed(const std::string& lines) { return {lines, lines + "\r\n"}; }

const std::vector<Case>& refused_heads() {
  static const std::vector<Case> cases = {
      // Two lengths.
      framed("Content-Length: 5\r\nTransfer-Encoding: chunked"),
      framed("Transfer-Encoding: chunked\r\nContent-Length: 5"),
      framed("Content-Length: 5\r\nContent-Length: 6"),
      framed("Content-Length: 5\r\nContent-Length: 5"),
      framed("Content-Length: 5, 5"),
      framed("Content-Length: 5,6"),
      // Malformed lengths.
      framed("Content-Length: +5"),
      framed("Content-Length: -5"),
      framed("Content-Length: 0x5"),
      framed("Content-Length: 5 5"),
      framed("Content-Length: 5;"),
      framed("Content-Length: 5.0"),
      framed("Content-Length:"),
      framed("Content-Length: \"5\""),
      framed("Content-Length: 5\x0b"),
      framed("Content-Length: 99999999999999999999999999999999"),
      // Obfuscated Transfer-Encoding.
      framed("Transfer-Encoding: xchunked"),
      framed("Transfer-Encoding: chunked, chunked"),
      framed("Transfer-Encoding: identity, chunked"),
      framed("Transfer-Encoding: gzip, chunked"),
      framed("Transfer-Encoding: chunked, identity"),
      framed("Transfer-Encoding: identity"),
      framed("Transfer-Encoding: gzip"),
      framed("Transfer-Encoding:"),
      framed("Transfer-Encoding: ,chunked"),
      framed("Transfer-Encoding: chunked;q=1"),
      framed("Transfer-Encoding: \"chunked\""),
      framed("Transfer-Encoding: \x0b"
             "chunked"),
      framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
      framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
      framed("Transfer-Encoding : chunked"),
      framed("Transfer-Encoding\t: chunked"),
      framed(" Transfer-Encoding: chunked"),
      framed("X: y\r\n Transfer-Encoding: chunked"),
      framed("Transfer-Encoding:\r\n chunked"),
      framed("Transfer-Encoding: chunked\nX: y"),
      framed("X: y\nTransfer-Encoding: chunked"),
      framed("X: y\rTransfer-Encoding: chunked"),
      framed("X: y\r\rTransfer-Encoding: chunked"),
      framed("Transfer-\0Encoding: chunked"s),
      framed("Transfer-Encoding: chunked\0"s),
      {"Transfer-Encoding on HTTP/1.0",
       "POST /v1/x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get("/v1/smuggled")},
      // Bare LF and bare CR.
      {"bare LF everywhere", "GET /v1/x HTTP/1.1\nHost: x\n\n"},
      headed("GET /v1/x HTTP/1.1\nHost: x\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\nX: y\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n"),
      headed("GET /v1/x HTTP/1.1\rHost: x\r\n"),
      {"LF CR", "GET /v1/x HTTP/1.1\r\nHost: x\r\n\n\r\n"},
      // Folding, blanks, control bytes.
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n"),
      headed("GET /v1/x HTTP/1.1\r\n Host: x\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost : x\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX Y: z\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nNoColon\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\n: empty name\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n"s),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\x01"
             "b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX: a\x7f\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX\xc3\xa4: a\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: x\r\nX(: a\r\n"),
      // The request line.
      headed("GET  /v1/x HTTP/1.1\r\nHost: x\r\n"),
      headed("GET /v1/x  HTTP/1.1\r\nHost: x\r\n"),
      headed("GET /v1/x HTTP/1.1 \r\nHost: x\r\n"),
      headed(" GET /v1/x HTTP/1.1\r\nHost: x\r\n"),
      headed("GET\t/v1/x\tHTTP/1.1\r\nHost: x\r\n"),
      headed("GET /v1/x y HTTP/1.1\r\nHost: x\r\n"),
      headed("GET /v1/x\r\nHost: x\r\n"),
      headed("GET /v1/x http/1.1\r\nHost: x\r\n"),
      headed("GET /v1/x HTTP/1\r\nHost: x\r\n"),
      headed("GET /v1/x HTTP/1.10\r\nHost: x\r\n"),
      headed("GET /v1/x HTTP/01.1\r\nHost: x\r\n"),
      headed("GET /v1/x HTTP/1,1\r\nHost: x\r\n"),
      // Host.
      headed("GET /v1/x HTTP/1.1\r\nX: y\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a\r\nhost: a\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a/b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a@b\r\n"),
      headed("GET /v1/x HTTP/1.1\r\nHost: a, b\r\n"),
  };
  return cases;
}

const std::vector<Case>& refused_bodies() {
  static const std::vector<Case> cases = {
      coded("x\r\nhello\r\n0\r\n\r\n"),
      coded("\r\nhello\r\n0\r\n\r\n"),
      coded("-5\r\nhello\r\n0\r\n\r\n"),
      coded("+5\r\nhello\r\n0\r\n\r\n"),
      coded("0x5\r\nhello\r\n0\r\n\r\n"),
      coded(" 5\r\nhello\r\n0\r\n\r\n"),
      coded("5 \r\nhello\r\n0\r\n\r\n"),
      coded("5\nhello\r\n0\r\n\r\n"),
      coded("5\rhello\r\n0\r\n\r\n"),
      coded("5\r\rhello\r\n0\r\n\r\n"),
      coded("5;a\nb\r\nhello\r\n0\r\n\r\n"),
      coded("5;a\0b\r\nhello\r\n0\r\n\r\n"s),
      coded("5;" + std::string(20'000, 'a') + "\r\nhello\r\n0\r\n\r\n"),
      coded("5\r\nhelloX\r\n0\r\n\r\n"),
      coded("5\r\nhello\n0\r\n\r\n"),
      coded("5\r\nhello\r0\r\n\r\n"),
      coded("5\r\nhello0\r\n\r\n"),
      coded("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
      coded("10000000000000000\r\nhello\r\n0\r\n\r\n"),
      coded("8000000000000005\r\nhello\r\n0\r\n\r\n"),
      coded("00000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
      coded("5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"),
      coded("5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
      coded("5\r\nhello\r\n0\r\nX: y\nZ: w\r\n\r\n"),
      coded("5\r\nhello\r\n0\r\n X: y\r\n\r\n"),
      coded("5\r\nhello\r\n0\n\n"),
      coded("5\r\nhello\r\n0\r\n\n"),
      coded("5\r\nhello\r\n0\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n"),
  };
  return cases;
}

/// Responses whose head is broken: 502 in any case.
const std::vector<Case>& broken_response_heads() {
  const auto with = [](const std::string& lines) {
    return Case{lines, "HTTP/1.1 200 OK\r\n" + lines + "\r\n\r\nhello"};
  };
  static const std::vector<Case> cases = {
      with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
      with("Content-Length: 5\r\nContent-Length: 6"),
      with("Content-Length: 5, 6"),
      with("Content-Length: +5"),
      with("Content-Length: -5"),
      with("Content-Length: 0x5"),
      with("Content-Length:"),
      with("Transfer-Encoding: gzip, chunked"),
      with("Transfer-Encoding: chunked, chunked"),
      with("Transfer-Encoding: identity"),
      with("Transfer-Encoding: xchunked"),
      with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
      with("Transfer-Encoding : chunked"),
      with("X: a\r\n b"),
      with("X: a\nY: b"),
      with("X: a\rb"),
      with("X: a\0b"s),
      with("X Y: a"),
      with("NoColon"),
      {"HTTP/1.0 with Transfer-Encoding",
       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"no version", "200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"},
      {"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
      {"status 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"},
      {"status with a sign", "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"},
      {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
      {"a Redis answer", "-ERR unknown command\r\n\r\n"},
      {"bytes that are no HTTP", "\x16\x03\x01\x02\x03\r\n\r\n"},
      {"an HTML page", "<html>hello</html>\r\n\r\n"},
  };
  return cases;
}

/// Responses whose head may have been relayed before the fault shows: 502 or a break, never a whole answer.
const std::vector<Case>& broken_response_bodies() {
  static const std::vector<Case> cases = {
      {"bad size", ok_chunked() + "x\r\nhello\r\n0\r\n\r\n"},
      {"size with a sign", ok_chunked() + "+5\r\nhello\r\n0\r\n\r\n"},
      {"size too large", ok_chunked() + "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
      {"LF after the size", ok_chunked() + "5\nhello\r\n0\r\n\r\n"},
      {"no CRLF after the data", ok_chunked() + "5\r\nhelloX\r\n0\r\n\r\n"},
      {"LF after the data", ok_chunked() + "5\r\nhello\n0\r\n\r\n"},
      {"bad trailer", ok_chunked() + "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"},
      {"LF at the end", ok_chunked() + "5\r\nhello\r\n0\r\n\n"},
  };
  return cases;
}

}  // namespace

TEST_CASE("a request head that two readers could read differently is refused and no backend sees it",
          "[smuggling]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  for (const auto& [name, bytes] : refused_heads()) {
    CAPTURE(name);
    Client client = proxy.connect();
    client.send(bytes);
    const Message answer = client.response();
    CHECK(answer.status == 400);
    // One answer, then the end: what follows is not looked at.
    CHECK(client.wait_closed() != Outcome::timeout);
    CHECK(client.buffered().empty());
    CHECK(cpa.connections() == 0);
  }
}

TEST_CASE("a request head is refused the same however it is split", "[smuggling]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  for (const auto& [name, bytes] : refused_heads()) {
    CAPTURE(name);
    Client client = proxy.connect();
    std::string_view rest = bytes;
    try {
      for (; !rest.empty(); rest.remove_prefix(std::min<std::size_t>(7, rest.size())))
        client.send(rest.substr(0, 7));
    } catch (const WireError&) {
      // Refused before the last piece.
    }
    CHECK(client.response().status == 400);
    CHECK(cpa.connections() == 0);
  }
}

TEST_CASE("a version that is well-formed but not HTTP/1.x is answered with 505", "[smuggling]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  const auto line =
      GENERATE(values<std::string>({"GET /v1/x HTTP/2.0", "GET /v1/x HTTP/3.0", "PRI * HTTP/2.0"}));
  const Message answer = proxy.exchange(line + "\r\nHost: x\r\n\r\n");
  CHECK(answer.status == 505);
  CHECK(cpa.connections() == 0);
}

TEST_CASE("a chunked request that breaks its coding never becomes a whole request, nor two", "[smuggling]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target); }));
  Portico proxy{{.cpa = cpa.url()}};
  for (const auto& [name, bytes] : refused_bodies()) {
    CAPTURE(name.substr(0, 100));
    Client client = proxy.connect();
    try {
      client.send(bytes);
    } catch (const WireError&) {
      // Refused before the last byte.
    }
    CHECK(client.response().status == 400);
    CHECK(client.wait_closed() != Outcome::timeout);
    CHECK(client.buffered().empty());
  }
  CHECK(cpa.requests() == 0);
  CHECK(cpa.all_bytes().find("/v1/smuggled") == std::string::npos);
  // And nothing of it waits on a pooled connection for the next client.
  CHECK(proxy.exchange(get("/v1/next")).body == "/v1/next");
}

TEST_CASE("a body's end by Content-Length is where the next request begins", "[smuggling]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target + " " + seen.body); }));
  Portico proxy{{.cpa = cpa.url()}};
  const std::string inner = get("/v1/inner");
  Client client = proxy.connect();
  client.send(post("/v1/outer", inner) + get("/v1/next"));
  CHECK(client.response().body == "/v1/outer " + inner);
  CHECK(client.response().body == "/v1/next ");
}

TEST_CASE("a GET may have a body, and it is no request", "[smuggling]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target + " " + seen.body); }));
  Portico proxy{{.cpa = cpa.url()}};
  const std::string inner = get("/v1/inner");
  Client client = proxy.connect();
  client.send(request("GET", "/v1/outer", {fmt::format("Content-Length: {}", inner.size())}) + inner +
              get("/v1/next"));
  CHECK(client.response().body == "/v1/outer " + inner);
  CHECK(client.response().body == "/v1/next ");
}

TEST_CASE("a response head that two readers could read differently is a 502 and the connection is given up",
          "[smuggling]") {
  const auto& cases = broken_response_heads();
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(cases[connection.number()].bytes);
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i].name);
    const Message answer = proxy.exchange(get("/v1/models"));
    CHECK(answer.status == 502);
    CHECK(answer.body.find("upstream_bad_response") != std::string::npos);
    // Each case had its own connection: none was used again.
    REQUIRE(cpa.connections() == i + 1);
  }
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("a response body that breaks its coding is a 502 or a break, never a whole answer", "[smuggling]") {
  const auto& cases = broken_response_bodies();
  const bool apart = GENERATE(false, true);
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    const std::string& bytes = cases[connection.number()].bytes;
    if (apart)
      connection.send_split(bytes, bytes.find("\r\n\r\n") + 4);
    else
      connection.send(bytes);
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i].name, apart);
    bool whole = false;
    try {
      const Message answer = proxy.exchange(get("/v1/models"));
      whole = answer.status == 200 && answer.end == End::complete;
    } catch (const ProtocolError&) {
      // The broken framing itself was passed on and the client's reader refuses it: a break as well.
    }
    CHECK_FALSE(whole);
    REQUIRE(cpa.connections() == i + 1);
  }
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("an answer to a request that was given up never reaches another client", "[smuggling]") {
  Baton gone;
  Origin cpa([&](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      if (seen.target == "/v1/slow" && !gone.wait(1)) return;
      connection.send(ok(seen.target));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  {
    Client client = proxy.connect();
    client.send(get("/v1/slow"));
    cpa.wait_request(0);
    client.reset();
  }
  REQUIRE(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  gone.pass();
  for (int i = 0; i < 10; ++i) CHECK(proxy.exchange(get("/v1/other")).body == "/v1/other");
}
