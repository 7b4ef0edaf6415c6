#include "conf/check.hpp"

#include <catch2/catch.hpp>

#include "conf/schema.hpp"
#include "test/conf/settings_text.hpp"

using namespace portico::conf;
using namespace portico::test;

namespace {

/// What keeps the rules of TLS satisfied, with more members of `tls` after it.
std::string with_tls(std::string_view members, std::string_view others = "") {
  return R"({"tls": {"listen": [":443"], "certificates": ["a.pem"], "keys": ["a.key"])" +
         std::string(members) + "}" + std::string(others) + "}";
}

}  // namespace

TEST_CASE("a rule may stand once, but exact and prefix are two rules") {
  CHECK(problem_of(R"({"routes": [{"prefix": "/a", "upstream": "cpa"}, {"prefix": "/b", "upstream": "cpa"},
                                  {"prefix": "/a", "redirect": "/"}]})") ==
        "p.json:2:46: routes[2].prefix: the same rule stands in routes[0]");
  CHECK(
      settings_of(R"({"routes": [{"prefix": "/a", "upstream": "cpa"}, {"exact": "/a", "upstream": "cpa"}]})")
          .routes.size() == 2);
}

TEST_CASE("a route names an upstream that exists") {
  CHECK(problem_of(R"({"routes": [{"prefix": "/", "upstream": "cpm"}]})")
            .find("routes[0].upstream: there is no upstream \"cpm\"; did you mean \"cpa\"?") !=
        std::string::npos);
  CHECK(problem_of(R"({"routes": [{"prefix": "/", "upstream": "elsewhere"}]})")
            .find("there is no upstream \"elsewhere\"; there are: cpa, cpamp") != std::string::npos);
}

TEST_CASE("listening twice on one address is a mistake, port 0 is not") {
  CHECK(problem_of(R"({"listen": [":80", "0.0.0.0:80", ":80"]})") ==
        "p.json:1:34: listen[2]: :80 stands twice");
  CHECK(problem_of(R"({"listen": ["unix:/a", "unix:/a"]})") ==
        "p.json:1:24: listen[1]: unix:/a stands twice");
  CHECK(problem_of(R"({"listen": [":80"], "admin": {"listen": ":80", "token": "t"}})")
            .find("admin.listen: :80 is also an address of \"listen\"") != std::string::npos);
  CHECK(problem_of(R"({"listen": ["127.0.0.1:9180"]})")
            .find("defaults: admin.listen: 127.0.0.1:9180 is also") == 0);
  CHECK(settings_of(R"({"listen": ["127.0.0.1:0", "127.0.0.1:0"]})").listen.size() == 2);
}

TEST_CASE("a management endpoint that others can reach needs a token") {
  CHECK(problem_of(R"({"admin": {"listen": "192.0.2.1:9180"}})")
            .find("p.json:1:22: admin.listen: others can reach 192.0.2.1:9180: set admin.token") == 0);
  settings_of(R"({"admin": {"listen": "192.0.2.1:9180", "token": "t"}})");
  settings_of(R"({"admin": {"listen": "unix:/run/admin"}})");
  settings_of(R"({"admin": {"listen": "[::1]:9180"}})");
}

