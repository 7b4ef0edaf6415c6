// The accounts are true: what the sample CPA says it served, and what Portico says passed, is the same to the
// token, by model and key, in every place where Portico says it.

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
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

Message get_from(const Address& address, std::string_view path) {
  Client client(address);
  return client.exchange(get(path, {"Connection: close"}));
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

}  // namespace

TEST_CASE("mixed traffic is accounted as the backend served it, by model and key", "[accounts]") {
  Process sample{Command{.arguments = {PORTICO_BINARY, "sample", "--cpa-listen", "127.0.0.1:0",
                                       "--cpamp-listen", "127.0.0.1:0"}}};
  const auto line = sample.wait_for_line("sample CPA ");
  REQUIRE(line);
  const std::string cpa = "http://" + line->substr(line->rfind(' ') + 1);
  const Address backend = Address::of_url(cpa);
  const TemporaryFolder folder;
  const std::string log = folder.file("access.log");
  const Portico proxy{{.cpa = cpa,
                       .settings = fmt::format(R"({{"workers": 2, "access_log": {{"path": "{}"}},)"
                                               R"( "telemetry": {{"series": 20000}}}})",
                                               log)}};

  const TrafficResult sent = run_traffic(proxy.address(), exchanges(), 64, 20'260'822);
  for (std::size_t i = 0; i < sent.problems.size() && i < 20; ++i) UNSCOPED_INFO(sent.problems[i]);
  REQUIRE(sent.problems.empty());

  json::value stats;
  const bool settled = eventually(
      [&] {
        stats = json::parse(get_from(backend, "/v1/sample/stats").body);
        std::uint64_t warmups = 0;
        for (const json::value& row : stats.at("served").as_array()) warmups += number(row, "warmups");
        return stats.at("open_streams") == 0 && number(stats, "requests") + warmups == sent.accounts;
      },
      Deadline{30s});
  CAPTURE(number(stats, "requests"), sent.accounts);
  REQUIRE(settled);
  const Accounts truth = truth_of(stats);

  // Each upgraded connection leaves a record too, which is no account of its own.
  const std::size_t records = sent.accounts + sent.websockets;
  CHECK(eventually([&] { return proxy.metric("portico_tap_records_total") == static_cast<double>(records); },
                   Deadline{30s}));
  CHECK(proxy.metric("portico_tap_records_total") == static_cast<double>(records));
  CHECK(proxy.metric("portico_tap_dropped_total") == 0);
  CHECK(proxy.metric("portico_internal_errors_total") == 0);

  std::size_t lines = 0;
  CHECK(eventually([&] {
    logged_in(log, lines);
    return lines >= records;
  }));
  const Accounts logged = logged_in(log, lines);
  CHECK(lines == records);
  check_same("access log", truth, logged);
  check_same("usage", without_categories(truth), usage_of(proxy));

  const auto metrics = proxy.metrics();
  check_same("tokens in /metrics", tokens_by_model(truth), by_model(metrics, "portico_tokens_total", "kind"));
  check_same("failures in /metrics", failures_by_model(truth),
             by_model(metrics, "portico_failures_total", "category"));

  const Message failures = proxy.manage("/api/v1/failures?window=1h");
  REQUIRE(failures.status == 200);
  std::map<std::string, std::uint64_t> summed;
  const json::value document = json::parse(failures.body);
  for (const json::value& group : document.at("failures").as_array()) {
    summed[text_of(group.at("category"))] += number(group, "count");
  }
  CHECK(summed == failures_by_category(truth));
}
