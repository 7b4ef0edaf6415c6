#pragma once
// The metrics that are made from records: times, tokens and failures.
//
// owns:    its counters
// threads: the telemetry thread
// memory:  at most `models` model names, 0.7 KiB each, with 1.5 KiB for each dialect that a model is
//          asked by
// What counts is what usage counts (account.hpp), so the sums of tokens are those of `/api/v1/usage`. A
// model's name becomes a label once; above the bound what is new counts as `other`, and names that
// nothing vouches for may have only a quarter of the bound. A request that names no model counts as
// `unknown`.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "telemetry/exposition.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

class RecordMetrics {
 public:
  /// `models`: the bound, at least 1.
  explicit RecordMetrics(std::size_t models);
  ~RecordMetrics();
  RecordMetrics(const RecordMetrics&) = delete;
  RecordMetrics& operator=(const RecordMetrics&) = delete;

  /// Counts a safe record.
  void take(const Record& record, const std::optional<Verdict>& verdict);

  /// The samples of one family each.
  void write_request_duration(MetricsWriter& out) const;
  void write_first_byte(MetricsWriter& out) const;
  void write_overhead(MetricsWriter& out) const;
  void write_first_token(MetricsWriter& out) const;
  void write_per_token(MetricsWriter& out) const;
  void write_tokens(MetricsWriter& out) const;
  void write_failures(MetricsWriter& out) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
