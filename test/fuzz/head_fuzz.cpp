// A head means the same however it arrives, and what is accepted says nothing but its lines: written out
// again from them it is the same bytes, so nothing in between was skipped or understood differently.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/h1/head.hpp"

using namespace portico::proxy::h1;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

std::string lines_of(const HeadFields& fields) {
  std::string lines;
  for (const Field& field : fields.all()) {
    check(field.id == identify(field.name) && fields.has(field.id));
    lines += field.line;
  }
  return lines + "\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  HeadScanner whole;
  HeadScanner split;
  auto state = HeadScanner::State::need_more;
  const std::size_t step = data[0] % 64 + 1U;
  for (std::size_t end = 0; end < bytes.size() && state == HeadScanner::State::need_more;) {
    end = end + step < bytes.size() ? end + step : bytes.size();
    state = split.scan(bytes.substr(0, end));
  }
  check(whole.scan(bytes) == state && whole.error() == split.error() && whole.size() == split.size());

  const bool complete = state == HeadScanner::State::complete;
  // An incomplete head is handed over too: the parser has to refuse it without a look behind its end.
  const std::string_view head = complete ? bytes.substr(0, whole.size()) : bytes;
  HeadFields fields(200);
  RequestHead request;
  if (parse_request(head, {}, fields, request) == HeadError::none) {
    check(complete);
    check(std::string(request.method) + " " + std::string(request.target) + " HTTP/1." +
              std::to_string(request.minor) + "\r\n" + lines_of(fields) ==
          head);
    check((request.framing == Framing::chunked) == fields.has(FieldId::transfer_encoding));
    check((request.framing == Framing::length) == fields.has(FieldId::content_length));
    check(request.minor == 0 || fields.once(FieldId::host));
  }
  ResponseHead response;
  if (parse_response(head, data[0] > 127, fields, response) == HeadError::none) {
    check(complete);
    const std::string start =
        "HTTP/1." + std::to_string(response.minor) + " " + std::to_string(response.status);
    const std::string rest = std::string(response.reason) + "\r\n" + lines_of(fields);
    check(start + " " + rest == head || start + rest == head);
    check(response.framing != Framing::chunked || fields.once(FieldId::transfer_encoding));
    check(!(response.keep_alive && response.framing == Framing::until_close));
  }
  return 0;
}