TEST_CASE("clients, redirects and the management endpoint each have addresses of their own") {
  CHECK(problem_of(with_tls("", R"(, "listen": [":443"])")) ==
        "p.json:1:21: tls.listen[0]: :443 is also an address of \"listen\"; one address takes one kind of "
        "connection");
  CHECK(problem_of(R"({"tls": {"listen": [":443", ":443"], "certificates": ["a"], "keys": ["a"]}})") ==
        "p.json:1:29: tls.listen[1]: :443 stands twice");
  CHECK(problem_of(with_tls(R"(, "redirect_listen": [":80", ":443"])")) ==
        "p.json:1:103: tls.redirect_listen[1]: :443 is also an address of \"tls.listen\"; one address takes "
        "one "
        "kind of connection");
  CHECK(problem_of(with_tls(R"(, "redirect_listen": ["0.0.0.0:8080"])"))
            .find("tls.redirect_listen[0]: 0.0.0.0:8080 is also an address of \"listen\"") !=
        std::string::npos);
  CHECK(problem_of(with_tls("", R"(, "admin": {"listen": ":443", "token": "t"})"))
            .find("admin.listen: :443 is also an address of \"tls.listen\"; the management endpoint needs") !=
        std::string::npos);
  CHECK(problem_of(with_tls(R"(, "redirect_listen": ["127.0.0.1:9180"])"))
            .find("defaults: admin.listen: 127.0.0.1:9180 is also an address of \"tls.redirect_listen\"") ==
        0);
  CHECK(problem_of(R"({"tls": {"listen": [":8080"], "certificates": ["a"], "keys": ["a"]}})")
            .find("tls.listen[0]: :8080 (with 0.0.0.0:8080) is also an address of \"listen\"") !=
        std::string::npos);
  settings_of(R"({"tls": {"listen": ["127.0.0.1:8080"], "certificates": ["a"], "keys": ["a"]}})");
  settings_of(R"({"listen": ["127.0.0.1:0"], "tls": {"listen": ["127.0.0.1:0"], "certificates": ["a"],
                  "keys": ["a"], "redirect_listen": ["127.0.0.1:0"]}})");
}

TEST_CASE("one of listen and tls.listen has an address") {
  CHECK(problem_of(R"({"listen": []})") ==
        "p.json:1:12: listen: expected at least one address here or in tls.listen");
  CHECK(settings_of(with_tls("", R"(, "listen": [])")).listen.empty());
  CHECK(problem_of(R"({"listen": [], "tls": {"listen": ["443"]}})")
            .find("p.json:1:35: tls.listen[0]: expected an address") == 0);
}

TEST_CASE("all addresses that clients connect to are counted together") {
  const auto address = [](std::size_t i) { return "\":" + std::to_string(i + 1) + "\""; };
  const auto text = [&](std::size_t plain) {
    return with_tls(R"(, "redirect_listen": [":500"])", R"(, "listen": [)" + repeated(plain, address) + "]");
  };
  CHECK(settings_of(text(max_listeners - 2)).listen.size() == max_listeners - 2);
  CHECK(problem_of(text(max_listeners - 1)) ==
        "p.json:1:95: tls.redirect_listen: expected at most 60 addresses in listen, tls.listen and "
        "tls.redirect_listen together, found 61");
  CHECK(problem_of(text(max_listeners)).find("tls.listen: expected at most 60 addresses") !=
        std::string::npos);
}

TEST_CASE("TLS needs a certificate, and each certificate a key") {
  CHECK(problem_of(R"({"tls": {"listen": [":443"]}})") ==
        "p.json:1:20: tls.listen: TLS needs a certificate and its key: set tls.certificates and tls.keys (or "
        "--tls-cert and --tls-key)");
  CHECK(problem_of(R"({"tls": {"listen": [":443"], "certificates": ["a"]}})") ==
        "p.json:1:46: tls.certificates: each certificate needs its key, in the same order: found 1 in "
        "tls.certificates and 0 in tls.keys");
  CHECK(problem_of(R"({"tls": {"listen": [":443"], "certificates": ["a", "b"], "keys": ["a"]}})") ==
        "p.json:1:66: tls.keys: each certificate needs its key, in the same order: found 2 in "
        "tls.certificates and 1 in tls.keys");
  CHECK(problem_of(R"({"tls": {"keys": ["a"]}})").find("found 0 in tls.certificates and 1 in tls.keys") !=
        std::string::npos);
  CHECK(settings_of(R"({"tls": {"certificates": ["a"], "keys": ["a"]}})").tls.listen.empty());
}

TEST_CASE("as many certificates as are allowed are read, one more is refused") {
  const auto file = [](std::size_t i) { return "\"f" + std::to_string(i) + "\""; };
  const auto text = [&](std::size_t count) {
    const std::string files = repeated(count, file);
    return R"({"tls": {"certificates": [)" + files + R"(], "keys": [)" + files + "]}}";
  };
  CHECK(settings_of(text(max_certificates)).tls.certificates.size() == max_certificates);
  const Loaded loaded = load_text(text(max_certificates + 1), "p.json");
  REQUIRE(loaded.problems.size() == 2);
  CHECK(loaded.problems[0].text() == "p.json:1:26: tls.certificates: expected at most 100 files, found 101");
  CHECK(loaded.problems[1].message == "expected at most 100 files, found 101");
}

