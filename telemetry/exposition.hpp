#pragma once
// The two text forms of metrics: Prometheus text 0.0.4 and OpenMetrics 1.0.
//
// owns:    MetricsWriter owns the text it has written so far
// threads: one
// bytes:   names, help and label values are copied at once
// Knows nothing of what the numbers mean: that is the table in metrics.cpp.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/totals.hpp"

namespace portico::telemetry {

enum class MetricsFormat : std::uint8_t { prometheus_text, open_metrics };

/// The Content-Type that goes with a format.
std::string_view content_type_of(MetricsFormat format) noexcept;

/// The format an Accept header prefers: OpenMetrics only where it is named, not less liked than text and
/// offered in version 1.0.0 or none; text 0.0.4 for anything else, the empty string included.
MetricsFormat negotiate_metrics(std::string_view accept);

enum class MetricType : std::uint8_t { counter, gauge, histogram, info };
std::string_view name_of(MetricType type) noexcept;

inline constexpr std::size_t max_metric_labels = 3;

/// What is said about a family of metrics before its samples.
struct MetricHead {
  std::string_view name;  ///< without `_total` or `_info`
  MetricType type = MetricType::counter;
  std::string_view unit;  ///< base unit, which the name then ends with; or empty
  std::string_view help;
  std::array<std::string_view, max_metric_labels> labels{};  ///< names; unused ones are empty, at the end
};

/// The name as it is queried: with `_total` or `_info`.
std::string exposed_name(const MetricHead& head);

/// Label names and values as they stand in the text, made once for many scrapes.
class MetricLabels {
 public:
  /// Names are literals.
  explicit MetricLabels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels = {});
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;  // without braces
};

class MetricsWriter {
 public:
  explicit MetricsWriter(MetricsFormat format) : format_(format) {}

  /// Starts a family. `head` is borrowed until the next begin() or finish().
  void begin(const MetricHead& head);
  /// One sample of the family begun last; `values` has one entry for each of its labels.
  void sample(std::initializer_list<std::string_view> values, std::uint64_t value);
  void sample(std::initializer_list<std::string_view> values, std::int64_t value);
  void sample(std::initializer_list<std::string_view> values, double value);
  /// Microseconds in, seconds out; buckets cumulated.
  void histogram(std::initializer_list<std::string_view> values, const HistogramTotals& totals);
  /// The same for any bounds, in microseconds; `buckets` has one more than there are bounds.
  void histogram(const MetricLabels& labels, std::span<const std::uint64_t> bounds,
                 std::span<const std::uint64_t> buckets, std::uint64_t sum_us);
  /// One sample with labels that were made before.
  void sample(const MetricLabels& labels, std::uint64_t value);
  /// The whole text; the writer is empty afterwards.
  [[nodiscard]] std::string finish();

 private:
  void line(std::string_view suffix, std::initializer_list<std::string_view> values, std::string_view value);
  void line(std::string_view suffix, std::string_view labels, std::string_view bound, std::string_view value);
  void histogram_lines(std::string_view labels, std::span<const std::uint64_t> bounds,
                       std::span<const std::uint64_t> buckets, std::uint64_t sum_us);

  MetricsFormat format_;
  const MetricHead* head_ = nullptr;
  std::string out_;
  std::string labels_;
  std::vector<std::uint64_t> bounds_;  // of the last histogram
  std::vector<std::string> bound_texts_;
};

}  // namespace portico::telemetry
