// Specification section 8: TLS towards clients: what is agreed on, which certificate is shown, resumption,
// change of certificates, and what stands beside it in plain text.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// `tls.certificates` and `tls.keys` that name these files, as settings.
std::string certificates(const std::vector<CertificateFiles>& files, const std::string& more = "{}") {
  boost::json::object all = boost::json::parse(more).as_object();
  boost::json::array chains;
  boost::json::array keys;
  for (const auto& file : files) {
    chains.emplace_back(file.certificate);
    keys.emplace_back(file.key);
  }
  all["tls"] = {{"certificates", chains}, {"keys", keys}};
  return boost::json::serialize(all);
}

/// The outcome of a handshake: data when it succeeds.
Outcome handshake(const Portico& proxy, const TlsClientOptions& options) {
  try {
    static_cast<void>(proxy.connect_tls(options));
    return Outcome::data;
  } catch (const WireError& error) {
    return error.outcome();
  }
}

std::string serial(const Portico& proxy) { return proxy.connect_tls().tls().serial; }

Certificate front(const Portico& proxy) {
  return proxy.authority().issue({.names = {server_name, "localhost", "127.0.0.1"}});
}

/// Puts another certificate for the same names where the proxy's is.
void renew(const Portico& proxy) { static_cast<void>(front(proxy).write(proxy.folder().path(), "front")); }

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

/// Two workers under steady load on kept and on new connections, while `change` happens.
void under_load(Portico& proxy, const std::function<void()>& change) {
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> served{0};
  std::atomic<std::size_t> failed{0};
  const auto hammer = [&](bool keeps) {
    try {
      Client kept = proxy.connect_tls();
      while (!stop) {
        if (!keeps) kept = proxy.connect_tls();
        ++(kept.exchange(get("/v1/models")).body == "x" ? served : failed);
      }
    } catch (const std::exception&) {
      ++failed;
    }
  };
  std::thread kept([&] { hammer(true); });
  std::thread fresh([&] { hammer(false); });
  const auto goes_on = [&](std::size_t more) {
    const std::size_t before = served;
    return eventually([&] { return served >= before + more || failed > 0; });
  };
  CHECK(goes_on(50));
  change();
  CHECK(goes_on(50));
  stop = true;
  kept.join();
  fresh.join();
  CHECK(failed == 0);
}

}  // namespace

TEST_CASE("TLS 1.2 and 1.3 are spoken, older versions are refused", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  for (const auto& [version, name] :
       {std::pair{TlsVersion::v1_2, "TLSv1.2"}, std::pair{TlsVersion::v1_3, "TLSv1.3"}}) {
    TlsClientOptions options = proxy.tls_client();
    options.min_version = options.max_version = version;
    Client client = proxy.connect_tls(options);
    CHECK(client.tls().version == name);
    CHECK(client.exchange(get("/v1/models")).body == "x");
  }
  for (const TlsVersion version : {TlsVersion::v1_0, TlsVersion::v1_1}) {
    TlsClientOptions options = proxy.tls_client();
    options.min_version = options.max_version = version;
    CHECK(handshake(proxy, options) == Outcome::alert);
  }
}

TEST_CASE("only ciphers with forward secrecy and authenticated encryption are taken", "[tls]") {
  Authority authority;
  TemporaryFolder folder;
  const auto files = authority.issue({.key = KeyType::rsa}).write(folder.path(), "rsa");
  Portico proxy{{.settings = certificates({files}), .tls = true}};
  const auto [cipher, taken] = GENERATE(table<std::string, bool>({
      {"ECDHE-RSA-AES128-GCM-SHA256", true},
      {"ECDHE-RSA-AES256-GCM-SHA384", true},
      {"ECDHE-RSA-CHACHA20-POLY1305", true},
      {"AES128-GCM-SHA256", false},        // no forward secrecy
      {"ECDHE-RSA-AES128-SHA256", false},  // CBC
      {"ECDHE-RSA-AES256-SHA", false},     // CBC
      {"AES256-SHA", false},
  }));
  CAPTURE(cipher);
  const TlsClientOptions options{.max_version = TlsVersion::v1_2, .ciphers = cipher};
  CHECK((handshake(proxy, options) == Outcome::data) == taken);
  if (taken) CHECK(proxy.connect_tls(options).tls().cipher == cipher);
}

