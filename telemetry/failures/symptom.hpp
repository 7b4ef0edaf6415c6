#pragma once
// What a failure looked like, in words: the backend's own where it had any.
//
// owns:    nothing; a message views the record or is a literal
// threads: any; pure

#include <string_view>

#include "telemetry/failures/failure_group.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

struct Symptom {
  std::string_view message;
  Speaker speaker = Speaker::portico;
  bool spoken = false;  ///< the message is the backend's text
};

/// The error's message; where there is none, one sentence that says what was seen instead.
Symptom symptom_of(const Record& record) noexcept;

}  // namespace portico::telemetry
