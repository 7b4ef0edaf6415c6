#include "telemetry/tap/ws_frames.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/compressors.hpp"

using namespace portico::telemetry;
using namespace portico::test;
using Sender = WsFrameReader::Sender;
using Status = WsFrameReader::Status;

namespace {

constexpr unsigned fin = 0x80;
constexpr unsigned rsv1 = 0x40;
constexpr unsigned continuation = 0;
constexpr unsigned text = 1;
constexpr unsigned binary = 2;
constexpr unsigned close_frame = 8;
constexpr unsigned ping = 9;
constexpr unsigned pong = 10;

char byte_of(std::uint64_t value) { return static_cast<char>(value & 0xFFU); }

/// A frame whose length has as many bytes as `length_bytes` says: 0, 2 or 8.
std::string frame(Sender sender, unsigned first, std::string_view payload, unsigned length_bytes) {
  const bool masked = sender == Sender::client;
  std::string out(1, byte_of(first));
  const unsigned short_length = length_bytes == 8   ? 127U
                                : length_bytes == 2 ? 126U
                                                    : static_cast<unsigned>(payload.size());
  out += byte_of((masked ? 0x80U : 0U) | short_length);
  for (unsigned i = length_bytes; i-- > 0;) out += byte_of(payload.size() >> (8U * i));
  if (!masked) return out += payload;
  const std::string key{byte_of(0xA7), byte_of(payload.size() * 31 + first), byte_of(0), byte_of(0x5C)};
  out += key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    out += byte_of(static_cast<unsigned char>(payload[i] ^ key[i % 4]));
  return out;
}

std::string frame(Sender sender, unsigned first, std::string_view payload) {
  return frame(sender, first, payload, payload.size() > 0xFFFF ? 8 : payload.size() > 125 ? 2 : 0);
}

std::string server(unsigned first, std::string_view payload) { return frame(Sender::server, first, payload); }
std::string client(unsigned first, std::string_view payload) { return frame(Sender::client, first, payload); }

/// What a reader told, its pieces joined: `t:` text, `b:` binary, `c:` close.
class Told final : public WsHandler {
 public:
  void on_piece(const WsPiece& piece) noexcept override {
    if (piece.first == in_message_) marks_right = false;
    if (piece.bytes.empty() && !piece.first && !piece.last) marks_right = false;
    if (piece.first) message_ = piece.text ? "t:" : "b:";
    message_ += piece.bytes;
    longest = std::max(longest, piece.bytes.size());
    in_message_ = !piece.last;
    if (piece.last) said.push_back(std::exchange(message_, {}));
  }
  void on_close(std::uint16_t code, std::string_view reason) noexcept override {
    said.push_back("c:" + std::to_string(code) + " " + std::string(reason));
  }

  std::vector<std::string> said;
  bool marks_right = true;
  std::size_t longest = 0;

  [[nodiscard]] const std::string& unfinished() const { return message_; }

 private:
  std::string message_;
  bool in_message_ = false;
};

struct Outcome {
  std::vector<std::string> said;
  std::string unfinished;
  Status status = Status::open;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  for (const std::string& message : outcome.said) out << message.substr(0, 60) << " | ";
  return out << "status " << static_cast<int>(outcome.status) << ", unfinished " << outcome.unfinished.size();
}

Outcome read_cut(Sender sender, std::string_view bytes, const std::vector<std::size_t>& steps,
                 const WsExtensions& extensions = {}) {
  WsFrameReader reader(sender, extensions);
  Told told;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::string_view piece = bytes.substr(0, steps[std::min(i, steps.size() - 1)]);
    bytes.remove_prefix(piece.size());
    const std::vector<char> copy(piece.begin(), piece.end());
    reader.feed({copy.data(), copy.size()}, told);
  }
  CHECK(told.marks_right);
  return {told.said, told.unfinished(), reader.status()};
}

Outcome read(Sender sender, std::string_view bytes, const WsExtensions& extensions = {}) {
  return read_cut(sender, bytes, {bytes.size()}, extensions);
}

using Said = std::vector<std::string>;

std::string event(std::size_t number) {
  return "{\"type\":\"response.output_text.delta\",\"sequence_number\":" + std::to_string(number) +
         ",\"delta\":\"word" + std::to_string(number * 37) + "\"}";
}

}  // namespace

