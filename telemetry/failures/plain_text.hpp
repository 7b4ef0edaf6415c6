#pragma once
// A text from the wire with its wrappings taken off, so that one look finds what JSON, URLs or HTML had
// spelled in their own ways.
//
// owns:    nothing
// threads: any; pure
// time:    linear, whatever the text

#include <string>
#include <string_view>

namespace portico::telemetry {

/// Quotes that stood behind backslashes are marked by how deep they were, so that a string inside a string is
/// still told from its surroundings. The marks are control characters, which plain_text() leaves nowhere
/// else.
inline constexpr char quote_level_1 = '\x01';  ///< `\"`
inline constexpr char quote_level_2 = '\x02';  ///< `\\\"`
inline constexpr char quote_level_3 = '\x03';  ///< any deeper
inline constexpr char escaped_apostrophe = '\x04';

/// What stands for a Windows path.
inline constexpr std::string_view path_mask = "[path]";

/// Well-formed UTF-8: percent-encoding, JSON escapes and HTML's basic entities decoded (also in each other),
/// invisible and control characters taken out, blanks and line ends collapsed to one ` ` or `\n`, full-width
/// letters made plain, Windows paths masked. Of an HTML page only the words that a reader sees.
std::string plain_text(std::string_view text);

}  // namespace portico::telemetry
