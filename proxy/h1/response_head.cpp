#include <limits>

#include "proxy/h1/field_line.hpp"
#include "proxy/h1/framing.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

// RFC 9112 section 4. Moves `at` past the CRLF. The space before an absent reason may be left out, as many
// servers do.
HeadError read_status_line(const char*& at, const char* end, ResponseHead& out) noexcept {
  const char* const begin = at;
  const char* const stop = find_control(begin, end);
  if (stop[0] != '\r' || stop[1] != '\n') return HeadError::bad_status_line;
  at = stop + 2;
  const std::string_view line{begin, static_cast<std::size_t>(stop - begin)};
  if (const HeadError error = read_version(line.substr(0, 8), HeadError::bad_status_line, out.minor);
      error != HeadError::none)
    return error;
  if (line.size() < 12 || line[8] != ' ' || line[9] < '1' || line[9] > '5' || !is_digit(line[10]) ||
      !is_digit(line[11]))
    return HeadError::bad_status_line;
  out.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (line.size() == 12) return HeadError::none;
  if (line[12] != ' ') return HeadError::bad_status_line;
  out.reason = line.substr(13);
  return HeadError::none;
}

// RFC 9112 section 6.3, in its order.
Framing frame(const Delimiters& body, bool bodiless) noexcept {
  if (bodiless) return Framing::none;
  if (body.chunked) return Framing::chunked;
  return body.has_length ? Framing::length : Framing::until_close;
}

}  // namespace

HeadError parse_response(std::string_view head, bool to_head_request, HeadFields& fields,
                         ResponseHead& out) noexcept {
  fields.clear();
  out = {};
  out.fields = &fields;
  if (!ends_like_a_head(head)) return HeadError::bad_status_line;
  const char* at = head.data();
  const char* const end = at + head.size();
  if (const HeadError error = read_status_line(at, end, out); error != HeadError::none) return error;
  if (const HeadError error = cut_fields(at, end, std::numeric_limits<std::size_t>::max(), fields);
      error != HeadError::none)
    return error;

  Delimiters body;
  if (const HeadError error = read_delimiters(fields, out.minor, body); error != HeadError::none)
    return error;
  // A 1xx or 204 never has a body, so one that announces how it is coded contradicts itself (RFC 9112
  // section 6.1). For HEAD and 304 the field tells what a GET would have brought.
  const bool never_a_body = out.status < 200 || out.status == 204;
  if (body.chunked && never_a_body) return HeadError::bad_transfer_encoding;
  out.framing = frame(body, never_a_body || out.status == 304 || to_head_request);
  out.has_content_length = body.has_length;
  out.content_length = body.length;

  if (const HeadError error = read_connection(fields, out.connection); error != HeadError::none) return error;
  out.keep_alive = persists(out.minor, out.connection) && out.framing != Framing::until_close;
  out.websocket = out.status == 101 && upgrades_to_websocket(fields, out.connection);
  return HeadError::none;
}

}  // namespace portico::proxy::h1
