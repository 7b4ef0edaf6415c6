// Specification section 5 over https://: who is believed, what a break is, and what the operator is told.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;

namespace {

/// An authority in a file, and leaves of it.
struct Papers {
  CertificateFiles leaf(const CertificateOptions& options) const {
    return authority.issue(options).write(folder.path(), "leaf");
  }
  TemporaryFolder folder;
  Authority authority{"Backend authority"};
  std::string ca_file = authority.write(folder.path(), "backend-ca");
};

/// Settings of the upstream `cpa`.
std::string upstream(const std::string& ca_file, const std::string& tls_name = {}) {
  return fmt::format(R"({{"upstreams": {{"cpa": {{"ca_file": "{}", "tls_name": "{}"}}}}}})", ca_file,
                     tls_name);
}

bool contains(std::string text, const std::string& word) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("an https:// backend whose certificate verifies is used, and its connection again", "[tls]") {
  Papers papers;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}}), .alpn = {"http/1.1"}},
             Origin::serve([](const Message& seen) { return ok(seen.body); }));
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file)}};
  Client client = proxy.connect();
  for (const std::size_t size : {0U, 1U, 100'000U, 3'000'000U}) {
    const std::string body = pattern(size, size);
    CHECK(client.exchange(post("/v1/responses", body)).body == body);
  }
  CHECK(cpa.connections() == 1);
  CHECK(cpa.failed_handshakes().empty());
}

TEST_CASE("an https:// backend is spoken to in TLS 1.2 or 1.3, in HTTP/1.1, by the name that is set",
          "[tls]") {
  Papers papers;
  const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
  // Written by the connection's thread before the request is on record.
  TlsFacts facts;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"cpa.example"}}),
                              .alpn = {"h2", "http/1.1"},
                              .max_version = version},
             [&](Connection& connection) {
               facts = connection.tls();
               connection.read_request();
               connection.send(ok("x"));
               connection.stall_until_closed();
             });
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file, "cpa.example")}};
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
  cpa.wait_request(0);
  CHECK(facts.server_name == "cpa.example");
  CHECK(facts.alpn == "http/1.1");
  CHECK(facts.version == (version == TlsVersion::v1_2 ? "TLSv1.2" : "TLSv1.3"));
}

TEST_CASE("a backend that is not who it should be gets no request; the log says why", "[tls]") {
  Papers papers;
  Papers others;
  using namespace std::chrono_literals;
  const std::string why = GENERATE(values<std::string>({"name", "authority", "expired", "self-signed"}));
  CAPTURE(why);
  CertificateOptions options{.names = {"127.0.0.1"}};
  if (why == "name") options.names = {"cpa.example", "127.0.0.2"};
  if (why == "expired") {
    options.not_before = -48h;
    options.not_after = -24h;
  }
  const CertificateFiles identity =
      why == "self-signed" ? self_signed(options).write(papers.folder.path(), "self") : papers.leaf(options);
  const std::string ca = why == "authority"
                             ? Authority("Another authority").write(papers.folder.path(), "another")
                             : papers.ca_file;
  Origin cpa(TlsServerOptions{.identity = identity}, Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(ca)}};
  const Message answer = proxy.exchange(
      post("/v1/chat/completions", R"({"prompt":"private words"})", {"Authorization: Bearer k"}));
  CHECK(answer.status == 502);
  CHECK((contains(answer.body, "upstream_unreachable") || contains(answer.body, "upstream_bad_response")));
  // The client is not told whom Portico expected.
  CHECK_FALSE(contains(answer.body, "127.0.0.1"));
  CHECK(cpa.requests() == 0);
  CHECK(cpa.all_bytes().empty());
  const auto line = proxy.process().wait_for_line("certificate");
  REQUIRE(line);
  CHECK(contains(*line, why));
  CHECK(contains(*line, cpa.url()));
  CHECK_FALSE(contains(*line, "private words"));
}

TEST_CASE("a backend with a certificate of an authority that only the system would know is refused",
          "[tls]") {
  Papers papers;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})}, Origin::serve(ok("x")));
  // Without ca_file the system's authorities count, and none of them is the test's.
  Portico proxy{{.cpa = cpa.url()}};
  CHECK(proxy.exchange(get("/v1/models")).status == 502);
  CHECK(cpa.all_bytes().empty());
}

