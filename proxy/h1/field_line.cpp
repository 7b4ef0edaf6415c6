#include "proxy/h1/field_line.hpp"

#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

std::string_view view(const char* begin, const char* end) noexcept {
  return {begin, static_cast<std::size_t>(end - begin)};
}

// Every search below stops at a control byte, and the last byte is LF: so a CR always has a byte behind it.
bool at_crlf(const char* at) noexcept { return at[0] == '\r' && at[1] == '\n'; }

// Why the line that begins at `begin` has no colon behind a name that ends at `stop`.
HeadError name_error(const char* begin, const char* stop) noexcept {
  if (is_blank(*begin)) return HeadError::obsolete_folding;
  return stop != begin && at_crlf(stop) ? HeadError::missing_colon : HeadError::bad_field_name;
}

// Why a value ends at `stop` without CRLF.
HeadError value_error(const char* stop) noexcept {
  if (*stop == '\n') return HeadError::bare_line_feed;
  return *stop == '\r' ? HeadError::bare_carriage_return : HeadError::bad_field_value;
}

// cut_field, with the place behind the line as its result: null at an error, which is written to `error`. In
// here so that the loop over a head keeps its place in a register.
inline const char* cut(const char* begin, const char* end, Field& field, HeadError& error) noexcept {
  const char* const colon = find_token_end(begin, end);
  // White space is no token, so a folded line ends up here as well.
  if (*colon != ':' || colon == begin) {
    error = name_error(begin, colon);
    return nullptr;
  }
  const char* value = colon + 1;
  while (is_blank(*value)) ++value;
  const char* const stop = find_control(value, end);
  if (!at_crlf(stop)) {
    error = value_error(stop);
    return nullptr;
  }
  const char* value_end = stop;
  while (value_end != value && is_blank(value_end[-1])) --value_end;

  field.name = view(begin, colon);
  field.value = view(value, value_end);
  field.line = view(begin, stop + 2);
  field.id = identify(field.name);
  return stop + 2;
}

}  // namespace

HeadError cut_field(const char*& at, const char* end, Field& field) noexcept {
  HeadError error = HeadError::none;
  const char* const next = cut(at, end, field, error);
  if (next != nullptr) at = next;
  return error;
}

HeadError cut_fields(const char* at, const char* end, std::size_t limit, HeadFields& fields) noexcept {
  HeadError error = HeadError::none;
  for (std::size_t count = 0; !at_crlf(at); ++count) {
    Field* const field = count == limit ? nullptr : fields.slot();
    if (field == nullptr) return HeadError::too_many_fields;
    at = cut(at, end, *field, error);
    if (at == nullptr) return error;
    fields.keep();
  }
  // A second message behind the empty line would be one that nobody has looked at.
  return end - at == 2 ? HeadError::none : HeadError::bad_field_name;
}

}  // namespace portico::proxy::h1
