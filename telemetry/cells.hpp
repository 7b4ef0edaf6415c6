#pragma once
// Counters that a worker writes and the telemetry thread reads: plain single-writer cells, summed at scrape.
//
// owns:    Registry owns the label tables and one WorkerCells for each worker, for the life of the process
// threads: a WorkerCells is written by its worker only and read by the telemetry thread; Registry's label
// functions
//          are called by the control thread and the telemetry thread (a mutex; never by a worker)
// memory:  counters are relaxed: each is exact by itself, and a scrape may see one of two counters that are
// moved
//          together before the other. Pointers to blocks of counters are published with release and read with
//          acquire.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/braked_addresses.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// Counts up. One writer; no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. One writer.
class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(std::int64_t initial) noexcept : value_(initial) {}
  void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::int64_t n = 1) noexcept { add(-n); }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Requests by status code 100 to 599; anything else counts as 599.
class CodeCounters {
 public:
  Counter& operator[](int code) noexcept { return counters_[slot(code)]; }
  [[nodiscard]] std::uint64_t value(int code) const noexcept { return counters_[slot(code)].value(); }

 private:
  static std::size_t slot(int code) noexcept {
    return code >= 100 && code < 600 ? static_cast<std::size_t>(code - 100) : 499;
  }
  std::array<Counter, 500> counters_;
};

/// Cumulative histogram with fixed bounds in microseconds; one writer.
class Histogram {
 public:
  static constexpr std::array<std::uint64_t, 14> bounds_us{100,     250,       500,       1'000,    2'500,
                                                           5'000,   10'000,    25'000,    50'000,   100'000,
                                                           250'000, 1'000'000, 2'500'000, 5'000'000};
  void observe_us(std::uint64_t us) noexcept;
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const noexcept {
    return buckets_[i].value();
  }  ///< not cumulated; i == bounds: +Inf
  [[nodiscard]] std::uint64_t sum_us() const noexcept { return sum_.value(); }

 private:
  std::array<Counter, bounds_us.size() + 1> buckets_;
  Counter sum_;
};

struct EndpointCells {
  Gauge active;  ///< connections with an exchange
  Gauge idle;    ///< in the keep-alive pool
  Gauge connecting;
  Counter connects;
  Counter connect_failures;
  Counter reused;   ///< exchanges that took a pooled connection
  Counter retries;  ///< replays on a fresh connection
  Histogram connect_time;
  CodeCounters codes;  ///< final status of each response
  Gauge up{1};         ///< 0 after a connect attempt or an exchange failed, 1 again once one succeeded
};

struct ListenerCells {
  Gauge connections;
  Counter accepted;
  Counter refused;             ///< over a connection limit
  Counter handshake_failures;  ///< of TLS
};

/// Everything one worker counts.
class WorkerCells {
 public:
  static constexpr std::size_t max_routes = 512;
  static constexpr std::size_t max_endpoints = 256;
  static constexpr std::size_t max_listeners = 64;

  /// Worker only. The first call for a pair allocates its block; without memory for it a counter that nobody
  /// reads.
  Counter& requests(RouteLabel route, Dialect dialect, int code) noexcept;
  EndpointCells& endpoint(EndpointLabel label);
  ListenerCells& listener(ListenerLabel label);

  /// Telemetry thread; null when the worker has not used it yet.
  [[nodiscard]] const CodeCounters* requests_block(RouteLabel route, Dialect dialect) const noexcept;
  [[nodiscard]] const EndpointCells* endpoint_block(EndpointLabel label) const noexcept;
  [[nodiscard]] const ListenerCells* listener_block(ListenerLabel label) const noexcept;

  Gauge streams;  ///< exchanges and tunnels in progress
  std::array<Counter, ended_count> ended;
  Counter request_body_bytes;
  Counter response_body_bytes;
  Counter rate_limited;       ///< requests over limits.request_rate
  Counter key_guard_blocked;  ///< requests of addresses that are braked for guessing keys
  Counter accept_paused;      ///< times the worker stopped accepting for want of descriptors
  Counter internal_errors;    ///< assertions of the kind count, log, go on

 private:
  std::array<std::atomic<CodeCounters*>, max_routes * dialect_count> requests_{};
  std::array<std::atomic<EndpointCells*>, max_endpoints> endpoints_{};
  std::array<std::atomic<ListenerCells*>, max_listeners> listeners_{};
  Counter uncounted_;
  std::vector<std::unique_ptr<CodeCounters>> owned_codes_;
  std::vector<std::unique_ptr<EndpointCells>> owned_endpoints_;
  std::vector<std::unique_ptr<ListenerCells>> owned_listeners_;
};

struct EndpointName {
  std::string upstream;
  std::string endpoint;
};

class Registry {
 public:
  explicit Registry(std::size_t workers);

  /// The label's index, made on first use. When a table is full, its last entry (named `other`) serves.
  RouteLabel route(std::string_view label);
  EndpointLabel endpoint(std::string_view upstream, std::string_view endpoint);
  ListenerLabel listener(std::string_view label);

  [[nodiscard]] std::vector<std::string> routes() const;
  [[nodiscard]] std::vector<EndpointName> endpoints() const;
  [[nodiscard]] std::vector<std::string> listeners() const;

  /// Who tells which client addresses are braked for guessing keys. Set before the telemetry thread starts;
  /// called on that thread.
  void set_braked(std::function<BrakedAddresses(std::size_t most)> source) { braked_ = std::move(source); }
  /// Those, at most `most` of them named; none where nobody tells.
  [[nodiscard]] BrakedAddresses braked(std::size_t most) const;

  [[nodiscard]] std::size_t workers() const noexcept { return cells_.size(); }
  WorkerCells& worker(std::size_t index) noexcept { return *cells_[index]; }
  [[nodiscard]] const WorkerCells& worker(std::size_t index) const noexcept { return *cells_[index]; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> routes_;
  std::vector<EndpointName> endpoints_;
  std::vector<std::string> listeners_;
  std::vector<std::unique_ptr<WorkerCells>> cells_;
  std::function<BrakedAddresses(std::size_t)> braked_;
};

}  // namespace portico::telemetry
