// Hours of mixed traffic without any gate: what leaks slowly shows here. Started by scripts/soak.
//
// PORTICO_SOAK_MINUTES sets the time, PORTICO_SOAK_RATE the exchanges a second, PORTICO_CHAOS_SEED repeats
// the exchanges of a run.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/chaos_client.hpp"
#include "test/support/chaos_origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

constexpr std::size_t clients = 32;
constexpr std::chrono::seconds reload_interval{20};
// A backend may object to what it reads of an exchange that its client has left, so exchanges are asked about
// a little later.
constexpr std::size_t remembered = 200;
// By then every ring has been filled once, whichever worker the exchanges went to.
constexpr std::size_t warm_after = 40'000;
// So many errors are told in full.
constexpr std::size_t most_examples = 40;

double number_from_environment(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stod(text);
}

/// What Portico is like at one moment.
struct Sample {
  std::size_t exchanges = 0;
  std::size_t rss = 0;
  std::size_t descriptors = 0;
  double dropped = 0;
};

class Soak {
 public:
  Soak(std::chrono::duration<double> length, double rate)
      : plans_{.seed = static_cast<std::uint64_t>(
                   number_from_environment("PORTICO_CHAOS_SEED", std::random_device{}())),
               .leave_when_heard = true},
        length_(length),
        gap_(static_cast<double>(clients) / rate),
        plain_origin_(plans_),
        secure_origin_(plans_,
                       TlsServerOptions{.identity = authority_.issue().write(folder_.path(), "backend")}),
        proxy_(options()) {}

  /// Runs for the time it was told, printing a line for each sample.
  void run();
  /// The verdict.
  void check();

 private:
  PorticoOptions options() {
    PorticoOptions out;
    out.cpa = plain_origin_.address().url();
    out.cpamp = fmt::format("https://127.0.0.1:{}", secure_origin_.address().port());
    out.tls = true;
    out.cleartext_h2 = true;
    out.settings =
        fmt::format(R"({{"workers": 2, "log_level": "error", "upstreams": {{"cpamp": {{"ca_file": "{}"}}}},)"
                    // On a busy machine nobody shall look slow.
                    R"( "timeouts": {{"connect": "2m", "handshake": "2m", "request_head": "2m"}}}})",
                    authority_.write(folder_.path(), "authority"));
    return out;
  }

  void watch();
  void run_client(std::size_t client);
  void reload();
  void judge(const Plan& plan, const Result& result);
  void ask_backend(const Plan& plan);
  void count(std::string_view kind, std::string_view example);
  Sample take_sample() const;
  void print(const Sample& sample);
  ChaosOrigin& origin_of(const Plan& plan) { return plan.secure_backend ? secure_origin_ : plain_origin_; }
  [[nodiscard]] bool over() const { return Clock::now() >= end_.load(); }

  PlanOptions plans_;
  std::chrono::duration<double> length_;
  std::chrono::duration<double> gap_;  // between two calls of a client
  Clock::time_point begin_ = Clock::now();
  std::atomic<Clock::time_point> end_{};
  TemporaryFolder folder_;
  Authority authority_;
  ChaosOrigin plain_origin_;
  ChaosOrigin secure_origin_;
  Portico proxy_;
  std::atomic<ExchangeNumber> next_{1};
  std::atomic<std::size_t> exchanges_{0};
  std::size_t reloads_ = 0;
  std::vector<Sample> samples_;
  std::mutex mutex_;
  std::map<std::string, std::size_t, std::less<>> errors_;
  std::size_t examples_ = 0;
};

