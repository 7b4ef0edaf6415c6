#include "telemetry/tap/decoder.hpp"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <utility>

namespace portico::telemetry {

/// One decompressor. Each call takes input and fills `out` until one of them is used up or the data ends.
class ContentDecoder::Engine {
 public:
  struct Outcome {
    std::size_t in = 0;
    std::size_t out = 0;
    Status status = Status::ok;
  };
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;
  virtual Outcome run(std::string_view in, std::span<char> out) noexcept = 0;
};

namespace {

using Status = ContentDecoder::Status;
using Outcome = ContentDecoder::Engine::Outcome;

constexpr int zlib_window_bits = 15;
constexpr int zlib_gzip_only = 16;  // added to the window bits
constexpr int zstd_window_log = 23;

Bytef* bytes_of(std::string_view text) noexcept {
  // zlib's own interface takes input as non-const and never writes to it.
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

/// A zlib stream that is ended exactly if it was begun.
class Zlib {
 public:
  Zlib() = default;
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;
  ~Zlib() {
    if (begun_) inflateEnd(&stream_);
  }

  bool begin(int window_bits) noexcept {
    begun_ = inflateInit2(&stream_, window_bits) == Z_OK;
    return begun_;
  }
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  bool restart() noexcept { return inflateReset(&stream_) == Z_OK; }

  Outcome run(std::string_view in, std::span<char> out) noexcept {
    in = in.substr(0, std::numeric_limits<uInt>::max());
    stream_.next_in = bytes_of(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    Outcome outcome{in.size() - stream_.avail_in, out.size() - stream_.avail_out, Status::ok};
    if (result == Z_STREAM_END) {
      outcome.status = Status::end;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      // Z_BUF_ERROR only says that nothing could be done for want of input.
      outcome.status = Status::error;
    }
    return outcome;
  }

 private:
  z_stream stream_{};
  bool begun_ = false;
};

/// gzip (RFC 1952): members one after another. What follows the last one and does not begin like another
/// (padding, mostly) is passed over, as browsers do.
class Gzip final : public ContentDecoder::Engine {
 public:
  Outcome run(std::string_view in, std::span<char> out) noexcept override {
    if (!zlib_.begun() && !zlib_.begin(zlib_window_bits + zlib_gzip_only)) return {0, 0, Status::error};
    if (ended_ && !in.empty()) {
      padding_ = padding_ || in.front() != '\x1f';
      if (padding_) return {in.size(), 0, Status::end};
      ended_ = false;
      if (!zlib_.restart()) return {0, 0, Status::error};
    }
    if (ended_) return {0, 0, Status::end};
    const Outcome outcome = zlib_.run(in, out);
    ended_ = outcome.status == Status::end;
    return outcome;
  }

 private:
  Zlib zlib_;
  bool ended_ = false;
  bool padding_ = false;
};

/// `deflate` means the zlib format (RFC 9110 section 8.4.1.2), but some send the bare stream. The first two
/// bytes tell: a zlib header is a multiple of 31 and names the method, which a bare stream begins with only
/// if its first block is stored and its padding bits are set, and no compressor writes that.
class Deflate final : public ContentDecoder::Engine {
 public:
  Outcome run(std::string_view in, std::span<char> out) noexcept override {
    if (ended_) return {in.size(), 0, Status::end};
    if (zlib_.begun()) return track(zlib_.run(in, out));

    const std::size_t taken = std::min(in.size(), head_.size() - head_size_);
    in.copy(head_.data() + head_size_, taken);
    head_size_ += taken;
    if (head_size_ < head_.size()) return {taken, 0, Status::ok};
    if (!zlib_.begin(wrapped() ? zlib_window_bits : -zlib_window_bits)) return {taken, 0, Status::error};
    const Outcome outcome = track(zlib_.run({head_.data(), head_.size()}, out));
    return {taken, outcome.out, outcome.status};
  }

 private:
  [[nodiscard]] bool wrapped() const noexcept {
    const unsigned first = static_cast<unsigned char>(head_[0]);
    const unsigned second = static_cast<unsigned char>(head_[1]);
    return (first & 0x0FU) == Z_DEFLATED && (first * 256 + second) % 31 == 0;
  }
  Outcome track(Outcome outcome) noexcept {
    ended_ = outcome.status == Status::end;
    return outcome;
  }

  Zlib zlib_;
  std::array<char, 2> head_{};
  std::size_t head_size_ = 0;
  bool ended_ = false;
};

class Brotli final : public ContentDecoder::Engine {
 public:
  Brotli() noexcept : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}

  Outcome run(std::string_view in, std::span<char> out) noexcept override {
    if (state_ == nullptr) return {0, 0, Status::error};
    if (ended_) return {in.size(), 0, Status::end};
    std::size_t in_left = in.size();
    std::size_t out_left = out.size();
    const auto* next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    auto* next_out = reinterpret_cast<std::uint8_t*>(out.data());
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state_.get(), &in_left, &next_in, &out_left, &next_out, nullptr);
    ended_ = result == BROTLI_DECODER_RESULT_SUCCESS;
    Outcome outcome{in.size() - in_left, out.size() - out_left, Status::ok};
    if (ended_) outcome.status = Status::end;
    if (result == BROTLI_DECODER_RESULT_ERROR) outcome.status = Status::error;
    return outcome;
  }

 private:
  struct Destroy {
    void operator()(BrotliDecoderState* state) const noexcept { BrotliDecoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliDecoderState, Destroy> state_;
  bool ended_ = false;
};

/// zstd (RFC 8878): frames one after another, skippable ones among them. The window is held to the 8 MiB that
/// RFC 9659 allows for this content coding.
class Zstd final : public ContentDecoder::Engine {
 public:
  Zstd() noexcept : context_(ZSTD_createDCtx()) {
    if (context_ != nullptr) ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, zstd_window_log);
  }

  Outcome run(std::string_view in, std::span<char> out) noexcept override {
    if (context_ == nullptr) return {0, 0, Status::error};
    if (magic_size_ == magic_.size()) return decode(in, out);

    // A frame's first four bytes are looked at here, because the library may have been built to read the
    // formats of its early releases, whose decoders know no bound for the window.
    const std::size_t taken = std::min(in.size(), magic_.size() - magic_size_);
    in.copy(magic_.data() + magic_size_, taken);
    magic_size_ += taken;
    if (magic_size_ < magic_.size()) {
      return {taken, 0, magic_size_ == 0 && ended_ ? Status::end : Status::ok};
    }
    if (!known_magic()) return {taken, 0, Status::error};
    const Outcome outcome = decode({magic_.data(), magic_.size()}, out);
    return {taken, outcome.out, outcome.status};
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };

  [[nodiscard]] bool known_magic() const noexcept {
    std::uint32_t magic = 0;
    for (std::size_t i = magic_.size(); i-- > 0;) magic = magic << 8U | static_cast<unsigned char>(magic_[i]);
    return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
  }

  Outcome decode(std::string_view in, std::span<char> out) noexcept {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t result = ZSTD_decompressStream(context_.get(), &output, &input);
    if (ZSTD_isError(result) != 0) return {input.pos, output.pos, Status::error};
    if (result == 0) {
      ended_ = true;
      magic_size_ = 0;
    }
    return {input.pos, output.pos, result == 0 ? Status::end : Status::ok};
  }

  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::array<char, 4> magic_{};
  std::size_t magic_size_ = 0;
  bool ended_ = false;  ///< a frame did
};

/// Nothing without memory. Identity and `other` need no engine.
std::unique_ptr<ContentDecoder::Engine> make_engine(Coding coding) noexcept {
  using Owner = std::unique_ptr<ContentDecoder::Engine>;
  switch (coding) {
    case Coding::gzip:
      return Owner(new (std::nothrow) Gzip);
    case Coding::deflate:
      return Owner(new (std::nothrow) Deflate);
    case Coding::br:
      return Owner(new (std::nothrow) Brotli);
    case Coding::zstd:
      return Owner(new (std::nothrow) Zstd);
    case Coding::identity:
    case Coding::other:
      break;
  }
  return nullptr;
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return std::ranges::equal(
      text, lower, {}, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

}  // namespace

Coding coding_of(std::string_view content_encoding) noexcept {
  constexpr std::string_view blanks = " \t";
  content_encoding.remove_prefix(
      std::min(content_encoding.find_first_not_of(blanks), content_encoding.size()));
  content_encoding = content_encoding.substr(0, content_encoding.find_last_not_of(blanks) + 1);
  if (content_encoding.empty()) return Coding::identity;
  constexpr std::array<std::pair<std::string_view, Coding>, 6> names{{{"gzip", Coding::gzip},
                                                                      {"x-gzip", Coding::gzip},
                                                                      {"br", Coding::br},
                                                                      {"zstd", Coding::zstd},
                                                                      {"deflate", Coding::deflate},
                                                                      {"identity", Coding::identity}}};
  for (const auto& [name, coding] : names) {
    if (equal_ignoring_case(content_encoding, name)) return coding;
  }
  return Coding::other;
}

ContentDecoder::ContentDecoder(Coding coding, const DecodeBounds& bounds) noexcept
    : bounds_(bounds), coding_(coding), status_(coding == Coding::other ? Status::error : Status::ok) {}

ContentDecoder::~ContentDecoder() = default;
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;

ContentDecoder::Status ContentDecoder::feed(std::string_view bytes, Sink sink) noexcept {
  if (bytes.empty() || status_ == Status::error || status_ == Status::too_much) return status_;
  if (coding_ == Coding::identity) {
    sink(bytes);
    return status_;
  }
  if (engine_ == nullptr) engine_ = make_engine(coding_);
  status_ = engine_ == nullptr ? Status::error : decode(bytes, sink);
  if (status_ == Status::error || status_ == Status::too_much) engine_.reset();
  return status_;
}

ContentDecoder::Status ContentDecoder::decode(std::string_view bytes, Sink sink) noexcept {
  std::array<char, piece_limit>
      piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
  while (true) {
    const Engine::Outcome outcome = engine_->run(bytes, piece);
    bytes.remove_prefix(outcome.in);
    in_ += outcome.in;
    out_ += outcome.out;
    if (bounds_.exceeded(in_, out_)) return Status::too_much;
    if (outcome.out != 0) sink({piece.data(), outcome.out});
    if (outcome.status == Status::error) return Status::error;
    // A full piece may leave more inside the engine.
    if (bytes.empty() && outcome.out < piece.size()) return outcome.status;
    if (outcome.in == 0 && outcome.out == 0) return Status::error;
  }
}

}  // namespace portico::telemetry
