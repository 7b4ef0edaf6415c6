#pragma once
// The cells of all workers added up for one label: what metrics and status show.
//
// owns:    plain values
// threads: the telemetry thread (any, in fact: it only reads)
// A total is exact for each number by itself; two numbers may be one event apart.

#include <array>
#include <cstdint>

#include "telemetry/cells.hpp"

namespace portico::telemetry {

/// Buckets as in Histogram, not cumulated.
struct HistogramTotals {
  std::array<std::uint64_t, Histogram::bounds_us.size() + 1> buckets{};
  std::uint64_t sum_us = 0;
};

struct EndpointTotals {
  std::int64_t active = 0;
  std::int64_t idle = 0;
  std::int64_t connecting = 0;
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t reused = 0;
  std::uint64_t retries = 0;
  HistogramTotals connect_time;
  bool up = true;  ///< false when every worker that has used the endpoint saw it fail last
};

struct ListenerTotals {
  std::int64_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t handshake_failures = 0;
};

EndpointTotals totals_of(const Registry& registry, EndpointLabel label);
ListenerTotals totals_of(const Registry& registry, ListenerLabel label);
/// Exchanges and tunnels in progress on all workers.
std::int64_t streams_of(const Registry& registry);

}  // namespace portico::telemetry
