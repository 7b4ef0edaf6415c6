#include "proxy/sample/zstd.hpp"

#include <zstd.h>

#include <memory>
#include <vector>

namespace portico::sample {

std::optional<std::string> decode_zstd(std::string_view bytes, std::size_t limit) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                          &ZSTD_freeDStream);
  std::string out;
  std::vector<char> piece(ZSTD_DStreamOutSize());
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  std::size_t missing = 1;
  while (true) {
    ZSTD_outBuffer output{piece.data(), piece.size(), 0};
    missing = ZSTD_decompressStream(stream.get(), &output, &input);
    if (ZSTD_isError(missing) != 0 || out.size() + output.pos > limit) return std::nullopt;
    out.append(piece.data(), output.pos);
    // A full output buffer may leave more inside the decoder.
    if (input.pos == input.size && output.pos < piece.size()) break;
  }
  if (missing != 0) return std::nullopt;
  return out;
}

}  // namespace portico::sample
