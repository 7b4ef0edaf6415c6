#include "proxy/tls/server_contexts.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "test/proxy/tls/handshake.hpp"
#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

using namespace portico;
using namespace portico::test;
using proxy::tls::Credentials;
using proxy::tls::Protocols;
using proxy::tls::ServerContexts;
using proxy::tls::TicketKeys;

namespace {

/// Certificates whose common names tell which one was shown.
class Shop {
 public:
  void add(const CertificateOptions& options) {
    const CertificateFiles files =
        authority_.issue(options).write(folder_.path().string(), std::to_string(settings_.keys.size()));
    settings_.certificates.push_back(files.certificate);
    settings_.keys.push_back(files.key);
  }
  [[nodiscard]] ServerContexts contexts(Protocols protocols = Protocols::h2_and_http1) const {
    return ServerContexts(Credentials(settings_), protocols, tickets);
  }

  std::shared_ptr<const TicketKeys> tickets = std::make_shared<TicketKeys>();

 private:
  TemporaryFolder folder_;
  Authority authority_;
  conf::TlsSettings settings_;
};

struct ShopOfOne : Shop {
  ShopOfOne() { add({}); }
};

Handshake shake(const ServerContexts& contexts, const ClientOffer& offer = {}) {
  return {make_client(offer), contexts.new_session()};
}

/// A client that has been there before.
SessionPtr visit(const ServerContexts& contexts, int version) {
  const Handshake first = shake(contexts, {.version = version});
  REQUIRE(first.good());
  REQUIRE_FALSE(first.resumed());
  SessionPtr session = first.session();
  REQUIRE(SSL_SESSION_has_ticket(session.get()) == 1);
  return session;
}

bool resumes(const ServerContexts& contexts, int version, const SessionPtr& session) {
  const Handshake again = shake(contexts, {.version = version, .resume = session.get()});
  REQUIRE(again.good());
  return again.resumed();
}

}  // namespace

TEST_CASE("the name in SNI chooses the certificate: an exact name, a wildcard, else the first") {
  Shop shop;
  shop.add({.names = {"first.example"}, .common_name = "first"});
  shop.add({.names = {"*.example.com", "example.com"}, .common_name = "wild"});
  shop.add({.names = {"api.example.com"}, .common_name = "api"});
  const ServerContexts contexts = shop.contexts();
  CHECK(contexts.size() == 3);
  const auto [name, shown] = GENERATE(table<std::string, std::string>({
      {"first.example", "first"},
      {"api.example.com", "api"},
      {"www.example.com", "wild"},
      {"example.com", "wild"},
      {"API.Example.COM", "api"},
      {"WWW.EXAMPLE.COM", "wild"},
      {"api.example.com.", "api"},
      {"a.b.example.com", "first"},  // a wildcard stands for one label
      {".example.com", "first"},
      {"example.org", "first"},
      {"com", "first"},
      {"", "first"},
  }));
  CAPTURE(name);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Handshake handshake = shake(contexts, {.name = name, .version = version});
    REQUIRE(handshake.good());
    CHECK(handshake.shown() == shown);
  }
}

TEST_CASE("a name as no client may send it gets the first certificate") {
  Shop shop;
  shop.add({.names = {"first.example"}});
  shop.add({.names = {"*.example.com"}});
  const ServerContexts contexts = shop.contexts();
  CHECK(contexts.choice("www.example.com") == 1);
  CHECK(contexts.choice(fmt::format("{:a>300}.example.com", "")) == 0);
  CHECK(contexts.choice(".") == 0);
  CHECK(contexts.choice("..") == 0);
  CHECK(contexts.choice("*.example.com") == 1);
}

TEST_CASE("certificates with the same names and different types of key share a context") {
  Shop shop;
  shop.add({.names = {"a.example", "b.example"}, .common_name = "rsa", .key = KeyType::rsa});
  shop.add({.names = {"b.example", "a.example"}, .common_name = "ec"});
  shop.add({.names = {"a.example", "b.example"}, .common_name = "second ec"});
  shop.add({.names = {"b.example"}, .common_name = "other"});
  const ServerContexts contexts = shop.contexts();
  CHECK(contexts.size() == 3);
  // Who can't verify ECDSA gets the other one.
  CHECK(shake(contexts, {.name = "a.example", .signatures = "rsa_pss_rsae_sha256"}).shown() == "rsa");
  CHECK(shake(contexts, {.name = "a.example", .signatures = "ECDSA+SHA256"}).shown() == "ec");
  CHECK(shake(contexts, {.name = "b.example"}).shown() == "ec");
}

