#include "conf/describe.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <catch2/catch.hpp>

#include "conf/load.hpp"
#include "conf/schema.hpp"

using namespace portico::conf;

namespace {

std::string file_text(std::string_view name) {
  std::ifstream in(std::filesystem::path(PORTICO_SOURCE_DIR) / name, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("conf/portico.json is what the schema writes, and loads to the built-in defaults") {
  CHECK(file_text("conf/portico.json") == default_file());
  const Loaded loaded = load_text(file_text("conf/portico.json"), "conf/portico.json");
  CAPTURE(loaded.problem_text());
  REQUIRE(loaded.ok());
  CHECK(loaded.settings == Settings::defaults());
}

TEST_CASE("conf/REFERENCE.md is what the schema writes") {
  CHECK(file_text("conf/REFERENCE.md") == reference());
}

TEST_CASE("the reference names every field, flag and variable") {
  const std::string text = reference();
  for (const auto& field : settings_fields())
    CHECK(text.find("`" + std::string(field.name) + "`") != std::string::npos);
  for (const auto& field : upstream_fields())
    CHECK(text.find("`upstreams.NAME." + std::string(field.name) + "`") != std::string::npos);
  for (const auto& field : route_fields())
    CHECK(text.find("`routes[]." + std::string(field.name) + "`") != std::string::npos);
  for (const auto& shortcut : shortcuts())
    CHECK(text.find("`" + std::string(shortcut.variable) + "`") != std::string::npos);
}

TEST_CASE("every field says in one sentence what it means, under a name of its own") {
  std::set<std::string_view> names;
  for (const auto& field : settings_fields()) {
    CHECK(names.insert(field.name).second);
    CHECK(field.help.ends_with('.'));
  }
}

TEST_CASE("only what the management endpoint, the threads and the accounts are made of needs a restart") {
  for (const auto& field : settings_fields()) {
    CAPTURE(field.name);
    const bool fixed =
        field.name == "workers" || field.name.starts_with("admin.") || field.name.starts_with("telemetry.");
    CHECK((field.effect == Effect::restart) == fixed);
  }
  for (const auto& field : upstream_fields()) CHECK(field.effect == Effect::reload);
}

TEST_CASE("what is described loads to the same settings") {
  CHECK(load_text(describe(Settings::defaults()), "d").settings == Settings::defaults());
  const Loaded loaded = load_text(R"({
    "listen": ["[::1]:1", "unix:/a\"b"], "trusted_proxies": ["unix:", "fd00::/8"], "via": "x", "log_level": "error",
    "tls": {"listen": [":443"], "certificates": ["a.pem", "b \"c\".pem"], "keys": ["a.key", "b.key"],
            "redirect_listen": [":80"], "acme_webroot": "/w"},
    "http2": {"tls": "off", "cleartext": "on", "streams": 1}, "proxy_protocol_from": ["10.0.0.0/8"],
    "key_guard": {"failures": 0, "window": "1ms", "pause": "30d", "exempt": ["::1", "unix:"]},
    "admin": {"tls_certificate": "c", "tls_key": "k", "client_ca": "a"},
    "timeouts": {"connect": "1500ms"}, "limits": {"request_body": 1048577},
    "upstreams": {"z": {"endpoints": ["unix:/z", "http://[::1]:9"]},
                  "s": {"endpoints": ["https://s", "https://[::1]:8443"], "ca_file": "/ca", "tls_name": "s.x"}, "a": {"endpoints": ["http://a"]}},
    "routes": [{"prefix": "/", "respond": {"status": 503, "body": "say \"no\"\n", "content_type": "text/html"}},
               {"exact": "/b", "redirect": "/c", "status": 307},
               {"exact": "/d", "upstream": "z", "request_body": "1KiB"}]})",
                                  "t");
  CAPTURE(loaded.problem_text());
  REQUIRE(loaded.ok());
  const Loaded again = load_text(describe(loaded.settings), "d");
  CAPTURE(again.problem_text());
  CHECK(again.ok());
  CHECK(again.settings == loaded.settings);
}

TEST_CASE("a secret is masked when it is set") {
  Settings settings = Settings::defaults();
  CHECK(describe(settings).find("\"token\": \"\"") != std::string::npos);
  settings.admin.token = "hunter2";
  const std::string text = describe(settings);
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find("\"token\": \"***\"") != std::string::npos);
}

TEST_CASE("names of certificate and key files are no secrets: they are shown") {
  Settings settings = Settings::defaults();
  settings.tls.certificates = {"/etc/a.pem", "b.pem"};
  settings.tls.keys = {"/etc/a.key", "b.key"};
  settings.admin.tls_key = "/etc/admin.key";
  const std::string text = describe(settings);
  CHECK(text.find(R"("certificates": ["/etc/a.pem", "b.pem"])") != std::string::npos);
  CHECK(text.find(R"("keys": ["/etc/a.key", "b.key"])") != std::string::npos);
  CHECK(text.find(R"("tls_key": "/etc/admin.key")") != std::string::npos);
}

TEST_CASE("a table without routes is an empty list") {
  Settings settings = Settings::defaults();
  settings.routes.clear();
  CHECK(describe(settings).find("\"routes\": []") != std::string::npos);
}
