#pragma once
// The name of the request's field that an error refuses.
//
// owns:    nothing
// threads: any; pure

#include <string_view>

namespace portico::telemetry {

/// A view into `message`, which is safe: `temperature` of `Unsupported value: 'temperature' ...`,
/// `messages[3].content` of a JSON path. Empty: it names none. Never a value.
std::string_view request_field_in(std::string_view message) noexcept;

}  // namespace portico::telemetry