void Soak::run() {
  fmt::print("soak: {:.1f} minutes, seed {}\n", length_.count() / 60, plans_.seed);
  begin_ = Clock::now();
  end_ = begin_ + std::chrono::duration_cast<Clock::duration>(length_);
  std::vector<std::thread> threads;
  threads.reserve(clients);
  for (std::size_t i = 0; i < clients; ++i) threads.emplace_back([this, i] { run_client(i); });
  try {
    watch();
  } catch (const std::exception& error) {
    // The management endpoint does not answer, or takes no reload.
    const std::string said = proxy_.process().output();
    count("failures of the process",
          fmt::format("{}; it {}, and said last: {}", error.what(),
                      proxy_.process().running() ? "runs" : "has ended",
                      said.substr(said.size() - std::min<std::size_t>(said.size(), 1'000))));
    end_ = Clock::now();
  }
  for (std::thread& thread : threads) thread.join();
}

void Soak::watch() {
  // A minute, or so that each quarter has four of them.
  const auto interval = std::min<Clock::duration>(std::chrono::minutes(1), (end_.load() - begin_) / 16);
  auto next_sample = begin_ + interval;
  auto next_reload = begin_ + reload_interval;
  while (!over()) {
    std::this_thread::sleep_until(std::min({next_sample, next_reload, end_.load()}));
    if (Clock::now() >= next_reload) {
      reload();
      next_reload += reload_interval;
    }
    if (Clock::now() < next_sample) continue;
    print(samples_.emplace_back(take_sample()));
    next_sample += interval;
  }
}

void Soak::run_client(std::size_t client) {
  const bool http2 = client % 4 >= 2;
  const bool tls = client % 2 == 1;
  ChaosClient::Options options{
      .address = tls ? proxy_.tls_address() : proxy_.address(), .http2 = http2, .plans = plans_};
  // The certificate changes, but who signs it does not.
  if (tls) options.tls = proxy_.tls_client({"http/1.1"});
  options.heard = [this](const Plan& plan) { return origin_of(plan).seen(plan.number).heads > 0; };
  ChaosClient caller(options);
  std::minstd_rand dice(static_cast<unsigned>(client + 1));
  std::deque<Plan> asked;
  auto next_call = Clock::now();
  while (!over()) {
    const auto count = static_cast<ExchangeNumber>(http2 ? 1 + dice() % 6 : 1);
    const ExchangeNumber first = next_.fetch_add(count);
    std::vector<Plan> plans;
    for (ExchangeNumber number = first; number < first + count; ++number)
      plans.push_back(plan_of(plans_, number));
    const auto results = caller.call(plans);
    exchanges_ += results.size();
    for (std::size_t i = 0; i < plans.size(); ++i) judge(plans[i], results[i]);
    asked.insert(asked.end(), plans.begin(), plans.end());
    for (; asked.size() > remembered; asked.pop_front()) ask_backend(asked.front());
    // The rate is what it is told, not what the machine can do.
    next_call += std::chrono::duration_cast<Clock::duration>(gap_ * count);
    std::this_thread::sleep_until(std::min(next_call, end_.load()));
    next_call = std::max(next_call, Clock::now() - std::chrono::seconds(1));
  }
  caller.close();
  for (const Plan& plan : asked) ask_backend(plan);
}

/// Other settings and another certificate, in turn.
void Soak::reload() {
  static_cast<void>(proxy_.authority()
                        .issue({.names = {server_name, "localhost", "127.0.0.1"}})
                        .write(proxy_.folder().path(), "front"));
  proxy_.reload(++reloads_ % 2 == 1
                    ? R"({"http2": {"streams": 100}, "timeouts": {"keep_alive": "50s"}, "via": "soak"})"
                    : "{}");
}

void Soak::count(std::string_view kind, std::string_view example) {
  const std::scoped_lock lock(mutex_);
  ++errors_[std::string(kind)];
  if (++examples_ <= most_examples) fmt::print("{}: {}\n", kind, example);
}

void Soak::judge(const Plan& plan, const Result& result) {
  const std::string what = fmt::format(
      "{} {} {} (kind {}, fault {}, leave {}), {}: {}, status {}, {} of {} bytes", plan.id(), plan.method,
      plan.target, static_cast<int>(plan.kind), static_cast<int>(plan.fault), static_cast<int>(plan.leave),
      result.way, name_of(result.ending), result.status, result.size, plan.response_size);
  for (const auto& leak : result.leaks) count("wrong bytes", leak);
  for (const auto& problem : result.problems)
    count(problem.starts_with("it hangs") ? "hangs" : "wrong answers", fmt::format("{}: {}", problem, what));
  const bool whole = result.ending == Ending::whole && !result.shortened;
  const bool left = plan.leave != Leave::never && result.ending == Ending::left;
  const bool broken =
      result.ending == Ending::cut || result.ending == Ending::own || result.ending == Ending::nothing;
  if (result.shortened) count("parts that look whole", what);
  if (plan.fault != Fault::none && !broken) count("breaks not passed on", what);
  if (plan.fault == Fault::none && !whole && !left) count("not whole", what);
}

void Soak::ask_backend(const Plan& plan) {
  const Seen seen = origin_of(plan).seen(plan.number);
  for (const auto& problem : seen.problems) count("wrong requests", problem);
  const bool often =
      seen.heads > (plan.may_repeat_head() ? 2 : 1) || seen.begun > (plan.may_repeat() ? 2 : 1);
  if (seen.heads == 0 || often) count("requests lost or doubled", plan.id());
  origin_of(plan).forget(plan.number);
}

Sample Soak::take_sample() const {
  const Process& process = const_cast<Portico&>(proxy_).process();
  return {exchanges_, process.rss_bytes(), process.open_descriptors(),
          proxy_.metric("portico_tap_dropped_total")};
}

void Soak::print(const Sample& sample) {
  const std::scoped_lock lock(mutex_);
  std::string errors;
  for (const auto& [kind, number] : errors_) errors += fmt::format(", {} {}", number, kind);
  fmt::print(
      "{:6.1f} min: {} exchanges, {} reloads, errors: {}, rss {:.1f} MiB, {} descriptors, {:.0f} records "
      "dropped\n",
      std::chrono::duration<double>(Clock::now() - begin_).count() / 60, sample.exchanges, reloads_,
      errors.empty() ? "none" : errors.substr(2), static_cast<double>(sample.rss) / (1 << 20),
      sample.descriptors, sample.dropped);
  std::fflush(stdout);
}

/// Of the samples from `first` to `past` quarters of the run.
template <class Value>
std::size_t median(const std::vector<Sample>& samples, std::size_t first, std::size_t past, Value value) {
  std::vector<std::size_t> values;
  for (std::size_t i = samples.size() * first / 4; i < samples.size() * past / 4; ++i)
    values.push_back(value(samples[i]));
  REQUIRE(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Soak::check() {
  REQUIRE(errors_.empty());
  for (const Deadline deadline(20s); proxy_.metric("portico_connections") > 0 && !deadline.expired();)
    std::this_thread::sleep_for(50ms);
  CHECK(proxy_.metric("portico_connections") == 0);
  CHECK(proxy_.metric("portico_streams") == 0);
  const auto errors_of_backends = plain_origin_.errors().size() + secure_origin_.errors().size();
  CHECK(errors_of_backends == 0);
  CHECK(proxy_.metric("portico_internal_errors_total") == 0);
  CHECK(proxy_.metric("portico_tap_dropped_total") == 0);
  const auto exchanges = static_cast<double>(exchanges_);
  CHECK(proxy_.metric("portico_requests_total") == exchanges);
  CHECK(proxy_.metric("portico_exchanges_ended_total") == exchanges);
  CHECK(proxy_.metric("portico_tap_records_total") == exchanges);

  const auto rss = [](const Sample& sample) { return sample.rss; };
  const auto descriptors = [](const Sample& sample) { return sample.descriptors; };
  const std::size_t rss_before = median(samples_, 1, 2, rss);
  const std::size_t rss_after = median(samples_, 3, 4, rss);
  const std::size_t descriptors_before = median(samples_, 1, 2, descriptors);
  const std::size_t descriptors_after = median(samples_, 3, 4, descriptors);
  fmt::print("medians of the second and the last quarter: rss {:.1f} and {:.1f} MiB, {} and {} descriptors\n",
             static_cast<double>(rss_before) / (1 << 20), static_cast<double>(rss_after) / (1 << 20),
             descriptors_before, descriptors_after);
  // Before that, rings and pools are still being filled for the first time.
  if (samples_[samples_.size() / 4].exchanges < warm_after)
    fmt::print("too short to judge memory: the second quarter began before {} exchanges\n", warm_after);
  else if (!sanitized())
    CHECK(rss_after < rss_before + rss_before / 20 + (1 << 20));
  CHECK(descriptors_after < descriptors_before + descriptors_before / 5 + 20);
}

}  // namespace

TEST_CASE("hours of mixed traffic and reloads lose no record, no byte, no memory and no descriptor",
          "[.soak]") {
  const double minutes = number_from_environment("PORTICO_SOAK_MINUTES", 1);
  const double rate = number_from_environment("PORTICO_SOAK_RATE", 200);
  Soak soak(std::chrono::duration<double>(std::clamp(minutes, 0.2, 7 * 24 * 60.0) * 60),
            std::clamp(rate, 1.0, 10'000.0));
  soak.run();
  soak.check();
}
