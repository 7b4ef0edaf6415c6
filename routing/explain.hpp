#pragma once
// Why a target goes where it goes, in lines for people (`portico route PATH`). Asks the same decide() that
// routes.
//
// owns:    nothing; returns a string
// threads: any; pure function
// Off the hot path: it allocates.

#include <string>
#include <string_view>

#include "routing/table.hpp"

namespace portico::routing {

/// Who owns `target`, by which rule, and what was normalised; or why it is refused, with the reading that
/// disagrees and the owner that it would have had. One fact a line: a name padded to ten columns, then the
/// value; every line ends with a line feed. Bytes other than visible ASCII and blanks, which a terminal might
/// obey, are written as `\xNN`.
[[nodiscard]] std::string explain(const RouteTable& table, std::string_view target);

/// `prefix /v1/` or `exact /health`.
[[nodiscard]] std::string rule_text(const Route& route);

/// `upstream cpa`, `redirect 302 to /management.html` or `fixed answer 200`.
[[nodiscard]] std::string owner_text(const RouteTable& table, const Route& route);

}  // namespace portico::routing
