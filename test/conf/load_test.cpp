#include "conf/load.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <catch2/catch.hpp>

#include "conf/schema.hpp"
#include "test/conf/settings_text.hpp"

using namespace portico::conf;
using namespace portico::test;
using namespace std::chrono_literals;

namespace {

/// A file of its own that goes away with the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "portico-conf-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = pattern;
    std::ofstream(path_, std::ios::binary) << text;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

using Variables = std::map<std::string, std::string>;

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  };
}

}  // namespace

TEST_CASE("no source at all gives the built-in defaults") {
  const Loaded loaded = load({.file = std::nullopt, .environment = environment_of({}), .overrides = {}});
  CHECK(loaded.ok());
  CHECK(loaded.file.empty());
  CHECK(loaded.settings == Settings::defaults());
  CHECK(settings_of("{}") == Settings::defaults());
}

TEST_CASE("the defaults are those of the documented table") {
  const Settings settings = Settings::defaults();
  CHECK(settings.listen.front().text() == "0.0.0.0:8080");
  CHECK(settings.admin.listen.text() == "127.0.0.1:9180");
  REQUIRE(settings.upstreams.size() == 2);
  CHECK(settings.upstreams[0].name == "cpa");
  CHECK(settings.upstreams[0].endpoints.front().text() == "http://127.0.0.1:8317");
  CHECK(settings.upstreams[1].name == "cpamp");
  CHECK(settings.upstreams[1].endpoints.front().text() == "http://127.0.0.1:18317");
  const auto owner = [&](RouteSettings::Match match, std::string_view path) -> std::string {
    for (const RouteSettings& route : settings.routes)
      if (route.match == match && route.path == path)
        return route.action == RouteSettings::Action::redirect ? route.location : route.upstream;
    return "no rule";
  };
  using enum RouteSettings::Match;
  CHECK(owner(exact, "/") == "/management.html");
  for (const auto* path : {"/management.html", "/health", "/status", "/setup", "/models", "/v0/management"})
    CHECK(owner(exact, path) == "cpamp");
  for (const auto* path : {"/usage-service/", "/v0/management/", "/v0/resource/plugins/"})
    CHECK(owner(prefix, path) == "cpamp");
  for (const auto* path : {"/v1/", "/v1beta/", "/backend-api/codex/", "/openai/v1/", "/api/", "/"})
    CHECK(owner(prefix, path) == "cpa");
  for (const auto* path : {"/v1internal:method", "/healthz", "/anthropic/callback", "/codex/callback",
                           "/google/callback", "/antigravity/callback"})
    CHECK(owner(exact, path) == "cpa");
  CHECK(settings.routes.size() == 22);
}

