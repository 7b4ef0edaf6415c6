#pragma once
// What a text in the settings may contain, since it ends up on the wire, in a metric or in a comparison.
//
// threads: any; pure functions
// Each returns an empty view when the text is fine, else what it must be: `must begin with "/"`.

#include <string_view>

namespace portico::conf {

/// RFC 9110 section 5.6.2; an empty text is fine and means off.
std::string_view token_objection(std::string_view text) noexcept;
/// A field value of visible ASCII and inner spaces (RFC 9110 section 5.5), not empty.
std::string_view field_value_objection(std::string_view text) noexcept;
/// A URI reference as far as the wire cares: visible ASCII, not empty.
std::string_view location_objection(std::string_view text) noexcept;
/// A key of visible ASCII, or empty.
std::string_view secret_objection(std::string_view text) noexcept;
/// The path of a rule: matched against cleaned and decoded paths, so it must be one.
std::string_view route_path_objection(std::string_view text) noexcept;
/// Letters, digits, `-` and `_`: it is a label of metrics and a part of field paths. Not empty.
std::string_view name_objection(std::string_view text) noexcept;
/// The path of a file without control bytes, or empty.
std::string_view file_objection(std::string_view text) noexcept;
/// The path of a file that must be there: as above, but not empty.
std::string_view needed_file_objection(std::string_view text) noexcept;
/// The path of a folder from the root, without control bytes, or empty.
std::string_view absolute_path_objection(std::string_view text) noexcept;
/// A host name as it stands in certificates and in SNI (RFC 6066 section 3: no dot at the end, no address),
/// or empty.
std::string_view host_name_objection(std::string_view text) noexcept;
/// Everything is fine.
std::string_view no_objection(std::string_view text) noexcept;

}  // namespace portico::conf
