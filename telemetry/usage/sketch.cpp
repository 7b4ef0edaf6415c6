#include "telemetry/usage/sketch.hpp"

#include <algorithm>
#include <cmath>

namespace portico::telemetry {
namespace {

constexpr double lowest_us = 10;
constexpr double growth = 1.1;
constexpr std::size_t last_bucket = 255;

// The upper bound of each bucket but the last, which has none: bucket i holds what is above bound i - 1.
const std::array<double, last_bucket>& bounds() noexcept {
  static const std::array<double, last_bucket> table = [] {
    std::array<double, last_bucket> values{};
    double bound = lowest_us;
    for (double& value : values) {
      value = bound;
      bound *= growth;
    }
    return values;
  }();
  return table;
}

}  // namespace

SketchBucket sketch_bucket(std::uint64_t us) noexcept {
  const auto value = static_cast<double>(us);
  if (value <= lowest_us) return 0;
  static const double scale = 1 / std::log(growth);
  const double place = std::log(value / lowest_us) * scale;
  std::size_t bucket = std::min(static_cast<std::size_t>(place), last_bucket - 1);
  // The logarithm may be off by a rounding: the table is what counts.
  const auto& table = bounds();
  while (bucket > 0 && value <= table[bucket - 1]) --bucket;
  while (bucket < last_bucket && value > table[bucket]) ++bucket;
  return static_cast<SketchBucket>(bucket);
}

void Sketch::observe(SketchBucket bucket, std::uint32_t count) {
  const auto place = std::lower_bound(entries_.begin(), entries_.end(), bucket,
                                      [](const Entry& entry, SketchBucket b) { return entry.bucket < b; });
  if (place != entries_.end() && place->bucket == bucket) {
    place->count += count;
  } else {
    entries_.insert(place, Entry{bucket, count});
  }
}

void Sketch::add(const Sketch& other) {
  for (const Entry& entry : other.entries_) observe(entry.bucket, entry.count);
}

void DenseSketch::add(const Sketch& sketch) noexcept {
  for (const Sketch::Entry& entry : sketch.entries_) counts_[entry.bucket] += entry.count;
}

std::optional<double> DenseSketch::quantile(double share) const noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts_) total += count;
  if (total == 0) return std::nullopt;
  // The smallest value that at least this share of what was observed does not exceed.
  const auto rank =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total))));
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  for (; bucket < last_bucket; ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) break;
  }
  const auto& table = bounds();
  if (bucket == 0) return lowest_us / 1e6;
  if (bucket == last_bucket) return table.back() / 1e6;
  // As far from the lower bound as from the upper one, relatively.
  return table[bucket] * 2 / (growth + 1) / 1e6;
}

}  // namespace portico::telemetry
