#include "telemetry/metrics.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;

namespace {

const std::string source_dir = PORTICO_SOURCE_DIR;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Files that are made from code are compared; with PORTICO_WRITE_REFERENCE set they are written instead.
void check_equals_file(const std::string& text, const std::string& path) {
  if (std::getenv("PORTICO_WRITE_REFERENCE") != nullptr) std::ofstream(path, std::ios::binary) << text;
  INFO("to renew " << path << " run this test with PORTICO_WRITE_REFERENCE=1 and read the difference");
  CHECK(read_file(path) == text);
}

// Two workers, each family with at least one sample, labels that need escaping.
class Example {
 public:
  Example() {
    const RouteLabel v1 = registry.route("/v1/");
    const RouteLabel odd = registry.route("= /odd\"\\\n");
    const EndpointLabel cpa = registry.endpoint("cpa", "http://127.0.0.1:8317");
    registry.endpoint("cpa", "http://gone:1");
    const ListenerLabel listener = registry.listener("0.0.0.0:8080");
    for (std::size_t w = 0; w < 2; ++w) {
      WorkerCells& worker = registry.worker(w);
      worker.requests(v1, Dialect::openai_chat, 200).add(3);
      worker.requests(v1, Dialect::openai_chat, 429).add(w);
      worker.requests(odd, Dialect::other, 404).add();
      worker.ended[static_cast<std::size_t>(Ended::complete)].add(7);
      worker.ended[static_cast<std::size_t>(Ended::client_gone)].add(w);
      worker.request_body_bytes.add(1000);
      worker.response_body_bytes.add(50'000);
      worker.streams.add(2);
      worker.accept_paused.add(w);
      worker.rate_limited.add(6);
      worker.key_guard_blocked.add(10 + w);
      EndpointCells& cells = worker.endpoint(cpa);
      cells.active.add(1);
      cells.idle.add(4);
      cells.connects.add(5);
      cells.connect_failures.add(w);
      cells.reused.add(9);
      cells.connect_time.observe_us(180);
      cells.connect_time.observe_us(90'000);
      cells.codes[200].add(6);
      cells.codes[429].add(w);
      worker.listener(listener).connections.add(2);
      worker.listener(listener).accepted.add(8);
      worker.listener(listener).refused.add(w);
      worker.listener(listener).handshake_failures.add(2);
    }
    registry.set_braked([](std::size_t) { return BrakedAddresses{3, {}}; });
    stores.rings = [] { return RingTotals{1'234, 5, 678}; };
    portico::test::ExampleRecord example;
    example.facts.stream = true;
    example.facts.first_token_us = 200'000;
    example.facts.overhead_us = 60;
    stores.take(example.record(), std::nullopt, {});
    example.model("odd\"\\\n").fails(404);
    stores.take(example.record(), Verdict{Category::model_name, FaultField::model_names, Confidence::medium},
                {});
    state.workers = 2;
    state.reloads = 3;
    state.endpoints = {{"cpa", "http://127.0.0.1:8317", {"127.0.0.1"}}};
    const std::chrono::sys_seconds expiry{std::chrono::seconds(1'794'150'245)};
    state.certificates = {{"/etc/tls/a.pem", {"a.example", "www.a.example"}, expiry, "EC P-256"}};
    usage.cpu_seconds = 12.25;
    usage.resident_bytes = 25'000'000;
    usage.virtual_bytes = 125'000'000;
    usage.open_fds = 42;
    usage.max_fds = 20'000;
    usage.start_time_seconds = 1'794'150'245.5;
    usage.threads = 4;
  }

  // The version is left open, so that a release does not change the record.
  [[nodiscard]] std::string render_for_record(MetricsFormat format) const {
    std::string text = render(format);
    const std::string version = "version=\"" PORTICO_VERSION "\"";
    text.replace(text.find(version), version.size(), "version=\"...\"");
    return text;
  }

  [[nodiscard]] std::string render(MetricsFormat format) const {
    return render_metrics({registry, state, usage, &stores}, format);
  }

  Registry registry{2};
  ProcessState state;
  ProcessUsage usage;
  Stores stores{portico::conf::TelemetrySettings{}};
};

struct Sample {
  std::string name;
  std::set<std::string> labels;
};

// Label names of a sample line; values may hold anything but are quoted and escaped.
Sample parse_sample(const std::string& line) {
  Sample sample;
  std::size_t i = line.find_first_of("{ ");
  sample.name = line.substr(0, i);
  if (line[i] != '{') return sample;
  ++i;
  while (line[i] != '}') {
    const std::size_t equals = line.find('=', i);
    sample.labels.insert(line.substr(i, equals - i));
    for (i = equals + 2; line[i] != '"'; ++i) {
      if (line[i] == '\\') ++i;
    }
    ++i;
    if (line[i] == ',') ++i;
  }
  return sample;
}

}  // namespace

TEST_CASE("the scrape is as recorded, in both forms") {
  const Example example;
  check_equals_file(example.render_for_record(MetricsFormat::prometheus_text),
                    source_dir + "/test/telemetry/golden/metrics.txt");
  check_equals_file(example.render_for_record(MetricsFormat::open_metrics),
                    source_dir + "/test/telemetry/golden/metrics.openmetrics.txt");
}

TEST_CASE("every sample carries exactly the labels of its family's row") {
  const Example example;
  std::map<std::string, std::set<std::string>> rows;
  for (const MetricFamily& family : metric_families()) {
    std::set<std::string> labels;
    for (const auto label : family.head.labels) {
      if (!label.empty()) labels.emplace(label);
    }
    const std::string name = exposed_name(family.head);
    INFO(name);
    REQUIRE(rows.emplace(name, labels).second);
    REQUIRE_FALSE(family.head.help.empty());
    const bool unit_ends_name = std::string_view(family.head.name).ends_with(family.head.unit);
    REQUIRE(unit_ends_name);
  }
  std::istringstream text(example.render(MetricsFormat::prometheus_text));
  std::set<std::string> seen;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) continue;
    INFO(line);
    Sample sample = parse_sample(line);
    if (sample.labels.erase("le") == 1 || !rows.contains(sample.name)) {
      sample.name.resize(sample.name.rfind('_'));
    }
    REQUIRE(rows.contains(sample.name));
    REQUIRE(rows[sample.name] == sample.labels);
    seen.insert(sample.name);
  }
  REQUIRE(seen.size() == rows.size());
}

TEST_CASE("status codes that no request had are left out") {
  const std::string text = Example().render(MetricsFormat::prometheus_text);
  REQUIRE(text.find("code=\"200\"") != std::string::npos);
  REQUIRE(text.find("code=\"500\"") == std::string::npos);
}

TEST_CASE("an endpoint that a reload removed no longer says whether it is up") {
  const std::string text = Example().render(MetricsFormat::prometheus_text);
  REQUIRE(text.find("portico_upstream_up{upstream=\"cpa\",endpoint=\"http://127.0.0.1:8317\"} 1\n") !=
          std::string::npos);
  REQUIRE(text.find("portico_upstream_up{upstream=\"cpa\",endpoint=\"http://gone:1\"}") == std::string::npos);
}

TEST_CASE("what the kernel does not tell is left out, not zero") {
  Example example;
  example.usage = {};
  REQUIRE(example.render(MetricsFormat::prometheus_text).find("\nprocess_open_fds ") == std::string::npos);
}

TEST_CASE("the reference page equals the table") {
  check_equals_file(render_reference(), source_dir + "/telemetry/METRICS.md");
}

TEST_CASE("promtool finds nothing to say about the scrape") {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    WARN("skipped: promtool (Debian package prometheus) is not installed");
    return;
  }
  std::string folder = "/tmp/portico-metrics-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::ofstream(folder + "/scrape", std::ios::binary) << Example().render(MetricsFormat::prometheus_text);
  const std::string command = "promtool check metrics <" + folder + "/scrape >" + folder + "/said 2>&1";
  const int result = std::system(command.c_str());
  const std::string said = read_file(folder + "/said");
  ::unlink((folder + "/scrape").c_str());
  ::unlink((folder + "/said").c_str());
  ::rmdir(folder.c_str());
  INFO(said);
  CHECK(result == 0);
  CHECK(said.empty());
}

TEST_CASE("without stores what comes from records is left out, not zero") {
  const Example example;
  const std::string text =
      render_metrics({example.registry, example.state, example.usage}, MetricsFormat::prometheus_text);
  CHECK(text.find("\nportico_tokens_total{") == std::string::npos);
  CHECK(text.find("\nportico_tap_records_total ") == std::string::npos);
  CHECK(text.find("\nportico_streams ") != std::string::npos);
}

TEST_CASE("a certificate is labelled by its first name, or by its file where that would not tell it apart") {
  Example example;
  const std::chrono::sys_seconds expiry{std::chrono::seconds(1'800'000'000)};
  example.state.certificates = {{"/tls/one.pem", {"one.example", "shared.example"}, expiry, "EC P-256"},
                                {"/tls/rsa.pem", {"two.example"}, expiry, "RSA 2048"},
                                {"/tls/ec.pem", {"two.example"}, expiry, "EC P-256"},
                                {"/tls/ec.pem", {"two.example"}, expiry, "EC P-256"},
                                {"/tls/none.pem", {}, expiry, "EC P-256"}};
  const std::string text = example.render(MetricsFormat::prometheus_text);
  const std::string name = "\nportico_tls_certificate_expiry_seconds{certificate=";
  std::vector<std::string> labels;
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const std::size_t from = at + name.size();
    labels.push_back(text.substr(from, text.find('\n', from) - from));
  }
  CHECK(labels == std::vector<std::string>{"\"one.example\"} 1800000000", "\"/tls/rsa.pem\"} 1800000000",
                                           "\"/tls/ec.pem\"} 1800000000", "\"/tls/none.pem\"} 1800000000"});
}
