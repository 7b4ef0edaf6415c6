#include "telemetry/server_tls.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <catch2/catch.hpp>

#include "telemetry/http_server.hpp"
#include "test/telemetry/http_client.hpp"
#include "test/telemetry/tls_files.hpp"

using namespace portico;
using namespace portico::telemetry;
using namespace portico::test;

namespace {

// What the operator is told; empty when nothing is wrong.
std::string problem(const conf::AdminSettings& settings) {
  try {
    static_cast<void>(make_server_tls(settings));
    return {};
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

HttpServer serve(const TlsFiles& files) {
  return {files.settings.listen,
          [](const HttpRequest&) {
            return HttpReply{200, "text/plain", "hello", {}};
          },
          {},
          {},
          make_server_tls(files.settings)};
}

// The answer's body, or why there is none.
std::string ask(const HttpServer& server, const ClientTls& tls) {
  try {
    Client client(server.address().text());
    client.secure(tls.context());
    return client.get("/").body;
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("the management endpoint is plain where no setting asks for TLS, and never by half a setting") {
  conf::AdminSettings settings;
  CHECK(make_server_tls(settings) == nullptr);
  settings.client_ca = "/ca.pem";
  CHECK(problem(settings) == "admin.client_ca needs admin.tls_certificate");
  settings.tls_key = "/key.pem";
  CHECK(problem(settings) == "admin.tls_key needs admin.tls_certificate");
  settings.tls_certificate = "/certificate.pem";
  settings.tls_key.clear();
  CHECK(problem(settings) == "admin.tls_certificate needs admin.tls_key");
}

TEST_CASE("a file that the management endpoint's TLS cannot use is named with its setting and the cause") {
  TlsFiles files;
  files.demand(files.authority);
  REQUIRE(problem(files.settings).empty());
  const std::string certificate = files.settings.tls_certificate;
  const std::string key = files.settings.tls_key;
  conf::AdminSettings& settings = files.settings;
  std::string file;
  std::string expected;

  SECTION("no certificate") {
    file = settings.tls_certificate = files.file("none.pem");
    expected = "admin.tls_certificate: " + file + ": No such file or directory";
  }
  SECTION("a certificate file that holds the key") {
    file = settings.tls_certificate = key;
    expected = "admin.tls_certificate: " + file + ": holds a key and no certificate";
  }
  SECTION("a certificate file that holds something else") {
    file = settings.tls_certificate = files.file("text");
    replace_file(file, "text\n");
    expected = "admin.tls_certificate: " + file + ": holds no certificate in PEM form";
  }
  SECTION("a chain that breaks off in its second certificate") {
    const std::string pem = files.authority.issue().pem();
    file = settings.tls_certificate;
    replace_file(file, pem + pem.substr(0, pem.size() / 2));
    expected = "admin.tls_certificate: " + file + ": certificate 2 cannot be read: ";
  }
  SECTION("a pipe instead of a file") {
    file = settings.tls_certificate = files.file("pipe");
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    expected = "admin.tls_certificate: " + file + ": is not a file";
  }
  SECTION("a certificate that is too large to be one") {
    file = settings.tls_certificate;
    std::filesystem::resize_file(file, 2'000'000);
    expected = "admin.tls_certificate: " + file + ": is too large";
  }
  SECTION("no key") {
    file = settings.tls_key = files.file("none.key");
    expected = "admin.tls_key: " + file + ": No such file or directory";
  }
  SECTION("a key file that holds the certificate") {
    file = settings.tls_key = certificate;
    expected = "admin.tls_key: " + file + ": holds a certificate and no key";
  }
  SECTION("a key file that holds something else") {
    file = settings.tls_key = files.file("text");
    replace_file(file, "text\n");
    expected = "admin.tls_key: " + file + ": holds no key in PEM form";
  }
  SECTION("a key that is damaged") {
    file = key;
    replace_file(file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    expected = "admin.tls_key: " + file + ": cannot be read: ";
  }
  SECTION("a key that is encrypted, for which nobody is asked") {
    file = key;
    replace_file(file, files.authority.issue().key_pem("password"));
    expected = "admin.tls_key: " + file + ": is encrypted, and there is nobody to ask for a password; ";
  }
  SECTION("the key of another certificate") {
    file = key;
    replace_file(file, files.authority.issue().key_pem());
    expected = "admin.tls_key: " + file + ": is not the key of the certificate in " + certificate;
  }
  SECTION("no authorities") {
    file = settings.client_ca = files.file("none.pem");
    expected = "admin.client_ca: " + file + ": No such file or directory";
  }
  SECTION("a file of authorities that holds none") {
    file = settings.client_ca;
    replace_file(file, "");
    expected = "admin.client_ca: " + file + ": holds no certificate in PEM form";
  }
  const std::string found = problem(settings);
  CAPTURE(expected);
  // Where OpenSSL says why, its words follow.
  CHECK(found.substr(0, expected.size()) == expected);
  CHECK(found.find('\n') == std::string::npos);
}

TEST_CASE("an expired certificate does not keep the management endpoint from starting") {
  TlsFiles files;
  files.use(files.authority.issue({.not_after = std::chrono::seconds(-60)}));
  CHECK(problem(files.settings).empty());
}

TEST_CASE("the management endpoint speaks TLS 1.2 and 1.3 and nothing older") {
  TlsFiles files;
  const HttpServer server = serve(files);
  ClientTls client(files.authority);
  client.only(TLS1_2_VERSION);
  CHECK(ask(server, client) == "hello");
  client.only(TLS1_3_VERSION);
  CHECK(ask(server, client) == "hello");
  client.only(TLS1_1_VERSION);
  CHECK(ask(server, client) == "handshake: tlsv1 alert protocol version");
}

TEST_CASE("the management endpoint takes no cipher without forward secrecy or authenticated encryption") {
  TlsFiles files;
  files.use(files.authority.issue({.key = KeyType::rsa}));
  const HttpServer server = serve(files);
  ClientTls client(files.authority);
  client.only(TLS1_2_VERSION);
  for (const char* const good :
       {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}) {
    CAPTURE(good);
    REQUIRE(SSL_CTX_set_cipher_list(&client.context(), good) == 1);
    CHECK(ask(server, client) == "hello");
  }
  for (const char* const bad : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA"}) {
    CAPTURE(bad);
    REQUIRE(SSL_CTX_set_cipher_list(&client.context(), bad) == 1);
    CHECK(ask(server, client) == "handshake: sslv3 alert handshake failure");
  }
}

TEST_CASE("a client that offers protocols gets http/1.1, and no connection when that is not among them") {
  TlsFiles files;
  const HttpServer server = serve(files);
  const ClientTls client(files.authority);
  const unsigned char both[] = "\x02h2\x08http/1.1";
  REQUIRE(SSL_CTX_set_alpn_protos(&client.context(), both, sizeof both - 1) == 0);
  Client connection(server.address().text());
  connection.secure(client.context());
  const unsigned char* chosen = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(connection.tls(), &chosen, &size);
  CHECK(std::string(reinterpret_cast<const char*>(chosen), size) == "http/1.1");
  REQUIRE(SSL_CTX_set_alpn_protos(&client.context(), both, 3) == 0);
  CHECK(ask(server, client) == "handshake: tlsv1 alert no application protocol");
}

TEST_CASE("the intermediate certificates of the file go to the client") {
  TlsFiles files;
  files.use(files.authority.intermediate("Intermediate").issue());
  const HttpServer server = serve(files);
  CHECK(ask(server, ClientTls(files.authority)) == "hello");
}

TEST_CASE("no session is resumed, so that a client's certificate is looked at each time") {
  TlsFiles files;
  const HttpServer server = serve(files);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ClientTls tls(files.authority);
    tls.only(version);
    Client first(server.address().text());
    first.secure(tls.context());
    REQUIRE(first.get("/").body == "hello");
    CHECK(SSL_SESSION_has_ticket(SSL_get0_session(first.tls())) == 0);
    CHECK(SSL_SESSION_is_resumable(SSL_get0_session(first.tls())) == 0);
  }
}

TEST_CASE("of the clients only those of a named authority are let in") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TlsFiles files;
  const Authority clients("Clients");
  files.demand(clients);
  const HttpServer server = serve(files);
  const auto answer_to = [&](ClientTls client) {
    client.only(version);
    return ask(server, client);
  };
  CHECK(answer_to({files.authority, clients.issue()}) == "hello");
  CHECK(answer_to({files.authority, clients.intermediate("Below").issue()}) == "hello");
  // At which end of the handshake the alert arrives is the version's matter.
  CHECK_THAT(answer_to(ClientTls(files.authority)),
             Catch::EndsWith(version == TLS1_2_VERSION ? "sslv3 alert handshake failure"
                                                       : "tlsv13 alert certificate required"));
  CHECK_THAT(answer_to({files.authority, files.authority.issue()}),
             Catch::EndsWith("tlsv1 alert unknown ca"));
  CHECK_THAT(answer_to({files.authority, self_signed()}), Catch::Contains("alert"));
  CHECK_THAT(answer_to({files.authority, clients.issue({.not_after = std::chrono::seconds(-60)})}),
             Catch::EndsWith("sslv3 alert certificate expired"));
}

TEST_CASE("an intermediate authority may be named without the one above it") {
  TlsFiles files;
  const Authority clients("Clients");
  const Authority below = clients.intermediate("Below");
  files.demand(below);
  const HttpServer server = serve(files);
  CHECK(ask(server, {files.authority, below.issue()}) == "hello");
  CHECK_THAT(ask(server, {files.authority, clients.issue()}), Catch::Contains("alert"));
}
