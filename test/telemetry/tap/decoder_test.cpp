#include "telemetry/tap/decoder.hpp"

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/compressors.hpp"

using namespace portico::telemetry;
using namespace portico::test;
using Status = ContentDecoder::Status;

namespace {

struct Outcome {
  std::string plain;
  Status status = Status::ok;
  std::size_t longest = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Feeds `bytes` cut into steps; the last size is used for all that follow.
Outcome decode(Coding coding, std::string_view bytes, const std::vector<std::size_t>& steps,
               const DecodeBounds& bounds = {}) {
  ContentDecoder decoder(coding, bounds);
  Outcome outcome;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::string_view piece = bytes.substr(0, steps[std::min(i, steps.size() - 1)]);
    bytes.remove_prefix(piece.size());
    // A copy of the piece's own size, so that a reader beyond its end is caught.
    const std::vector<char> copy(piece.begin(), piece.end());
    decoder.feed({copy.data(), copy.size()}, [&outcome](std::string_view plain) {
      REQUIRE_FALSE(plain.empty());
      outcome.plain += plain;
      outcome.longest = std::max(outcome.longest, plain.size());
    });
  }
  outcome.status = decoder.status();
  return outcome;
}

Outcome whole(Coding coding, std::string_view bytes, const DecodeBounds& bounds = {}) {
  return decode(coding, bytes, {bytes.size()}, bounds);
}

std::string json_like(std::size_t events) {
  std::string text;
  for (std::size_t i = 0; i < events; ++i) {
    text += "data: {\"id\":\"chatcmpl-" + std::to_string(i * 7919) +
            "\",\"choices\":[{\"delta\":{\"content\":\"tok" + std::to_string(i) + "\"}}]}\n\n";
  }
  return text;
}

std::string compressed(Coding coding, std::string_view plain) {
  switch (coding) {
    case Coding::gzip:
      return deflated(plain, gzip_format);
    case Coding::deflate:
      return deflated(plain, zlib_format);
    case Coding::br:
      return brotli(plain);
    case Coding::zstd:
      return zstd(plain);
    case Coding::identity:
    case Coding::other:
      break;
  }
  return std::string(plain);
}

constexpr std::array<Coding, 4> codings{Coding::gzip, Coding::deflate, Coding::br, Coding::zstd};

}  // namespace

TEST_CASE("a content coding is known by its name, in any case and with blanks around") {
  const std::vector<std::pair<std::string_view, Coding>> cases{
      {"", Coding::identity},      {"identity", Coding::identity}, {"gzip", Coding::gzip},
      {"x-gzip", Coding::gzip},    {" GZip\t", Coding::gzip},      {"deflate", Coding::deflate},
      {"br", Coding::br},          {"zstd", Coding::zstd},         {"ZSTD", Coding::zstd},
      {"gzip, br", Coding::other}, {"compress", Coding::other},    {"gzi", Coding::other},
      {"  ", Coding::identity}};
  for (const auto& [value, coding] : cases) {
    CAPTURE(value);
    CHECK(coding_of(value) == coding);
  }
}

TEST_CASE("identity passes its input on as it is") {
  CHECK(whole(Coding::identity, "plain") == Outcome{"plain", Status::ok, 5});
}

TEST_CASE("a coding that is not known is an error from the start") {
  ContentDecoder decoder(Coding::other);
  CHECK(decoder.status() == Status::error);
  CHECK(decoder.feed("x", [](std::string_view) { FAIL("nothing can come out"); }) == Status::error);
}

TEST_CASE("a body split anywhere decodes as the whole") {
  const std::string plain = json_like(40);
  for (const Coding coding : codings) {
    const std::string bytes = compressed(coding, plain);
    CAPTURE(name_of(coding), bytes.size());
    const Outcome expected = whole(coding, bytes);
    REQUIRE(expected.plain == plain);
    REQUIRE(expected.status == Status::end);
    CHECK(decode(coding, bytes, {1}).plain == plain);
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      const Outcome split = decode(coding, bytes, {at, bytes.size()});
      if (split.plain != plain || split.status != Status::end) FAIL("split at " << at);
    }
  }
}

TEST_CASE("a long body comes in pieces of bounded size") {
  const std::string plain = json_like(9000);
  for (const Coding coding : codings) {
    CAPTURE(name_of(coding));
    const Outcome outcome = whole(coding, compressed(coding, plain));
    CHECK(outcome.plain == plain);
    CHECK(outcome.status == Status::end);
    CHECK(outcome.longest <= ContentDecoder::piece_limit);
  }
}

TEST_CASE("deflate is read with the wrapper of zlib and bare") {
  for (const std::string& plain : {std::string("a"), std::string(), json_like(100)}) {
    for (const int format : {zlib_format, raw_format}) {
      CAPTURE(plain.size(), format);
      const std::string bytes = deflated(plain, format);
      CHECK(whole(Coding::deflate, bytes).plain == plain);
      CHECK(decode(Coding::deflate, bytes, {1}).plain == plain);
      CHECK(decode(Coding::deflate, bytes, {1}).status == Status::end);
    }
  }
}

TEST_CASE("members of gzip and frames of zstd follow one another") {
  for (const Coding coding : {Coding::gzip, Coding::zstd}) {
    CAPTURE(name_of(coding));
    const std::string bytes =
        compressed(coding, "first ") + compressed(coding, "") + compressed(coding, "second");
    for (const std::size_t step : {bytes.size(), std::size_t{1}, std::size_t{3}}) {
      const Outcome outcome = decode(coding, bytes, {step});
      CHECK(outcome.plain == "first second");
      CHECK(outcome.status == Status::end);
    }
  }
}

