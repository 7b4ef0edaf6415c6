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

}  // namespace

TEST_CASE("a Prometheus scrapes every metric and counts what passed", "[prometheus]") {
  if (std::system("command -v prometheus >/dev/null 2>&1") != 0) {
    WARN("skipped: prometheus (Debian package prometheus) is not installed");
    std::cout << "skipped: prometheus\n";
    return;
  }
  Origin cpa(Origin::serve(
      ok(R"({"model":"gpt-5.4","choices":[{"index":0,"finish_reason":"stop","message":{}}],"usage":{)"
         R"("prompt_tokens":7,"completion_tokens":5,"total_tokens":12}})")));
  Portico proxy{{.cpa = cpa.url()}};

  TemporaryFolder folder;
  std::ofstream(folder.file("prometheus.yml")) << fmt::format(
      "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n  - job_name: portico\n"
      "    static_configs:\n      - targets: ['{}']\n",
      proxy.management().url().substr(std::string("http://").size()));
  Process prometheus(
      {.arguments = {"/usr/bin/env", "prometheus", "--config.file=" + folder.file("prometheus.yml"),
                     "--storage.tsdb.path=" + folder.file("data"), "--web.listen-address=127.0.0.1:0"}});
  const std::optional<std::string> line = prometheus.wait_for_line("msg=\"Listening on\"");
  REQUIRE(line);
  const Address server = Address::of_url("http://" + line->substr(line->find("address=") + 8));
  REQUIRE(eventually([&] { return query(server, "up") == 1; }));

  for (int i = 0; i < 5; ++i)
    REQUIRE(proxy.exchange(post("/v1/chat/completions", R"({"model":"gpt-5.4","messages":[]})")).status ==
            200);
  CHECK(eventually([&] { return query(server, "sum(portico_requests_total)") == 5; }));
  CHECK(eventually([&] { return query(server, "sum(portico_tokens_total)") == 60; }));
  CHECK(eventually([&] { return query(server, "sum(portico_request_duration_seconds_count)") == 5; }));

  const json::value targets = get(server, "/api/v1/targets");
  const json::value& target = targets.at("data").at("activeTargets").at(0);
  CHECK(target.at("health") == "up");
  CHECK(target.at("lastError") == "");
  prometheus.signal(SIGTERM);
  CHECK(prometheus.wait_exit() == 0);
}
