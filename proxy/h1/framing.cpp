#include "proxy/h1/framing.hpp"

#include <algorithm>

#include "proxy/h1/folded.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

namespace word {
constexpr Folded chunked("chunked");
constexpr Folded close("close");
constexpr Folded keep_alive("keep-alive");
constexpr Folded te("te");
constexpr Folded upgrade("upgrade");
constexpr Folded websocket("websocket");
}  // namespace word

constexpr std::uint64_t max_length = std::uint64_t{1} << 62U;

bool read_length(std::string_view digits, std::uint64_t& length) noexcept {
  // Nineteen digits hold 2^62 and cannot overflow; a longer row of zeros is nothing a client sends.
  if (digits.empty() || digits.size() > 19) return false;
  std::uint64_t value = 0;
  for (const char digit : digits) {
    if (!is_digit(digit)) return false;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  length = value;
  return value <= max_length;
}

}  // namespace

HeadError read_delimiters(const HeadFields& fields, std::uint8_t minor, Delimiters& out) noexcept {
  out = {};
  if (fields.has(FieldId::transfer_encoding)) {
    const Field* const encoding = fields.find(FieldId::transfer_encoding);
    if (minor == 0 || fields.repeated(FieldId::transfer_encoding) || !word::chunked.matches(encoding->value))
      return HeadError::bad_transfer_encoding;
    out.chunked = true;
  }
  if (fields.has(FieldId::content_length)) {
    if (fields.repeated(FieldId::content_length) ||
        !read_length(fields.find(FieldId::content_length)->value, out.length))
      return HeadError::bad_content_length;
    out.has_length = true;
  }
  return out.chunked && out.has_length ? HeadError::both_length_and_encoding : HeadError::none;
}

HeadError read_connection(const HeadFields& fields, ConnectionOptions& out) noexcept {
  out = {};
  if (!fields.has(FieldId::connection)) return HeadError::none;
  for (const Field& field : fields.all()) {
    if (field.id != FieldId::connection) continue;
    const bool tokens = for_each_element(field.value, [&out](std::string_view option) {
      if (word::keep_alive.matches(option))
        out.keep_alive = true;
      else if (word::close.matches(option))
        out.close = true;
      else if (word::upgrade.matches(option))
        out.upgrade = true;
      else if (word::te.matches(option))
        out.te = true;
      else
        out.others = true;
      return !out.others || all(Octet::token, option);
    });
    if (!tokens) return HeadError::bad_connection;
  }
  return HeadError::none;
}

bool persists(std::uint8_t minor, const ConnectionOptions& options) noexcept {
  return !options.close && (minor == 1 || options.keep_alive);
}

bool upgrades_to_websocket(const HeadFields& fields, const ConnectionOptions& options) noexcept {
  return options.upgrade && fields.once(FieldId::upgrade) &&
         word::websocket.matches(fields.find(FieldId::upgrade)->value);
}

bool lists_element(const HeadFields& fields, FieldId id, std::string_view element) noexcept {
  if (!fields.has(id)) return false;
  const auto differs = [element](std::string_view other) { return !equal_folded(other, element); };
  return std::ranges::any_of(fields.all(), [&](const Field& field) {
    return field.id == id && !for_each_element(field.value, differs);
  });
}

HeadError read_version(std::string_view version, HeadError malformed, std::uint8_t& minor) noexcept {
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7]))
    return malformed;
  if (version[5] != '1' || version[7] > '1') return HeadError::bad_version;
  minor = static_cast<std::uint8_t>(version[7] - '0');
  return HeadError::none;
}

bool lists_field(const HeadFields& fields, std::string_view name) noexcept {
  return lists_element(fields, FieldId::connection, name);
}

}  // namespace portico::proxy::h1
