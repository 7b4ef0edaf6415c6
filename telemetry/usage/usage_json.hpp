#pragma once
// `/api/v1/usage`: the sums of a window, by group.
//
// owns:    nothing
// threads: the telemetry thread
// time:    linear in the cells of the window and the groups

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/reference.hpp"
#include "telemetry/usage/usage_store.hpp"
#include "telemetry/window.hpp"

namespace portico::telemetry {

/// More groups than this are not listed; the totals count them all the same.
inline constexpr std::size_t max_usage_groups = 10'000;

struct UsageQuery {
  Window window;
  std::vector<Dimension> group_by;  ///< each at most once
  std::optional<std::string> model;
  std::optional<std::string> key;  ///< a mask, or at least 8 hexadecimal digits of the fingerprint
  std::optional<std::string> dialect;
  std::optional<std::string> route;
  std::optional<std::string> endpoint;
};

/// The document, which UsageStore's counts up to now answer.
std::string render_usage(const UsageStore& store, const UsageQuery& query,
                         std::chrono::system_clock::time_point now);

/// The names of the document, for its reference.
FieldRows usage_fields() noexcept;
/// The names in `totals` and in each group.
FieldRows usage_counts_fields() noexcept;

}  // namespace portico::telemetry
