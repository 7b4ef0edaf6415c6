// The accounts are true: what the sample CPA says it served, and what Portico says passed, is the same to the
// token, by model and key, in every place where Portico says it.

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/portico.hpp"
#include "test/support/process.hpp"
#include "test/support/traffic.hpp"

using namespace portico::test;

namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 6> token_kinds{"input",  "cache_read", "cache_creation",
                                                      "output", "reasoning",  "unclassified"};

/// What is compared of a model and a key.
struct Sums {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
  std::uint64_t client_gone = 0;
  std::uint64_t turns = 0;
  std::uint64_t warmups = 0;
  std::array<std::uint64_t, token_kinds.size()> tokens{};
  std::map<std::string, std::uint64_t> categories;

  Sums& operator+=(const Sums& other) {
    requests += other.requests;
    failed += other.failed;
    client_gone += other.client_gone;
    turns += other.turns;
    warmups += other.warmups;
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] += other.tokens[i];
    for (const auto& [name, count] : other.categories) categories[name] += count;
    return *this;
  }
  friend bool operator==(const Sums&, const Sums&) = default;
};

std::ostream& operator<<(std::ostream& out, const Sums& sums) {
  out << sums.requests << " requests, " << sums.failed << " failed, " << sums.client_gone << " client_gone, "
      << sums.turns << " turns, " << sums.warmups << " warmups, tokens";
  for (std::size_t i = 0; i < token_kinds.size(); ++i) out << ' ' << token_kinds[i] << '=' << sums.tokens[i];
  for (const auto& [name, count] : sums.categories) out << ' ' << name << '=' << count;
  return out;
}

/// By model and the mask of the key.
using Name = std::pair<std::string, std::string>;
using Accounts = std::map<Name, Sums>;

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.as_string()) : std::string();
}
std::string model_name(const json::value& model) {
  const std::string name = text_of(model);
  return name.empty() ? "unknown" : name;
}
std::uint64_t number(const json::value& object, std::string_view name) {
  return object.at(json::string_view(name.data(), name.size())).to_number<std::uint64_t>();
}

void add_tokens(Sums& sums, const json::value& tokens) {
  if (!tokens.is_object()) return;
  for (std::size_t i = 0; i < token_kinds.size(); ++i) {
    const json::value* count = tokens.as_object().if_contains({token_kinds[i].data(), token_kinds[i].size()});
    if (count != nullptr) sums.tokens[i] += count->to_number<std::uint64_t>();
  }
}

/// What the sample says of itself.
Accounts truth_of(const json::value& stats) {
  Accounts accounts;
  for (const json::value& row : stats.at("served").as_array()) {
    Sums sums;
    sums.requests = number(row, "requests");
    sums.failed = number(row, "failures");
    sums.client_gone = number(row, "client_gone");
    sums.turns = number(row, "turns");
    sums.warmups = number(row, "warmups");
    add_tokens(sums, row.at("tokens"));
    for (const auto& category : row.at("categories").as_object()) {
      sums.categories[std::string(category.key())] = category.value().to_number<std::uint64_t>();
    }
    accounts[{model_name(row.at("model")), text_of(row.at("key"))}] += sums;
  }
  return accounts;
}

Accounts usage_of(const Portico& proxy) {
  const Message answer = proxy.manage("/api/v1/usage?window=1h&group_by=model,key");
  REQUIRE(answer.status == 200);
  Accounts accounts;
  const json::value document = json::parse(answer.body);
  for (const json::value& row : document.at("groups").as_array()) {
    Sums sums;
    sums.requests = number(row, "requests");
    sums.failed = number(row, "failed");
    sums.client_gone = number(row, "client_gone");
    sums.turns = number(row, "turns");
    sums.warmups = number(row, "warmups");
    add_tokens(sums, row.at("tokens"));
    accounts[{model_name(row.at("model")), text_of(row.at("key"))}] += sums;
  }
  return accounts;
}

/// The same from the access log: `lines` becomes how many records it has.
Accounts logged_in(const std::string& file, std::size_t& lines) {
  Accounts accounts;
  std::ifstream log(file);
  lines = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    const json::value record = json::parse(line);
    // The turns of a WebSocket have records of their own.
    if (record.at("kind") == "connection" && number(record, "turns") != 0) continue;
    std::string mask;
    if (record.at("key").is_object()) mask = text_of(record.at("key").at("mask"));
    Sums& sums = accounts[{model_name(record.at("model")), mask}];
    if (record.at("warmup") == true) {
      ++sums.warmups;
      continue;
    }
    ++sums.requests;
    if (record.at("failed") == true) ++sums.failed;
    if (record.at("ended") == "client_gone") ++sums.client_gone;
    if (record.at("kind") == "turn") ++sums.turns;
    add_tokens(sums, record.at("tokens"));
    if (record.at("failure").is_object()) ++sums.categories[text_of(record.at("failure").at("category"))];
  }
  return accounts;
}

