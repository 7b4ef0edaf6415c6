// Specification section 8: floods and bombs over HTTP/2 are bounded in memory, answered as the limits say,
// and an ordinary client is served meanwhile.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"

using namespace portico::test;
using namespace portico::test::h2;

namespace {

constexpr std::size_t mebibyte = 1U << 20;

std::string head(std::uint32_t stream, std::string_view path = "/v1/models",
                 std::uint8_t flags = flag::end_headers | flag::end_stream, std::string_view method = "GET") {
  return headers(stream, hpack::block(h2::request(path, {}, method, "http")), flags);
}

/// An origin that answers `/v1/hang` never, does not even read what belongs to `/v1/deaf`, and answers
/// everything else at once.
Origin::Script hangs_on_demand() {
  return [](Connection& connection) {
    while (true) {
      Message seen = connection.read_head(Deadline{600s});
      if (seen.target == "/v1/deaf") {
        connection.keep();
        return;
      }
      read_request_body(connection, seen);
      if (seen.target == "/v1/hang") {
        connection.stall_until_closed();
        return;
      }
      connection.send(ok("x"));
    }
  };
}

struct World {
  explicit World(std::string settings = {})
      : cpa(hangs_on_demand()),
        proxy({.cpa = cpa.url(), .settings = std::move(settings), .tls = true, .cleartext_h2 = true}) {
    static_cast<void>(proxy.exchange(get("/v1/models")));
    proxy.manage("/metrics");  // what the first scrape allocates is not counted
  }

  /// Runs an attack beside an ordinary client: the client is served the whole time, and memory stays within
  /// `allowance`.
  void bear(const std::function<void()>& attack, std::size_t allowance = 8 * mebibyte) {
    const std::size_t before = proxy.process().rss_bytes();
    std::atomic<bool> stop{false};
    std::atomic<std::size_t> served{0};
    std::atomic<bool> failed{false};
    std::atomic<std::size_t> peak{0};
    std::thread ordinary([&] {
      try {
        H2Client client = h2_connect(proxy);
        while (!stop) {
          failed = failed || client.exchange(client.head("GET", "/v1/models")).body != "x";
          ++served;
          peak = std::max<std::size_t>(peak, proxy.process().rss_bytes());
        }
      } catch (const std::exception&) {
        failed = true;
      }
    });
    CHECK(eventually([&] { return served > 0 || failed; }));
    const std::size_t begun = served;
    attack();
    CHECK(eventually([&] { return served > begun || failed; }));
    stop = true;
    ordinary.join();
    CHECK_FALSE(failed);
    if (!sanitized()) CHECK(peak < before + allowance);
    // Nothing is left behind: every stream of the attack has ended with its connection.
    CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  }

