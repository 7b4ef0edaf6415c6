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
  bad_chunk_size,        ///< not 1 to 16 hexadecimal digits, above 2^62, or followed by neither CRLF nor `;`
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
    std::size_t forward = 0;   ///< of those, how many from the front go on as they are (all, but for a
                               ///< trailer section)
    Status status = Status::more;
  };

  BodyReader() = default;
  /// until_close never says done: the end of the connection is the end of the body.
  BodyReader(Framing framing, std::uint64_t content_length) noexcept;

  /// Takes bytes from `input` up to and including the next run of payload, or all of it. Call again with the
  /// rest until everything is consumed or the status is not `more`. After `done` the rest of the input
  /// belongs to the next message. At an error nothing from the offending byte on is forwarded, and every
  /// later call says error again. The sequence of payload bytes, forwarded bytes and the final status
  /// do not depend on how the input is split.
  Piece next(std::string_view input) noexcept;

  [[nodiscard]] bool done() const noexcept;
  [[nodiscard]] BodyError error() const noexcept { return error_; }
  [[nodiscard]] Framing framing() const noexcept { return framing_; }
  /// Payload bytes that are known to be still missing: of the whole body for length, of the current chunk for
  /// chunked (a size that is half read is a lower bound), 0 for until_close.
  [[nodiscard]] std::uint64_t remaining() const noexcept { return remaining_; }
  /// True when a trailer section was read: the caller then ends the forwarded message itself, with
  /// write_trailers().
  [[nodiscard]] bool has_trailers() const noexcept { return !trailers_.empty(); }
  /// The bytes that end a chunked message after what `forward` covered: the trailer fields that may be
  /// relayed (none that frame, route, authenticate or name the client: RFC 9110 section 6.5.1) when `relay`,
  /// and the empty line. Precondition: done() and has_trailers().
  [[nodiscard]] std::string write_trailers(bool relay) const;

 private:
  enum class State : std::uint8_t;

  Piece next_of_length(std::string_view input) noexcept;
  Piece next_chunked(std::string_view input) noexcept;
  BodyError step(char byte) noexcept;
  BodyError step_digit(std::uint64_t digit) noexcept;
  BodyError step_extension(char byte) noexcept;
  BodyError go(State state) noexcept;
  std::size_t take_trailer(std::string_view input) noexcept;

  Framing framing_ = Framing::none;
  BodyError error_ = BodyError::none;
  State state_{};                // done
  std::uint64_t remaining_ = 0;  // of the length, or of the chunk whose size was read
  std::size_t count_ = 0;        // digits of a chunk size, bytes of an extension, or whole lines in trailers_
  std::string trailers_;         // whole lines, and the one being read
};

}  // namespace portico::proxy::h1