TEST_CASE("ALPN takes h2 where it is offered, else http/1.1; nothing in common is refused", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  const std::string h2 = GENERATE("on", "off");
  Portico proxy{
      {.cpa = cpa.url(), .settings = fmt::format(R"({{"http2": {{"tls": "{}"}}}})", h2), .tls = true}};
  const auto agreed = [&](const std::vector<std::string>& offered) {
    return proxy.connect_tls(proxy.tls_client(offered)).tls().alpn;
  };
  CHECK(agreed({"http/1.1", "h2"}) == (h2 == "on" ? "h2" : "http/1.1"));
  CHECK(agreed({"h2", "http/1.1"}) == (h2 == "on" ? "h2" : "http/1.1"));
  CHECK(agreed({"http/1.1"}) == "http/1.1");
  CHECK(handshake(proxy, proxy.tls_client({"h3", "acme-tls/1"})) == Outcome::alert);
  if (h2 == "off") CHECK(handshake(proxy, proxy.tls_client({"h2"})) == Outcome::alert);
  // A client without ALPN speaks HTTP/1.1.
  Client client = proxy.connect_tls();
  CHECK(client.tls().alpn.empty());
  CHECK(client.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("SNI chooses the certificate: exact name, then wildcard, else the first", "[tls]") {
  Authority authority;
  TemporaryFolder folder;
  const std::string ca = authority.write(folder.path(), "ca");
  const auto leaf = [&](const std::string& stem, const std::vector<std::string>& names) {
    return authority.issue({.names = names}).write(folder.path(), stem);
  };
  Portico proxy{{.settings = certificates({leaf("first", {"first.example"}), leaf("wild", {"*.wild.example"}),
                                           leaf("exact", {"one.wild.example", "other.example"})}),
                 .tls = true}};
  const auto shown = [&](const std::string& name) {
    return proxy.connect_tls({.server_name = name}).tls().names.at(0);
  };
  CHECK(shown("first.example") == "first.example");
  CHECK(shown("two.wild.example") == "*.wild.example");
  CHECK(shown("TWO.Wild.Example") == "*.wild.example");
  CHECK(shown("one.wild.example") == "one.wild.example");
  CHECK(shown("other.example") == "one.wild.example");
  CHECK(shown("a.b.wild.example") == "first.example");
  CHECK(shown("wild.example") == "first.example");
  CHECK(shown("unknown.example") == "first.example");
  CHECK(shown("") == "first.example");
  // And what is shown is good for the name.
  CHECK(handshake(proxy, {.server_name = "two.wild.example", .ca_file = ca}) == Outcome::data);
}

TEST_CASE("a session is resumed on every worker, after a reload too", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"workers": 2})", .tls = true}};
  TlsClientOptions options = proxy.tls_client();
  options.max_version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
  Client first = proxy.connect_tls(options);
  CHECK_FALSE(first.tls().resumed);
  first.exchange(get("/v1/models"));
  options.resume = first.ticket();
  REQUIRE(options.resume != nullptr);
  // The kernel spreads connections over the workers by their ports: 24 of them miss neither of the two.
  const auto all_resume = [&] {
    bool all = true;
    for (int i = 0; i < 24; ++i) {
      Client client = proxy.connect_tls(options);
      all = all && client.tls().resumed && client.exchange(get("/v1/models")).body == "x";
    }
    return all;
  };
  CHECK(all_resume());
  proxy.reload("{}");
  CHECK(all_resume());
}