TEST_CASE("the intermediate certificates are sent along, and nothing that is not in the file") {
  TemporaryFolder folder;
  const Authority root;
  const CertificateFiles files =
      root.intermediate("Intermediate").issue().write(folder.path().string(), "leaf");
  conf::TlsSettings settings;
  settings.certificates = {files.certificate};
  settings.keys = {files.key};
  const ServerContexts contexts(Credentials(settings), Protocols::http1, std::make_shared<TicketKeys>());
  const Handshake handshake = shake(contexts);
  REQUIRE(handshake.good());
  CHECK(sk_X509_num(SSL_get_peer_cert_chain(&handshake.client())) == 2);
}

TEST_CASE("TLS 1.2 and 1.3 are spoken, nothing older") {
  const ServerContexts contexts = ShopOfOne().contexts();
  CHECK(shake(contexts, {.version = TLS1_3_VERSION}).good());
  CHECK(shake(contexts, {.version = TLS1_2_VERSION}).good());
  for (const int version : {TLS1_1_VERSION, TLS1_VERSION}) {
    const Handshake old = shake(contexts, {.version = version, .compatible = true});
    CHECK_FALSE(old.good());
    CHECK(old.server_error() == SSL_R_UNSUPPORTED_PROTOCOL);
  }
}

TEST_CASE("ciphers of TLS 1.2 without forward secrecy or authenticated encryption are refused") {
  Shop shop;
  shop.add({.key = KeyType::rsa});
  const ServerContexts contexts = shop.contexts();
  const auto good = [&](const char* ciphers) {
    return shake(contexts, {.version = TLS1_2_VERSION, .ciphers = ciphers, .compatible = true}).good();
  };
  CHECK(good("ECDHE-RSA-AES128-GCM-SHA256"));
  CHECK(good("ECDHE-RSA-CHACHA20-POLY1305"));
  CHECK_FALSE(good("ECDHE-RSA-AES128-SHA256"));
  CHECK_FALSE(good("ECDHE-RSA-AES256-SHA"));
  CHECK_FALSE(good("AES128-GCM-SHA256"));
  CHECK_FALSE(good("AES256-SHA256"));
  CHECK_FALSE(good("DHE-RSA-AES128-GCM-SHA256"));
}

TEST_CASE("the server chooses the cipher, but CHACHA20 for a client that puts it first") {
  const ServerContexts contexts = ShopOfOne().contexts();
  const std::string aes128 = "ECDHE-ECDSA-AES128-GCM-SHA256";
  const std::string aes256 = "ECDHE-ECDSA-AES256-GCM-SHA384";
  const std::string chacha = "ECDHE-ECDSA-CHACHA20-POLY1305";
  const auto chosen = [&](const std::string& ciphers) {
    return shake(contexts, {.version = TLS1_2_VERSION, .ciphers = ciphers}).cipher();
  };
  CHECK(chosen(aes256 + ":" + aes128) == aes128);
  CHECK(chosen(aes256 + ":" + chacha + ":" + aes128) == aes128);
  CHECK(chosen(chacha + ":" + aes128) == chacha);
}

