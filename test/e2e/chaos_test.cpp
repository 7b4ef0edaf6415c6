// Hostile traffic, and what holds in it: thousands of exchanges over every way in, through gates that cut,
// stall, delay, split, join and double what passes between client and proxy and between proxy and backend,
// while clients leave and backends break off at random places.
//
// PORTICO_CHAOS sets the number of exchanges, PORTICO_CHAOS_SEED repeats a run (but for its timing).

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/chaos_client.hpp"
#include "test/support/chaos_origin.hpp"
#include "test/support/gate.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

namespace json = boost::json;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

constexpr std::size_t clients = 48;

constexpr GateOptions client_gate{.fin = 0.05,
                                  .reset = 0.05,
                                  .stall = 0.04,
                                  .duplicate_up = 0.03,
                                  .duplicate_down = 0.03,
                                  .delay = 0.05,
                                  .split = 0.12,
                                  .join = 0.05};
// A doubled response on a plain connection is a response that nobody asked for, and no proxy could tell it
// from the next one; under TLS it can.
constexpr GateOptions plain_gate{
    .fin = 0.05, .reset = 0.05, .stall = 0.03, .delay = 0.05, .split = 0.12, .join = 0.05};
constexpr GateOptions secure_gate = client_gate;

/// What one exchange leads us to expect of its record.
struct Expected {
  bool sure = false;       // somebody heard of it, so there is a record
  bool tampered = false;   // its client's connection had bytes twice: nothing is sure
  int status = 0;          // 0: any
  std::string_view ended;  // empty: any
};

class Arena {
 public:
  explicit Arena(std::uint64_t seed)
      : plans_{.seed = seed},
        identity_(authority_.issue().write(folder_.path(), "backend")),
        plain_origin_(plans_),
        secure_origin_(plans_, TlsServerOptions{.identity = identity_}),
        plain_gate_(plain_origin_.address(), plain_gate, seed + 1),
        secure_gate_(secure_origin_.address(), secure_gate, seed + 2),
        log_(folder_.file("access.log")),
        proxy_(options()),
        plain_door_(proxy_.address(), client_gate, seed + 3),
        secure_door_(proxy_.tls_address(), client_gate, seed + 4) {
    descriptors_ = proxy_.process().open_descriptors();
  }

  /// `exchanges` more of them, 48 clients or more at once; returns when all have ended at both ends.
  void run(std::size_t exchanges);
  /// Everything that was opened is closed, and every record is written.
  void settle();
  void check_records();
  [[nodiscard]] std::size_t rss() { return proxy_.process().rss_bytes(); }
  [[nodiscard]] std::string summary() const;

 private:
  PorticoOptions options() {
    PorticoOptions out;
    out.cpa = plain_gate_.address().url();
    out.cpamp = fmt::format("https://127.0.0.1:{}", secure_gate_.address().port());
    out.tls = true;
    out.cleartext_h2 = true;
    out.settings = fmt::format(
        R"({{"workers": 2, "access_log": {{"path": "{}"}}, "upstreams": {{"cpamp": {{"ca_file": "{}"}}}},)"
        // On a busy machine nobody shall look slow.
        R"( "timeouts": {{"connect": "2m", "handshake": "2m", "request_head": "2m"}}}})",
        log_, authority_.write(folder_.path(), "authority"));
    return out;
  }

  void run_client(std::size_t client, ExchangeNumber past);
  void judge(const Plan& plan, const Result& result, Harm client, bool plain_http1);
  [[nodiscard]] const ChaosOrigin& origin_of(const Plan& plan) const {
    return plan.secure_backend ? secure_origin_ : plain_origin_;
  }
  void object(const Plan& plan, const Result& result, std::string_view what);
  void check_log();

