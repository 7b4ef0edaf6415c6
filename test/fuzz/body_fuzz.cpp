// A body's payload, forwarded bytes and end do not depend on how it arrives, and what was forwarded reads as
// the same body again: nothing passes that the next reader could take for more or less.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/h1/body.hpp"

using namespace portico::proxy::h1;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

struct Outcome {
  std::string payload;
  std::string forwarded;
  std::size_t taken = 0;
  BodyReader::Status status = BodyReader::Status::more;
  BodyError error = BodyError::none;

  bool operator==(const Outcome& other) const {
    // How far the reader had got when it met an error depends on what it could see.
    return payload == other.payload && forwarded == other.forwarded && status == other.status &&
           error == other.error && (taken == other.taken || status == BodyReader::Status::error);
  }
};

Outcome read(BodyReader& reader, std::string_view bytes, std::size_t step) {
  Outcome outcome;
  while (outcome.taken < bytes.size() && outcome.status == BodyReader::Status::more) {
    const std::string_view input = bytes.substr(outcome.taken, step);
    const auto piece = reader.next(input);
    check(piece.forward <= piece.consumed && piece.consumed <= input.size());
    check(piece.consumed != 0 || piece.status != BodyReader::Status::more);
    outcome.payload += piece.payload;
    outcome.forwarded += input.substr(0, piece.forward);
    outcome.taken += piece.consumed;
    outcome.status = piece.status;
  }
  outcome.error = reader.error();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  BodyReader whole(Framing::chunked, 0);
  BodyReader split(Framing::chunked, 0);
  const Outcome expected = read(whole, bytes, bytes.size());
  check(read(split, bytes, data[0] + 1U) == expected);
  check(whole.has_trailers() == split.has_trailers());
  if (expected.status != BodyReader::Status::done) return 0;

  const std::string ends[] = {whole.has_trailers() ? whole.write_trailers(true) : "",
                              whole.has_trailers() ? whole.write_trailers(false) : ""};
  for (const std::string& end : ends) {
    BodyReader next(Framing::chunked, 0);
    const Outcome again = read(next, expected.forwarded + end, size + end.size());
    check(again.status == BodyReader::Status::done && again.payload == expected.payload);
    check(again.taken == expected.forwarded.size() + end.size());
  }
  return 0;
}