TEST_CASE("messages of both kinds are read from both sides") {
  for (const Sender sender : {Sender::client, Sender::server}) {
    const std::string bytes = frame(sender, fin | text, "hello") +
                              frame(sender, fin | binary, std::string("\0\xff", 2)) +
                              frame(sender, fin | text, "");
    CHECK(read(sender, bytes) == Outcome{{"t:hello", std::string("b:\0\xff", 4), "t:"}, "", Status::open});
  }
}

TEST_CASE("lengths of 7, 16 and 64 bits are read, also where fewer would do") {
  for (const Sender sender : {Sender::client, Sender::server}) {
    for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 4096U, 65535U, 65536U, 70001U}) {
      CAPTURE(size);
      std::string payload(size, 'x');
      for (std::size_t i = 0; i < size; ++i) payload[i] = byte_of(i * 7 + i / 251);
      CHECK(read(sender, frame(sender, fin | binary, payload)).said == Said{"b:" + payload});
      if (size < 65536) {
        CHECK(read(sender, frame(sender, fin | binary, payload, 8)).said == Said{"b:" + payload});
        CHECK(read(sender, frame(sender, fin | binary, payload, 2)).said == Said{"b:" + payload});
      }
    }
  }
}

TEST_CASE("fragments are joined, and control frames between them are passed over") {
  const std::string bytes = server(text, "one ") + server(fin | ping, "are you there") +
                            server(continuation, "") + server(continuation, "two ") + server(fin | pong, "") +
                            server(fin | continuation, "three") + server(fin | text, "next");
  CHECK(read(Sender::server, bytes) == Outcome{{"t:one two three", "t:next"}, "", Status::open});
}

TEST_CASE("a message whose fragments are all empty has a beginning and an end") {
  CHECK(read(Sender::client, client(text, "") + client(fin | continuation, "")).said == Said{"t:"});
}

TEST_CASE("a close frame ends the reading, with its code and reason") {
  const std::string reason(123, 'r');
  CHECK(read(Sender::client, client(fin | close_frame, "\x03\xe8") + client(fin | text, "late")) ==
        Outcome{{"c:1000 "}, "", Status::closed});
  CHECK(read(Sender::server, server(fin | close_frame, "\x03\xf4" + reason)).said ==
        Said{"c:1012 " + reason});
  CHECK(read(Sender::client, client(fin | close_frame, "\x03\xf1too big")).said == Said{"c:1009 too big"});
  CHECK(read(Sender::server, server(fin | close_frame, "")).said == Said{"c:1005 "});
}

TEST_CASE("what was begun before the connection ended is known as unfinished") {
  WsFrameReader reader(Sender::server, {});
  Told told;
  reader.feed(server(text, "begun"), told);
  CHECK(reader.in_message());
  reader.feed(server(fin | continuation, " and ended"), told);
  CHECK_FALSE(reader.in_message());
  const std::string cut = server(fin | text, "cut off").substr(0, 5);
  CHECK(read(Sender::server, cut).unfinished == "t:cut");
}

TEST_CASE("violations of the protocol end the reading") {
  const std::string long_ping = frame(Sender::server, fin | ping, std::string(126, 'x'), 2);
  std::string huge = frame(Sender::server, fin | binary, "", 8);
  huge[2] = '\x80';
  const std::vector<std::pair<const char*, std::string>> cases{
      {"masked by the server", client(fin | text, "x")},
      {"second reserved bit", server(fin | 0x20U | text, "x")},
      {"third reserved bit", server(fin | 0x10U | text, "x")},
      {"compressed without agreement", server(fin | rsv1 | text, "x")},
      {"unknown data frame", server(fin | 3U, "x")},
      {"unknown control frame", server(fin | 11U, "x")},
      {"control frame in fragments", server(ping, "x")},
      {"control frame too long", long_ping},
      {"continuation of nothing", server(fin | continuation, "x")},
      {"message within a message", server(text, "x") + server(fin | text, "y")},
      {"length with its highest bit set", huge},
      {"close code of one byte", server(fin | close_frame, "x")},
  };
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    const Outcome outcome = read(Sender::server, bytes + server(fin | text, "after"));
    CHECK(outcome.status == Status::error);
    CHECK(outcome.said.empty());
    CHECK(read_cut(Sender::server, bytes + server(fin | text, "after"), {1}) == outcome);
  }
  CHECK(read(Sender::client, server(fin | text, "not masked")).status == Status::error);
}

