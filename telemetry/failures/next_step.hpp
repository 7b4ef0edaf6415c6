#pragma once
// What to do about a group of failures: one sentence that names the place.
//
// owns:    nothing
// threads: any; pure

#include <string>

#include "telemetry/failures/evidence_text.hpp"

namespace portico::telemetry {

/// Never empty.
std::string next_step_for(const GroupView& view);

}  // namespace portico::telemetry
