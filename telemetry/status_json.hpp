#pragma once
// The JSON documents of the management endpoint; MANAGEMENT.md describes each field.
//
// owns:    nothing
// threads: the telemetry thread

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "telemetry/cells.hpp"
#include "telemetry/process_state.hpp"

namespace portico::telemetry {

/// How many braked addresses `/api/v1/status` names.
inline constexpr std::size_t max_braked_shown = 100;

/// `/api/v1/status`.
std::string render_status(const Registry& registry, const ProcessState& state,
                          std::chrono::system_clock::time_point now);

/// `/api/v1/routes`: the rules in the order in which they are tried.
std::string render_routes(const ProcessState& state);

/// `{"error":{"code":...,"message":...}}`.
std::string render_error(std::string_view code, std::string_view message);

}  // namespace portico::telemetry