Accounts without_categories(Accounts accounts) {
  for (auto& [name, sums] : accounts) sums.categories.clear();
  return accounts;
}

/// Says each difference, so that a wrong account can be found.
void check_same(std::string_view where, const Accounts& expected, const Accounts& found) {
  for (const auto& [name, sums] : expected) {
    const auto other = found.find(name);
    CAPTURE(where, name.first, name.second);
    CHECK((other == found.end() ? Sums{} : other->second) == sums);
  }
  for (const auto& [name, sums] : found) {
    CAPTURE(where, name.first, name.second, sums);
    CHECK(expected.contains(name));
  }
}

using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;

void check_same(std::string_view where, const Counts& expected, const Counts& found) {
  CAPTURE(where);
  for (const auto& [name, count] : expected) {
    CAPTURE(name.first, name.second);
    const auto other = found.find(name);
    CHECK((other == found.end() ? 0 : other->second) == count);
  }
  for (const auto& [name, count] : found) {
    CAPTURE(name.first, name.second, count);
    CHECK(expected.contains(name));
  }
}

/// The value of a label in a series of /metrics.
std::string label(const std::string& series, const std::string& name) {
  const auto at = series.find(name + "=\"");
  if (at == std::string::npos) return {};
  const auto begin = at + name.size() + 2;
  return series.substr(begin, series.find('"', begin) - begin);
}

/// A counter of /metrics by model and one label more; zeros left out.
Counts by_model(const std::map<std::string, double>& metrics, const std::string& metric,
                const std::string& other) {
  Counts counts;
  for (const auto& [series, value] : metrics) {
    if (!series.starts_with(metric + "{") || value == 0) continue;
    counts[{label(series, "model"), label(series, other)}] += static_cast<std::uint64_t>(value);
  }
  return counts;
}

Counts tokens_by_model(const Accounts& accounts) {
  Counts counts;
  for (const auto& [name, sums] : accounts) {
    for (std::size_t i = 0; i < token_kinds.size(); ++i) {
      if (sums.tokens[i] != 0) counts[{name.first, std::string(token_kinds[i])}] += sums.tokens[i];
    }
  }
  return counts;
}

Counts failures_by_model(const Accounts& accounts) {
  Counts counts;
  for (const auto& [name, sums] : accounts) {
    for (const auto& [category, count] : sums.categories) counts[{name.first, category}] += count;
  }
  return counts;
}

/// /api/v1/failures by category.
std::map<std::string, std::uint64_t> failures_of(const Portico& proxy) {
  const Message answer = proxy.manage("/api/v1/failures?window=1h");
  REQUIRE(answer.status == 200);
  std::map<std::string, std::uint64_t> counts;
  const json::value document = json::parse(answer.body);
  for (const json::value& group : document.at("failures").as_array()) {
    counts[text_of(group.at("category"))] += number(group, "count");
  }
  return counts;
}

std::map<std::string, std::uint64_t> failures_by_category(const Accounts& accounts) {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& [name, sums] : accounts) {
    for (const auto& [category, count] : sums.categories) counts[category] += count;
  }
  return counts;
}

/// Exchanges of the run: enough for every kind many times, or as the environment says for the full proof.
std::size_t exchanges() {
  const char* text = std::getenv("PORTICO_ACCOUNTS");
  if (text != nullptr) return std::stoul(text);
  return sanitized() ? 1'500 : 6'000;
}

constexpr std::size_t connections = 64;
constexpr std::uint64_t seed = 20'260'822;

/// The binary in front of a sample, and the places where it tells of exchanges.
class Scene {
 public:
  Scene()
      : sample_{Command{.arguments = {PORTICO_BINARY, "sample", "--cpa-listen", "127.0.0.1:0",
                                      "--cpamp-listen", "127.0.0.1:0"}}},
        backend_(Address::of_url(cpa())),
        log_(folder_.file("access.log")),
        // The traffic guesses keys by the hundred, and each guess has to be in the accounts.
        proxy_{{.cpa = cpa(),
                .settings = fmt::format(
                    R"({{"workers": 2, "key_guard": {{"failures": 0}}, "access_log": {{"path": "{}"}},)"
                    R"( "telemetry": {{"series": 20000}}}})",
                    log_)}} {}

