// A real Prometheus scrapes the real binary.

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/e2e/management_tls.hpp"
#include "test/support/origin.hpp"
#include "test/support/portico.hpp"
#include "test/support/process.hpp"

using namespace portico::test;

namespace {

namespace json = boost::json;

json::value get(const Address& server, const std::string& path) {
  Client client(server);
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path));
  const Message answer = client.response();
  // It listens before it is ready.
  return answer.status == 200 ? json::parse(answer.body) : json::value();
}

/// The value that an expression has now, if it has just one.
std::optional<double> query(const Address& prometheus, const std::string& expression) {
  const json::value answer = get(prometheus, "/api/v1/query?query=" + expression);
  if (answer.is_null()) return std::nullopt;
  const json::array& result = answer.at("data").at("result").as_array();
  if (result.size() != 1) return std::nullopt;
  return std::stod(std::string(result[0].at("value").at(1).as_string()));
}

/// False, and a word about it, where there is no Prometheus.
bool installed() {
  if (std::system("command -v prometheus >/dev/null 2>&1") == 0) return true;
  WARN("skipped: prometheus (Debian package prometheus) is not installed");
  std::cout << "skipped: prometheus\n";
  return false;
}

Origin::Script answer_of_twelve_tokens() {
  return Origin::serve(
      ok(R"({"model":"gpt-5.4","choices":[{"index":0,"finish_reason":"stop","message":{}}],"usage":{)"
         R"("prompt_tokens":7,"completion_tokens":5,"total_tokens":12}})"));
}

/// One that scrapes the management endpoint at `target`; `how` are further lines of the scrape's settings.
class Prometheus {
 public:
  explicit Prometheus(const Address& target, const std::string& how = {}) {
    std::ofstream(folder_.file("prometheus.yml")) << fmt::format(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n  - job_name: portico\n"
        "{}    static_configs:\n      - targets: ['{}']\n",
        how, target.url().substr(std::string("http://").size()));
    process_.emplace(Command{
        .arguments = {"/usr/bin/env", "prometheus", "--config.file=" + folder_.file("prometheus.yml"),
                      "--storage.tsdb.path=" + folder_.file("data"), "--web.listen-address=127.0.0.1:0"}});
    const std::optional<std::string> line = process_->wait_for_line("msg=\"Listening on\"");
    REQUIRE(line);
    server_ = Address::of_url("http://" + line->substr(line->find("address=") + 8));
  }
  [[nodiscard]] std::optional<double> query(const std::string& expression) const {
    return ::query(server_, expression);
  }
  /// The only target, as Prometheus sees it.
  [[nodiscard]] json::value target() const {
    return get(server_, "/api/v1/targets").at("data").at("activeTargets").at(0);
  }
  std::optional<ExitStatus> stop() {
    process_->signal(SIGTERM);
    return process_->wait_exit();
  }

 private:
  TemporaryFolder folder_;
  std::optional<Process> process_;
  Address server_;
};

}  // namespace

TEST_CASE("a Prometheus scrapes every metric and counts what passed", "[prometheus]") {
  if (!installed()) return;
  Origin cpa(answer_of_twelve_tokens());
  Portico proxy{{.cpa = cpa.url()}};
  Prometheus prometheus(proxy.management());
  REQUIRE(eventually([&] { return prometheus.query("up") == 1; }));

  for (int i = 0; i < 5; ++i)
    REQUIRE(proxy.exchange(post("/v1/chat/completions", R"({"model":"gpt-5.4","messages":[]})")).status ==
            200);
  CHECK(eventually([&] { return prometheus.query("sum(portico_requests_total)") == 5; }));
  CHECK(eventually([&] { return prometheus.query("sum(portico_tokens_total)") == 60; }));
  CHECK(eventually([&] { return prometheus.query("sum(portico_request_duration_seconds_count)") == 5; }));

  const json::value target = prometheus.target();
  CHECK(target.at("health") == "up");
  CHECK(target.at("lastError") == "");
  CHECK(prometheus.stop() == 0);
}

TEST_CASE("a Prometheus scrapes over TLS, and only with a certificate where one is demanded",
          "[prometheus]") {
  if (!installed()) return;
  const ManagementTls tls;
  Origin cpa(answer_of_twelve_tokens());
  Portico proxy{{.cpa = cpa.url(), .settings = tls.settings()}};
  const std::string how =
      fmt::format("    scheme: https\n    tls_config:\n      ca_file: {}\n", tls.authority_file);
  Prometheus admitted(proxy.management(), fmt::format("{}      cert_file: {}\n      key_file: {}\n", how,
                                                      tls.client.certificate, tls.client.key));
  REQUIRE(eventually([&] { return admitted.query("up") == 1; }));
  REQUIRE(proxy.exchange(post("/v1/chat/completions", R"({"model":"gpt-5.4","messages":[]})")).status == 200);
  CHECK(eventually([&] { return admitted.query("sum(portico_tokens_total)") == 12; }));
  CHECK(admitted.target().at("lastError") == "");
  CHECK(admitted.stop() == 0);

  Prometheus stranger(proxy.management(), how);
  REQUIRE(eventually([&] { return stranger.query("up") == 0; }));
  CHECK_THAT(std::string(stranger.target().at("lastError").as_string()),
             Catch::Contains("certificate required"));
  CHECK(stranger.stop() == 0);
}