TEST_CASE("ALPN: h2 is preferred where it is offered on both sides, and no common protocol is fatal") {
  const ShopOfOne shop;
  const ServerContexts both = shop.contexts();
  const ServerContexts http1 = shop.contexts(Protocols::http1);
  const auto chosen = [](const ServerContexts& contexts, std::vector<std::string> offered) {
    const Handshake handshake = shake(contexts, {.alpn = std::move(offered)});
    REQUIRE(handshake.good());
    return handshake.protocol();
  };
  CHECK(chosen(both, {"http/1.1", "h2"}) == "h2");
  CHECK(chosen(both, {"http/1.1"}) == "http/1.1");
  CHECK(chosen(both, {"h2"}) == "h2");
  CHECK(chosen(http1, {"h2", "http/1.1"}) == "http/1.1");
  // Without ALPN it is HTTP/1.1 by itself.
  CHECK(chosen(both, {}).empty());

  const Handshake nothing = shake(both, {.alpn = {"h3", "http/1.0"}});
  CHECK_FALSE(nothing.good());
  CHECK(nothing.client_error() == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  CHECK_FALSE(shake(http1, {.alpn = {"h2"}}).good());
}

TEST_CASE("the protocols hold for every certificate") {
  Shop shop;
  shop.add({.names = {"a.example"}});
  shop.add({.names = {"b.example"}});
  const ServerContexts contexts = shop.contexts(Protocols::http1);
  CHECK(shake(contexts, {.name = "b.example", .alpn = {"h2", "http/1.1"}}).protocol() == "http/1.1");
}

TEST_CASE("a client that asks for another handshake is refused") {
  const ServerContexts contexts = ShopOfOne().contexts();
  const Handshake handshake = shake(contexts, {.version = TLS1_2_VERSION});
  REQUIRE(handshake.good());
  REQUIRE(SSL_renegotiate(&handshake.client()) == 1);
  REQUIRE(SSL_do_handshake(&handshake.client()) != 1);
  char byte = 0;
  REQUIRE(SSL_read(&handshake.server(), &byte, 1) < 0);
  ERR_clear_error();
  CHECK(SSL_do_handshake(&handshake.client()) != 1);
  CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION);
  ERR_clear_error();
}

TEST_CASE("no ticket allows early data") {
  CHECK(SSL_SESSION_get_max_early_data(visit(ShopOfOne().contexts(), TLS1_3_VERSION).get()) == 0);
}

TEST_CASE("a session comes back by its ticket on every worker and after the certificate was renewed") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CAPTURE(version);
  ShopOfOne shop;
  const ServerContexts first_worker = shop.contexts();
  const ServerContexts second_worker = shop.contexts();
  const SessionPtr session = visit(first_worker, version);
  CHECK(resumes(first_worker, version, session));
  CHECK(resumes(second_worker, version, session));

  ShopOfOne renewed;
  renewed.tickets = shop.tickets;
  CHECK(resumes(renewed.contexts(), version, session));
}

TEST_CASE("a ticket is good for as many rotations as there are keys, and no longer") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CAPTURE(version);
  ShopOfOne shop;
  ServerContexts contexts = shop.contexts();
  const SessionPtr session = visit(contexts, version);
  for (std::size_t i = 1; i < TicketKeys::most; ++i) {
    shop.tickets = shop.tickets->rotated();
    contexts.set_tickets(shop.tickets);
    CHECK(resumes(contexts, version, session));
  }
  shop.tickets = shop.tickets->rotated();
  contexts.set_tickets(shop.tickets);
  CHECK_FALSE(resumes(contexts, version, session));
}

TEST_CASE("a ticket of a key that is not the newest is renewed") {
  ShopOfOne shop;
  ServerContexts contexts = shop.contexts();
  const SessionPtr session = visit(contexts, TLS1_2_VERSION);
  const auto ticket_of = [](const SessionPtr& of) {
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    SSL_SESSION_get0_ticket(of.get(), &bytes, &size);
    return std::string(reinterpret_cast<const char*>(bytes), size);
  };
  const auto after = [&] {
    const Handshake again = shake(contexts, {.version = TLS1_2_VERSION, .resume = session.get()});
    REQUIRE(again.resumed());
    return ticket_of(again.session());
  };
  CHECK(after() == ticket_of(session));
  contexts.set_tickets(shop.tickets->rotated());
  CHECK(after() != ticket_of(session));
}

TEST_CASE("a ticket of strangers' keys leads to a full handshake") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  ShopOfOne shop;
  const SessionPtr session = visit(shop.contexts(), version);
  shop.tickets = std::make_shared<TicketKeys>();
  CHECK_FALSE(resumes(shop.contexts(), version, session));
}

TEST_CASE("a handshake goes on when its contexts have been replaced meanwhile") {
  auto client = make_client({.name = "localhost", .alpn = {"h2"}});
  proxy::tls::SslPtr server;
  {
    const ServerContexts replaced = ShopOfOne().contexts();
    server = replaced.new_session();
  }
  const Handshake handshake(std::move(client), std::move(server));
  CHECK(handshake.good());
  CHECK(handshake.protocol() == "h2");
}