  PlanOptions plans_;
  TemporaryFolder folder_;
  Authority authority_;
  CertificateFiles identity_;
  ChaosOrigin plain_origin_;
  ChaosOrigin secure_origin_;
  Gate plain_gate_;
  Gate secure_gate_;
  std::string log_;
  Portico proxy_;
  Gate plain_door_;
  Gate secure_door_;
  std::size_t descriptors_ = 0;

  std::atomic<ExchangeNumber> next_{1};
  std::mutex mutex_;
  std::map<ExchangeNumber, Expected> expected_;
  std::map<Ending, std::size_t> endings_;
  std::size_t unheard_ = 0;  // unharmed clients that had no response because no backend heard of them
  std::vector<std::string> objections_;
};

void Arena::run(std::size_t exchanges) {
  const ExchangeNumber past = next_ + static_cast<ExchangeNumber>(exchanges);
  std::vector<std::thread> threads;
  threads.reserve(clients);
  for (std::size_t i = 0; i < clients; ++i) threads.emplace_back([this, i, past] { run_client(i, past); });
  for (std::thread& thread : threads) thread.join();
  next_ = past;
}

void Arena::run_client(std::size_t client, ExchangeNumber past) {
  const bool tls = client % 2 == 1;
  const bool http2 = client % 4 >= 2;
  const Gate& gate = tls ? secure_door_ : plain_door_;
  ChaosClient::Options options{.address = gate.address(),
                               .source = fmt::format("127.0.9.{}", client + 1),
                               .http2 = http2,
                               .plans = plans_};
  if (tls) options.tls = proxy_.tls_client({"http/1.1"});
  ChaosClient caller(options);
  std::minstd_rand dice(static_cast<unsigned>(client + plans_.seed));
  while (true) {
    const auto count = static_cast<ExchangeNumber>(http2 ? 1 + dice() % 6 : 1);
    const ExchangeNumber first = next_.fetch_add(count);
    std::vector<Plan> plans;
    for (ExchangeNumber number = first; number < std::min(first + count, past); ++number)
      plans.push_back(plan_of(plans_, number));
    if (plans.empty()) break;
    const auto results = caller.call(plans);
    const Harm harm = gate.harm_from(options.source);
    for (std::size_t i = 0; i < plans.size(); ++i) judge(plans[i], results[i], harm, !tls && !http2);
  }
  caller.close();
}

void Arena::object(const Plan& plan, const Result& result, std::string_view what) {
  objections_.push_back(
      fmt::format("{} {} {} (kind {}, {} bytes up, fault {} at {}, leave {} at {}), {}: {}, status {}, {} of "
                  "{} bytes: {}",
                  plan.id(), plan.method, plan.target, static_cast<int>(plan.kind), plan.request_size,
                  static_cast<int>(plan.fault), plan.fault_at, static_cast<int>(plan.leave), plan.leave_at,
                  result.way, name_of(result.ending), result.status, result.size, plan.response_size, what));
}

