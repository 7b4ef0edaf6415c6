#include "proxy/h1/field_line.hpp"

#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

std::string_view view(const char* begin, const char* end) noexcept {
  return {begin, static_cast<std::size_t>(end - begin)};
}

bool at_crlf(const char* at, const char* end) noexcept {
  return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

}  // namespace

HeadError cut_text(const char*& at, const char* end, const char*& stop) noexcept {
  stop = find_control(at, end);
  if (at_crlf(stop, end)) {
    at = stop + 2;
    return HeadError::none;
  }
  if (stop != end && *stop == '\n') return HeadError::bare_line_feed;
  if (stop != end && *stop == '\r') return HeadError::bare_carriage_return;
  return HeadError::bad_field_value;
}

HeadError cut_field(const char*& at, const char* end, Field& field) noexcept {
  const char* const begin = at;
  if (begin != end && is_blank(*begin)) return HeadError::obsolete_folding;
  const char* const colon = skip(Octet::token, begin, end);
  if (colon == end || *colon != ':' || colon == begin)
    return colon != begin && at_crlf(colon, end) ? HeadError::missing_colon : HeadError::bad_field_name;

  const char* value = colon + 1;
  while (value != end && is_blank(*value)) ++value;
  const char* stop = nullptr;
  at = value;
  if (const HeadError error = cut_text(at, end, stop); error != HeadError::none) return error;
  // Leading blanks are gone, so a value of blanks only has already become empty.
  while (stop != value && is_blank(stop[-1])) --stop;

  field.name = view(begin, colon);
  field.value = view(value, stop);
  field.line = view(begin, at);
  field.id = identify(field.name);
  return HeadError::none;
}

HeadError cut_fields(const char* at, const char* end, std::size_t limit, HeadFields& fields) noexcept {
  for (std::size_t count = 0; !at_crlf(at, end); ++count) {
    if (count == limit) return HeadError::too_many_fields;
    Field field;
    if (const HeadError error = cut_field(at, end, field); error != HeadError::none) return error;
    if (!fields.push(field)) return HeadError::too_many_fields;
  }
  // A second message behind the empty line would be one that nobody has looked at.
  return end - at == 2 ? HeadError::none : HeadError::bad_field_name;
}

}  // namespace portico::proxy::h1