TEST_CASE("compressed messages are inflated, with and without the window kept") {
  for (const bool takeover : {true, false}) {
    for (const Sender sender : {Sender::client, Sender::server}) {
      WsExtensions extensions{.deflate = true};
      (sender == Sender::client ? extensions.client_no_context_takeover
                                : extensions.server_no_context_takeover) = !takeover;
      MessageDeflater deflater(takeover);
      std::string bytes;
      Said expected;
      for (std::size_t i = 0; i < 20; ++i) {
        const std::string payload = deflater.message(event(i));
        bytes += frame(sender, rsv1 | text, payload.substr(0, i)) + frame(sender, fin | ping, "p") +
                 frame(sender, fin | continuation, payload.substr(std::min(i, payload.size())));
        // A sender may leave a message as it is.
        bytes += frame(sender, fin | text, "plain");
        expected.push_back("t:" + event(i));
        expected.emplace_back("t:plain");
      }
      CHECK(read(sender, bytes, extensions) == Outcome{expected, "", Status::open});
    }
  }
}

TEST_CASE("the example messages of RFC 7692 are read") {
  const WsExtensions extensions{.deflate = true};
  // Section 7.2.3: one block; the window shared by two messages; no compression; a block that ends the
  // stream.
  const std::vector<std::pair<Said, std::vector<std::string>>> cases{
      {{"t:Hello"}, {std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7)}},
      {{"t:Hello", "t:Hello"},
       {std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), std::string("\xf2\x00\x11\x00\x00", 5)}},
      {{"t:Hello"}, {std::string("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11)}},
      {{"t:Hello", "t:Hello"},
       {std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8), std::string("\xf2\x00\x11\x00\x00", 5)}},
      {{"t:Hello"}, {std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13)}},
  };
  for (const auto& [expected, payloads] : cases) {
    std::string bytes;
    for (const std::string& payload : payloads) bytes += server(fin | rsv1 | text, payload);
    CHECK(read(Sender::server, bytes, extensions) == Outcome{expected, "", Status::open});
    CHECK(read_cut(Sender::server, bytes, {1}, extensions) == Outcome{expected, "", Status::open});
  }
}

TEST_CASE("a stream that ends with its message needs no tail, and neither does an empty message") {
  const WsExtensions extensions{.deflate = true};
  const std::string ended("\xf3\x48\xcd\xc9\xc9\x07\x00", 7);
  const std::string bytes =
      server(fin | rsv1 | text, ended) + server(fin | rsv1 | text, "") + server(fin | rsv1 | text, ended);
  CHECK(read(Sender::server, bytes, extensions) == Outcome{{"t:Hello", "t:", "t:Hello"}, "", Status::open});
}

TEST_CASE("a smaller window is enough where it was agreed on") {
  const WsExtensions extensions{.deflate = true, .server_window_bits = 9};
  MessageDeflater deflater(true, 9);
  std::string bytes;
  Said expected;
  for (std::size_t i = 0; i < 100; ++i) {
    bytes += server(fin | rsv1 | text, deflater.message(event(i)));
    expected.push_back("t:" + event(i));
  }
  CHECK(read(Sender::server, bytes, extensions) == Outcome{expected, "", Status::open});
}

TEST_CASE("frames split anywhere give the same messages as the whole") {
  const WsExtensions extensions{.deflate = true};
  for (const Sender sender : {Sender::client, Sender::server}) {
    MessageDeflater deflater;
    std::string bytes = frame(sender, text, "frag") + frame(sender, fin | ping, "pp") +
                        frame(sender, fin | continuation, "ments") +
                        frame(sender, fin | binary, std::string(300, 'b'));
    for (std::size_t i = 0; i < 6; ++i) bytes += frame(sender, fin | rsv1 | text, deflater.message(event(i)));
    bytes += frame(sender, fin | text, "64 bits", 8) + frame(sender, fin | close_frame, "\x03\xe8okay");
    const Outcome expected = read(sender, bytes, extensions);
    REQUIRE(expected.said.size() == 10);
    REQUIRE(expected.status == Status::closed);
    CHECK(read_cut(sender, bytes, {1}, extensions) == expected);
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      if (read_cut(sender, bytes, {at, bytes.size()}, extensions) != expected) FAIL("split at " << at);
      if (read_cut(sender, bytes, {at}, extensions) != expected) FAIL("in steps of " << at);
    }
  }
}

