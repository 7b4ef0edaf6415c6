#pragma once
// The program log: one line an event, to stderr.
//
// threads: any; a line is one write(2), so lines of several threads do not mix
// bytes:   control characters in a message become `?`; a line is cut at 2 KiB
// Never give it a key, a token, a header value or a piece of a body.

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>

namespace portico::telemetry {

enum class Level : std::uint8_t { debug, info, warn, error };

/// Lines below `level` are dropped from now on.
void set_log_level(Level level) noexcept;
[[nodiscard]] bool log_enabled(Level level) noexcept;
/// `2026-11-22T15:04:05.123Z warn message`
void write_log(Level level, std::string_view message) noexcept;

template <class... Args>
void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) write_log(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace portico::telemetry