  Origin cpa;
  Portico proxy;
};

/// Sends `bytes` again and again until the peer has had enough; says what the peer's last word was.
H2Error flood_until_goaway(const Portico& proxy, const std::string& begin, const std::string& bytes,
                           std::size_t times) {
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.flood(begin, 1);
  wire.flood(bytes, times);
  return wire.wait_goaway();
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("rapid reset is answered with ENHANCE_YOUR_CALM", "[h2]") {
  World world;
  const std::string target = GENERATE(values<std::string>({"/v1/hang", "/v1/models"}));
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    std::string frames;
    for (std::uint32_t stream = 1; stream < 40'000; stream += 2) {
      frames += head(stream, target) + rst_stream(stream);
      if (stream % 200 != 199) continue;
      if (wire.flood(frames, 1) == 0) break;
      frames.clear();
    }
    CHECK(wire.wait_goaway() == H2Error::enhance_your_calm);
    CHECK(wire.wait_closed() != Outcome::timeout);
  });
  // A handful of the 20,000 may have reached the backend before the end, and none is left there.
  CHECK(world.cpa.connections() < 2'000);
  CHECK(eventually([&] { return world.cpa.open_connections() <= 2; }));
}

TEST_CASE("streams that a client breaks by its own faults count as rapid resets", "[h2]") {
  World world;
  // The proxy itself resets each of these streams: a window that overflows, and more bytes than
  // content-length says.
  const bool window = GENERATE(true, false);
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    std::string frames;
    for (std::uint32_t stream = 1; stream < 40'000; stream += 2) {
      frames +=
          window ? head(stream, "/v1/hang") + window_update(stream, 0x7fff'ffff)
                 : headers(stream,
                           hpack::block(h2::request("/v1/hang", {{"content-length", "1"}}, "POST", "http")),
                           flag::end_headers) +
                       data(stream, "xx");
      if (stream % 200 != 199) continue;
      if (wire.flood(frames, 1) == 0) break;
      frames.clear();
    }
    // PROTOCOL_ERROR: what was broken is still counted as open, and there are more than the settings allow.
    const H2Error code = wire.wait_goaway();
    CHECK((code == H2Error::enhance_your_calm || code == H2Error::protocol_error));
  });
  CHECK(world.cpa.connections() < 2'000);
}

TEST_CASE("an honest client that cancels now and then is not taken for an attacker", "[h2]") {
  World world;
  H2Client client = h2_connect(world.proxy);
  for (int i = 0; i < 60; ++i) {
    const auto stream = client.open(client.head("GET", "/v1/hang"));
    client.reset(stream);
    REQUIRE(client.exchange(client.head("GET", "/v1/models")).body == "x");
  }
  CHECK(client.goaways().empty());
}

TEST_CASE("a flood of SETTINGS is answered with ENHANCE_YOUR_CALM", "[h2]") {
  World world;
  const std::string one =
      GENERATE(settings(), settings({{Setting::initial_window_size, 1}}),
               settings({{Setting::header_table_size, 0}, {Setting::header_table_size, 4096}}));
  world.bear([&] {
    CHECK(flood_until_goaway(world.proxy, "", repeated(one, 1'000), 200) == H2Error::enhance_your_calm);
  });
}

TEST_CASE("a flood of PING is answered with ENHANCE_YOUR_CALM, its answers read or not", "[h2]") {
  World world;
  world.bear([&] {
    CHECK(flood_until_goaway(world.proxy, "", repeated(ping("flood"), 1'000), 200) ==
          H2Error::enhance_your_calm);
  });
}

TEST_CASE("a client that pings every so often is answered", "[h2]") {
  World world;
  H2Client client = h2_connect(world.proxy);
  for (int i = 0; i < 50; ++i) REQUIRE(client.ping());
  CHECK(client.goaways().empty());
}

TEST_CASE("a flood of CONTINUATION is ended within the limit of a head", "[h2]") {
  World world;
  // Fields, one field without end, and frames of nothing at all.
  const std::string one =
      GENERATE(continuation(1, hpack::literal("x-a", std::string(1'000, 'b')), flag::none),
               continuation(1, std::string(16'000, 'b'), flag::none), continuation(1, "", flag::none));
  const bool endless = one.size() > 15'000;
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    const std::string begin =
        hpack::block(h2::request("/v1/models", {}, "GET", "http")) +
        (endless ? hpack::literal("x-a", "").substr(0, 5) + hpack::integer(100'000'000, 7, 0) : "");
    wire.flood(headers(1, begin, flag::end_stream), 1);
    const std::size_t taken = wire.flood(repeated(one, 100), 10'000);
    CHECK(taken < 10'000);
    // Whatever it is called, the connection ends. ENHANCE_YOUR_CALM where it is a flood and not a broken
    // block.
    const auto code = wire.wait_goaway();
    CHECK((code == H2Error::no_error || code == H2Error::enhance_your_calm ||
           code == H2Error::compression_error || code == H2Error::protocol_error ||
           code == H2Error::internal_error));
    CHECK(wire.wait_closed() != Outcome::timeout);
  });
  CHECK(world.cpa.connections() <= 2);
}

TEST_CASE("a head of few bytes that unpacks to many is 431, or the end of the connection", "[h2]") {
  World world;
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    // One field of 4 KiB enters the table, then it is named 16,000 times: 64 MiB of head in 16 KiB of bytes.
    const std::string block = hpack::block(h2::request("/v1/models", {}, "GET", "http")) +
                              hpack::indexing("x-a", std::string(4'000, 'b')) +
                              repeated(hpack::indexed(62), 12'000);
    wire.send(headers(1, block.substr(0, 16'000), flag::end_stream) + continuation(1, block.substr(16'000)));
    const auto answer = wire.answer(1);
    CHECK((answer.status == 431 || answer.goaway == H2Error::enhance_your_calm || answer.reset.has_value()));
  });
  CHECK(world.cpa.all_bytes().find("bbbb") == std::string::npos);
}

TEST_CASE("a head over the limits is 431 over h2 and the connection goes on", "[h2]") {
  World world;
  const auto [count, size] = GENERATE(table<std::size_t, std::size_t>({{201, 1}, {80, 1'000}, {1, 65'536}}));
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  H2Fields fields = h2::request("/v1/models", {}, "GET", "http");
  for (std::size_t i = 0; i < count; ++i) fields.push_back({"x-a", std::string(size, 'b')});
  const std::string block = hpack::block(fields);
  std::string frames =
      headers(1, block.substr(0, 16'000),
              block.size() > 16'000 ? flag::end_stream : flag::end_stream | flag::end_headers);
  for (std::size_t at = 16'000; at < block.size(); at += 16'000)
    frames += continuation(1, block.substr(at, 16'000),
                           at + 16'000 < block.size() ? flag::none : flag::end_headers);
  wire.send(frames);
  CHECK(wire.answer(1).status == 431);
  wire.send(head(3));
  CHECK(wire.answer(3).status == 200);
  CHECK(world.cpa.all_bytes().find("bbbb") == std::string::npos);
}

TEST_CASE("a flood of empty DATA frames is ended", "[h2]") {
  World world;
  const std::string one = GENERATE(data(1, "", flag::none), padded_data(1, "", 0, flag::none));
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    wire.flood(head(1, "/v1/hang", flag::end_headers, "POST"), 1);
    wire.flood(repeated(one, 1'000), 200);
    CHECK(wire.wait_goaway() == H2Error::enhance_your_calm);
  });
}

TEST_CASE("a flood of frames that mean nothing is ended", "[h2]") {
  World world;
  const std::string one = GENERATE(priority(1, 0), window_update(0, 1),
                                   frame(static_cast<Type>(0x42), 0, 0, "x"), window_update(1, 1));
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    wire.flood(head(1, "/v1/hang"), 1);
    // More than any client has use for: 2,000,000 frames, in memory that does not grow.
    wire.flood(repeated(one, 10'000), 200);
    const auto code = wire.wait_goaway(Deadline{3s});
    CHECK((code == H2Error::no_error || code == H2Error::enhance_your_calm));
  });
}

TEST_CASE("a window that overflows ends its stream, or the connection, with FLOW_CONTROL_ERROR", "[h2]") {
  World world;
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  SECTION("of a stream") {
    wire.send(head(1, "/v1/hang") + window_update(1, 0x7fff'ffff) + window_update(1, 0x7fff'ffff));
    const auto answer = wire.answer(1);
    CHECK((answer.reset == H2Error::flow_control_error || answer.goaway == H2Error::flow_control_error));
  }
  SECTION("of the connection") {
    wire.send(window_update(0, 0x7fff'ffff));
    CHECK(wire.wait_goaway() == H2Error::flow_control_error);
  }
  SECTION("of a stream by SETTINGS") {
    wire.send(head(1, "/v1/hang") + window_update(1, 0x7fff'0000) +
              settings({{Setting::initial_window_size, 0x7fff'ffff}}));
    const auto answer = wire.answer(1);
    CHECK((answer.reset == H2Error::flow_control_error || answer.goaway == H2Error::flow_control_error));
  }
}

TEST_CASE("a client that sends more than its window loses its stream, or all, with FLOW_CONTROL_ERROR",
          "[h2]") {
  World world;
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    wire.flood(head(1, "/v1/deaf", flag::end_headers, "POST"), 1);
    // The backend does not read, so that no credit comes once the kernel's buffers are full.
    wire.flood(repeated(data(1, std::string(16'384, 'x'), flag::none), 64), 64);
    const auto answer = wire.answer(1);
    CHECK((answer.reset == H2Error::flow_control_error || answer.goaway == H2Error::flow_control_error));
  });
}

TEST_CASE("a client that gives no window does not keep its streams for ever", "[h2]") {
  World world(R"({"timeouts": {"client_write": "500ms"}})");
  world.bear([&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet({{Setting::initial_window_size, 0}});
    for (std::uint32_t stream = 1; stream < 200; stream += 2) wire.send(head(stream));
    // Heads come, bodies cannot, and after client_write the streams, or the connection, are cut.
    std::size_t cut = 0;
    try {
      while (cut < 100) {
        const Frame got = wire.next();
        if (got.type == Type::rst_stream) ++cut;
        if (got.type == Type::goaway) break;
      }
    } catch (const WireError& error) {
      CHECK(error.outcome() != Outcome::timeout);
    }
  });
}

TEST_CASE("a preface or a head that does not come to its end is cut off in time", "[h2]") {
  World world(R"({"timeouts": {"request_head": "300ms", "keep_alive": "1s"}})");
  const Door door = GENERATE(Door::cleartext, Door::tls);
  const std::string bytes =
      GENERATE(std::string("PRI * HTT"), std::string(preface), std::string(preface) + settings().substr(0, 5),
               std::string(preface) + settings() + head(1, "/v1/models", flag::end_stream),
               std::string(preface) + settings() + head(1).substr(0, 12));
  H2Wire wire = h2_wire(world.proxy, door);
  wire.send(bytes);
  CHECK(wire.wait_closed() != Outcome::timeout);
}

TEST_CASE("a head that drips in by bytes does not put off its deadline", "[h2]") {
  World world(R"({"timeouts": {"request_head": "500ms"}})");
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  std::string drip = head(1, "/v1/models", flag::end_stream);
  for (int i = 0; i < 20; ++i) drip += continuation(1, "", flag::none);
  // A byte each 20 ms: the head is under way for far longer than it may be.
  bool cut = false;
  for (std::size_t i = 0; i < drip.size() && !cut; ++i) {
    cut = wire.flood(drip.substr(i, 1), 1) == 0;
    const Outcome outcome = wire.wire().fill(Deadline{20ms});
    cut = cut || (outcome != Outcome::timeout && outcome != Outcome::data);
  }
  CHECK(cut);
}

TEST_CASE("a request body that stalls over h2 ends after request_body, the connection goes on", "[h2]") {
  World world(R"({"timeouts": {"request_body": "300ms"}})");
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  wire.send(head(1, "/v1/files", flag::end_headers, "POST") + data(1, "some", flag::none));
  const auto answer = wire.answer(1);
  CHECK((answer.status == 408 || answer.reset.has_value()));
  wire.send(head(3));
  CHECK(wire.answer(3).status == 200);
}

TEST_CASE("one stream more than the settings allow is refused", "[h2]") {
  World world(R"({"http2": {"streams": 10}})");
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  for (std::uint32_t stream = 1; stream < 20; stream += 2) wire.send(head(stream, "/v1/hang"));
  wire.send(head(21));
  const auto answer = wire.answer(21);
  // RFC 9113 section 5.1.2, and 5.4.1: the fault of a stream may be taken for one of the connection.
  CHECK((answer.reset == H2Error::refused_stream || answer.reset == H2Error::protocol_error ||
         answer.goaway == H2Error::protocol_error));
  CHECK(world.cpa.connections() <= 11);
}

TEST_CASE("a thousand streams at once on one connection are bounded by the settings", "[h2]") {
  World world;
  world.bear(
      [&] {
        H2Wire wire = h2_wire(world.proxy);
        wire.greet();
        for (std::uint32_t stream = 1; stream < 2'000; stream += 2)
          if (wire.flood(head(stream, "/v1/hang"), 1) == 0) break;
        // What is over the limit is refused one by one, or the connection ends.
        const Deadline deadline = patience();
        bool over = false;
        try {
          while (!over && !deadline.expired()) {
            const Frame got = wire.next(deadline);
            over = got.type == Type::goaway || (got.type == Type::rst_stream && got.stream > 256);
          }
        } catch (const WireError& error) {
          over = error.outcome() != Outcome::timeout;
        }
        CHECK(over);
      },
      16 * mebibyte);
  CHECK(world.cpa.connections() <= 128 + 2);
}

TEST_CASE("200 connections of h2 that do nothing cost little each", "[h2]") {
  World world;
  const auto open_one = [&] {
    H2Wire wire = h2_wire(world.proxy);
    wire.greet();
    return wire;
  };
  std::vector<H2Wire> wires;
  for (int i = 0; i < 20; ++i) wires.push_back(open_one());
  const std::size_t before = world.proxy.process().rss_bytes();
  for (int i = 0; i < 200; ++i) wires.push_back(open_one());
  if (!sanitized()) CHECK(world.proxy.process().rss_bytes() < before + 200 * 64 * 1024);
  CHECK(world.proxy.metric("portico_connections") >= 220);
}

TEST_CASE("bytes of chance over h2 never bring the proxy down", "[h2]") {
  World world;
  std::uint64_t seed = 0x9e37'79b9'7f4a'7c15;
  const auto chance = [&seed] {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
  };
  for (int round = 0; round < 200; ++round) {
    H2Wire wire = h2_wire(world.proxy);
    wire.flood(std::string(preface) + settings(), 1);
    std::string frames;
    for (int i = 0; i < 20; ++i) {
      std::string payload(chance() % 60, '\0');
      for (char& c : payload) c = static_cast<char>(chance());
      frames += frame(static_cast<Type>(chance() % 11), static_cast<std::uint8_t>(chance()),
                      static_cast<std::uint32_t>(chance() % 8), payload);
    }
    wire.flood(frames, 1);
  }
  CHECK(world.proxy.exchange(get("/v1/models")).body == "x");
  CHECK(eventually([&] { return world.proxy.metric("portico_streams") == 0; }));
  CHECK(eventually([&] { return world.proxy.metric("portico_connections") == 0; }));
}
