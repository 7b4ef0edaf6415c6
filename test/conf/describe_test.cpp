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

TEST_CASE("what is described loads to the same settings") {
  CHECK(load_text(describe(Settings::defaults()), "d").settings == Settings::defaults());
  const Loaded loaded = load_text(R"({
    "listen": ["[::1]:1", "unix:/a\"b"], "trusted_proxies": ["unix:", "fd00::/8"], "via": "x", "log_level": "error",
    "timeouts": {"connect": "1500ms"}, "limits": {"request_body": 1048577},
    "upstreams": {"z": {"endpoints": ["unix:/z", "http://[::1]:9"]}, "a": {"endpoints": ["http://a"]}},
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

TEST_CASE("a table without routes is an empty list") {
  Settings settings = Settings::defaults();
  settings.routes.clear();
  CHECK(describe(settings).find("\"routes\": []") != std::string::npos);
}
