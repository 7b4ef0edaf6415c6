// Corners of HTTP/2 that a review found: a client's leaving that is told too early, resets that a client
// makes us send one by one, and acknowledgements nobody asked for.

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"

using namespace portico::test;
using namespace portico::test::h2;

namespace {

constexpr std::size_t mebibyte = 1U << 20;
constexpr std::size_t window = 131'072;

std::string post_head(std::uint32_t stream, const H2Fields& more = {}) {
  return headers(stream, hpack::block(h2::request("/v1/deaf", more, "POST", "http")), flag::end_headers);
}

std::uint32_t increment_of(const Frame& frame) {
  std::uint32_t value = 0;
  for (const char c : frame.payload) value = value << 8U | static_cast<std::uint8_t>(c);
  return value;
}

/// An upload in raw frames that keeps to the windows it is given.
struct Upload {
  explicit Upload(const Portico& proxy) : wire(h2_wire(proxy)) {
    wire.greet();
    wire.send(post_head(1));
  }
  /// Reads credit for as long as there is some; false when none came for `quiet`.
  bool read_credit(milliseconds quiet) {
    try {
      const Frame frame = wire.next(Deadline{quiet});
      if (frame.type == Type::window_update) {
        (frame.stream == 0 ? connection : stream) += increment_of(frame);
      }
      return true;
    } catch (const WireError&) {
      return false;
    }
  }
  [[nodiscard]] std::size_t room() const { return std::min({connection, stream, std::size_t{16'384}}); }
  /// Sends up to `limit` bytes; stops earlier when the backend takes no more.
  void send_up_to(std::size_t limit) {
    while (sent < limit) {
      const std::size_t n = std::min(room(), limit - sent);
      if (n == 0) {
        if (!read_credit(1'500ms)) return;
        continue;
      }
      wire.send(data(1, std::string(n, 'x'), flag::none));
      sent += n;
      stream -= n;
      connection -= n;
    }
    while (read_credit(300ms)) {
    }
  }
  H2Wire wire;
  std::size_t connection = 65'535;
  std::size_t stream = window;
  std::size_t sent = 0;
};

}  // namespace

TEST_CASE("a stream that is reset right behind its last DATA is let go of while its backend does not read",
          "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_head();
    connection.keep();
  });
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  std::size_t taken = 0;
  {
    Upload probe(proxy);
    probe.send_up_to(64 * mebibyte);
    REQUIRE(probe.sent < 64 * mebibyte);
    taken = probe.sent - window;
    probe.wire.send(rst_stream(1));
    CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{3s}));
  }
  Upload upload(proxy);
  // The backend still takes all of this, and not all of what follows.
  upload.send_up_to(taken - 16'384);
  REQUIRE(proxy.metric("portico_streams") == 1);
  std::string last;
  for (std::size_t left = std::min(upload.connection, upload.stream); left > 0;) {
    const std::size_t n = std::min<std::size_t>(left, 16'384);
    last += data(1, std::string(n, 'y'), flag::none);
    left -= n;
  }
  upload.wire.send(last + rst_stream(1));
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{3s}));
}

TEST_CASE("resets that a client makes the proxy send, a few at a time, are bounded like its own", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_head();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  bool calmed = false;
  for (std::uint32_t stream = 1; stream < 4'000 && !calmed; stream += 2) {
    try {
      // More bytes than content-length says, once the request is under way.
      wire.send(post_head(stream, {{"content-length", "1"}}));
      wire.send(data(stream, "xx", flag::none));
      const Frame end = wire.wait_for([&](const Frame& frame) {
        return frame.type == Type::goaway || (frame.type == Type::rst_stream && frame.stream == stream);
      });
      calmed = end.type == Type::goaway;
      if (calmed) CHECK(end.error() == H2Error::enhance_your_calm);
    } catch (const WireError&) {
      break;
    }
  }
  CHECK(calmed);
}

TEST_CASE("acknowledgements of pings that nobody sent cost no memory while the process drains", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "20s"}})", .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(headers(1, hpack::block(h2::request("/v1/hang", {}, "GET", "http"))));
  REQUIRE_NOTHROW(cpa.wait_request(0));
  const std::size_t before = proxy.process().rss_bytes();
  proxy.signal(SIGTERM);
  wire.wait_for(Type::goaway, 0);
  std::string acks;
  for (int i = 0; i < 4'000; ++i) acks += ping({}, flag::ack);
  wire.flood(acks, 250);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 16 * mebibyte);
  proxy.signal(SIGTERM);
  proxy.expect_any_end();
}

TEST_CASE("heads of a connection's requests are bounded together, and a body on its way begins nothing",
          "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_head();
    connection.stall_until_closed();
  });
  const Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  // 60 KB of head for a few bytes each, once the field is in the table.
  const H2Fields fields = h2::request("/v1/hang", {}, "POST", "http");
  std::string block = hpack::block(fields) + hpack::indexing("x-a", std::string(3'900, 'b'));
  std::string named;
  for (int i = 0; i < 14; ++i) named += hpack::indexed(62);
  for (std::uint32_t stream = 1; stream < 41; stream += 2) {
    wire.send(headers(stream, block + named, flag::end_headers) + data(stream, "body", flag::none));
    block = hpack::block(fields) + hpack::indexed(62);
  }
  for (int i = 0; i < 5; ++i) {
    const Frame frame = wire.wait_for([](const Frame& f) { return f.type == Type::rst_stream; });
    CHECK(frame.error() == H2Error::refused_stream);
  }
  CHECK(eventually([&] { return proxy.metric("portico_streams") > 0; }));
  CHECK(proxy.metric("portico_streams") < 12);
  CHECK(proxy.metric("portico_requests_total") == 0);
}

TEST_CASE("a drain says its last word though the client answers no ping", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_head();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "20s"}})", .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(headers(1, hpack::block(h2::request("/v1/hang", {}, "GET", "http"))));
  REQUIRE_NOTHROW(cpa.wait_request(0));
  proxy.signal(SIGTERM);
  const Frame notice = wire.wait_for(Type::goaway, 0);
  CHECK(notice.last_stream() == 0x7fff'ffff);
  const Frame last = wire.wait_for(Type::goaway, 0);
  CHECK(last.last_stream() == 1);
  CHECK(last.error() == H2Error::no_error);
  proxy.signal(SIGTERM);
  proxy.expect_any_end();
}
