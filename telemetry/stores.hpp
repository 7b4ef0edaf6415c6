#pragma once
// Everything that is kept of records, on the telemetry thread: what the collector fills and the
// management endpoint shows.
//
// owns:    the stores
// threads: constructed anywhere; everything else on the telemetry thread. Must outlive the management
//          endpoint, whose event streams lead back to the feed

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "conf/settings.hpp"
#include "telemetry/access_log.hpp"
#include "telemetry/event_feed.hpp"
#include "telemetry/record_json.hpp"
#include "telemetry/record_metrics.hpp"
#include "telemetry/request_store.hpp"
#include "telemetry/tap/record.hpp"
#include "telemetry/usage/usage_store.hpp"
#include "telemetry/window.hpp"

namespace portico::telemetry {

/// Numbers of all rings together.
struct RingTotals {
  std::uint64_t records = 0;       ///< put into the rings, those that still wait included
  std::uint64_t dropped_full = 0;  ///< lost because a ring was full
  std::uint64_t used_bytes = 0;    ///< of records that wait at this moment
};

struct Stores {
  explicit Stores(const conf::TelemetrySettings& settings)
      : usage(settings.series), metrics(settings.series), requests(settings.requests) {}

  /// Gives a safe record to each store.
  void take(const Record& record, const std::optional<Verdict>& verdict, const RecordLabels& labels) {
    usage.take(record, labels);
    metrics.take(record, verdict);
    requests.take(record, verdict, labels);
    events.take(record, verdict, labels);
    access_log.take(record, verdict, labels);
  }

  UsageStore usage;
  RecordMetrics metrics;
  RequestStore requests;
  EventFeed events;
  AccessLog access_log;

  /// Set by the collector, which knows the rings.
  std::function<RingTotals()> rings = [] { return RingTotals{}; };
  /// `/api/v1/failures`; set by the owner of the failure groups.
  std::function<std::string(const Window&, std::chrono::system_clock::time_point now)> failures;
};

}  // namespace portico::telemetry