/// What came of an exchange, and whether it may have come to that.
void Arena::judge(const Plan& plan, const Result& result, Harm client, bool plain_http1) {
  const Seen seen = origin_of(plan).seen(plan.number);
  const Gate& gate = plan.secure_backend ? secure_gate_ : plain_gate_;
  bool backend_cut = false;
  bool backend_ended = false;
  for (const std::uint16_t port : seen.ports) {
    const Harm harm = gate.harm_at(port);
    // Without a port it was gone before it could be asked for one.
    backend_cut = backend_cut || harm != Harm::none || port == 0;
    backend_ended = backend_ended || harm == Harm::ended;
  }

  const std::scoped_lock lock(mutex_);
  ++endings_[result.ending];
  Expected& expected = expected_[plan.number];
  expected.sure = result.answered || seen.heads > 0;
  expected.tampered = client == Harm::duplicated;
  for (const auto& leak : result.leaks) object(plan, result, leak);
  if (expected.tampered) return;
  for (const auto& problem : result.problems) object(plan, result, problem);

  // A FIN on a plain connection looks like the end where that is all that tells the end.
  const bool end_is_fin = plan.kind == Kind::until_close || plan.kind == Kind::websocket;
  const bool excused =
      end_is_fin && ((backend_ended && !plan.secure_backend) || (client == Harm::ended && plain_http1));
  if (result.shortened && !excused) object(plan, result, "a part looks whole");
  if (plan.fault != Fault::none && result.ending == Ending::whole && !excused)
    object(plan, result, "the backend broke off");
  if (seen.heads > (plan.may_repeat_head() ? 2 : 1)) object(plan, result, "the backend got it too often");

  const bool undisturbed = client == Harm::none && result.ending != Ending::left;
  if (undisturbed && seen.heads == 0) {
    // A connection to the backend was lost before the head had passed it.
    ++unheard_;
    if (result.ending != Ending::own || result.status < 502)
      object(plan, result, "the backend never heard of it");
    return;
  }
  if (undisturbed && plan.fault == Fault::none && !backend_cut) {
    if (result.ending != Ending::whole) {
      object(plan, result, "nothing happened to it, but it is not whole");
    }
    expected.status = plan.status();
    expected.ended = "complete";
  }
  if (undisturbed && plan.fault != Fault::none && !backend_cut) expected.ended = "backend_broke_off";
}

/// As eventually, but asking costs a connection each time.
template <class Condition>
bool comes_true(Condition condition) {
  for (const Deadline deadline(20s); !condition(); std::this_thread::sleep_for(20ms))
    if (deadline.expired()) return condition();
  return true;
}

void Arena::settle() {
  const auto is_zero = [&](std::string_view name, const std::vector<std::string>& labels = {}) {
    CAPTURE(name, labels);
    CHECK(comes_true([&] { return proxy_.metric(name, labels) == 0; }));
  };
  is_zero("portico_streams");
  is_zero("portico_connections");
  is_zero("portico_upstream_connections", {R"(state="active")"});
  is_zero("portico_upstream_connections", {R"(state="connecting")"});
  is_zero("portico_tap_ring_used_bytes");
  CHECK(comes_true([&] {
    const double idle = proxy_.metric("portico_upstream_connections", {R"(state="idle")"});
    return proxy_.process().open_descriptors() == descriptors_ + static_cast<std::size_t>(idle);
  }));
  // What a backend still reads of a request that was cut is judged as well.
  CHECK(comes_true([&] {
    const double idle = proxy_.metric("portico_upstream_connections", {R"(state="idle")"});
    return static_cast<double>(plain_origin_.open_connections() + secure_origin_.open_connections()) == idle;
  }));
}

/// Every place that counts exchanges says the same, and each exchange has the record that it must have.
void Arena::check_records() {
  const auto total = [&](std::string_view name) { return proxy_.metric(name); };
  CHECK(total("portico_internal_errors_total") == 0);
  CHECK(total("portico_tap_dropped_total") == 0);
  CHECK(total("portico_access_log_lost_total") == 0);
  const double records = total("portico_tap_records_total");
  CHECK(comes_true([&] { return total("portico_access_log_lines_total") == records; }));
  CHECK(total("portico_requests_total") == records);
  CHECK(total("portico_exchanges_ended_total") == records);
  check_log();

  for (const auto& [number, expected] : expected_) {
    if (expected.tampered) continue;
    const Plan plan = plan_of(plans_, number);
    const Seen seen = origin_of(plan).seen(number);
    for (const auto& problem : seen.problems) object(plan, {}, problem);
    if (seen.begun > (plan.may_repeat() ? 2 : 1)) object(plan, {}, "the backend got its body too often");
  }
  // What clients sent twice may have become a request of nobody's, at one backend or the other.
  const std::size_t doubled = plain_door_.harmed(Harm::duplicated) + secure_door_.harmed(Harm::duplicated);
  const auto plain_errors = plain_origin_.errors();
  const auto secure_errors = secure_origin_.errors();
  CAPTURE(plain_errors, secure_errors);
  CHECK(plain_errors.size() + secure_errors.size() <= doubled);
  // Else nothing was tried.
  for (const Gate* gate : {&plain_gate_, &secure_gate_, &plain_door_, &secure_door_})
    CHECK(gate->harmed() > 0);
  CHECK(endings_[Ending::whole] > expected_.size() / 2);
  CHECK(endings_[Ending::cut] > 0);
  CHECK(endings_[Ending::left] > 0);
  CHECK(unheard_ <= plain_gate_.harmed() + secure_gate_.harmed());
  for (std::size_t i = 0; i < objections_.size() && i < 20; ++i) UNSCOPED_INFO(objections_[i]);
  CHECK(objections_.empty());
}