TEST_CASE("every field of the file reaches its place") {
  const Settings s = settings_of(R"({
    "listen": ["127.0.0.1:1", "unix:/run/p"], "workers": 3, "log_level": "debug",
    "tls": {"listen": ["127.0.0.1:2", "unix:/run/t"], "certificates": ["a.pem", "/b c.pem"],
            "keys": ["a.key", "/b.key"], "redirect_listen": ["127.0.0.1:3"], "acme_webroot": "/var/www"},
    "http2": {"tls": "off", "cleartext": "on", "streams": 1000},
    "admin": {"listen": ":9", "token": "t", "tls_certificate": "c.pem", "tls_key": "c.key",
              "client_ca": "/ca.pem"},
    "trusted_proxies": ["10.0.0.0/8", "unix:"],
    "client_address_header": "x-real-ip", "proxy_protocol_from": ["192.0.2.0/24"], "via": "front",
    "key_guard": {"failures": 0, "window": "2s", "pause": "3s", "exempt": ["fd00::/8", "unix:"]},
    "limits": {"request_head": "1KiB", "request_fields": 8, "request_target": 100, "request_body": "2MiB",
               "response_head": "2KiB", "connections": 5, "connections_per_client": 4,
               "request_rate": 3, "request_burst": 2},
    "timeouts": {"handshake": "10ms", "request_head": "1ms", "keep_alive": "2ms", "request_body": "3ms", "connect": "4ms",
                 "response_head": "5ms", "response_body": "6ms", "websocket_idle": "7ms", "client_write": "8ms",
                 "drain": "9ms"},
    "upstreams": {"b": {"endpoints": ["http://b", "unix:/b"], "keep_alive_connections": 7,
                        "keep_alive_timeout": "10s", "resolve_interval": "11s"},
                  "s": {"endpoints": ["https://s:8443"], "ca_file": "/ca.pem", "tls_name": "s.example"},
                  "a": {"endpoints": ["http://a"]}},
    "routes": [{"exact": "/", "redirect": "/x", "status": 308}, {"exact": "/y", "redirect": "/z"},
               {"prefix": "/v1/", "upstream": "a", "request_body": "5MiB"},
               {"exact": "/f", "respond": {"status": 418, "body": "tea", "content_type": "text/html"}},
               {"exact": "/g", "respond": {}}]})");
  REQUIRE(s.listen.size() == 2);
  CHECK(s.listen[1].path == "/run/p");
  CHECK(s.workers == 3);
  CHECK(s.log_level == LogLevel::debug);
  CHECK(s.admin.listen.any);
  CHECK(s.admin.token == "t");
  CHECK(s.admin.tls_certificate == "c.pem");
  CHECK(s.admin.tls_key == "c.key");
  CHECK(s.admin.client_ca == "/ca.pem");
  REQUIRE(s.tls.listen.size() == 2);
  CHECK(s.tls.listen[1].path == "/run/t");
  CHECK(s.tls.certificates == std::vector<std::string>{"a.pem", "/b c.pem"});
  CHECK(s.tls.keys == std::vector<std::string>{"a.key", "/b.key"});
  REQUIRE(s.tls.redirect_listen.size() == 1);
  CHECK(s.tls.redirect_listen[0].port == 3);
  CHECK(s.tls.acme_webroot == "/var/www");
  CHECK(s.http2 == Http2Settings{.tls = Switch::off, .cleartext = Switch::on, .streams = 1000});
  REQUIRE(s.proxy_protocol_from.size() == 1);
  CHECK(s.proxy_protocol_from[0].text() == "192.0.2.0/24");
  CHECK(s.key_guard.failures == 0);
  CHECK(s.key_guard.window == 2s);
  CHECK(s.key_guard.pause == 3s);
  REQUIRE(s.key_guard.exempt.size() == 2);
  CHECK(s.key_guard.exempt[1].is_unix());
  REQUIRE(s.trusted_proxies.size() == 2);
  CHECK(s.trusted_proxies[1].is_unix());
  CHECK(s.client_address_header == ClientAddressHeader::x_real_ip);
  CHECK(s.via == "front");
  const Limits limits{.request_head = 1024,
                      .request_fields = 8,
                      .request_target = 100,
                      .request_body = 2'097'152,
                      .response_head = 2048,
                      .connections = 5,
                      .connections_per_client = 4,
                      .request_rate = 3,
                      .request_burst = 2};
  CHECK(s.limits == limits);
  const Timeouts timeouts{.handshake = 10ms,
                          .request_head = 1ms,
                          .keep_alive = 2ms,
                          .request_body = 3ms,
                          .connect = 4ms,
                          .response_head = 5ms,
                          .response_body = 6ms,
                          .websocket_idle = 7ms,
                          .client_write = 8ms,
                          .drain = 9ms};
  CHECK(s.timeouts == timeouts);
  REQUIRE(s.upstreams.size() == 3);
  CHECK(s.upstreams[0].name == "b");
  CHECK(s.upstreams[0].endpoints.size() == 2);
  CHECK(s.upstreams[0].keep_alive_connections == 7);
  CHECK(s.upstreams[0].keep_alive_timeout == 10s);
  CHECK(s.upstreams[0].resolve_interval == 11s);
  CHECK(s.upstreams[1].endpoints[0].scheme == Url::Scheme::https);
  CHECK(s.upstreams[1].ca_file == "/ca.pem");
  CHECK(s.upstreams[1].tls_name == "s.example");
  CHECK(s.upstreams[2].name == "a");
  REQUIRE(s.routes.size() == 5);
  CHECK(s.routes[0].status == 308);
  CHECK(s.routes[1].status == 302);
  CHECK(s.routes[1].location == "/z");
  CHECK(s.routes[2].match == RouteSettings::Match::prefix);
  CHECK(s.routes[2].upstream == "a");
  CHECK(s.routes[2].request_body == 5U * 1024 * 1024);
  CHECK(s.routes[3].action == RouteSettings::Action::respond);
  CHECK(s.routes[3].status == 418);
  CHECK(s.routes[3].body == "tea");
  CHECK(s.routes[3].content_type == "text/html");
  CHECK(s.routes[4].status == 200);
  CHECK(s.routes[4].content_type == "text/plain; charset=utf-8");
}