TEST_CASE("tickets of another process are not taken, the handshake is then a full one", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico one{{.cpa = cpa.url(), .tls = true}};
  Portico two{{.cpa = cpa.url(), .tls = true}};
  Client first = one.connect_tls();
  first.exchange(get("/v1/models"));
  TlsClientOptions options = two.tls_client();
  options.resume = first.ticket();
  Client second = two.connect_tls(options);
  CHECK_FALSE(second.tls().resumed);
  CHECK(second.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a certificate swapped by SIGHUP is shown to new connections and no connection is lost", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"workers": 2})", .tls = true}};
  const std::string old = serial(proxy);
  Client kept = proxy.connect_tls();
  CHECK(kept.exchange(get("/v1/models")).body == "x");
  under_load(proxy, [&] {
    renew(proxy);
    proxy.reload("{}");
    // Every worker has it soon; several looks, since the kernel chooses the worker.
    CHECK(eventually([&] {
      for (int i = 0; i < 8; ++i)
        if (serial(proxy) == old) return false;
      return true;
    }));
  });
  CHECK(kept.tls().serial == old);
  CHECK(kept.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a certificate whose file changes is shown without a signal", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string old = serial(proxy);
  under_load(proxy, [&] {
    renew(proxy);
    CHECK(eventually([&] { return serial(proxy) != old; }, Deadline{20s}));
  });
}

TEST_CASE("a broken certificate file changes nothing and says so in the log and as a metric", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string old = serial(proxy);
  const std::string what = GENERATE(values<std::string>({"rubbish", "key of another", "missing"}));
  CAPTURE(what);
  if (what == "rubbish") replace_file(proxy.certificate_files().certificate, "no certificate");
  if (what == "key of another") replace_file(proxy.certificate_files().key, front(proxy).key_pem());
  if (what == "missing") std::filesystem::remove(proxy.certificate_files().certificate);
  proxy.signal(SIGHUP);
  CHECK(eventually([&] { return proxy.metric("portico_config_reload_success") == 0; }));
  CHECK(proxy.process().wait_for_line("tls."));
  CHECK(serial(proxy) == old);
  CHECK(proxy.connect_tls().exchange(get("/v1/models")).body == "x");
  // Mended, it is taken.
  renew(proxy);
  proxy.reload("{}");
  CHECK(eventually([&] { return serial(proxy) != old; }));
  CHECK(proxy.metric("portico_config_reload_success") == 1);
}

TEST_CASE("when a certificate expires is a metric, after a change that of the new one", "[tls]") {
  Portico proxy{{.tls = true}};
  const Certificate next =
      proxy.authority().issue({.names = {server_name, "127.0.0.1"}, .not_after = std::chrono::hours{1234}});
  CHECK(proxy.metric("portico_tls_certificate_expiry_seconds") > 0);
  static_cast<void>(next.write(proxy.folder().path(), "front"));
  proxy.reload("{}");
  CHECK(eventually([&] {
    return proxy.metric("portico_tls_certificate_expiry_seconds") == static_cast<double>(next.not_after());
  }));
}

TEST_CASE("plain HTTP on the TLS port gets a readable 400 in plain text, then the end", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const auto text = GENERATE(get("/v1/models"), post("/v1/responses", "{}"), request("OPTIONS", "*"),
                             std::string("GET / HTTP/1.0\r\n\r\n"));
  Client plain(proxy.tls_address());
  const Message answer = plain.exchange(text);
  CHECK(answer.status == 400);
  CHECK((answer.body.find("HTTPS") != std::string::npos || answer.body.find("https") != std::string::npos));
  CHECK(answer.end == End::complete);
  CHECK(plain.ends());
  CHECK(cpa.connections() == 0);
  CHECK(proxy.connect_tls().exchange(get("/v1/models")).body == "x");
}

