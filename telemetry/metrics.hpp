#pragma once
// The metrics of the process: one table of families gives the scrape and its reference page.
//
// owns:    nothing; the table is constant
// threads: render_metrics() on the telemetry thread (it only reads); the rest anywhere
// To add a family, add a row to the table in metrics.cpp and renew METRICS.md (its test says how).

#include <span>
#include <string>

#include "telemetry/cells.hpp"
#include "telemetry/exposition.hpp"
#include "telemetry/process_state.hpp"
#include "telemetry/process_usage.hpp"
#include "telemetry/stores.hpp"

namespace portico::telemetry {

/// Where the numbers come from; borrowed for one call.
struct MetricsInput {
  const Registry& registry;
  const ProcessState& state;
  const ProcessUsage& usage;
  const Stores* stores = nullptr;  ///< null: what comes from records is left out
};

/// A family and how its samples are read.
struct MetricFamily {
  MetricHead head;
  void (*read)(const MetricsInput& input, MetricsWriter& out);
};

/// All families, in the order of the scrape.
std::span<const MetricFamily> metric_families() noexcept;

/// The whole scrape. Status codes that no request has had are left out.
std::string render_metrics(const MetricsInput& input, MetricsFormat format);

/// The reference page as Markdown: METRICS.md, byte for byte.
std::string render_reference();

}  // namespace portico::telemetry
