#pragma once
// The stretch of time that a question about the past covers, and the whole buckets that answer it.
//
// owns:    plain values
// threads: any; pure
// Counts are kept by the minute for the last hours and by the hour for the last month. A question is
// answered from whole buckets: from the one in which the window begins to the one that is now, so the
// answer says where it really begins.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portico::telemetry {

/// How far back minutes are kept; a longer window is answered from hours.
inline constexpr std::chrono::minutes kept_in_minutes = std::chrono::hours(3);
/// How far back hours are kept: the longest window.
inline constexpr std::chrono::hours kept_in_hours = std::chrono::days(31);
/// Buckets that must be kept for that: the one in which the longest window begins is a part.
inline constexpr std::int64_t minute_buckets = 3 * 60 + 1;
inline constexpr std::int64_t hour_buckets = 31 * 24 + 1;

/// A length such as `15m`, `24h` or `7d`.
struct Window {
  std::chrono::minutes length{};
  std::string text;  ///< as asked for
};

/// A whole number without leading zero, then `m`, `h` or `d`: 1 minute to 31 days. Nothing for anything
/// else.
std::optional<Window> parse_window(std::string_view text);

/// What to tell somebody whose window is none.
inline constexpr std::string_view window_rule =
    "window must be a whole number followed by m, h or d, such as 15m, 1h, 24h or 7d, and at most 31d.";

/// The buckets of a window, numbered since the epoch in their own unit.
struct WindowBuckets {
  bool by_hour = false;    ///< else by minute
  std::int64_t first = 0;  ///< the bucket in which the window begins; all later ones belong to it
  std::chrono::system_clock::time_point from{};  ///< where `first` begins
};

/// The buckets that the window ending at `now` touches.
WindowBuckets buckets_of(const Window& window, std::chrono::system_clock::time_point now) noexcept;

/// The bucket's number of a moment in microseconds since the epoch.
constexpr std::int64_t minute_of(std::uint64_t unix_us) noexcept {
  return static_cast<std::int64_t>(unix_us / 60'000'000);
}
constexpr std::int64_t hour_of(std::uint64_t unix_us) noexcept {
  return static_cast<std::int64_t>(unix_us / 3'600'000'000);
}

}  // namespace portico::telemetry
