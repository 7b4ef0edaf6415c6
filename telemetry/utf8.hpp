#pragma once
// Names for readers that demand UTF-8: Prometheus refuses a whole scrape, and JSON a whole document, for one
// wrong byte. A file name in a unix socket's address may hold any.
//
// threads: any; pure

#include <string>
#include <string_view>

namespace portico::telemetry {

/// `text` with each byte that is not part of well-formed UTF-8 (RFC 3629) replaced by `?`.
std::string utf8(std::string_view text);

}  // namespace portico::telemetry
