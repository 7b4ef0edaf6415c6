#include "proxy/h1/authority.hpp"
#include "proxy/h1/field_line.hpp"
#include "proxy/h1/framing.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

// RFC 9112 section 3. Moves `at` past the CRLF. Every search stops at the CR of the line's end at the latest,
// or at a byte that is refused.
HeadError read_request_line(const char*& at, const char* end, std::size_t target_limit,
                            RequestHead& out) noexcept {
  const char* const method = at;
  if (!may_start_request(*method)) return HeadError::bad_method;
  at = skip(Octet::token, method, end);
  if (*at != ' ') return is(Octet::target, *at) ? HeadError::bad_method : HeadError::bad_request_line;
  out.method = {method, static_cast<std::size_t>(at - method)};

  const char* const target = ++at;
  at = find_target_end(target, end);
  if (at == target || *at != ' ') return HeadError::bad_request_line;
  out.target = {target, static_cast<std::size_t>(at - target)};
  if (out.target.size() > target_limit) return HeadError::target_too_long;

  const char* const version = ++at;
  const char* const stop = find_control(version, end);
  if (stop[0] != '\r' || stop[1] != '\n') return HeadError::bad_request_line;
  at = stop + 2;
  return read_version({version, static_cast<std::size_t>(stop - version)}, HeadError::bad_request_line,
                      out.minor);
}

// RFC 9112 section 3.2.
HeadError read_host(const HeadFields& fields, RequestHead& out) noexcept {
  const auto authority = authority_of(out.target);
  if (!fields.has(FieldId::host)) {
    if (out.minor == 1) return HeadError::missing_host;
    return !authority || valid_authority(*authority) ? HeadError::none : HeadError::bad_host;
  }
  if (fields.repeated(FieldId::host)) return HeadError::duplicate_host;
  out.host = fields.find(FieldId::host)->value;
  if (!valid_authority(out.host)) return HeadError::bad_host;
  return !authority || equal_folded(*authority, out.host) ? HeadError::none : HeadError::bad_host;
}

}  // namespace

HeadError parse_request(std::string_view head, const RequestLimits& limits, HeadFields& fields,
                        RequestHead& out) noexcept {
  fields.clear();
  out = {};
  out.fields = &fields;
  if (!ends_like_a_head(head)) return HeadError::bad_request_line;
  const char* at = head.data();
  const char* const end = at + head.size();
  if (const HeadError error = read_request_line(at, end, limits.target, out); error != HeadError::none)
    return error;
  if (const HeadError error = cut_fields(at, end, limits.fields, fields); error != HeadError::none)
    return error;
  if (const HeadError error = read_host(fields, out); error != HeadError::none) return error;

  Delimiters body;
  if (const HeadError error = read_delimiters(fields, out.minor, body); error != HeadError::none)
    return error;
  if (body.chunked) {
    out.framing = Framing::chunked;
  } else if (body.has_length) {
    out.framing = Framing::length;
    out.content_length = body.length;
  }

  if (const HeadError error = read_connection(fields, out.connection); error != HeadError::none) return error;
  out.keep_alive = persists(out.minor, out.connection);
  out.websocket = out.minor == 1 && out.method == "GET" && out.framing == Framing::none &&
                  upgrades_to_websocket(fields, out.connection) && fields.once(FieldId::sec_websocket_key);
  out.te_trailers = lists_element(fields, FieldId::te, "trailers");
  // An HTTP/1.0 client cannot understand a 100 (RFC 9110 section 10.1.1).
  out.expect_continue = out.minor == 1 && lists_element(fields, FieldId::expect, "100-continue");
  return HeadError::none;
}

}  // namespace portico::proxy::h1