void Arena::check_log() {
  std::map<ExchangeNumber, std::size_t> lines;
  std::size_t strange = 0;
  std::ifstream log(log_);
  for (std::string line; std::getline(log, line);) {
    const json::value record = json::parse(line);
    const std::string id = record.at("id").is_string() ? std::string(record.at("id").as_string()) : "";
    const auto number = id.starts_with("chaos-") ? exchange_in("exchange=" + id.substr(6)) : std::nullopt;
    const auto known = number ? expected_.find(*number) : expected_.end();
    if (known == expected_.end()) {
      ++strange;
      continue;
    }
    ++lines[*number];
    const Expected& expected = known->second;
    const auto how = record.at("ended").as_string();
    const auto status = record.at("status").to_number<int>();
    const bool as_expected =
        (expected.status == 0 || expected.status == status) &&
        (expected.ended.empty() || std::string_view(how.data(), how.size()) == expected.ended);
    if (!expected.tampered && !as_expected)
      objections_.push_back(fmt::format("{}: a record with '{}' and {}, expected '{}'", id, std::string(how),
                                        status, expected.ended));
  }
  for (const auto& [number, expected] : expected_) {
    const std::size_t count = lines[number];
    if (expected.tampered || count == 1 || (count == 0 && !expected.sure)) continue;
    objections_.push_back(fmt::format("chaos-{:x} has {} records", number, count));
  }
  // Heads that were cut or doubled, so that no id could be read.
  CHECK(strange <= 2 * (plain_door_.harmed() + secure_door_.harmed()));
}

std::string Arena::summary() const {
  std::string out = fmt::format("chaos seed {}:", plans_.seed);
  for (const auto& [ending, count] : endings_) out += fmt::format(" {} {},", count, name_of(ending));
  out += fmt::format(
      " {} of {} connections of clients and {} of {} to backends harmed",
      plain_door_.harmed() + secure_door_.harmed(), plain_door_.connections() + secure_door_.connections(),
      plain_gate_.harmed() + secure_gate_.harmed(), plain_gate_.connections() + secure_gate_.connections());
  return out;
}

}  // namespace

TEST_CASE("in hostile traffic each client gets its own bytes, nothing cut looks whole, and all is accounted",
          "[chaos]") {
  const std::uint64_t seed = from_environment("PORTICO_CHAOS_SEED", std::random_device{}());
  const std::size_t exchanges = from_environment("PORTICO_CHAOS", sanitized() ? 1'000 : 4'000);
  INFO("PORTICO_CHAOS_SEED=" << seed);
  Arena arena(seed);
  arena.run(exchanges / 2);
  arena.settle();
  const std::size_t before = arena.rss();
  arena.run(exchanges - exchanges / 2);
  arena.settle();
  const std::size_t after = arena.rss();
  arena.check_records();
  CAPTURE(before, after);
  if (!sanitized()) CHECK(after < before + before / 5);
  WARN(arena.summary() << fmt::format(", {:.1f} MiB, then {:.1f}", static_cast<double>(before) / (1 << 20),
                                      static_cast<double>(after) / (1 << 20)));
}
