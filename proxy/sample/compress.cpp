#include "proxy/sample/compress.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace portico::sample {
namespace {

constexpr std::size_t piece_size = 16384;
constexpr std::array<std::string_view, 5> names{"", "gzip", "deflate", "br", "zstd"};

class Zlib final : public Compressor {
 public:
  explicit Zlib(bool gzip) {
    constexpr int window_bits = 15;
    constexpr int gzip_format = 16;
    constexpr int memory_level = 8;
    if (deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, gzip ? window_bits + gzip_format : window_bits,
                     memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::runtime_error("zlib has no memory");
    }
  }
  ~Zlib() override { deflateEnd(&stream_); }
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;

  std::string add(std::string_view bytes) override { return run(bytes, Z_SYNC_FLUSH); }
  std::string finish() override { return run({}, Z_FINISH); }

 private:
  std::string run(std::string_view bytes, int flush) {
    std::string out;
    std::array<char, piece_size> piece{};
    // zlib's own interface takes input as non-const and never writes to it.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream_.avail_out = static_cast<uInt>(piece.size());
      deflate(&stream_, flush);
      out.append(piece.data(), piece.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out;
  }

  z_stream stream_{};
};

class Brotli final : public Compressor {
 public:
  Brotli() : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) throw std::runtime_error("brotli has no memory");
    constexpr std::uint32_t quality = 3;
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, quality);
  }

  std::string add(std::string_view bytes) override { return run(bytes, BROTLI_OPERATION_FLUSH); }
  std::string finish() override { return run({}, BROTLI_OPERATION_FINISH); }

 private:
  struct Destroy {
    void operator()(BrotliEncoderState* state) const noexcept { BrotliEncoderDestroyInstance(state); }
  };

  std::string run(std::string_view bytes, BrotliEncoderOperation operation) {
    std::string out;
    std::array<std::uint8_t, piece_size> piece{};
    const auto* next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::size_t in_left = bytes.size();
    do {
      std::uint8_t* next_out = piece.data();
      std::size_t out_left = piece.size();
      if (BrotliEncoderCompressStream(state_.get(), operation, &in_left, &next_in, &out_left, &next_out,
                                      nullptr) != BROTLI_TRUE) {
        throw std::runtime_error("brotli has no memory");
      }
      out.append(reinterpret_cast<const char*>(piece.data()), piece.size() - out_left);
    } while (in_left != 0 || BrotliEncoderHasMoreOutput(state_.get()) == BROTLI_TRUE);
    return out;
  }

  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

class Zstd final : public Compressor {
 public:
  Zstd() : context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) throw std::runtime_error("zstd has no memory");
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, 1);
  }

  std::string add(std::string_view bytes) override { return run(bytes, ZSTD_e_flush); }
  std::string finish() override { return run({}, ZSTD_e_end); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };

  std::string run(std::string_view bytes, ZSTD_EndDirective directive) {
    std::string out;
    std::array<char, piece_size> piece{};
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    std::size_t left = 0;
    do {
      ZSTD_outBuffer output{piece.data(), piece.size(), 0};
      left = ZSTD_compressStream2(context_.get(), &output, &input, directive);
      if (ZSTD_isError(left) != 0) throw std::runtime_error(ZSTD_getErrorName(left));
      out.append(piece.data(), output.pos);
    } while (left != 0);
    return out;
  }

  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

}  // namespace

std::string_view name_of(ContentCoding coding) noexcept { return names[static_cast<std::size_t>(coding)]; }

ContentCoding coding_named(std::string_view name) noexcept {
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<ContentCoding>(i);
  }
  return ContentCoding::identity;
}

std::unique_ptr<Compressor> make_compressor(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::identity:
      break;
    case ContentCoding::gzip:
    case ContentCoding::deflate:
      return std::make_unique<Zlib>(coding == ContentCoding::gzip);
    case ContentCoding::br:
      return std::make_unique<Brotli>();
    case ContentCoding::zstd:
      return std::make_unique<Zstd>();
  }
  return nullptr;
}

std::string compressed(ContentCoding coding, std::string body) {
  const auto compressor = make_compressor(coding);
  if (compressor == nullptr) return body;
  std::string out = compressor->add(body);
  out += compressor->finish();
  return out;
}

}  // namespace portico::sample
