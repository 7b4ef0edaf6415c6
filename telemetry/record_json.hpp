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

#include "telemetry/json_writer.hpp"
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

// The members of that object in its groups, for whoever prints an object of its own. Each writes names and
// values into the object that is open; write_record_usage_raw(), write_record_error() and
// write_record_tokens() write one value.

/// From `dialect` to `request_encoding`.
void write_record_request(JsonWriter& json, const Record& record);
/// From `status` to `failure`.
void write_record_response(JsonWriter& json, const Record& record, const std::optional<Verdict>& verdict);
/// `tokens`, `usage_quality`, `usage_complete`, `usage_raw`.
void write_record_usage(JsonWriter& json, const Record& record);
/// The usage object as it came, or null.
void write_record_usage_raw(JsonWriter& json, const Record& record);
/// `{type, code, message}`, or null.
void write_record_error(JsonWriter& json, const Record& record);
/// The buckets and their total, or null.
void write_record_tokens(JsonWriter& json, const TokenCounts& tokens);

}  // namespace portico::telemetry
