#pragma once
// One record as JSON: the one form that the management endpoint, the live events, the access log and
// `portico inspect` print.
//
// owns:    nothing
// threads: any; pure
// The record must have been made safe before (its error_message sanitised): this only encodes.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// The words for a record's labels; views borrowed for the call. Empty ones are printed as null.
struct RecordLabels {
  std::string_view listener;
  std::string_view route;
  std::string_view upstream;
  std::string_view endpoint;
};

/// Appends the record as one compact JSON object: every name of the documented record, absent facts as null.
/// Never prints invalid UTF-8 or invalid JSON, whatever the record holds.
void append_record_json(std::string& out, const Record& record, const std::optional<Verdict>& verdict,
                        const RecordLabels& labels);

}  // namespace portico::telemetry
