#pragma once
// Frames of HTTP/2 byte by byte (RFC 9113, RFC 7541): whatever no honest client sends, and a reader that
// shows what comes back. Nothing here keeps a rule: lengths, flags, streams and header lists are what the
// test says.
//
// owns:    a H2Wire its connection, its table of header fields and the frames it has read
// threads: one
// errors:  WireError when a frame does not come, ProtocolError for a header block that cannot be decoded

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/support/client.hpp"
#include "test/support/h2_message.hpp"

namespace portico::test::h2 {

inline constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Type : std::uint8_t {
  data = 0,
  headers = 1,
  priority = 2,
  rst_stream = 3,
  settings = 4,
  push_promise = 5,
  ping = 6,
  goaway = 7,
  window_update = 8,
  continuation = 9,
};

namespace flag {
inline constexpr std::uint8_t none = 0;
inline constexpr std::uint8_t end_stream = 0x1;
inline constexpr std::uint8_t ack = 0x1;
inline constexpr std::uint8_t end_headers = 0x4;
inline constexpr std::uint8_t padded = 0x8;
inline constexpr std::uint8_t priority = 0x20;
}  // namespace flag

enum class Setting : std::uint16_t {
  header_table_size = 1,
  enable_push = 2,
  max_concurrent_streams = 3,
  initial_window_size = 4,
  max_frame_size = 5,
  max_header_list_size = 6,
  enable_connect_protocol = 8,
};

struct Frame {
  Type type{};
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;

  [[nodiscard]] bool has(std::uint8_t wanted) const { return (flags & wanted) == wanted; }
  /// Of RST_STREAM and GOAWAY.
  [[nodiscard]] H2Error error() const;
  /// Of GOAWAY.
  [[nodiscard]] std::uint32_t last_stream() const;
  /// Of SETTINGS; empty when it does not stand there.
  [[nodiscard]] std::optional<std::uint32_t> setting(Setting wanted) const;
};

/// A frame's nine bytes in front of `payload`; `length` in them is the payload's unless it is given.
std::string frame(Type type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {},
                  std::optional<std::uint32_t> length = {});
std::string settings(const std::vector<std::pair<Setting, std::uint32_t>>& values = {});
std::string settings_ack();
/// `opaque` is padded with zeros, or cut, to eight bytes.
std::string ping(std::string_view opaque = {}, std::uint8_t flags = flag::none);
std::string rst_stream(std::uint32_t stream, H2Error code = H2Error::cancel);
std::string goaway(std::uint32_t last_stream, H2Error code, std::string_view debug = {});
std::string window_update(std::uint32_t stream, std::uint32_t increment);
std::string priority(std::uint32_t stream, std::uint32_t depends_on, std::uint8_t weight = 16);
std::string headers(std::uint32_t stream, std::string_view block,
                    std::uint8_t flags = flag::end_headers | flag::end_stream);
std::string continuation(std::uint32_t stream, std::string_view block,
                         std::uint8_t flags = flag::end_headers);
std::string data(std::uint32_t stream, std::string_view bytes, std::uint8_t flags = flag::end_stream);
/// DATA with `padding` bytes behind it.
std::string padded_data(std::uint32_t stream, std::string_view bytes, std::uint8_t padding,
                        std::uint8_t flags = flag::end_stream);

/// Header blocks field by field, without Huffman coding.
namespace hpack {
/// An integer with a prefix of `bits` bits, the bits above it being `pattern` (RFC 7541 section 5.1).
std::string integer(std::uint64_t value, unsigned bits, std::uint8_t pattern);
/// Literal without indexing.
std::string literal(std::string_view name, std::string_view value);
/// Literal never indexed.
std::string never_indexed(std::string_view name, std::string_view value);
/// Literal that enters the dynamic table.
std::string indexing(std::string_view name, std::string_view value);
/// A field of the static table (1 to 61) or the dynamic one (62 is its newest).
std::string indexed(std::uint64_t index);
std::string table_size(std::uint64_t bytes);
/// Every field as a literal without indexing.
std::string block(const H2Fields& fields);
}  // namespace hpack

/// A well-formed GET or POST to `front.example`, to be changed by a test: pseudo-headers, then `more`.
H2Fields request(std::string_view path, const H2Fields& more = {}, std::string_view method = "GET",
                 std::string_view scheme = "https");

/// Decodes the header blocks of one direction of a connection, in their order.
class HeaderDecoder {
 public:
  HeaderDecoder();
  H2Fields decode(std::string_view block);

 private:
  std::unique_ptr<nghttp2_hd_inflater, decltype(&nghttp2_hd_inflate_del)> inflater_;
};

/// A connection on which frames are written and read one by one. SETTINGS and PING of the peer are answered
/// only if the test does so.
class H2Wire {
 public:
  /// Connects (`h2` is offered under TLS unless `options` says otherwise) and sends nothing.
  explicit H2Wire(const Address& address, ClientOptions options = {});
  /// Sends preface and SETTINGS, waits for the peer's SETTINGS and acknowledges them.
  void greet(const std::vector<std::pair<Setting, std::uint32_t>>& values = {});

  void send(std::string_view bytes, Deadline deadline = patience()) { wire_.send(bytes, deadline); }
  /// Sends as long as the peer takes it, at most `times` times; returns how often it was taken whole. For
  /// floods: that the peer ends the connection or stops reading for a second is what a test looks for
  /// afterwards.
  std::size_t flood(std::string_view bytes, std::size_t times);
  /// The next frame.
  Frame next(Deadline deadline = patience());
  /// Reads on until a frame fulfils `wanted`; throws WireError when none does.
  Frame wait_for(const std::function<bool(const Frame&)>& wanted, Deadline deadline = patience());
  Frame wait_for(Type type, std::uint32_t stream, Deadline deadline = patience());
  /// The code of the GOAWAY that says why the connection ends; NO_ERROR when it ends, or the deadline comes,
  /// without one. A graceful GOAWAY is passed over.
  H2Error wait_goaway(Deadline deadline = patience());
  /// The status of the final response on `stream`, or the code of the RST_STREAM or GOAWAY that came in its
  /// place.
  struct Answer {
    int status = 0;
    std::optional<H2Error> reset;
    std::optional<H2Error> goaway;
    H2Fields headers;
    std::string body;
  };
  /// Waits until the stream ends; throws WireError when nothing tells its end.
  Answer answer(std::uint32_t stream, Deadline deadline = patience());
  Outcome wait_closed(Deadline deadline = patience()) { return wire_.wait_closed(deadline); }
  [[nodiscard]] Client& wire() { return wire_; }
  [[nodiscard]] HeaderDecoder& decoder() { return decoder_; }

 private:
  Client wire_;
  HeaderDecoder decoder_;
};

/// Reads one frame; for servers made of frames.
Frame read_frame(Wire& wire, Deadline deadline = patience());

}  // namespace portico::test::h2
