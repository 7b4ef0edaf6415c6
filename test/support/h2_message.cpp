#include "test/support/h2_message.hpp"

#include <nghttp2/nghttp2.h>

#include <ostream>
#include <utility>

#include "test/support/message.hpp"

namespace portico::test {

const char* name_of(H2Error code) { return nghttp2_http2_strerror(static_cast<std::uint32_t>(code)); }

const char* name_of(H2End end) {
  switch (end) {
    case H2End::open:
      return "open";
    case H2End::complete:
      return "END_STREAM";
    case H2End::reset:
      return "RST_STREAM";
    case H2End::cancelled:
      return "RST_STREAM of this side";
    case H2End::refused:
      return "refused by GOAWAY";
    case H2End::fin:
      return "end of the connection";
    case H2End::truncated:
      return "end of the connection without close_notify";
    case H2End::cut:
      return "reset of the connection";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, H2Error code) { return out << name_of(code); }
std::ostream& operator<<(std::ostream& out, H2End end) { return out << name_of(end); }
std::ostream& operator<<(std::ostream& out, const H2Field& field) {
  return out << field.name << ": " << field.value;
}

std::vector<std::string> all_of(const H2Fields& fields, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& field : fields)
    if (field.name == name) out.push_back(field.value);
  return out;
}

std::string H2Response::one(std::string_view name) const {
  auto found = all(name);
  if (found.size() > 1) throw ProtocolError(std::string(name) + " stands more than once");
  return found.empty() ? std::string() : std::move(found.front());
}

}  // namespace portico::test
