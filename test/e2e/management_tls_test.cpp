// The management endpoint under TLS, asked by curl.

#include "test/e2e/management_tls.hpp"

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"
#include "test/support/process.hpp"

using namespace portico::test;

namespace {

/// curl with `arguments`, which are options and the path, at the management endpoint.
class Curl {
 public:
  Curl(const Portico& proxy, std::string scheme, const std::string& path, std::vector<std::string> options)
      : process_(command(proxy, std::move(scheme), path, std::move(options))) {}
  [[nodiscard]] std::string output() const { return process_.output(); }
  std::optional<std::string> line(const std::string& text) { return process_.wait_for_line(text); }
  std::optional<ExitStatus> exit() { return process_.wait_exit(); }

 private:
  static Command command(const Portico& proxy, std::string scheme, const std::string& path,
                         std::vector<std::string> options) {
    std::vector<std::string> all{
        "/usr/bin/env", "curl", "--silent", "--show-error", "--no-buffer", "--noproxy", "*",
        "--max-time",   "20"};
    for (std::string& option : options) all.push_back(std::move(option));
    const std::string url = proxy.management().url();
    all.push_back(std::move(scheme) + url.substr(url.find(':')) + path);
    return {.arguments = std::move(all)};
  }

  Process process_;
};

}  // namespace

TEST_CASE("the management endpoint says https where it speaks TLS, and curl with a certificate is answered") {
  const ManagementTls tls;
  Origin cpa(Origin::serve(ok("{}")));
  Portico proxy{{.cpa = cpa.url(), .settings = tls.settings()}};
  CHECK(proxy.process().output().find("management on https://127.0.0.1:") != std::string::npos);

  const std::vector<std::string> trusting{"--cacert", tls.authority_file};
  std::vector<std::string> admitted = trusting;
  admitted.insert(admitted.end(), {"--cert", tls.client.certificate, "--key", tls.client.key});

  Curl metrics(proxy, "https", "/metrics", admitted);
  CHECK(metrics.line("portico_build_info"));
  CHECK(metrics.exit() == 0);

  Curl events(proxy, "https", "/api/v1/events", admitted);
  // A subscriber hears of what ends after it came, so exchanges go on until it has heard of one.
  CHECK(eventually([&] {
    return proxy.exchange(get("/v1/models")).status == 200 &&
           events.output().find("event: exchange") != std::string::npos;
  }));
  CHECK(events.line("/v1/models"));

  Curl stranger(proxy, "https", "/metrics", trusting);
  CHECK(stranger.line("certificate required"));
  CHECK(stranger.exit() != 0);

  Curl plain(proxy, "http", "/metrics", {"--write-out", "status %{http_code}\\n"});
  CHECK(plain.line("This port speaks TLS only"));
  CHECK(plain.line("status 400"));
  CHECK(plain.exit() == 0);
}

TEST_CASE("renewed files of the management endpoint are served without a restart") {
  const ManagementTls tls;
  Origin cpa(Origin::serve(ok("{}")));
  const Portico proxy{{.cpa = cpa.url(), .settings = tls.settings()}};
  const Authority successor("Servers of tomorrow");
  const std::string folder = tls.folder.path().string();
  static_cast<void>(successor.issue().write(folder, "server"));
  const std::vector<std::string> options{"--cacert", successor.write(folder, "successor"),
                                         "--cert",   tls.client.certificate,
                                         "--key",    tls.client.key};
  CHECK(eventually([&] {
    Curl health(proxy, "https", "/healthz", options);
    return health.exit() == 0;
  }));
}

TEST_CASE("SIGHUP right after a renewal serves the management endpoint's new files, too") {
  const ManagementTls tls;
  Origin cpa(Origin::serve(ok("{}")));
  Portico proxy{{.cpa = cpa.url(), .settings = tls.settings()}};
  const Authority successor("Servers of tomorrow");
  const std::string folder = tls.folder.path().string();
  static_cast<void>(successor.issue().write(folder, "server"));
  // What a reload has read counts as known, so that the watch of the files says nothing more about it.
  proxy.signal(SIGHUP);
  REQUIRE(proxy.process().wait_for_line("settings reloaded"));
  Curl health(proxy, "https", "/healthz",
              {"--cacert", successor.write(folder, "successor"), "--cert", tls.client.certificate, "--key",
               tls.client.key});
  CHECK(health.exit() == 0);
}
