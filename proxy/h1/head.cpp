#include "proxy/h1/head.hpp"

#include <algorithm>

namespace portico::proxy::h1 {

int status_of(HeadError error) noexcept {
  switch (error) {
    case HeadError::none:
      return 0;
    case HeadError::too_large:
    case HeadError::too_many_fields:
      return 431;
    case HeadError::target_too_long:
      return 414;
    case HeadError::bad_version:
      return 505;
    default:
      return 400;
  }
}

std::string_view sentence_of(HeadError error) noexcept {
  switch (error) {
    case HeadError::none:
      return "The head is well-formed.";
    case HeadError::too_large:
      return "The head is larger than limits.request_head (or limits.response_head) allows; send fewer or "
             "shorter header fields, or raise the limit.";
    case HeadError::too_many_fields:
      return "There are more header fields than limits.request_fields allows; send fewer, or raise the "
             "limit.";
    case HeadError::target_too_long:
      return "The request target is longer than limits.request_target allows; move data from the query into "
             "the body, or raise the limit.";
    case HeadError::bare_line_feed:
      return "A line of the head ends with LF alone; end every line with CRLF.";
    case HeadError::bare_carriage_return:
      return "The head has a CR that is not followed by LF; end every line with CRLF and put no CR "
             "elsewhere.";
    case HeadError::bad_method:
      return "The request method is not a token that begins with a letter.";
    case HeadError::bad_request_line:
      return "The request line is not a method, a target and an HTTP version with one space between them.";
    case HeadError::bad_version:
      return "The HTTP version is neither 1.0 nor 1.1; send HTTP/1.1.";
    case HeadError::bad_status_line:
      return "The status line is not an HTTP version, a status code and a reason.";
    case HeadError::bad_field_name:
      return "A header field name is empty, has a forbidden character or is followed by white space.";
    case HeadError::missing_colon:
      return "A header line has no colon.";
    case HeadError::bad_field_value:
      return "A header field value has a control character.";
    case HeadError::obsolete_folding:
      return "A header line begins with white space; folded header lines are not accepted.";
    case HeadError::missing_host:
      return "The request has no Host header; send one that names this server.";
    case HeadError::duplicate_host:
      return "The request has more than one Host header; send one.";
    case HeadError::bad_host:
      return "The Host header is not a host with an optional port, or the request target names another host.";
    case HeadError::bad_content_length:
      return "Content-Length is not one plain decimal number, or is given more than once.";
    case HeadError::bad_transfer_encoding:
      return "Transfer-Encoding is not exactly one `chunked` in an HTTP/1.1 message that may have a body.";
    case HeadError::both_length_and_encoding:
      return "The message has both Content-Length and Transfer-Encoding; send one of the two.";
    case HeadError::bad_connection:
      return "The Connection header is not a list of option names.";
  }
  return "The head is malformed.";
}

HeadFields::HeadFields(std::size_t capacity)
    : fields_(std::make_unique<Field[]>(capacity)), capacity_(capacity) {}

const Field* HeadFields::find(FieldId id) const noexcept {
  if (!has(id)) return nullptr;
  const auto fields = all();
  const auto found = std::ranges::find(fields, id, &Field::id);
  // all() hands out fields that the caller may change, so the bit is not proof enough.
  return found == fields.end() ? nullptr : &*found;
}

}  // namespace portico::proxy::h1
