#include "proxy/h1/body.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace portico::proxy::h1 {
namespace {

using Status = BodyReader::Status;

struct Outcome {
  std::string payload;
  std::string forwarded;
  std::string rest;  // what was not consumed after done
  std::string trailers;
  Status status = Status::more;
  BodyError error = BodyError::none;

  bool operator==(const Outcome&) const = default;
};

// Reads `bytes`, of which `first` arrive alone and the rest in steps of `step`.
Outcome read(Framing framing, std::uint64_t length, const std::string& bytes, std::size_t first,
             std::size_t step) {
  BodyReader reader(framing, length);
  Outcome outcome;
  if (reader.done()) outcome.status = Status::done;
  std::size_t begin = 0;
  std::size_t end = first;
  while (begin != bytes.size() && outcome.status == Status::more) {
    // In memory of its own, so that a sanitizer sees a look behind the end of what has arrived.
    std::vector<char> memory(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                             bytes.begin() + static_cast<std::ptrdiff_t>(end));
    std::string_view input(memory.data(), memory.size());
    while (!input.empty() && outcome.status == Status::more) {
      const BodyReader::Piece piece = reader.next(input);
      REQUIRE(piece.consumed <= input.size());
      REQUIRE(piece.forward <= piece.consumed);
      REQUIRE((piece.consumed != 0 || piece.status == Status::error));
      outcome.payload += piece.payload;
      outcome.forwarded += input.substr(0, piece.forward);
      outcome.status = piece.status;
      input.remove_prefix(piece.consumed);
    }
    begin = end - input.size();
    end = std::min(end + step, bytes.size());
  }
  if (outcome.status == Status::done) {
    outcome.rest = bytes.substr(begin);
    if (reader.has_trailers()) outcome.trailers = reader.write_trailers(true);
  }
  outcome.error = reader.error();
  REQUIRE(reader.done() == (outcome.status == Status::done));
  return outcome;
}

Outcome read_chunked(const std::string& bytes) { return read(Framing::chunked, 0, bytes, bytes.size(), 1); }

BodyError error_of(const std::string& bytes) {
  const Outcome outcome = read_chunked(bytes);
  CHECK((outcome.status == Status::error) == (outcome.error != BodyError::none));
  return outcome.error;
}

std::string head_of_chunk(const std::string& size_line) { return size_line + "\r\n"; }

// A last chunk and a trailer section of exactly `size` bytes, its empty line included, in lines of a few
// hundred bytes.
std::string trailer_section(std::size_t size) {
  std::string section;
  while (size - 2 - section.size() > 600) section += "T: " + std::string(295, 'v') + "\r\n";
  section += "T: " + std::string(size - 2 - section.size() - 5, 'w') + "\r\n";
  return "0\r\n" + section + "\r\n";
}

const std::vector<std::string> samples = {
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1",
    "5\r\nhello\r\n00000000000000010\r\n",
    "1\r\na\r\n2;x=\"y\"\r\nbc\r\n0A \t; z\r\n0123\r\n6789\r\n000;last\r\n\r\n",
    "3\r\nabc\r\n0\r\nServer-Timing: a\r\nX: b\r\n\r\nrest",
    "0\r\nX:\r\n\r\n",
    "0\r\n\rX: y\r\n\r\n",
    "0\r\nX: y\r\n\rz\r\n",
    "0\r\nX: y\n\r\n",
    "0\r\nX: y\r\nZ\r\n\r\n",
    "0\r\n X: y\r\n\r\n",
    "0\r\nX: y\r\n z\r\n\r\n",
    "3\r\nabcd\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc\r0\r\n\r\n",
    "3;a\nb\r\nabc\r\n",
    "3;a\rb\r\nabc\r\n",
    "3\n",
    "3\rabc",
    "3 \r\nabc",
    "g\r\n",
    "5\r\nhel",
};

TEST_CASE("no body is done before it begins") {
  CHECK(BodyReader().done());
  CHECK(BodyReader(Framing::none, 0).done());
  CHECK(BodyReader(Framing::length, 0).done());
  CHECK(BodyReader().next("GET").consumed == 0);
  CHECK(BodyReader().next("GET").status == Status::done);
}

TEST_CASE("a body of a known length takes exactly that many bytes") {
  BodyReader reader(Framing::length, 7);
  auto piece = reader.next("abc");
  CHECK(piece.payload == "abc");
  CHECK(piece.status == Status::more);
  CHECK(reader.remaining() == 4);
  piece = reader.next("defgGET / HTTP/1.1");
  CHECK(piece.payload == "defg");
  CHECK(piece.consumed == 4);
  CHECK(piece.forward == 4);
  CHECK(piece.status == Status::done);
  CHECK(reader.done());
  CHECK(reader.next("GET").consumed == 0);
}

TEST_CASE("a body that ends with the connection is never done") {
  BodyReader reader(Framing::until_close, 0);
  const auto piece = reader.next("0\r\n\r\n");
  CHECK(piece.payload == "0\r\n\r\n");
  CHECK(piece.forward == 5);
  CHECK(piece.status == Status::more);
  CHECK_FALSE(reader.done());
  CHECK(reader.remaining() == 0);
}

TEST_CASE("payload is a view into the input, one run for each call") {
  BodyReader reader(Framing::chunked, 0);
  const std::string_view input = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  auto piece = reader.next(input);
  CHECK(piece.payload.data() == input.data() + 3);
  CHECK(piece.payload == "abc");
  CHECK(piece.consumed == 6);
  piece = reader.next(input.substr(6));
  CHECK(piece.payload == "de");
  CHECK(piece.consumed == 7);
  piece = reader.next(input.substr(13));
  CHECK(piece.payload.empty());
  CHECK(piece.consumed == 7);
  CHECK(piece.forward == 7);
  CHECK(piece.status == Status::done);
}

TEST_CASE("a chunk's missing bytes are known once its size is read") {
  BodyReader reader(Framing::chunked, 0);
  CHECK(reader.next("1A\r\n").status == Status::more);
  CHECK(reader.remaining() == 26);
  CHECK(reader.next("abc").payload == "abc");
  CHECK(reader.remaining() == 23);
}

TEST_CASE("a chunked body passes on as it came, and what follows is left alone") {
  const std::string body = "05;ext=\"a b\"\r\nhello\r\nA\r\n0\r\n\r\n56789\r\n000\r\n\r\n";
  const Outcome outcome = read_chunked(body + "GET");
  CHECK(outcome.status == Status::done);
  CHECK(outcome.payload == "hello0\r\n\r\n56789");
  CHECK(outcome.forwarded == body);
  CHECK(outcome.rest == "GET");
  CHECK(outcome.trailers.empty());
}

TEST_CASE("every split of a chunked body gives the same payload, forwarded bytes and end") {
  std::vector<std::string> bodies = samples;
  bodies.push_back("1;" + std::string(1100, 'x') + "\r\na");
  bodies.push_back(trailer_section(16 * 1024 + 1));
  for (const std::string& body : bodies) {
    INFO(body.substr(0, 100));
    const Outcome whole = read_chunked(body);
    // The long ones differ only around their limit and their ends.
    const std::size_t stride = body.size() > 1000 ? 97 : 1;
    for (std::size_t first = 1; first <= body.size(); first += stride) {
      REQUIRE(read(Framing::chunked, 0, body, first, body.size()) == whole);
      REQUIRE(read(Framing::chunked, 0, body, first, 7) == whole);
    }
    REQUIRE(read(Framing::chunked, 0, body, 1, 1) == whole);
  }
}

TEST_CASE("every split of a body of a known length gives the same") {
  const std::string body = "0123456789GET";
  const Outcome whole = read(Framing::length, 10, body, body.size(), 1);
  CHECK(whole.rest == "GET");
  for (std::size_t first = 1; first <= body.size(); ++first) {
    // Bytes that had not arrived when the body was done are not the reader's to count.
    CHECK(read(Framing::length, 10, body, first, 1) == whole);
    CHECK(read(Framing::length, 10, body, first, body.size()) == whole);
  }
}

TEST_CASE("a chunk size is 1 to 16 hexadecimal digits in either case") {
  CHECK(read_chunked("00000000000000aF\r\n").error == BodyError::none);
  for (const std::string bad : {"",
                                "-1",
                                "+1",
                                "0x5",
                                " 5",
                                "\t5",
                                "5 ",
                                "5\t",
                                "5 5",
                                "5g",
                                "g",
                                "5,",
                                "\"5\"",
                                "00000000000000005",
                                "ffffffffffffffffff",
                                "ffffffffffffffff",
                                "fffffffffffffffff",
                                "4000000000000001",
                                "8000000000000000",
                                "5\x0b",
                                "5\x80",
                                "5:",
                                "5=",
                                "1_0",
                                "5 x;"}) {
    INFO(bad);
    CHECK(error_of(head_of_chunk(bad)) == BodyError::bad_chunk_size);
  }
  CHECK(error_of(std::string("5\0\r\n", 4)) == BodyError::bad_chunk_size);
}

TEST_CASE("a chunk of 2^62 bytes is the largest") {
  BodyReader reader(Framing::chunked, 0);
  CHECK(reader.next("4000000000000000\r\n").status == Status::more);
  CHECK(reader.remaining() == std::uint64_t{1} << 62U);
}

TEST_CASE("a chunk size line ends with CRLF and nothing less") {
  CHECK(error_of("5\nhello\r\n") == BodyError::bad_chunk_size);
  CHECK(error_of("5\rhello\r\n") == BodyError::bad_chunk_size);
  CHECK(error_of("5\r\r\nhello") == BodyError::bad_chunk_size);
  CHECK(error_of("5 \n") == BodyError::bad_chunk_size);
}

TEST_CASE("a chunk extension has no control byte, no bare CR or LF and an end") {
  CHECK(error_of("1;a=b;c=\"d\t\x80\"\r\nx") == BodyError::none);
  CHECK(error_of("1 \t ;a\r\nx") == BodyError::none);
  CHECK(error_of("1;a\nb\r\n") == BodyError::bad_chunk_extension);
  CHECK(error_of("1;\n") == BodyError::bad_chunk_extension);
  CHECK(error_of("1;a\rb\r\n") == BodyError::bad_chunk_extension);
  CHECK(error_of("1;a\r\r\n") == BodyError::bad_chunk_extension);
  CHECK(error_of("1;a\x7f\r\n") == BodyError::bad_chunk_extension);
  CHECK(error_of(std::string("1;a\0\r\n", 6)) == BodyError::bad_chunk_extension);
}

TEST_CASE("a chunk extension of 1 KiB passes and one byte more does not, blanks counted") {
  CHECK(error_of("1;" + std::string(1023, 'a') + "\r\nx") == BodyError::none);
  CHECK(error_of("1;" + std::string(1024, 'a') + "\r\nx") == BodyError::bad_chunk_extension);
  CHECK(error_of("1 ;" + std::string(1022, 'a') + "\r\nx") == BodyError::none);
  CHECK(error_of("1 ;" + std::string(1023, 'a') + "\r\nx") == BodyError::bad_chunk_extension);
  CHECK(error_of("1" + std::string(1025, ' ')) == BodyError::bad_chunk_extension);
}

TEST_CASE("chunk data is followed by CRLF and nothing else") {
  for (const std::string bad : {"3\r\nabcd\r\n", "3\r\nabc\n", "3\r\nabc0\r\n\r\n", "3\r\nabc\rx",
                                "3\r\nabc\r\r\n", "3\r\nabc \r\n"}) {
    INFO(bad);
    CHECK(error_of(bad) == BodyError::bad_chunk_terminator);
  }
}

TEST_CASE("at an error everything before the offending byte was forwarded, and nothing after it is read") {
  BodyReader reader(Framing::chunked, 0);
  const std::string_view input = "3\r\nabcX\r\n";
  CHECK(reader.next(input).forward == 6);
  const auto piece = reader.next(input.substr(6));
  CHECK(piece.status == Status::error);
  CHECK(piece.forward == 0);
  CHECK(reader.error() == BodyError::bad_chunk_terminator);
  CHECK_FALSE(reader.done());
  const auto again = reader.next("\r\n0\r\n\r\n");
  CHECK(again.status == Status::error);
  CHECK(again.consumed == 0);
}

TEST_CASE("a trailer section is held back, and written by the caller if it relays trailers") {
  const std::string body = "3\r\nabc\r\n0\r\nServer-Timing:  a \r\nx-checksum: b\r\n\r\nrest";
  const Outcome outcome = read_chunked(body);
  CHECK(outcome.status == Status::done);
  CHECK(outcome.forwarded == "3\r\nabc\r\n0\r\n");
  CHECK(outcome.rest == "rest");
  CHECK(outcome.trailers == "Server-Timing:  a \r\nx-checksum: b\r\n\r\n");

  BodyReader reader(Framing::chunked, 0);
  const std::string_view last = "0\r\nX: y\r\n\r\n";
  const auto piece = reader.next(last);
  CHECK(piece.consumed == last.size());
  CHECK(piece.forward == 3);
  REQUIRE(reader.has_trailers());
  CHECK(reader.write_trailers(false) == "\r\n");
}

TEST_CASE("trailers that frame, route, authenticate or name the client are never relayed") {
  for (const std::string name : {"Transfer-Encoding",
                                 "Content-Length",
                                 "Trailer",
                                 "TE",
                                 "Host",
                                 "Connection",
                                 "Keep-Alive",
                                 "Upgrade",
                                 "Proxy-Connection",
                                 "Expect",
                                 "Max-Forwards",
                                 "Cache-Control",
                                 "Pragma",
                                 "Range",
                                 "If-Match",
                                 "If-None-Match",
                                 "If-Modified-Since",
                                 "If-Unmodified-Since",
                                 "If-Range",
                                 "Authorization",
                                 "Cookie",
                                 "Set-Cookie",
                                 "WWW-Authenticate",
                                 "Proxy-Authenticate",
                                 "Proxy-Authorization",
                                 "x-api-key",
                                 "X-Goog-Api-Key",
                                 "Content-Type",
                                 "Content-Encoding",
                                 "Content-Range",
                                 "Location",
                                 "Retry-After",
                                 "Vary",
                                 "Date",
                                 "Age",
                                 "Expires",
                                 "Warning",
                                 "X-Forwarded-For",
                                 "X-Forwarded-Port",
                                 "X-Real-IP",
                                 "Forwarded",
                                 "X-Request-Id",
                                 "Via",
                                 "Sec-WebSocket-Key",
                                 "Sec-WebSocket-Protocol"}) {
    INFO(name);
    const Outcome outcome = read_chunked("0\r\nX: y\r\n" + name + ": v\r\nETag: z\r\n\r\n");
    REQUIRE(outcome.status == Status::done);
    CHECK(outcome.trailers == "X: y\r\nETag: z\r\n\r\n");
  }
}

TEST_CASE("a trailer that is no field line is refused") {
  for (const std::string bad :
       {"X\r\n", ": v\r\n", "X : v\r\n", "X: v\n", " X: v\r\n", "\tX: v\r\n", "X: v\r\n w\r\n", "X: a\rb\r\n",
        "X: v\x01\r\n", "\n", "\rX", "GET / HTTP/1.1\r\n", "5\r\nhello\r\n", "X: v\r\n\n"}) {
    INFO(bad);
    CHECK(error_of("0\r\n" + bad + "\r\n") == BodyError::bad_trailer);
  }
}

TEST_CASE("a trailer section of 16 KiB passes and one byte more does not") {
  CHECK(error_of(trailer_section(16 * 1024)) == BodyError::none);
  CHECK(read_chunked(trailer_section(16 * 1024)).status == Status::done);
  CHECK(error_of(trailer_section(16 * 1024 + 1)) == BodyError::trailer_too_large);
  CHECK(error_of("0\r\nX: " + std::string(20000, 'v')) == BodyError::trailer_too_large);
}

}  // namespace
}  // namespace portico::proxy::h1