TEST_CASE("flags beat the environment, which beats the file, which beats the defaults") {
  const TemporaryFile file(R"({"workers": 1, "log_level": "warn", "via": "file",
                              "upstreams": {"cpa": {"endpoints": ["http://file"]}}})");
  const Variables variables{{"PORTICO_WORKERS", "2"},
                            {"PORTICO_LOG_LEVEL", "error"},
                            {"PORTICO_CPA", "http://e1, http://e2"},
                            {"PORTICO_CPAMP", ""}};
  const Loaded loaded = load({.file = file.path(),
                              .environment = environment_of(variables),
                              .overrides = {{"--workers", {"3"}}, {"--listen", {":1", ":2"}}}});
  CAPTURE(loaded.problem_text());
  REQUIRE(loaded.ok());
  CHECK(loaded.file == file.path());
  const Settings& s = loaded.settings;
  CHECK(s.workers == 3);
  CHECK(s.log_level == LogLevel::error);
  CHECK(s.via == "file");
  CHECK(s.listen.size() == 2);
  REQUIRE(s.upstreams.size() == 2);
  REQUIRE(s.upstreams[0].endpoints.size() == 2);
  CHECK(s.upstreams[0].endpoints[1].host == "e2");
  CHECK(s.upstreams[1] == Settings::defaults().upstreams[1]);
  CHECK(s.limits == Limits{});
}

TEST_CASE("every variable and flag sets its field") {
  const Loaded loaded = load({.file = std::nullopt,
                              .environment = environment_of({{"PORTICO_LISTEN", "127.0.0.1:1,[::1]:2"},
                                                             {"PORTICO_TLS_LISTEN", ":4,:5"},
                                                             {"PORTICO_TLS_CERT", "a.pem, b.pem"},
                                                             {"PORTICO_TLS_KEY", "a.key,b.key"},
                                                             {"PORTICO_CPA", "http://a"},
                                                             {"PORTICO_CPAMP", "unix:/b"},
                                                             {"PORTICO_ADMIN", "0.0.0.0:3"},
                                                             {"PORTICO_WORKERS", "4"},
                                                             {"PORTICO_LOG_LEVEL", "warn"},
                                                             {"PORTICO_ADMIN_TOKEN", "secret"}}),
                              .overrides = {}});
  CAPTURE(loaded.problem_text());
  REQUIRE(loaded.ok());
  CHECK(loaded.settings.listen[1].text() == "[::1]:2");
  REQUIRE(loaded.settings.tls.listen.size() == 2);
  CHECK(loaded.settings.tls.listen[1].text() == ":5");
  CHECK(loaded.settings.tls.certificates == std::vector<std::string>{"a.pem", "b.pem"});
  CHECK(loaded.settings.tls.keys == std::vector<std::string>{"a.key", "b.key"});
  CHECK(loaded.settings.upstreams[0].endpoints[0].host == "a");
  CHECK(loaded.settings.upstreams[1].endpoints[0].path == "/b");
  CHECK(loaded.settings.admin.listen.text() == "0.0.0.0:3");
  CHECK(loaded.settings.workers == 4);
  CHECK(loaded.settings.log_level == LogLevel::warn);
  CHECK(loaded.settings.admin.token == "secret");

  const Loaded flags = load({.file = std::nullopt,
                             .environment = environment_of({}),
                             .overrides = {{"--tls-listen", {":4"}},
                                           {"--tls-cert", {"a,b.pem"}},
                                           {"--tls-key", {"a.key"}},
                                           {"--cpa", {"http://a"}},
                                           {"--cpamp", {"http://b"}},
                                           {"--admin", {"127.0.0.1:3"}},
                                           {"--log-level", {"debug"}}}});
  REQUIRE(flags.ok());
  CHECK(flags.settings.tls.listen[0].port == 4);
  CHECK(flags.settings.tls.certificates == std::vector<std::string>{"a,b.pem"});
  CHECK(flags.settings.tls.keys == std::vector<std::string>{"a.key"});
  CHECK(flags.settings.upstreams[0].endpoints[0].host == "a");
  CHECK(flags.settings.upstreams[1].endpoints[0].host == "b");
  CHECK(flags.settings.admin.listen.port == 3);
  CHECK(flags.settings.log_level == LogLevel::debug);
}

