// The instruments of TLS and HTTP/2 first: a test can only find what its clients and origins are able to
// show. The servers here are scripts of the test's own origin.

#include <algorithm>

#include <catch2/catch.hpp>

#include "test/support/h2_client.hpp"
#include "test/support/h2_frames.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"

using namespace portico::test;

namespace {

/// An authority, and the files of a certificate of it.
struct Papers {
  explicit Papers(const CertificateOptions& options = {.names = {"one.example", "127.0.0.1"}})
      : ca_file(authority.write(folder.path(), "ca")),
        files(authority.issue(options).write(folder.path(), "leaf")) {}
  TemporaryFolder folder;
  Authority authority;
  std::string ca_file;
  CertificateFiles files;
};

Client connect(const Origin& origin, const TlsClientOptions& options) {
  return Client(Address::of_url(origin.url()), {.tls = options});
}

/// What becomes of a handshake that must fail.
Outcome refused(const Origin& origin, const TlsClientOptions& options) {
  try {
    connect(origin, options);
  } catch (const WireError& error) {
    return error.outcome();
  }
  return Outcome::data;
}

}  // namespace

TEST_CASE("the test's client and origin speak HTTP/1.1 under TLS", "[support]") {
  Papers papers;
  const std::string big = pattern(1, 3'000'000);
  Origin origin(TlsServerOptions{.identity = papers.files, .alpn = {"http/1.1"}},
                Origin::serve([](const Message& seen) { return ok(seen.target + seen.body); }));
  CHECK(origin.url().starts_with("https://127.0.0.1:"));
  const auto segment = GENERATE(0U, 13U);
  Client client = connect(origin, {.server_name = "one.example",
                                   .alpn = {"h2", "http/1.1"},
                                   .ca_file = papers.ca_file,
                                   .segment = segment});
  CHECK(client.exchange(get("/a")).body == "/a");
  if (segment == 0) CHECK(client.exchange(post("/b", big)).body == "/b" + big);
  const TlsFacts facts = client.tls();
  CHECK(facts.version == "TLSv1.3");
  CHECK(facts.cipher.starts_with("TLS_"));
  CHECK(facts.alpn == "http/1.1");
  CHECK_FALSE(facts.resumed);
  CHECK_FALSE(facts.serial.empty());
  CHECK(facts.names == std::vector<std::string>{"one.example", "127.0.0.1"});
  CHECK(origin.errors().empty());
}

TEST_CASE("the test's TLS client keeps to its versions and ciphers", "[support]") {
  Papers papers;
  Origin origin(TlsServerOptions{.identity = papers.files}, Origin::serve(ok("x")));
  Client client =
      connect(origin, {.max_version = TlsVersion::v1_2, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
  CHECK(client.tls().version == "TLSv1.2");
  CHECK(client.tls().cipher == "ECDHE-ECDSA-AES128-GCM-SHA256");
  CHECK(client.tls().alpn.empty());
  // The origin takes 1.2 at least; the client really offers less.
  CHECK(refused(origin, {.min_version = TlsVersion::v1_0, .max_version = TlsVersion::v1_1}) ==
        Outcome::alert);
}

TEST_CASE("the test's TLS client resumes a session that it was given", "[support]") {
  Papers papers;
  Origin origin(TlsServerOptions{.identity = papers.files}, Origin::serve(ok("x")));
  const TlsVersion version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
  Client first = connect(origin, {.max_version = version});
  first.exchange(get("/"));
  REQUIRE(first.ticket() != nullptr);
  const TlsTicket ticket = first.ticket();
  first.reset();
  // As often as the test likes, however the connections before ended.
  for (int i = 0; i < 3; ++i) {
    Client again = connect(origin, {.max_version = version, .resume = ticket});
    CHECK(again.tls().resumed);
    CHECK(again.exchange(get("/")).body == "x");
    again.reset();
  }
  CHECK_FALSE(connect(origin, {.max_version = version}).tls().resumed);
}

TEST_CASE("the test's TLS ends refuse a wrong name, an unknown authority and a missing certificate",
          "[support]") {
  Papers papers;
  const std::string others = Authority("Another authority").write(papers.folder.path(), "other");
  Origin origin(TlsServerOptions{.identity = papers.files}, Origin::serve(ok("x")));
  CHECK(refused(origin, {.server_name = "two.example", .ca_file = papers.ca_file}) == Outcome::alert);
  CHECK(refused(origin, {.server_name = "one.example", .ca_file = others}) == Outcome::alert);
  REQUIRE(eventually([&] { return origin.failed_handshakes().size() == 2; }));
  const auto reasons = origin.failed_handshakes();
  CHECK(std::any_of(reasons.begin(), reasons.end(), [](const std::string& reason) {
    return reason.find("unknown ca") != std::string::npos;
  }));

  Origin strict(TlsServerOptions{.identity = papers.files, .client_ca = papers.ca_file},
                Origin::serve(ok("x")));
  // A TLS 1.3 client only hears of it with the first bytes that it reads.
  CHECK(connect(strict, {}).wait_closed() == Outcome::alert);
  CHECK(connect(strict, {.identity = papers.files}).exchange(get("/")).body == "x");
}

TEST_CASE("the test's TLS client tells a close_notify, a bare end and a reset apart", "[support]") {
  Papers papers;
  Origin origin(TlsServerOptions{.identity = papers.files}, [](Connection& connection) {
    const std::string how = connection.read_request().target;
    connection.send("HTTP/1.1 200 OK\r\n\r\nhello");
    if (how == "/reset") connection.reset();
    if (how == "/break") connection.break_off();
  });
  const auto seen = [&](const std::string& path) { return connect(origin, {}).exchange(get(path)).end; };
  CHECK(seen("/clean") == End::complete);
  CHECK(seen("/break") == End::truncated);
  CHECK(seen("/reset") == End::reset);
}

TEST_CASE("plain bytes to a TLS origin fail its handshake, TLS to a plain origin the client's", "[support]") {
  Papers papers;
  Origin secret(TlsServerOptions{.identity = papers.files}, Origin::serve(ok("x")));
  Client plain(Address::of_url(secret.url()));
  plain.send(get("/"));
  CHECK(plain.wait_closed() != Outcome::timeout);
  CHECK(eventually([&] { return secret.failed_handshakes().size() == 1; }));
  Origin open([](Connection& connection) {
    connection.fill();
    connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.stall_until_closed();
  });
  CHECK(refused(open, {}) == Outcome::alert);
}
