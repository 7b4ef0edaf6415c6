#pragma once
// Making a text from the wire safe to store, show and log.
//
// owns:    nothing
// threads: any; pure
// What may never get through: API keys, tokens, JWTs, cookies, credentials in URLs and queries, e-mail
// addresses, prompt text that a provider quotes. What stays: the words that say what is wrong, host names,
// model names.

#include <cstddef>
#include <string>
#include <string_view>

namespace portico::telemetry {

/// At most `limit` bytes of valid UTF-8 without control characters, cut at a character's border with `...` at
/// the end.
std::string sanitise(std::string_view text, std::size_t limit = 512);

/// The longest that sanitise_name() returns, in bytes.
inline constexpr std::size_t longest_safe_name = 128;
/// A name that somebody else chose, such as a model's or a parameter's, safe to be a label.
std::string sanitise_name(std::string_view name);

/// As sanitise(), for the path of a request: what looks like a file's path is one of the API's, and stays.
std::string sanitise_path(std::string_view path, std::size_t limit = 512);

/// The sanitised text with everything that differs between two occurrences of one fault collapsed: digits,
/// ids, quoted values, addresses. Equal faults give equal texts.
std::string fault_shape(std::string_view sanitised);

}  // namespace portico::telemetry