TEST_CASE("a long message comes in pieces of bounded size") {
  std::string payload(3'000'000, '\0');
  std::mt19937 random(3);
  for (char& c : payload) c = byte_of(random() % 60 + 32);
  MessageDeflater deflater;
  const std::string deflated = deflater.message(payload);
  for (const std::string& bytes : {client(fin | text, payload), client(fin | rsv1 | text, deflated)}) {
    WsFrameReader reader(Sender::client, {.deflate = true});
    Told told;
    CHECK(reader.feed(bytes, told) == Status::open);
    CHECK(told.said == Said{"t:" + payload});
    CHECK(told.longest <= WsFrameReader::piece_limit);
  }
}

TEST_CASE("a message that inflates beyond the bounds is given up") {
  MessageDeflater deflater;
  const std::string bomb = deflater.message(std::string(20'000'000, ' '));
  WsFrameReader reader(Sender::server, {.deflate = true});
  Told told;
  CHECK(reader.feed(server(fin | rsv1 | text, bomb), told) == Status::too_much);
  CHECK(told.said.empty());
  CHECK(told.unfinished().size() <= 64 * 1024 + 200 * bomb.size());
  CHECK(reader.feed(server(fin | text, "late"), told) == Status::too_much);
  CHECK(told.said.empty());
}

TEST_CASE("many small bombs are given up as one big one is") {
  WsFrameReader reader(Sender::server, {.deflate = true, .server_no_context_takeover = true});
  Told told;
  Status status = Status::open;
  std::size_t messages = 0;
  while (status == Status::open && ++messages < 100) {
    MessageDeflater deflater(false);
    status = reader.feed(server(fin | rsv1 | text, deflater.message(std::string(60'000, ' '))), told);
  }
  CHECK(status == Status::too_much);
}

TEST_CASE("broken compression ends the reading") {
  const WsExtensions extensions{.deflate = true};
  const std::string bytes =
      server(fin | rsv1 | text, "\xff\xff\xff\xff garbage") + server(fin | text, "after");
  CHECK(read(Sender::server, bytes, extensions).status == Status::error);
  CHECK(read_cut(Sender::server, bytes, {1}, extensions) == read(Sender::server, bytes, extensions));
}

TEST_CASE("what a 101 agreed on is read") {
  const std::vector<std::pair<std::string_view, WsExtensions>> cases{
      {"", {}},
      {" ", {}},
      {"permessage-deflate", {.deflate = true}},
      {" permessage-deflate ; server_no_context_takeover;client_no_context_takeover ",
       {.deflate = true, .client_no_context_takeover = true, .server_no_context_takeover = true}},
      {"permessage-deflate; client_max_window_bits=10; server_max_window_bits=\"9\"",
       {.deflate = true, .client_window_bits = 10, .server_window_bits = 9}},
      {"permessage-deflate; client_max_window_bits", {.readable = false}},
      {"permessage-deflate; client_max_window_bits=16", {.readable = false}},
      {"permessage-deflate; client_max_window_bits=7", {.readable = false}},
      {"permessage-deflate; server_max_window_bits=1x", {.readable = false}},
      {"permessage-deflate; something", {.readable = false}},
      {"permessage-deflate; server_no_context_takeover=1", {.readable = false}},
      {"permessage-deflate, permessage-deflate", {.readable = false}},
      {"permessage-deflate, permessage-bzip2", {.readable = false}},
      {"x-webkit-deflate-frame", {.readable = false}},
  };
  for (const auto& [value, expected] : cases) {
    CAPTURE(value);
    CHECK(read_ws_extensions(value) == expected);
  }
}

TEST_CASE("frames under an extension that is not known are not read") {
  CHECK(read(Sender::server, server(fin | text, "?"), {.readable = false}) == Outcome{{}, "", Status::error});
}
