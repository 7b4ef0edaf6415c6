#pragma once
// What passes on one stream of HTTP/2, as a test sees it.
//
// owns:    plain values
// threads: any
// errors:  ProtocolError where a field that may stand once stands twice

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace portico::test {

struct H2Field {
  std::string name;
  std::string value;
  friend bool operator==(const H2Field&, const H2Field&) = default;
};
using H2Fields = std::vector<H2Field>;

/// Values of all fields with exactly this name, in their order.
std::vector<std::string> all_of(const H2Fields& fields, std::string_view name);

/// The codes of RST_STREAM and GOAWAY, RFC 9113 section 7.
enum class H2Error : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};
/// As RFC 9113 writes it.
const char* name_of(H2Error code);

/// How the peer's side of a stream ended.
enum class H2End : std::uint8_t {
  open,       ///< it did not yet
  complete,   ///< END_STREAM
  reset,      ///< RST_STREAM of the peer
  cancelled,  ///< RST_STREAM of this side
  refused,    ///< a GOAWAY says that it was not processed
  fin,        ///< the connection ended in order before it; under TLS: with a close_notify
  truncated,  ///< the connection ended without TLS's close_notify
  cut,        ///< the connection was reset
};
const char* name_of(H2End end);

// For the reports of failed checks.
std::ostream& operator<<(std::ostream& out, H2Error code);
std::ostream& operator<<(std::ostream& out, H2End end);
std::ostream& operator<<(std::ostream& out, const H2Field& field);

/// A response as it arrives.
struct H2Response {
  int status = 0;    ///< of the final head; 0 before it
  H2Fields headers;  ///< of the final head, without :status
  std::string body;  ///< empty when a sink takes it
  H2Fields trailers;
  std::vector<H2Fields> interim;  ///< 1xx heads, with :status
  H2End end = H2End::open;
  H2Error code = H2Error::no_error;  ///< of the peer's RST_STREAM or GOAWAY

  /// Values of all header fields with this name.
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const { return all_of(headers, name); }
  /// The value of the only such field; empty when there is none. Throws ProtocolError for two.
  [[nodiscard]] std::string one(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return !all(name).empty(); }
};

}  // namespace portico::test
