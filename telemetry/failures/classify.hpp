#pragma once
// What a failed record is about: the table of rules that turns an error into a category, the provider's field
// to look at, and how sure that is.
//
// owns:    nothing
// threads: any; pure
// Looks at one record alone; what other records say is evidence.hpp's.

#include <optional>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// Whether the record is of CPAMP's paths, which carry no model traffic.
bool is_cpamp(const Record& record) noexcept;

/// The verdict of the first rule that fits. Nothing for a record that did not fail, and for an answer of
/// CPAMP's. A client that went away is `client_cancelled`, although its record is not `failed`. Does not
/// allocate.
std::optional<Verdict> classify(const Record& record);

}  // namespace portico::telemetry
