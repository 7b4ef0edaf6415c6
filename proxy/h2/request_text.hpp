#pragma once
// The head of an HTTP/2 request as the HTTP/1.1 head that it stands for (RFC 9113 section 8.3).
//
// There is one set of rules for requests: what comes over HTTP/2 is written as HTTP/1.1 and then read by the
// same parser that reads HTTP/1.1 clients. This is the writer. nghttp2 has checked the fields before they
// come here; what would break out of a line is refused here once more, because the parser would take it for
// a line of its own.
//
// owns:    the texts of one head, in memory that is used again for the next
// threads: one; pure
// errors:  Verdict

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace portico::proxy::h2 {

class RequestText {
 public:
  enum class Verdict : std::uint8_t {
    good,
    too_large,   ///< above the limit: the rest of it was not kept (431)
    malformed,   ///< a field that HTTP/2 forbids or that can't stand on one line (400)
    ambiguous,   ///< Host and :authority differ, or stand twice (400)
    no_such_use  ///< an extended CONNECT for something else than websocket (RFC 8441)
  };

  /// A new head of at most `limit` bytes of text.
  void begin(std::size_t limit) noexcept;
  /// The next field, in order. False once the head is too large.
  bool add(std::string_view name, std::string_view value);
  [[nodiscard]] bool too_large() const noexcept { return verdict_ == Verdict::too_large; }
  /// Bytes of fields so far, those that were not kept included.
  [[nodiscard]] std::size_t seen() const noexcept { return seen_; }

  /// All fields are there. `body_follows`: the stream did not end with the head. Sets websocket() and
  /// chunked().
  Verdict finish(bool body_follows);
  /// An extended CONNECT: the text is the upgrade that it stands for, and the body bytes of a tunnel.
  [[nodiscard]] bool websocket() const noexcept { return websocket_; }
  /// The body is of unknown length: it goes on in the chunked coding.
  [[nodiscard]] bool chunked() const noexcept { return chunked_; }
  /// Bytes that write() needs. After finish() said good.
  [[nodiscard]] std::size_t size() const noexcept;
  /// `key` is the Sec-WebSocket-Key of an upgrade, 16 random bytes in base64 (RFC 6455 section 4.1), else
  /// empty.
  void write(std::span<char> out, std::string_view key) const noexcept;

  /// Method and path as far as they are known, for the answer to a head that is refused.
  [[nodiscard]] std::string_view method() const noexcept { return method_; }
  [[nodiscard]] std::string_view path() const noexcept { return path_; }

  static constexpr std::size_t key_size = 24;

 private:
  bool add_pseudo(std::string_view name, std::string_view value);

  std::string method_;
  std::string path_;
  std::string authority_;
  std::string protocol_;
  std::string host_;
  std::string cookie_;
  std::string lines_;
  std::size_t limit_ = 0;
  std::size_t seen_ = 0;
  Verdict verdict_ = Verdict::good;
  bool has_host_ = false;
  bool has_length_ = false;
  bool websocket_ = false;
  bool chunked_ = false;
};

/// Fields that belong to a connection of HTTP/1.1 and never stand in HTTP/2 (RFC 9113 section 8.2.2). `name`
/// is in lower case.
bool is_connection_specific(std::string_view name) noexcept;

/// Lines of a trailer section out of fields; empty when one of them can't stand on a line of its own.
class TrailerText {
 public:
  void begin(std::size_t limit) noexcept;
  bool add(std::string_view name, std::string_view value);
  /// `name: value CRLF` for each field.
  [[nodiscard]] std::string_view lines() const noexcept { return bad_ ? std::string_view() : lines_; }

 private:
  std::string lines_;
  std::size_t limit_ = 0;
  bool bad_ = false;
};

}  // namespace portico::proxy::h2
