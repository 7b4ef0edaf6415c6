// client_context.hpp and handshake_failure.hpp: they belong together as a question and its answer.

#include "proxy/tls/client_context.hpp"

#include <catch2/catch.hpp>

#include "proxy/tls/handshake_failure.hpp"
#include "proxy/tls/server_contexts.hpp"
#include "test/proxy/tls/handshake.hpp"
#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

using namespace portico;
using namespace portico::test;
using namespace portico::proxy::tls;

namespace {

struct Backend {
  TemporaryFolder folder;
  Authority authority;
  std::string ca_file = authority.write(folder.path().string(), "ca");

  [[nodiscard]] SslPtr session(const Certificate& certificate, Protocols protocols = Protocols::http1) const {
    const CertificateFiles files = certificate.write(folder.path().string(), "leaf");
    conf::TlsSettings settings;
    settings.certificates = {files.certificate};
    settings.keys = {files.key};
    return ServerContexts(Credentials(settings), protocols, std::make_shared<TicketKeys>()).new_session();
  }
  [[nodiscard]] ClientContext context() const { return {ca_file, "upstreams.cpa.ca_file"}; }
};

/// Moves bytes between the client and whatever answers it; returns why the handshake failed, or nothing.
std::string outcome(SslPtr client, SslPtr server) {
  BIO* near = nullptr;
  BIO* far = nullptr;
  BIO_new_bio_pair(&near, 0, &far, 0);
  SSL_set_bio(client.get(), near, near);
  SSL_set_bio(server.get(), far, far);
  for (int round = 0; round < 20; ++round) {
    ERR_clear_error();
    const int result = SSL_do_handshake(client.get());
    if (result == 1) return {};
    if (SSL_get_error(client.get(), result) != SSL_ERROR_WANT_READ) return handshake_failure(*client);
    SSL_do_handshake(server.get());
  }
  return "hangs";
}

/// The same against a peer that answers with these bytes and closes.
std::string outcome(SslPtr session, std::string_view answer) {
  SSL_set_bio(session.get(), BIO_new_mem_buf(answer.data(), static_cast<int>(answer.size())),
              BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(session.get()), 0);
  ERR_clear_error();
  const int result = SSL_do_handshake(session.get());
  return result == 1 ? std::string() : handshake_failure(*session);
}

}  // namespace

TEST_CASE("a certificate of the named authority for the host is accepted") {
  const Backend backend;
  const auto host =
      GENERATE(values<std::string>({"localhost", "LocalHost", "localhost.", "127.0.0.1", "::1"}));
  CAPTURE(host);
  CHECK(outcome(backend.context().new_session(host), backend.session(backend.authority.issue())).empty());
}

TEST_CASE("a wildcard stands for one whole label") {
  const Backend backend;
  const ClientContext context = backend.context();
  const Certificate wild = backend.authority.issue({.names = {"*.example.com"}});
  const Certificate partial = backend.authority.issue({.names = {"a*.example.com"}});
  CHECK(outcome(context.new_session("api.example.com"), backend.session(wild)).empty());
  CHECK_FALSE(outcome(context.new_session("a.api.example.com"), backend.session(wild)).empty());
  CHECK_FALSE(outcome(context.new_session("api.example.com"), backend.session(partial)).empty());
}

TEST_CASE("SNI holds the host name, never an address") {
  const Backend backend;
  const ClientContext context = backend.context();
  const auto sent = [&](const std::string& host) {
    const Handshake handshake(context.new_session(host), backend.session(backend.authority.issue()));
    REQUIRE(handshake.good());
    const char* const name = SSL_get_servername(&handshake.client(), TLSEXT_NAMETYPE_host_name);
    return std::string(name == nullptr ? "" : name);
  };
  CHECK(sent("localhost") == "localhost");
  CHECK(sent("localhost.") == "localhost");
  CHECK(sent("127.0.0.1").empty());
  CHECK(sent("::1").empty());
}

TEST_CASE("http/1.1 is offered to a backend and nothing else") {
  const Backend backend;
  const Handshake handshake(backend.context().new_session("localhost"),
                            backend.session(backend.authority.issue(), Protocols::h2_and_http1));
  REQUIRE(handshake.good());
  CHECK(handshake.protocol() == "http/1.1");
}

TEST_CASE("without a name there is no session, because nothing could be verified") {
  const Backend backend;
  CHECK_FALSE(backend.context().new_session(""));
  CHECK_FALSE(backend.context().new_session("."));
}

