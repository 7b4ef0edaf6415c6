#pragma once
// A second, independent and strict reader of HTTP/1.1, so that a test never checks the proxy with its own
// code.
//
// owns:    a Message owns everything it was read from
// threads: one
// errors:  WireError from the socket, ProtocolError for what no server or client may send

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/wire.hpp"

namespace portico::test {

class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Line {
  std::string name;   ///< as received
  std::string value;  ///< without the blanks around it
  std::string raw;    ///< without CRLF
};

/// How a body ended.
enum class End : std::uint8_t {
  complete,   ///< by its own framing, or by FIN where the framing is the connection
  cut,        ///< FIN before the framing's end; under TLS: a close_notify
  truncated,  ///< FIN without TLS's close_notify, before the framing's end or where that is the connection's
  reset,      ///< RST before the framing's end
};

struct Message {
  std::string head;  ///< raw, the empty line included
  std::string start_line;
  std::vector<Line> lines;
  std::string method, target;  ///< of a request
  int status = 0;              ///< of a response
  std::string body;            ///< payload
  std::string raw_body;        ///< as on the wire, chunk framing included
  std::vector<Line> trailers;
  End end = End::complete;

  /// Values of all lines with this name, letter case apart.
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
  /// The value of the only such line; empty when there is none. Throws ProtocolError for two.
  [[nodiscard]] std::string one(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return !all(name).empty(); }
  /// True when a raw line stands in the head exactly so.
  [[nodiscard]] bool has_line(std::string_view raw) const;
};

/// Is shown payload bytes as they arrive, instead of Message::body.
using Sink = std::function<void(std::string_view)>;

/// Reads up to the empty line; no body. Throws when the connection ends before it.
Message read_request_head(Wire& wire, Deadline deadline = patience());
Message read_response_head(Wire& wire, Deadline deadline = patience());

/// How the body of `message` is delimited decides; adds body, trailers and end to it. With a sink, payload
/// goes there and raw_body stays empty. `deadline` is for each read.
void read_request_body(Wire& wire, Message& message, const Sink& sink = {}, milliseconds each_read = 10s);
void read_response_body(Wire& wire, Message& message, bool to_head_request, const Sink& sink = {},
                        milliseconds each_read = 10s);

/// Head and body.
Message read_request(Wire& wire, Deadline deadline = patience());
/// The next response, 1xx too (those have no body).
Message read_response(Wire& wire, bool to_head_request = false, Deadline deadline = patience());

/// Chunked coding of `payload` in chunks of `size` bytes, with the end.
std::string chunked(std::string_view payload, std::size_t size);
/// One chunk.
std::string chunk(std::string_view payload);

/// `GET path HTTP/1.1`, Host and the given lines (each `Name: value`).
std::string get(std::string_view path, const std::vector<std::string>& lines = {});
/// POST with Content-Length.
std::string post(std::string_view path, std::string_view body, const std::vector<std::string>& lines = {});
/// Any method, no body.
std::string request(std::string_view method, std::string_view path,
                    const std::vector<std::string>& lines = {});
/// 200 with Content-Length.
std::string ok(std::string_view body, const std::vector<std::string>& lines = {});
/// The head of a chunked 200.
std::string ok_chunked(const std::vector<std::string>& lines = {});

}  // namespace portico::test