TEST_CASE("a backend that speaks no TLS on its https:// address is a 502 and the log says so", "[tls]") {
  Papers papers;
  Origin plain([](Connection& connection) {
    connection.fill();
    connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = "https" + plain.url().substr(4), .settings = upstream(papers.ca_file)}};
  const Message answer = proxy.exchange(get("/v1/models"));
  CHECK(answer.status == 502);
  CHECK(proxy.process().wait_for_line("TLS"));
}

TEST_CASE("a backend that stalls in the handshake is given up after the time to connect", "[tls]") {
  Papers papers;
  Origin silent([](Connection& connection) { connection.stall_until_closed(); });
  Portico proxy{{.cpa = "https" + silent.url().substr(4),
                 .settings = fmt::format(R"({{"upstreams": {{"cpa": {{"ca_file": "{}"}}}},
                                              "timeouts": {{"connect": "300ms"}}}})",
                                         papers.ca_file)}};
  CHECK(proxy.exchange(get("/v1/models")).status == 504);
  CHECK(eventually([&] { return silent.open_connections() == 0; }));
}

TEST_CASE(
    "an https:// backend that ends without close_notify has broken off where only the end ends its body",
    "[tls]") {
  Papers papers;
  const bool clean = GENERATE(true, false);
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})},
             [&](Connection& connection) {
               connection.read_request();
               connection.send("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello");
               if (!clean) connection.break_off();
             });
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file)}};
  const Message answer = proxy.exchange(get("/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "hello");
  CHECK((answer.end == End::complete) == clean);
}

TEST_CASE("an https:// backend that breaks off mid-body is passed on as a break", "[tls]") {
  Papers papers;
  const std::string way = GENERATE(values<std::string>({"close_notify", "FIN", "reset"}));
  const bool coded = GENERATE(true, false);
  CAPTURE(way, coded);
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})},
             [&](Connection& connection) {
               connection.read_request();
               connection.send(coded ? ok_chunked() + chunk("hello")
                                     : ok("hello").substr(0, ok("hello").size() - 1));
               // Lets the bytes out before the reset, which would overtake them.
               std::this_thread::sleep_for(20ms);
               if (way == "FIN") connection.break_off();
               if (way == "reset") connection.reset();
             });
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file), .tls = true}};
  const Message answer = proxy.connect_tls().exchange(get("/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.end == End::reset);
}

TEST_CASE("an event stream of an https:// backend passes event by event, and its end is within a second",
          "[tls]") {
  Papers papers;
  Baton seen;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})},
             [&](Connection& connection) {
               connection.read_request();
               connection.send(ok_chunked());
               for (std::size_t k = 0; k < 20; ++k) {
                 if (!seen.wait(k)) return;
                 connection.send(chunk(fmt::format("data: {}\n\n", k)));
               }
               connection.stall_until_closed();
             });
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file), .tls = true}};
  Client client = proxy.connect_tls();
  client.send(post("/v1/chat/completions", R"({"stream":true})"));
  read_response_head(client);
  for (std::size_t k = 0; k < 20; ++k) {
    const std::string expected = chunk(fmt::format("data: {}\n\n", k));
    REQUIRE(client.read_exact(expected.size()) == expected);
    seen.pass();
  }
  client.reset();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
}

TEST_CASE(
    "a pooled TLS connection that the backend closed is not used for a request that may not be repeated",
    "[tls]") {
  Papers papers;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})}, [](Connection& connection) {
    connection.read_request();
    connection.send(ok("x"));
  });
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file)}};
  for (int i = 0; i < 5; ++i) {
    CHECK(proxy.exchange(post("/v1/responses", "{}")).body == "x");
    REQUIRE(eventually([&] { return cpa.open_connections() == 0; }));
  }
  CHECK(cpa.requests() == 5);
}

TEST_CASE("a WebSocket passes to an https:// backend", "[tls]") {
  Papers papers;
  Origin cpa(TlsServerOptions{.identity = papers.leaf({.names = {"127.0.0.1"}})}, websocket::echo());
  Portico proxy{{.cpa = cpa.url(), .settings = upstream(papers.ca_file)}};
  Client client = proxy.connect();
  REQUIRE(client.exchange(websocket::handshake("/v1/responses")).status == 101);
  for (const std::size_t size : {0U, 126U, 65'536U}) {
    client.send(websocket::client_frame(websocket::Opcode::binary, pattern(1, size)));
    REQUIRE(websocket::read_frame(client).payload == pattern(1, size));
  }
}