TEST_CASE("a certificate that does not do is refused with the reason and what to do") {
  using std::chrono::hours;
  const Backend backend;
  const auto why = [&](const Certificate& certificate, const std::string& host = "localhost") {
    return outcome(backend.context().new_session(host), backend.session(certificate));
  };
  CHECK(why(backend.authority.issue({.not_before = hours{-48}, .not_after = hours{-24}})) ==
        "its certificate, or one of its authorities, has expired");
  CHECK_THAT(why(backend.authority.issue({.not_before = hours{24}, .not_after = hours{48}})),
             Catch::Contains("is not valid yet"));
  CHECK_THAT(why(self_signed()), Catch::Contains("is self-signed") && Catch::Contains("ca_file"));
  CHECK_THAT(why(Authority("Somebody else").issue()), Catch::Contains("is of an unknown authority"));
  CHECK(why(backend.authority.issue({.names = {"other.example"}}), "api.example.com") ==
        "its certificate is not for api.example.com; if another name is meant, set tls_name");
  CHECK_THAT(why(backend.authority.issue({.names = {"localhost"}}), "127.0.0.1"),
             Catch::Contains("is not for 127.0.0.1"));
  // The address as a host name is no address.
  CHECK_THAT(why(backend.authority.issue({.names = {}, .common_name = "127.0.0.1"}), "127.0.0.1"),
             Catch::Contains("is not for 127.0.0.1"));
}

TEST_CASE("with no ca_file the system's authorities are asked, which do not know a private one") {
  const Backend backend;
  const ClientContext system("", "upstreams.cpa.ca_file");
  CHECK_THAT(outcome(system.new_session("localhost"), backend.session(backend.authority.issue())),
             Catch::Contains("unknown authority"));
}

TEST_CASE("a peer that does not speak TLS, closes or sends an alert is told apart") {
  const ClientContext context = Backend().context();
  const auto after = [&](std::string_view answer) {
    return outcome(context.new_session("localhost"), answer);
  };
  CHECK(after("HTTP/1.1 400 Bad Request\r\n\r\n") == "it speaks no TLS");
  CHECK(after("SSH-2.0-OpenSSH_9.2\r\n") == "it speaks no TLS");
  CHECK(after("") == "it closed the connection during the handshake");
  CHECK(after(std::string_view("\x15\x03\x03\x00\x02\x02\x28", 7)) ==
        "it has no cipher, group or certificate for what was offered (alert handshake failure)");
  CHECK(after(std::string_view("\x15\x03\x03\x00\x02\x02\x70", 7)) ==
        "it knows no such host name (SNI); if another name is meant, set tls_name");
  CHECK(after(std::string_view("\x15\x03\x03\x00\x02\x02\x46", 7)) ==
        "it speaks no version of TLS from 1.2 on");
  CHECK(after(std::string_view("\x15\x03\x03\x00\x02\x02\x50", 7)) ==
        "it ended the handshake with the alert internal error");
}

TEST_CASE("a server says of a client why its handshake failed") {
  const Backend backend;
  const auto after = [&](std::string_view bytes) {
    return outcome(backend.session(backend.authority.issue()), bytes);
  };
  CHECK(after("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == "it speaks plain HTTP");
  CHECK(after("CONNECT a:1 HTTP/1.1\r\n\r\n") == "it speaks plain HTTP to a proxy");
  CHECK(after(std::string_view("\x00\x00\x00\x00\x00\x00\x00\x00", 8)) == "it speaks no TLS");
  CHECK(after("") == "it closed the connection during the handshake");
}

TEST_CASE("a ca_file that cannot be used is named with its setting and the cause") {
  const Backend backend;
  const auto problem = [&](const std::string& file) -> std::string {
    try {
      const ClientContext context(file, "upstreams.cpa.ca_file");
      return {};
    } catch (const CertificateError& error) {
      return error.what();
    }
  };
  const std::string missing = backend.folder.file("missing.pem");
  CHECK(problem(missing) == "upstreams.cpa.ca_file: " + missing + ": No such file or directory");
  const std::string folder = backend.folder.path().string();
  CHECK(problem(folder) == "upstreams.cpa.ca_file: " + folder + ": is not a file");
  const std::string nonsense = backend.folder.file("nonsense.pem");
  replace_file(nonsense, "nonsense\n");
  CHECK_THAT(problem(nonsense), Catch::StartsWith("upstreams.cpa.ca_file: " + nonsense +
                                                  ": holds no certificate that can be read"));
}