TEST_CASE("a redirect to https needs somebody there, and challenges need the redirect's address") {
  CHECK(problem_of(R"({"tls": {"redirect_listen": [":80"]}})") ==
        "p.json:1:29: tls.redirect_listen: redirects to https://, but nothing listens there: set tls.listen");
  CHECK(
      problem_of(with_tls(R"(, "acme_webroot": "/var/www")")) ==
      "p.json:1:92: tls.acme_webroot: is served on the addresses of tls.redirect_listen, and there are none");
  CHECK(problem_of(with_tls(R"(, "redirect_listen": [":80"], "acme_webroot": "www")")) ==
        "p.json:1:120: tls.acme_webroot: must be an absolute path, beginning with \"/\", found \"www\"");
  CHECK(
      settings_of(with_tls(R"(, "redirect_listen": [":80"], "acme_webroot": "/var/www")")).tls.acme_webroot ==
      "/var/www");
}

TEST_CASE("a mistake in a list is not followed by a complaint about what the list then lacks") {
  CHECK(problem_of(R"({"tls": {"listen": [":x"], "certificates": ["a"], "keys": ["a"],
                       "redirect_listen": [":80"]}})")
            .find("tls.listen[0]: expected an address") != std::string::npos);
  CHECK(problem_of(with_tls(R"(, "redirect_listen": [80], "acme_webroot": "/var/www")"))
            .find("tls.redirect_listen[0]: expected an address") != std::string::npos);
  CHECK(problem_of(R"({"tls": {"listen": [":443"], "certificates": [1], "keys": ["a"]}})")
            .find("tls.certificates[0]: expected a text") != std::string::npos);
  CHECK(problem_of(R"({"tls": {"listen": [":443"], "certificates": ["a"], "keys": 1}})")
            .find("tls.keys: expected a list of files, found 1") != std::string::npos);
  CHECK(problem_of(R"({"admin": {"tls_certificate": 1, "tls_key": "a", "client_ca": "b"}})")
            .find("admin.tls_certificate: expected a text") != std::string::npos);
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoints": ["https//a"], "ca_file": "/ca"}}})")
            .find("upstreams.cpa.endpoints[0]: expected a URL") != std::string::npos);
}

TEST_CASE(
    "certificate and key of the management endpoint stand together, and client certificates need them") {
  CHECK(problem_of(R"({"admin": {"tls_certificate": "a"}})") ==
        "p.json:1:31: admin.tls_certificate: needs admin.tls_key beside it");
  CHECK(problem_of(R"({"admin": {"tls_key": "a"}})") ==
        "p.json:1:23: admin.tls_key: needs admin.tls_certificate beside it");
  CHECK(
      problem_of(R"({"admin": {"client_ca": "a"}})") ==
      "p.json:1:25: admin.client_ca: clients show certificates only over TLS: set admin.tls_certificate and "
      "admin.tls_key");
  settings_of(R"({"admin": {"tls_certificate": "a", "tls_key": "a", "client_ca": "a"}})");
}

TEST_CASE("a client certificate does not stand in for the token of the management endpoint") {
  CHECK(problem_of(
            R"({"admin": {"listen": ":9180", "tls_certificate": "a", "tls_key": "a", "client_ca": "a"}})")
            .find("admin.listen: others can reach :9180: set admin.token") != std::string::npos);
}

TEST_CASE("authorities and a name for certificates stand beside an https endpoint") {
  CHECK(problem_of(R"({"upstreams": {"cpa": {"ca_file": "/ca.pem"}}})") ==
        "p.json:1:35: upstreams.cpa.ca_file: holds for https:// endpoints, and this upstream has none");
  CHECK(problem_of(R"({"upstreams": {"cpa": {"endpoints": ["http://a", "unix:/b"], "tls_name": "a"}}})") ==
        "p.json:1:74: upstreams.cpa.tls_name: holds for https:// endpoints, and this upstream has none");
  const Settings s = settings_of(
      R"({"upstreams": {"cpa": {"endpoints": ["http://a", "https://b"], "ca_file": "/ca", "tls_name": "c"}}})");
  CHECK(s.upstreams[0].endpoints[1].scheme == Url::Scheme::https);
}