TEST_CASE("a list of flags or of a variable replaces the file's list as a whole") {
  const TemporaryFile file(R"({"listen": [], "tls": {"listen": [":1"], "certificates": ["f1.pem", "f2.pem"],
                              "keys": ["f1.key", "f2.key"]}})");
  const Loaded loaded = load({.file = file.path(),
                              .environment = environment_of({{"PORTICO_TLS_KEY", "v.key"}}),
                              .overrides = {{"--tls-cert", {"c.pem"}}}});
  CAPTURE(loaded.problem_text());
  REQUIRE(loaded.ok());
  CHECK(loaded.settings.listen.empty());
  CHECK(loaded.settings.tls.certificates == std::vector<std::string>{"c.pem"});
  CHECK(loaded.settings.tls.keys == std::vector<std::string>{"v.key"});
}

TEST_CASE("PORTICO_CONFIG names the file unless a flag does") {
  const TemporaryFile one(R"({"workers": 1})");
  const TemporaryFile two(R"({"workers": 2})");
  const auto environment = environment_of({{"PORTICO_CONFIG", one.path()}});
  CHECK(load({.file = std::nullopt, .environment = environment, .overrides = {}}).settings.workers == 1);
  CHECK(load({.file = two.path(), .environment = environment, .overrides = {}}).settings.workers == 2);
}

TEST_CASE("a mistake in a variable or a flag names it") {
  const auto problems = [](Variables variables, std::vector<Override> overrides) {
    return load({.file = std::nullopt,
                 .environment = environment_of(std::move(variables)),
                 .overrides = std::move(overrides)})
        .problem_text();
  };
  CHECK(problems({{"PORTICO_WORKERS", "many"}}, {}) ==
        "environment: PORTICO_WORKERS: expected an integer from 0 to 256, found \"many\"\n");
  CHECK(problems({}, {{"--workers", {"257"}}}) ==
        "command line: --workers: expected an integer from 0 to 256, found \"257\"\n");
  CHECK(
      problems({{"PORTICO_LISTEN", ":1,,:2"}}, {}).find("environment: PORTICO_LISTEN: expected an address") ==
      0);
  const TemporaryFile nowhere(R"({"listen": []})");
  CHECK(
      load(
          {.file = nowhere.path(), .environment = environment_of({{"PORTICO_LISTEN", "x"}}), .overrides = {}})
          .problems.size() == 1);
  CHECK(problems({{"PORTICO_TLS_CERT", "a.pem,,b.pem"}}, {}) ==
        "environment: PORTICO_TLS_CERT: must name a file, found \"\"\n");
  CHECK(problems({}, {{"--tls-listen", {":1"}}})
            .find("command line: --tls-listen: TLS needs a certificate and its key: set") == 0);
  CHECK(problems({}, {{"--tls-listen", {":1"}}, {"--tls-cert", {"a.pem"}}})
            .find("command line: --tls-cert: each certificate needs its key") == 0);
  CHECK(problems({}, {{"--tls-listen", {":1"}}, {"--tls-cert", {"a"}}, {"--tls-key", {"a", "b"}}})
            .find("command line: --tls-key: each certificate needs its key") == 0);
  CHECK(problems({}, {{"--admin", {":1"}}})
            .find("command line: --admin: others can reach :1: set admin.token") == 0);
  CHECK(problems({{"PORTICO_ADMIN_TOKEN", "two words"}}, {}) ==
        "environment: PORTICO_ADMIN_TOKEN: must be visible ASCII without spaces\n");
  CHECK(problems({}, {{"--nonsense", {"1"}}}) ==
        "command line: --nonsense: not a flag with a value that sets something\n");
  CHECK(problems({}, {{"", {"1"}}}).find("command line: not a flag") == 0);
}

