#pragma once
// Who used which model, how much and how fast: counts by the minute for 3 hours and by the hour for 31
// days.
//
// owns:    its series and cells; names are copied
// threads: the telemetry thread
// memory:  a cell is one series in one minute or hour in which it had a record. Cells of all minutes
//          together, and of all hours together, are bounded by 16 MiB and 8 KiB for each series of the
//          bound (32 MiB each by default). Above that the oldest bucket is folded into one cell named
//          `other`: sums stay exact, their split by name is lost. What is in the present bucket is never
//          folded, and may exceed the bound by what its series need, at most 4.5 KiB each.
// A series is one combination of model, key, dialect, route and endpoint. Above the bound what is new
// counts as `other`. A combination of which no record vouches for model and key (see account.hpp) can be
// made up by anybody, so such ones may have only a quarter of the bound. A record counts at its end. If
// the clock is set back by more than a bucket's age allows, what lies ahead is forgotten.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"
#include "telemetry/usage/sketch.hpp"
#include "telemetry/window.hpp"

namespace portico::telemetry {

/// What usage can be grouped by.
enum class Dimension : std::uint8_t { model, key, dialect, route, endpoint };
inline constexpr std::size_t dimension_count = 5;
std::string_view name_of(Dimension dimension) noexcept;
std::optional<Dimension> dimension_named(std::string_view name) noexcept;

/// The values of a series; texts of a record that has none are empty.
struct SeriesName {
  std::string model;
  std::string key_mask;
  KeyFingerprint key{};
  Dialect dialect = Dialect::other;
  std::string route;
  std::string endpoint;
  bool overflow = false;  ///< the one that stands for what is above the bound
};

/// What is added up in a cell, and in any sum of cells.
struct UsageCounts {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
  std::uint64_t client_gone = 0;
  std::uint64_t turns = 0;    ///< of the requests: turns of WebSockets
  std::uint64_t warmups = 0;  ///< not among the requests
  std::array<std::uint64_t, token_kind_count> tokens{};
  std::array<std::uint64_t, usage_quality_count> quality{};
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;

  UsageCounts& operator+=(const UsageCounts& other) noexcept;
};

/// One series in one bucket.
struct UsageCell {
  UsageCounts counts;
  Sketch duration;
  Sketch first_token;
};

/// One cell of an answer, with its series' number.
struct UsageRow {
  std::uint32_t series;
  const UsageCell* cell;
};

class UsageStore {
 public:
  /// `series`: the bound, telemetry.series of the settings.
  explicit UsageStore(std::size_t series);
  ~UsageStore();
  UsageStore(const UsageStore&) = delete;
  UsageStore& operator=(const UsageStore&) = delete;

  /// Counts a safe record. What is no account counts nothing.
  void take(const Record& record, const RecordLabels& labels);

  /// The cells of a window, in no order; valid until the next take().
  [[nodiscard]] std::vector<UsageRow> rows(const WindowBuckets& window) const;
  /// One past the highest number that a row's series may have.
  [[nodiscard]] std::size_t series_end() const noexcept;
  [[nodiscard]] const SeriesName& name(std::uint32_t series) const noexcept;

  /// Series at present, `other` not counted.
  [[nodiscard]] std::size_t series() const noexcept;
  /// Accounts that went to `other` since the start because the bound was reached.
  [[nodiscard]] std::uint64_t overflowed() const noexcept;
  /// Bytes of all cells, estimated.
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
