#pragma once
// Content codings, decoded on the side: bytes of a body in, its plain bytes out, piece by piece.
//
// Input may be cut anywhere, within a header or a code too; the plain bytes are the same. Nothing of the
// output is collected.
//
// owns:    the state of one decompressor, from the first byte until error or too_much. At most 0.1 MiB for
// gzip
//          and deflate, the window (8 MiB) and two blocks for zstd, 17 MiB for br; the pages of a window are
//          touched only as output fills them, so the ratio bound holds for the memory in use too
// threads: one at a time
// bytes:   input is borrowed for the call; a piece of output is borrowed by the sink for its call
// errors:  never throws; without memory the status is error

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "telemetry/tap/function_ref.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// The coding that a Content-Encoding value names: case and blanks around it do not matter, `x-gzip` is gzip,
/// empty is identity. A list of codings or an unknown one is `other`.
Coding coding_of(std::string_view content_encoding) noexcept;

/// How much may come out of what went in.
struct DecodeBounds {
  /// Out at most `allowance + ratio * in`, and at most `total`. Text and JSON compress ten- to thirtyfold; a
  /// bomb does a thousandfold (deflate) or more. The allowance is what a small, very regular body needs. Both
  /// together bound the processor time that a byte from outside can cost.
  std::uint64_t allowance = 64ULL * 1024;
  std::uint64_t ratio = 200;
  std::uint64_t total = 1024ULL * 1024 * 1024;

  [[nodiscard]] bool exceeded(std::uint64_t in, std::uint64_t out) const noexcept {
    return out > total || out > allowance + ratio * in;
  }
};

class ContentDecoder {
 public:
  /// The longest piece that a sink is given (but identity passes its input on as it came).
  static constexpr std::size_t piece_limit = std::size_t{16} * 1024;

  enum class Status : std::uint8_t {
    ok,        ///< more may come. A body that ends here was cut off, unless its coding is identity
    end,       ///< the compressed data is complete; gzip and zstd go on if another member follows
    error,     ///< no such data, or no memory; further input is ignored
    too_much,  ///< the bounds were reached; further input is ignored
  };

  using Sink = FunctionRef<void(std::string_view)>;

  /// A decoder for `other` is in error from the start.
  explicit ContentDecoder(Coding coding, const DecodeBounds& bounds = {}) noexcept;
  ~ContentDecoder();
  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;

  /// Decodes `bytes` and hands what comes out to `sink`, in order, in pieces that are not empty.
  Status feed(std::string_view bytes, Sink sink) noexcept;
  [[nodiscard]] Status status() const noexcept { return status_; }

  class Engine;

 private:
  Status decode(std::string_view bytes, Sink sink) noexcept;

  std::unique_ptr<Engine> engine_;
  DecodeBounds bounds_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  Coding coding_;
  Status status_ = Status::ok;
};

}  // namespace portico::telemetry