TEST_CASE("a variable for an upstream that the file's own upstreams do not have is a mistake") {
  const TemporaryFile file(R"({"upstreams": {"x": {"endpoints": ["http://x"]}}, "routes": []})");
  const Loaded loaded = load(
      {.file = file.path(), .environment = environment_of({{"PORTICO_CPA", "http://a"}}), .overrides = {}});
  CHECK(
      loaded.problem_text() ==
      "environment: PORTICO_CPA: the settings file names its own upstreams, and \"cpa\" is not among them\n");
}

TEST_CASE("a file that cannot be read is a problem that names it") {
  const auto problem = [](const std::string& file) {
    return load({.file = file, .environment = environment_of({}), .overrides = {}}).problem_text();
  };
  CHECK(problem("/nonexistent/p.json") == "/nonexistent/p.json: cannot be read: No such file or directory\n");
  CHECK(problem("/") == "/: cannot be read: Is a directory\n");
  const TemporaryFile big(std::string(1024 * 1024 + 1, ' '));
  CHECK(problem(big.path()) == big.path() + ":1:1: longer than 1024 KiB, the most that is read\n");
}

TEST_CASE("all mistakes of a file are reported at once, each at its place") {
  const Loaded loaded = load_text(
      "{\n"
      "  \"limits\": {\"request_head\": true, \"reqest_fields\": 3},\n"
      "  \"listen\": [\"0.0.0.0:80\", \"bad\"],\n"
      "  \"routes\": [{\"exact\": \"/a\", \"upstream\": \"cap\"},\n"
      "             {\"exact\": \"/a\", \"upstream\": \"cpa\"}],\n"
      "  \"admin\": {\"listen\": \":9180\"},\n"
      "  \"workers\": 1, \"workers\": 2\n"
      "}\n",
      "portico.json");
  const std::string expected =
      "portico.json:2:30: limits.request_head: expected a size such as \"64KiB\", found true\n"
      "portico.json:2:36: limits.reqest_fields: unknown setting; did you mean \"request_fields\"?\n"
      "portico.json:3:28: listen[1]: expected an address such as \"0.0.0.0:8080\", \"[::1]:8080\", \":8080\" "
      "or "
      "\"unix:/path\", found \"bad\"\n"
      "portico.json:4:42: routes[0].upstream: there is no upstream \"cap\"; did you mean \"cpa\"?\n"
      "portico.json:5:24: routes[1].exact: the same rule stands in routes[0]\n"
      "portico.json:6:23: admin.listen: others can reach :9180: set admin.token (or PORTICO_ADMIN_TOKEN), or "
      "listen on 127.0.0.1, [::1] or unix:/path\n"
      "portico.json:7:17: the key \"workers\" stands twice in this object\n";
  CHECK(loaded.problem_text() == expected);
}

TEST_CASE("a syntax error is the one problem of a file") {
  CHECK(problem_of("{\n  \"workers\" 1}") == "p.json:2:13: not JSON here: unexpected '1'");
}

TEST_CASE("a value of the wrong type says what was expected and what was found") {
  CHECK(problem_of("[]") == "p.json:1:1: expected an object with settings, found a list");
  CHECK(problem_of(R"({"limits": 3})") == "p.json:1:12: limits: expected an object, found 3");
  CHECK(problem_of(R"({"listen": ":80"})") ==
        "p.json:1:12: listen: expected a list of addresses, found \":80\"");
  CHECK(problem_of(R"({"listen": [null]})").find("p.json:1:13: listen[0]: expected an address such as") == 0);
  CHECK(problem_of(R"({"workers": "3"})") ==
        "p.json:1:13: workers: expected an integer from 0 to 256, found \"3\"");
  CHECK(problem_of(R"({"workers": -1})") ==
        "p.json:1:13: workers: expected an integer from 0 to 256, found -1");
  CHECK(problem_of(R"({"workers": 1.5})") ==
        "p.json:1:13: workers: expected an integer from 0 to 256, found 1.5");
  CHECK(problem_of(R"({"log_level": "loud"})") ==
        "p.json:1:15: log_level: expected one of \"debug\", \"info\", \"warn\", \"error\", found \"loud\"");
  CHECK(problem_of(R"({"timeouts": {"drain": 15}})") ==
        "p.json:1:24: timeouts.drain: expected a duration such as \"15s\" or \"500ms\", found 15");
  CHECK(problem_of(R"({"trusted_proxies": ["10.0.0.1/8"]})")
            .find("p.json:1:22: trusted_proxies[0]: expected a network") == 0);
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoints": ["cpa"]}}})")
            .find("p.json:1:38: upstreams.cpa.endpoints[0]: expected a URL") == 0);
  CHECK(problem_of(R"({"tls": {"certificates": "a.pem"}})") ==
        "p.json:1:26: tls.certificates: expected a list of files, found \"a.pem\"");
  CHECK(problem_of(R"({"tls": {"certificates": ["a.pem", 7], "keys": ["a", "b"]}})") ==
        "p.json:1:36: tls.certificates[1]: expected a text in quotes, found 7");
  CHECK(problem_of(R"({"tls": {"keys": [""]}})") == "p.json:1:19: tls.keys[0]: must name a file, found \"\"");
  CHECK(problem_of(R"({"http2": {"tls": true}})") ==
        "p.json:1:19: http2.tls: expected one of \"off\", \"on\", found true");
  CHECK(problem_of(R"({"key_guard": {"exempt": ["10.0.0.1/8"]}})")
            .find("p.json:1:27: key_guard.exempt[0]: expected a network") == 0);
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoints": ["https://a"], "tls_name": "10.0.0.1"}}})")
            .find("p.json:1:64: upstreams.cpa.tls_name: must be a host name") == 0);
  CHECK(problem_of(R"({"via": {}})") == "p.json:1:9: via: expected a text in quotes, found an object");
  CHECK(problem_of(R"({"admin": {"listen": "x"}})").find("p.json:1:22: admin.listen: expected an address") ==
        0);
  CHECK(problem_of(R"({"upstreams": []})") == "p.json:1:15: upstreams: expected an object, found a list");
  CHECK(problem_of(R"({"upstreams": {"x": 1}})") == "p.json:1:21: upstreams.x: expected an object, found 1");
  CHECK(problem_of(R"({"routes": {}})") == "p.json:1:12: routes: expected a list of routes, found an object");
  CHECK(problem_of(R"({"routes": [7]})") == "p.json:1:13: routes[0]: expected an object, found 7");
}

