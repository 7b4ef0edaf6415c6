#include "telemetry/window.hpp"

#include <charconv>
#include <system_error>

namespace portico::telemetry {

std::optional<Window> parse_window(std::string_view text) {
  if (text.size() < 2 || text.front() < '1' || text.front() > '9') return std::nullopt;
  std::int64_t number = 0;
  const char* const unit = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), unit, number);
  if (error != std::errc{} || end != unit || number > kept_in_hours / std::chrono::minutes(1)) {
    return std::nullopt;
  }
  std::chrono::minutes length{};
  if (*unit == 'm') {
    length = std::chrono::minutes(number);
  } else if (*unit == 'h') {
    length = std::chrono::hours(number);
  } else if (*unit == 'd') {
    length = std::chrono::days(number);
  } else {
    return std::nullopt;
  }
  if (length > kept_in_hours) return std::nullopt;
  return Window{length, std::string(text)};
}

WindowBuckets buckets_of(const Window& window, std::chrono::system_clock::time_point now) noexcept {
  const auto begin = now - window.length;
  WindowBuckets buckets;
  buckets.by_hour = window.length > kept_in_minutes;
  if (buckets.by_hour) {
    const auto hour = std::chrono::floor<std::chrono::hours>(begin);
    buckets.first = hour.time_since_epoch().count();
    buckets.from = hour;
  } else {
    const auto minute = std::chrono::floor<std::chrono::minutes>(begin);
    buckets.first = minute.time_since_epoch().count();
    buckets.from = minute;
  }
  return buckets;
}

}  // namespace portico::telemetry