TEST_CASE("bytes that are neither TLS nor HTTP end the connection and nothing else", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string bytes =
      GENERATE(std::string(5, '\0'), std::string(600, '\xff'),
               std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'a'),
               std::string("\x16\x03\x01\x00\x05hello", 10),
               std::string("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11), std::string("SSH-2.0-x\r\n"));
  Client client(proxy.tls_address());
  client.send_until_stuck(bytes, 200ms);
  client.half_close();
  CHECK(client.wait_closed() != Outcome::timeout);
  CHECK(cpa.connections() == 0);
  CHECK(proxy.connect_tls().exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a handshake that does not come to its end is cut off in time", "[tls]") {
  Portico proxy{{.settings = R"({"timeouts": {"handshake": "300ms"}})", .tls = true}};
  const std::string begun =
      GENERATE(std::string(), std::string("\x16"), std::string("\x16\x03\x01\x02\x00\x01", 6));
  Client client(proxy.tls_address());
  client.send(begun);
  CHECK(client.wait_closed(Deadline{3s}) != Outcome::timeout);
  CHECK(eventually([&] { return proxy.metric("portico_connections") == 0; }));
}

TEST_CASE("a handshake and requests whose records arrive in pieces are served", "[tls]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.body); }));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  TlsClientOptions options = proxy.tls_client();
  options.segment = GENERATE(1U, 7U);
  options.max_version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
  Client client = proxy.connect_tls(options);
  for (int i = 0; i < 3; ++i) CHECK(client.exchange(post("/v1/responses", "hello")).body == "hello");
}

TEST_CASE("the backend is told that the client speaks https", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  proxy.connect_tls().exchange(get("/v1/models", {"X-Forwarded-Proto: http", "Forwarded: proto=http"}));
  const Message seen = cpa.wait_request(0);
  CHECK(seen.all("X-Forwarded-Proto") == std::vector<std::string>{"https"});
  CHECK(seen.all("Forwarded") ==
        std::vector<std::string>{"for=127.0.0.1;proto=https;host=\"front.example\""});
}

TEST_CASE("the redirect listener sends everything to https with path and query, and nothing to a backend",
          "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true, .redirect = true}};
  Client client(proxy.redirect_address());
  const auto location = [&](const std::string& text) {
    const Message answer = client.exchange(text);
    CHECK((answer.status == 301 || answer.status == 308));
    return answer.one("Location");
  };
  const std::string base = fmt::format("https://front.example:{}", proxy.tls_address().port());
  CHECK(location(get("/v1/models?a=b%20c")) == base + "/v1/models?a=b%20c");
  CHECK(location(get("/")) == base + "/");
  CHECK(location("GET /x HTTP/1.1\r\nHost: front.example:80\r\n\r\n") == base + "/x");
  CHECK(location(post("/v1/responses", "body")) == base + "/v1/responses");
  CHECK(cpa.connections() == 0);
}

TEST_CASE("the redirect listener puts no host into a redirect that is none", "[tls]") {
  Portico proxy{{.tls = true, .redirect = true}};
  const std::string head = GENERATE(values<std::string>(
      {"GET /x HTTP/1.1\r\nHost: evil.example/y\r\n", "GET /x HTTP/1.1\r\nHost: a@evil.example\r\n",
       "GET /x HTTP/1.1\r\nHost: a b\r\n", "GET /x HTTP/1.1\r\n", "GET /x HTTP/1.0\r\n",
       "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "GET /x\x01 HTTP/1.1\r\nHost: a\r\n"}));
  CAPTURE(head);
  Client client(proxy.redirect_address());
  const Message answer = client.exchange(head + "\r\n");
  CHECK(answer.status == 400);
  CHECK_FALSE(answer.has("Location"));
}

TEST_CASE("challenges of ACME are served from their folder, over plain HTTP, and nothing beside it",
          "[tls]") {
  Portico proxy{{.tls = true, .redirect = true}};
  const std::string base = "/.well-known/acme-challenge/";
  write(proxy.folder().file("acme" + base + "token_-1"), "token_-1.thumbprint");
  write(proxy.folder().file("acme/secret"), "secret");
  write(proxy.folder().file("secret"), "secret");
  std::filesystem::create_directories(proxy.folder().file("acme" + base + "folder"));
  Client client(proxy.redirect_address());
  const Message found = client.exchange(get(base + "token_-1"));
  CHECK(found.status == 200);
  CHECK(found.body == "token_-1.thumbprint");
  CHECK(client.exchange(get(base + "token_-1?x=y")).body == "token_-1.thumbprint");
  CHECK(client.exchange(get(base + "none")).status == 404);
  for (const char* path : {"", "folder", "../../secret", "..%2f..%2fsecret", "%2e%2e/%2e%2e/secret",
                           "../../../secret", "..\\secret", "token_-1%00", "token_-1/"}) {
    CAPTURE(path);
    const Message answer = Client(proxy.redirect_address()).exchange(get(base + path));
    CHECK(answer.status != 200);
    CHECK(answer.body.find("secret") == std::string::npos);
  }
  // A file that is made later is found: certbot makes them so.
  write(proxy.folder().file("acme" + base + "later"), "later.thumbprint");
  CHECK(Client(proxy.redirect_address()).exchange(get(base + "later")).body == "later.thumbprint");
}