TEST_CASE("a value out of its bounds says the bounds") {
  CHECK(problem_of(R"({"limits": {"request_head": "2MiB"}})") ==
        "p.json:1:29: limits.request_head: expected a size from 1KiB to 1MiB, found \"2MiB\"");
  CHECK(problem_of(R"({"limits": {"request_head": 1023}})") ==
        "p.json:1:29: limits.request_head: expected a size from 1KiB to 1MiB, found 1023");
  CHECK(problem_of(R"({"limits": {"request_fields": 7}})").find("from 8 to 1000, found 7") !=
        std::string::npos);
  CHECK(problem_of(R"({"limits": {"request_fields": 1001}})").find("from 8 to 1000") != std::string::npos);
  CHECK(problem_of(R"({"workers": 257})").find("from 0 to 256") != std::string::npos);
  CHECK(problem_of(R"({"timeouts": {"connect": "0s"}})") ==
        "p.json:1:26: timeouts.connect: expected a duration from 1ms to 30d, found \"0s\"");
  CHECK(problem_of(R"({"timeouts": {"connect": "31d"}})").find("from 1ms to 30d") != std::string::npos);
  CHECK(problem_of(R"({"via": ")" + std::string(65, 'a') + "\"}")
            .find("via: must be at most 64 bytes long, found 65") != std::string::npos);
  CHECK(problem_of(R"({"http2": {"streams": 0}})") ==
        "p.json:1:23: http2.streams: expected an integer from 1 to 1000, found 0");
  CHECK(problem_of(R"({"http2": {"streams": 1001}})").find("from 1 to 1000") != std::string::npos);
  CHECK(problem_of(R"({"limits": {"request_burst": 0}})").find("from 1 to 1000000") != std::string::npos);
  CHECK(problem_of(R"({"limits": {"request_rate": 1000001}})").find("from 0 to 1000000") !=
        std::string::npos);
  CHECK(problem_of(R"({"key_guard": {"failures": 1000001}})").find("from 0 to 1000000") != std::string::npos);
  CHECK(problem_of(R"({"key_guard": {"pause": "0s"}})").find("from 1ms to 30d") != std::string::npos);
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoints": []}}})") ==
        "p.json:1:37: upstreams.cpa.endpoints: expected one or more URLs, found an empty list");
}

