// A body decodes to the same bytes however it arrives, in pieces and totals within the bounds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/decoder.hpp"

using namespace portico::telemetry;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

struct Outcome {
  std::string plain;
  ContentDecoder::Status status = ContentDecoder::Status::ok;
};

Outcome decode(Coding coding, std::string_view bytes, std::size_t step) {
  constexpr DecodeBounds bounds{.allowance = 4096, .ratio = 50, .total = 1 << 20};
  ContentDecoder decoder(coding, bounds);
  Outcome outcome;
  std::size_t in = 0;
  for (; in < bytes.size(); in += step) {
    decoder.feed(bytes.substr(in, step), [&outcome](std::string_view piece) {
      check(!piece.empty() && piece.size() <= ContentDecoder::piece_limit);
      outcome.plain += piece;
    });
    check(!bounds.exceeded(bytes.size(), outcome.plain.size()));
  }
  outcome.status = decoder.status();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr Coding codings[]{Coding::gzip, Coding::deflate, Coding::br, Coding::zstd};
  const Coding coding = codings[data[0] % 4];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Outcome whole = decode(coding, bytes, bytes.size() + 1);
  const Outcome split = decode(coding, bytes, data[1] + 1U);
  // How much had come in when the bound was met depends on how it came.
  const bool bounded = whole.status == ContentDecoder::Status::too_much ||
                       split.status == ContentDecoder::Status::too_much ||
                       whole.status == ContentDecoder::Status::error;
  const std::size_t common = std::min(whole.plain.size(), split.plain.size());
  check(whole.plain.compare(0, common, split.plain, 0, common) == 0);
  check(bounded || (whole.status == split.status && whole.plain.size() == split.plain.size()));
  return 0;
}
