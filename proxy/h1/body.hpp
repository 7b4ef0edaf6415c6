#pragma once
// Following the framing of an HTTP/1.x body (RFC 9112 sections 6 and 7) without rebuilding it.
//
// The reader is shown the bytes as they arrive, says which of them belong to the body and which of those
// are payload, and refuses what is not exactly chunked coding. The raw bytes are passed on as they are;
// the payload spans are what a tap, an HTTP/1.0 client or an HTTP/2 stream gets.
//
// owns:    a few integers; the trailer section, if there is one, in a string of at most max_trailer bytes
// threads: one
// bytes:   never copied, except trailer lines
// errors:  BodyError, never an exception

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {

enum class BodyError : std::uint8_t {
  none,
  bad_chunk_size,        ///< not 1 to 16 hexadecimal digits, or above 2^62
  bad_chunk_extension,   ///< control byte or bare LF/CR in it, or longer than 1 KiB
  bad_chunk_terminator,  ///< chunk data not followed by CRLF
  bad_trailer,           ///< not a field line
  trailer_too_large,     ///< above 16 KiB
};

class BodyReader {
 public:
  enum class Status : std::uint8_t { more, done, error };

  struct Piece {
    std::string_view payload;  ///< body content inside the consumed bytes, at most one run; may be empty
    std::size_t consumed = 0;  ///< bytes taken from the front of the input
    std::size_t forward = 0;   ///< of those, how many go on as they are (all, but for a trailer section)
    Status status = Status::more;
  };

  BodyReader() = default;
  /// until_close never says done: the end of the connection is the end of the body.
  BodyReader(Framing framing, std::uint64_t content_length) noexcept;

  /// Takes bytes from `input` up to and including the next run of payload, or all of it. Call again with the
  /// rest until everything is consumed or the status is not `more`. After `done` the rest of the input
  /// belongs to the next message. The sequence of payload bytes, forwarded bytes and the final status do not
  /// depend on how the input is split.
  Piece next(std::string_view input) noexcept;

  [[nodiscard]] bool done() const noexcept;
  [[nodiscard]] BodyError error() const noexcept { return error_; }
  [[nodiscard]] Framing framing() const noexcept { return framing_; }
  /// Payload bytes that are known to be still missing; 0 for until_close.
  [[nodiscard]] std::uint64_t remaining() const noexcept { return remaining_; }
  /// True when a trailer section was read: the caller then ends the forwarded message itself, with
  /// write_trailers().
  [[nodiscard]] bool has_trailers() const noexcept { return !trailers_.empty(); }
  /// The bytes that end a chunked message after what `forward` covered: the trailer fields that may be
  /// relayed (none that frame, route, authenticate or name the client: RFC 9110 section 6.5.1) when `relay`,
  /// and the empty line.
  [[nodiscard]] std::string write_trailers(bool relay) const;

 private:
  enum class State : std::uint8_t;
  Framing framing_ = Framing::none;
  BodyError error_ = BodyError::none;
  std::uint8_t state_ = 0;
  std::uint64_t remaining_ = 0;
  std::uint32_t count_ = 0;
  std::string trailers_;
};

}  // namespace portico::proxy::h1
