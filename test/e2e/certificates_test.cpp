// Specification sections 8 and 9: what is said of certificates at the start and on reload, and listeners of
// TLS that a reload opens or a service manager passes.

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// What the TLS listener shows now.
std::string serial(const Portico& proxy) { return proxy.connect_tls().tls().serial; }

/// Runs the program to its end; empty unless it prints a line with `text`.
std::optional<ExitStatus> ends_with(const Command& command, const std::string& text) {
  Process process(command);
  if (!process.wait_for_line(text)) return std::nullopt;
  return process.wait_exit();
}

}  // namespace

TEST_CASE("SIGHUP with a certificate that cannot be used leaves all settings as they were", "[tls]") {
  Portico proxy{{.tls = true}};
  const std::string before = serial(proxy);
  const std::string missing = proxy.folder().file("missing.pem");
  proxy.reload(
      fmt::format(R"({{"tls": {{"certificates": ["{}"]}}, "limits": {{"request_target": 100}}}})", missing));
  CHECK(proxy.metric("portico_config_reload_success") == 0);
  CHECK(proxy.process().wait_for_line("tls.certificates[0]: " + missing).has_value());
  CHECK(serial(proxy) == before);
  CHECK(proxy.exchange(get("/v1/" + std::string(200, 'a'))).status != 414);
}

TEST_CASE("the status names certificates with their hosts and end", "[tls]") {
  Portico proxy{{.tls = true}};
  const std::string status = proxy.manage("/api/v1/status").body;
  CHECK_THAT(status, Catch::Contains(fmt::format(R"("certificates":[{{"file":"{}","names":["{}",)",
                                                 proxy.certificate_files().certificate, server_name)));
  CHECK_THAT(status, Catch::Contains(R"("key_type":"EC P-256")"));
}

TEST_CASE("an expired certificate is served with a warning", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string before = serial(proxy);
  const Certificate expired = proxy.authority().issue({.not_after = std::chrono::seconds{-60}});
  static_cast<void>(expired.write(proxy.folder().path(), "front"));
  proxy.reload("{}");
  CHECK(proxy.process().wait_for_line("expired on ").has_value());
  TlsClientOptions careless = proxy.tls_client();
  careless.ca_file.clear();
  CHECK(eventually([&] { return proxy.connect_tls(careless).tls().serial != before; }));
  CHECK(proxy.connect_tls(careless).exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a reload opens and closes listeners of TLS", "[tls]") {
  TemporaryFolder folder;
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const Address first = proxy.tls_address();
  const std::string path = folder.file("tls.sock");
  proxy.reload(fmt::format(R"({{"tls": {{"listen": ["unix:{}"]}}}})", path));
  REQUIRE(proxy.process().wait_for_line("now listening on unix:" + path + " (TLS)").has_value());
  CHECK(proxy.process().wait_for_line("no longer listening on " +
                                      fmt::format("https://127.0.0.1:{}", first.port())));
  TlsClientOptions options = proxy.tls_client();
  Client client(Address::unix_path(path), {.tls = options});
  CHECK(client.exchange(get("/v1/models")).body == "x");
  CHECK(eventually([&] { return !Client::try_connect(first); }));
}

TEST_CASE("a passed socket speaks TLS by its name, or by an address of tls.listen", "[tls]") {
  Origin cpa(Origin::serve(ok("x")));
  Listener plain(Address::ip("127.0.0.1", 0));
  Listener passed(Address::ip("127.0.0.1", 0));
  PorticoOptions options{.cpa = cpa.url(), .inherit = {plain.fd(), passed.fd()}, .tls = true};
  SECTION("by its name") { options.environment = {"LISTEN_FDNAMES=web:tls"}; }
  SECTION("by its address") {
    options.settings = fmt::format(R"({{"tls": {{"listen": ["127.0.0.1:{}"]}}}})", passed.address().port());
  }
  Portico proxy(options);
  CHECK(proxy.tls_address().port() == passed.address().port());
  CHECK(proxy.connect_tls().exchange(get("/v1/models")).body == "x");
  CHECK(Client(plain.address()).exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a socket that was passed for TLS demands a certificate", "[tls]") {
  TemporaryFolder folder;
  Listener passed(Address::ip("127.0.0.1", 0));
  replace_file(folder.file("portico.json"), R"({"admin": {"listen": "127.0.0.1:0"}})");
  const Command command{.arguments = {PORTICO_BINARY, "run", "--config", folder.file("portico.json")},
                        .environment = {"LISTEN_FDNAMES=tls"},
                        .inherit = {passed.fd()}};
  CHECK(ends_with(command, "tls.certificates: expected at least one") == 2);
}

TEST_CASE("check and run say what is wrong with certificates and exit with 2", "[tls]") {
  TemporaryFolder folder;
  const Authority authority;
  const Certificate leaf = authority.issue({.names = {server_name}});
  const CertificateFiles files = leaf.write(folder.path(), "leaf");
  const std::string config = folder.file("portico.json");
  replace_file(config, fmt::format(R"({{"listen": ["127.0.0.1:0"], "admin": {{"listen": "127.0.0.1:0"}},
      "tls": {{"listen": ["127.0.0.1:0"], "certificates": ["{}"], "keys": ["{}"]}}}})",
                                   files.certificate, files.key));
  const auto with = [&](const std::string& command) {
    return Command{.arguments = {PORTICO_BINARY, command, "--config", config}};
  };
  CHECK(ends_with(with("check"), fmt::format("{}: {}, EC P-256, until ", files.certificate, server_name)) ==
        0);

  replace_file(files.key, leaf.key_pem("secret"));
  for (const char* command : {"check", "run"})
    CHECK(ends_with(with(command), "tls.keys[0]: " + files.key + ": is encrypted") == 2);
}