TEST_CASE("a skippable frame of zstd is passed over") {
  const std::string skippable = std::string("\x53\x2a\x4d\x18\x03\x00\x00\x00", 8) + "abc";
  CHECK(whole(Coding::zstd, skippable + zstd("text")) == Outcome{"text", Status::end, 4});
}

TEST_CASE("what follows the last member of gzip is passed over, even what looks like another one later") {
  const std::string member = deflated("text", gzip_format);
  for (const std::string& tail : {std::string(3, '\0'), std::string("garbage"), '\n' + member}) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{1000}}) {
      const Outcome outcome = decode(Coding::gzip, member + tail, {step});
      CHECK(outcome.plain == "text");
      CHECK(outcome.status == Status::end);
    }
  }
}

TEST_CASE("a body that was cut off gives what came before and does not end") {
  const std::string plain = json_like(400);
  for (const Coding coding : codings) {
    const std::string bytes = compressed(coding, plain);
    for (const std::size_t kept : {std::size_t{1}, std::size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
      CAPTURE(name_of(coding), kept);
      const Outcome outcome = whole(coding, std::string_view(bytes).substr(0, kept));
      CHECK(outcome.status == Status::ok);
      CHECK(std::string_view(plain).substr(0, outcome.plain.size()) == outcome.plain);
    }
  }
}

TEST_CASE("what a compressor has flushed can be read at once") {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_format, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
  ContentDecoder decoder(Coding::gzip);
  std::string plain;
  for (const std::string event : {"data: one\n\n", "data: two\n\n"}) {
    std::array<char, 256> out{};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(event.data()));
    stream.avail_in = static_cast<uInt>(event.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = out.size();
    REQUIRE(deflate(&stream, Z_SYNC_FLUSH) == Z_OK);
    plain.clear();
    decoder.feed({out.data(), out.size() - stream.avail_out},
                 [&plain](std::string_view piece) { plain += piece; });
    CHECK(plain == event);
  }
  deflateEnd(&stream);
}

TEST_CASE("bytes that are no such data are an error, and what follows is ignored") {
  for (const Coding coding : codings) {
    CAPTURE(name_of(coding));
    const std::string_view garbage = "{\"error\":\"this is plain JSON under a wrong label\"}\xff\xff\xff\xff";
    ContentDecoder decoder(coding);
    decoder.feed(garbage, [](std::string_view) {});
    CHECK(decoder.status() == Status::error);
    CHECK(decoder.feed(compressed(coding, "late"), [](std::string_view) { FAIL("ignored"); }) ==
          Status::error);
  }
}

TEST_CASE("a flipped bit never gives more than an error") {
  std::mt19937 random(7);
  const std::string plain = json_like(60);
  for (const Coding coding : codings) {
    const std::string bytes = compressed(coding, plain);
    for (int round = 0; round < 300; ++round) {
      std::string broken = bytes;
      broken[random() % broken.size()] ^= static_cast<char>(1U << random() % 8);
      const Outcome at_once = whole(coding, broken);
      const Outcome byte_by_byte = decode(coding, broken, {1});
      CHECK(at_once.status == byte_by_byte.status);
      CHECK(at_once.longest <= ContentDecoder::piece_limit);
    }
  }
}

TEST_CASE("a bomb is given up at the bound") {
  const std::string zeros(32 * 1024 * 1024, '\0');
  for (const Coding coding : codings) {
    CAPTURE(name_of(coding));
    const std::string bomb = compressed(coding, zeros);
    const Outcome outcome = whole(coding, bomb);
    CHECK(outcome.status == Status::too_much);
    CHECK(outcome.plain.size() <= 64 * 1024 + 200 * bomb.size());
    CHECK(decode(coding, bomb, {1}).status == Status::too_much);
  }
}

TEST_CASE("a small and very regular body is within the allowance") {
  for (const Coding coding : codings) {
    CAPTURE(name_of(coding));
    CHECK(whole(coding, compressed(coding, std::string(64 * 1024, ' '))).status == Status::end);
  }
}

TEST_CASE("the total bounds an honest body too") {
  const std::string plain = json_like(1000);
  const DecodeBounds bounds{.total = 20'000};
  for (const Coding coding : codings) {
    CAPTURE(name_of(coding));
    const Outcome outcome = whole(coding, compressed(coding, plain), bounds);
    CHECK(outcome.status == Status::too_much);
    CHECK(outcome.plain.size() <= bounds.total);
  }
}

TEST_CASE("bounds hold to the byte") {
  constexpr DecodeBounds bounds{.allowance = 10, .ratio = 3, .total = 100};
  CHECK_FALSE(bounds.exceeded(0, 10));
  CHECK_FALSE(bounds.exceeded(1, 13));
  CHECK(bounds.exceeded(1, 14));
  CHECK_FALSE(bounds.exceeded(1000, 100));
  CHECK(bounds.exceeded(1000, 101));
}

TEST_CASE("zstd with a window above 8 MiB is refused") {
  const std::string plain = json_like(20);
  CHECK(whole(Coding::zstd, zstd(plain, 23)).status == Status::end);
  CHECK(whole(Coding::zstd, zstd(plain, 24)).status == Status::error);
}

TEST_CASE("frames of zstd's early releases are refused") {
  CHECK(whole(Coding::zstd, std::string("\x27\xb5\x2f\xfd\x00\x00\x00\x00", 8)).status == Status::error);
}

TEST_CASE("a decoder goes on where it was moved to") {
  const std::string bytes = deflated("moved", gzip_format);
  ContentDecoder first(Coding::gzip);
  std::string plain;
  const auto keep = [&plain](std::string_view piece) { plain += piece; };
  first.feed(std::string_view(bytes).substr(0, 12), keep);
  ContentDecoder second(std::move(first));
  CHECK(second.feed(std::string_view(bytes).substr(12), keep) == Status::end);
  CHECK(plain == "moved");
}
