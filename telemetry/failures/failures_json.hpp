#pragma once
// `/api/v1/failures`: what failed in a window, why, and what to do about it.
//
// owns:    nothing
// threads: the telemetry thread
// time:    linear in the groups and the buckets of the window

#include <chrono>
#include <string>

#include "telemetry/failures/failure_store.hpp"
#include "telemetry/window.hpp"

namespace portico::telemetry {

/// The document, most frequent group first. Everything in it is safe to show.
std::string render_failures(const FailureStore& store, const Window& window,
                            std::chrono::system_clock::time_point now);

}  // namespace portico::telemetry
