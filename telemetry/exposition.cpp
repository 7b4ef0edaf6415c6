#include "telemetry/exposition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

std::string_view suffix_of(MetricType type) noexcept {
  if (type == MetricType::counter) return "_total";
  return type == MetricType::info ? "_info" : "";
}

// A line feed would end the line, a quote the value: both, and the backslash, are escaped.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\' || (c == '"' && quotes)) {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
}

// Appends `name="value"`, after a comma if it is not the first.
void append_label(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += ',';
  out += name;
  out += "=\"";
  append_escaped(out, utf8(value), true);
  out += '"';
}

// A whole number as text, without an allocation.
class Digits {
 public:
  template <class Number>
  explicit Digits(Number value) noexcept {
    size_ = static_cast<std::size_t>(std::to_chars(text_.data(), text_.data() + text_.size(), value).ptr -
                                     text_.data());
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, 24> text_{};
  std::size_t size_ = 0;
};

// Seconds of a bucket's bound as OpenMetrics wants them: always a floating-point number, so `1.0`.
std::string bound_text(std::uint64_t us) {
  std::string text = fmt::format("{}", static_cast<double>(us) / 1e6);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Cuts the part before `separator` off the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) noexcept {
  const std::size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return trim(part);
}

// One element of an Accept header, RFC 9110 section 12.5.1.
struct MediaRange {
  std::string_view type;
  std::string_view version;
  double quality = 1;
};

MediaRange parse_media_range(std::string_view text) {
  MediaRange range;
  range.type = next_part(text, ';');
  while (!text.empty()) {
    std::string_view value = next_part(text, ';');
    const std::string_view name = next_part(value, '=');
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (equals_ignoring_case(name, "version")) {
      range.version = value;
    } else if (equals_ignoring_case(name, "q")) {
      double quality = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), quality);
      // A weight that cannot be read is no wish.
      const bool sane = error == std::errc{} && end == value.data() + value.size() && std::isfinite(quality);
      range.quality = sane ? std::clamp(quality, 0.0, 1.0) : 0.0;
    }
  }
  return range;
}

}  // namespace

std::string_view content_type_of(MetricsFormat format) noexcept {
  return format == MetricsFormat::open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8";
}

MetricsFormat negotiate_metrics(std::string_view accept) {
  double open_metrics = 0;
  double text = 0;
  while (!accept.empty()) {
    const MediaRange range = parse_media_range(next_part(accept, ','));
    if (equals_ignoring_case(range.type, "application/openmetrics-text")) {
      if (range.version.empty() || range.version == "1.0.0")
        open_metrics = std::max(open_metrics, range.quality);
    } else if (equals_ignoring_case(range.type, "text/plain") || equals_ignoring_case(range.type, "text/*") ||
               range.type == "*/*") {
      text = std::max(text, range.quality);
    }
  }
  return open_metrics > 0 && open_metrics >= text ? MetricsFormat::open_metrics
                                                  : MetricsFormat::prometheus_text;
}

std::string_view name_of(MetricType type) noexcept {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
    case MetricType::info:
      return "info";
  }
  return "gauge";
}

std::string exposed_name(const MetricHead& head) {
  std::string name(head.name);
  name += suffix_of(head.type);
  return name;
}

void MetricsWriter::begin(const MetricHead& head) {
  head_ = &head;
  const bool open_metrics = format_ == MetricsFormat::open_metrics;
  // OpenMetrics names the family, the older form the samples; the older form knows no info.
  const std::string name = open_metrics ? std::string(head.name) : exposed_name(head);
  const std::string_view type =
      !open_metrics && head.type == MetricType::info ? name_of(MetricType::gauge) : name_of(head.type);
  out_ += fmt::format("# HELP {} ", name);
  append_escaped(out_, head.help, open_metrics);
  out_ += fmt::format("\n# TYPE {} {}\n", name, type);
  if (open_metrics && !head.unit.empty()) out_ += fmt::format("# UNIT {} {}\n", name, head.unit);
}

MetricLabels::MetricLabels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  for (const auto& [name, value] : labels) append_label(text_, name, value);
}

void MetricsWriter::line(std::string_view suffix, std::initializer_list<std::string_view> values,
                         std::string_view value) {
  labels_.clear();
  const std::string_view* name = head_->labels.data();
  for (const std::string_view text : values) append_label(labels_, *name++, text);
  line(suffix, labels_, {}, value);
}

void MetricsWriter::line(std::string_view suffix, std::string_view labels, std::string_view bound,
                         std::string_view value) {
  out_ += head_->name;
  out_ += suffix;
  if (!labels.empty() || !bound.empty()) {
    out_ += '{';
    out_ += labels;
    if (!bound.empty()) {
      out_ += labels.empty() ? "le=\"" : ",le=\"";
      out_ += bound;
      out_ += '"';
    }
    out_ += '}';
  }
  out_ += ' ';
  out_ += value;
  out_ += '\n';
}

void MetricsWriter::sample(std::initializer_list<std::string_view> values, std::uint64_t value) {
  line(suffix_of(head_->type), values, Digits(value).view());
}

void MetricsWriter::sample(std::initializer_list<std::string_view> values, std::int64_t value) {
  line(suffix_of(head_->type), values, Digits(value).view());
}

void MetricsWriter::sample(std::initializer_list<std::string_view> values, double value) {
  line(suffix_of(head_->type), values, fmt::format("{}", value));
}

void MetricsWriter::sample(const MetricLabels& labels, std::uint64_t value) {
  line(suffix_of(head_->type), labels.text(), {}, Digits(value).view());
}

void MetricsWriter::histogram(std::initializer_list<std::string_view> values, const HistogramTotals& totals) {
  labels_.clear();
  const std::string_view* name = head_->labels.data();
  for (const std::string_view text : values) append_label(labels_, *name++, text);
  histogram_lines(labels_, Histogram::bounds_us, totals.buckets, totals.sum_us);
}

void MetricsWriter::histogram(const MetricLabels& labels, std::span<const std::uint64_t> bounds,
                              std::span<const std::uint64_t> buckets, std::uint64_t sum_us) {
  histogram_lines(labels.text(), bounds, buckets, sum_us);
}

void MetricsWriter::histogram_lines(std::string_view labels, std::span<const std::uint64_t> bounds,
                                    std::span<const std::uint64_t> buckets, std::uint64_t sum_us) {
  if (!std::equal(bounds.begin(), bounds.end(), bounds_.begin(), bounds_.end())) {
    bounds_.assign(bounds.begin(), bounds.end());
    bound_texts_.clear();
    for (const std::uint64_t us : bounds) bound_texts_.push_back(bound_text(us));
    bound_texts_.emplace_back("+Inf");
  }
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i];
    line("_bucket", labels, bound_texts_[i], Digits(count).view());
  }
  line("_sum", labels, {}, fmt::format("{}", static_cast<double>(sum_us) / 1e6));
  line("_count", labels, {}, Digits(count).view());
}

std::string MetricsWriter::finish() {
  if (format_ == MetricsFormat::open_metrics) out_ += "# EOF\n";
  head_ = nullptr;
  return std::exchange(out_, {});
}

}  // namespace portico::telemetry
