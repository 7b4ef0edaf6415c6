#pragma once
// Merging two small JSON objects as text, member by member.
//
// owns:    nothing
// threads: any; pure
// bytes:   both are whole objects as they were received; what is no object gives an empty result

#include <string_view>

#include "telemetry/tap/texts.hpp"

namespace portico::telemetry {

/// Writes to `out` the members of `older`, each replaced by the member of `newer` with the same spelling of
/// its name, and those that only `newer` has behind them. A null in `newer` replaces nothing. Looks at the
/// top level only. `out` overflows beyond `limit` bytes.
void merge_objects(std::string_view older, std::string_view newer, std::size_t limit, Scratch& out) noexcept;

}  // namespace portico::telemetry
