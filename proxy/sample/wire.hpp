#pragma once
// Small pieces of text that go on the wire or come from it.
//
// owns:    nothing; returns strings
// threads: any; pure functions but for the clock

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace portico::sample {

/// Decodes %XX once; what is no valid escape stays as it is.
std::string percent_decode(std::string_view text);
/// The decoded value of a name in `a=b&c=d`, or nullopt.
std::optional<std::string> query_value(std::string_view query, std::string_view name);
/// Compact JSON as Go's encoder writes it: <, > and & escaped.
std::string go_json(const boost::json::value& value);
/// Bytes, and the SHA-256 digest of bytes, as lower-case hexadecimal digits.
std::string hex(std::string_view bytes);
std::string sha256(std::string_view bytes);
/// Begin and end of a key: enough to tell keys apart in a table, not enough to use one.
std::string mask_key(std::string_view key);
/// Seconds and milliseconds since 1970.
std::int64_t unix_seconds();
std::int64_t unix_milliseconds();
/// As in a Date header, RFC 9110 section 5.6.7.
std::string http_date(std::int64_t seconds);
/// As in a trace id: YYYYMMDDhhmmss at UTC+8, where CPA's container keeps its clock.
std::string trace_time(std::int64_t seconds);
/// RFC 3339, UTC, whole seconds.
std::string rfc3339(std::int64_t seconds);

}  // namespace portico::sample
