#pragma once
// Moments as text, always UTC.
//
// owns:    nothing
// threads: any; pure functions that take no lock (the C library's gmtime does)

#include <array>
#include <chrono>
#include <string>

namespace portico::telemetry {

/// `2026-11-22T15:04:05.123Z` without an end mark.
using Rfc3339Text = std::array<char, 24>;

/// RFC 3339 with milliseconds, no allocation. Years 0 to 9999.
Rfc3339Text rfc3339_text(std::chrono::system_clock::time_point moment) noexcept;
/// The same as a string.
std::string rfc3339(std::chrono::system_clock::time_point moment);
/// The same for moments that the system's clock cannot hold, such as the end of a certificate in the year
/// 9999.
std::string rfc3339(std::chrono::sys_seconds moment);
/// `Sun, 22 Nov 2026 15:04:05 GMT`, the form of a Date header (RFC 9110 section 5.6.7).
std::string http_date(std::chrono::system_clock::time_point moment);

}  // namespace portico::telemetry