TEST_CASE("an unknown key names the nearest known one, or all that are known") {
  CHECK(problem_of(R"({"listem": []})") == "p.json:1:2: listem: unknown setting; did you mean \"listen\"?");
  CHECK(problem_of(R"({"rotues": []})") == "p.json:1:2: rotues: unknown setting; did you mean \"routes\"?");
  CHECK(problem_of(R"({"admin": {"passwd": 1}})") ==
        "p.json:1:12: admin.passwd: unknown setting; known here: listen, token, tls_certificate, tls_key, "
        "client_ca");
  CHECK(problem_of(R"({"tsl": {}})") == "p.json:1:2: tsl: unknown setting; did you mean \"tls\"?");
  CHECK(problem_of(R"({"tls": {"certificate": []}})") ==
        "p.json:1:10: tls.certificate: unknown setting; did you mean \"certificates\"?");
  CHECK(problem_of(R"({"http2": {"max_streams": 1}})") ==
        "p.json:1:12: http2.max_streams: unknown setting; known here: tls, cleartext, streams");
  CHECK(problem_of(R"({"keyguard": {}})") ==
        "p.json:1:2: keyguard: unknown setting; did you mean \"key_guard\"?");
  CHECK(problem_of(R"({"key_guard": {"failure": 1}})") ==
        "p.json:1:16: key_guard.failure: unknown setting; did you mean \"failures\"?");
  CHECK(problem_of(R"({"upstreams": {"cpa": {"cafile": ""}}})") ==
        "p.json:1:24: upstreams.cpa.cafile: unknown setting; did you mean \"ca_file\"?");
  CHECK(problem_of(R"({"proxy_protocol_form": []})") ==
        "p.json:1:2: proxy_protocol_form: unknown setting; did you mean \"proxy_protocol_from\"?");
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoint": []}}})") ==
        "p.json:1:24: upstreams.cpa.endpoint: unknown setting; did you mean \"endpoints\"?");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "upsteam": "cpa", "upstream": "cpa"}]})") ==
        "p.json:1:29: routes[0].upsteam: unknown setting; did you mean \"upstream\"?");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "respond": {"statu": 200}}]})") ==
        "p.json:1:41: routes[0].respond.statu: unknown setting; did you mean \"status\"?");
  CHECK(
      problem_of("{\"a\\nb.c\": 1}").find("p.json:1:2: [\"a\\nb.c\"]: unknown setting; known here: listen") ==
      0);
}

TEST_CASE("a route has one way to match and one thing to do") {
  CHECK(problem_of(R"({"routes": [{"upstream": "cpa"}]})") ==
        "p.json:1:13: routes[0]: a route needs one of \"exact\", \"prefix\"");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "prefix": "/a", "upstream": "cpa"}]})") ==
        "p.json:1:13: routes[0]: a route takes only one of \"exact\", \"prefix\", found \"exact\" and "
        "\"prefix\"");
  CHECK(problem_of(R"({"routes": [{"exact": "/a"}]})") ==
        "p.json:1:13: routes[0]: a route needs one of \"upstream\", \"redirect\", \"respond\"");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "redirect": "/b", "respond": {}}]})")
            .find("found \"redirect\" and \"respond\"") != std::string::npos);
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "upstream": "cpa", "status": 301}]})")
            .find("p.json:1:48: routes[0].status: only a route with \"redirect\"") == 0);
}

TEST_CASE("the path of a rule must be clean") {
  CHECK(problem_of(R"({"routes": [{"exact": "v1", "upstream": "cpa"}]})") ==
        "p.json:1:23: routes[0].exact: must begin with \"/\", found \"v1\"");
  for (const auto* path : {"/a%20b", "/a//b", "/a/../b", "/.", "/a?b", "/a#b"}) {
    const std::string text = R"({"routes": [{"prefix": ")" + std::string(path) + R"(", "upstream": "cpa"}]})";
    CHECK(problem_of(text).find("p.json:1:24: routes[0].prefix: must not contain ") == 0);
  }
}

TEST_CASE("redirects and fixed answers have the statuses that make sense") {
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "redirect": "/b", "status": 200}]})") ==
        "p.json:1:57: routes[0].status: expected one of 301, 302, 303, 307, 308, found 200");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "respond": {"status": 199}}]})") ==
        "p.json:1:51: routes[0].respond.status: expected an integer from 200 to 599, found 199");
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "respond": {"status": 204, "body": "x"}}]})") ==
        "p.json:1:64: routes[0].respond.body: an answer with status 204 has no body");
}

TEST_CASE("nothing that is sent on the wire may hold control bytes") {
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "redirect": "/b\r\nX: y"}]})")
            .find("p.json:1:41: routes[0].redirect: must be") == 0);
  CHECK(problem_of(R"({"routes": [{"exact": "/a", "respond": {"content_type": "a\r\nb"}}]})")
            .find("routes[0].respond.content_type: must be") != std::string::npos);
  CHECK(problem_of(R"({"via": "a\r\nb"})").find("p.json:1:9: via: must be a token") == 0);
}