  [[nodiscard]] const Portico& proxy() const { return proxy_; }

  /// The sample's own account, once it has counted all that was sent.
  Accounts truth(const TrafficResult& sent) {
    for (std::size_t i = 0; i < sent.problems.size() && i < 20; ++i) UNSCOPED_INFO(sent.problems[i]);
    REQUIRE(sent.problems.empty());
    json::value stats;
    const bool settled = eventually(
        [&] {
          Client client(backend_);
          stats = json::parse(client.exchange(get("/v1/sample/stats", {"Connection: close"})).body);
          std::uint64_t warmups = 0;
          for (const json::value& row : stats.at("served").as_array()) warmups += number(row, "warmups");
          return stats.at("open_streams") == 0 && number(stats, "requests") + warmups == sent.accounts;
        },
        Deadline{30s});
    CAPTURE(number(stats, "requests"), sent.accounts);
    REQUIRE(settled);
    return truth_of(stats);
  }

  /// Waits for as many records as the traffic must leave, and demands that not one is lost or too many. A
  /// connection that was upgraded leaves a record too, which is no account of its own.
  Accounts logged(const TrafficResult& sent) {
    const std::size_t records = sent.accounts + sent.websockets;
    const auto recorded = [&] { return proxy_.metric("portico_tap_records_total"); };
    CHECK(eventually([&] { return recorded() >= static_cast<double>(records); }, Deadline{30s}));
    CHECK(recorded() == static_cast<double>(records));
    CHECK(proxy_.metric("portico_tap_dropped_total") == 0);
    CHECK(proxy_.metric("portico_internal_errors_total") == 0);
    std::size_t lines = 0;
    Accounts accounts;
    CHECK(eventually([&] {
      accounts = logged_in(log_, lines);
      return lines >= records;
    }));
    CHECK(lines == records);
    return accounts;
  }

  /// Usage, metrics and failures say the same as `expected`.
  void check_surfaces(const Accounts& expected) {
    check_same("usage", without_categories(expected), usage_of(proxy_));
    const auto metrics = proxy_.metrics();
    check_same("tokens in /metrics", tokens_by_model(expected),
               by_model(metrics, "portico_tokens_total", "kind"));
    check_same("failures in /metrics", failures_by_model(expected),
               by_model(metrics, "portico_failures_total", "category"));
    CHECK(failures_of(proxy_) == failures_by_category(expected));
  }

 private:
  std::string cpa() {
    if (cpa_.empty()) {
      const auto line = sample_.wait_for_line("sample CPA ");
      REQUIRE(line);
      cpa_ = "http://" + line->substr(line->rfind(' ') + 1);
    }
    return cpa_;
  }

  Process sample_;
  std::string cpa_;
  Address backend_;
  TemporaryFolder folder_;
  std::string log_;
  Portico proxy_;
};

std::uint64_t total_tokens(const Sums& sums) {
  return std::accumulate(sums.tokens.begin(), sums.tokens.end(), std::uint64_t{0});
}

}  // namespace

TEST_CASE("mixed traffic is accounted as the backend served it, by model and key", "[accounts]") {
  Scene scene;
  const TrafficResult sent = run_traffic(scene.proxy().address(), exchanges(), connections, seed);
  const Accounts truth = scene.truth(sent);
  check_same("access log", truth, scene.logged(sent));
  scene.check_surfaces(truth);
}

TEST_CASE("clients that leave anywhere are accounted once, with no more than was announced", "[accounts]") {
  Scene scene;
  const TrafficResult sent = run_leavers(scene.proxy().address(), exchanges() / 3, connections, seed);
  const Accounts truth = scene.truth(sent);
  const Accounts logged = scene.logged(sent);
  std::uint64_t gone = 0;
  for (const auto& [name, sums] : truth) {
    CAPTURE(name.first, name.second, sums);
    REQUIRE(logged.contains(name));
    const Sums& found = logged.at(name);
    CHECK(found.requests == sums.requests);
    CHECK(found.failed == 0);
    CHECK(total_tokens(found) <= total_tokens(sums));
    CHECK(total_tokens(found) > 0);
    gone += found.client_gone;
  }
  CHECK(logged.size() == truth.size());
  CHECK(gone > 0);
  scene.check_surfaces(logged);
}