TEST_CASE("cpa and cpamp keep what the file leaves out while the default routes are in use") {
  const Settings one = settings_of(R"({"upstreams": {"cpamp": {"endpoints": ["http://panel"]}}})");
  REQUIRE(one.upstreams.size() == 2);
  CHECK(one.upstreams[0].name == "cpamp");
  CHECK(one.upstreams[0].endpoints[0].host == "panel");
  CHECK(one.upstreams[1] == Settings::defaults().upstreams[0]);
  const Settings two = settings_of(R"({"upstreams": {"cpa": {"keep_alive_connections": 1}}})");
  CHECK(two.upstreams[0].endpoints == Settings::defaults().upstreams[0].endpoints);
  CHECK(two.upstreams[0].keep_alive_connections == 1);
}

TEST_CASE("with routes of its own a file has exactly the upstreams it names") {
  CHECK(settings_of(R"({"upstreams": {"x": {"endpoints": ["http://x"]}}, "routes": []})").upstreams.size() ==
        1);
  CHECK(problem_of(R"({"upstreams": {}, "routes": []})") ==
        "p.json:1:15: upstreams: expected at least one upstream");
}

TEST_CASE("an upstream has a plain name and at least one endpoint") {
  CHECK(problem_of(R"({"upstreams": {"a.b": {"endpoints": ["http://a"]}}})") ==
        "p.json:1:16: upstreams[\"a.b\"]: an upstream's name must consist of letters, digits, \"-\" and "
        "\"_\", at "
        "most 64 of them");
  CHECK(problem_of(R"({"upstreams": {"x": {}}})") ==
        "p.json:1:21: upstreams.x.endpoints: expected at least one URL");
}

TEST_CASE("a wrong token is never shown") {
  CHECK(problem_of(R"({"admin": {"token": 8675309}})") ==
        "p.json:1:21: admin.token: expected a text in quotes");
  CHECK(problem_of(R"({"admin": {"token": "top secret"}})") ==
        "p.json:1:21: admin.token: must be visible ASCII without spaces");
}

TEST_CASE("more than 500 routes, 200 endpoints or 60 listeners are refused, as many are not") {
  const auto route = [](std::size_t i) {
    return R"({"exact": "/)" + std::to_string(i) + R"(", "upstream": "cpa"})";
  };
  const auto url = [](std::size_t i) { return "\"http://h" + std::to_string(i) + "\""; };
  const auto address = [](std::size_t i) { return "\":" + std::to_string(i + 1) + "\""; };
  const auto routes = [&](std::size_t n) { return "{\"routes\": [" + repeated(n, route) + "]}"; };
  const auto endpoints = [&](std::size_t n, std::size_t m) {
    return "{\"upstreams\": {\"a\": {\"endpoints\": [" + repeated(n, url) + "]}, \"b\": {\"endpoints\": [" +
           repeated(m, url) + "]}}, \"routes\": []}";
  };
  const auto listeners = [&](std::size_t n) { return "{\"listen\": [" + repeated(n, address) + "]}"; };
  CHECK(settings_of(routes(500)).routes.size() == 500);
  CHECK(problem_of(routes(501)) == "p.json:1:12: routes: expected at most 500 routes, found 501");
  settings_of(endpoints(100, 100));
  CHECK(problem_of(endpoints(100, 101)) ==
        "p.json:1:15: upstreams: expected at most 200 endpoints in all, found 201");
  CHECK(problem_of(endpoints(201, 1)).find("upstreams.a.endpoints: expected at most 200 URLs, found 201") !=
        std::string::npos);
  settings_of(listeners(60));
  CHECK(problem_of(listeners(61)) == "p.json:1:12: listen: expected at most 60 addresses, found 61");
  const std::string many = "{\"upstreams\": {" +
                           repeated(201, [](std::size_t i) { return "\"u" + std::to_string(i) + "\": {}"; }) +
                           "}}";
  CHECK(problem_of(many) == "p.json:1:15: upstreams: expected at most 200 upstreams, found 201");
}

TEST_CASE("a flood of mistakes is counted, not listed") {
  const Loaded loaded = load_text(
      "{" + repeated(150, [](std::size_t i) { return "\"k" + std::to_string(i) + "\": 1"; }) + "}", "p.json");
  REQUIRE(loaded.problems.size() == 101);
  CHECK(loaded.problems.back().text() == "p.json: 50 more problems; mend these first");
}
