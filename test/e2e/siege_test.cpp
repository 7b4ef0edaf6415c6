// Attacks one after the other, each for a few seconds, beside an ordinary client: what memory they cost, and
// what they do to that client's latency. Hidden, because its result is a table for people:
//
//   build/release/portico_e2e "[siege]"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/h2_frames.hpp"
#include "test/support/origin.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;
using namespace portico::test::h2;

namespace {

constexpr std::size_t mebibyte = 1U << 20;
constexpr milliseconds length{3'000};

std::string head(std::uint32_t stream, std::string_view path, std::uint8_t flags,
                 std::string_view method = "GET") {
  return headers(stream, hpack::block(h2::request(path, {}, method, "http")), flags);
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

/// `/v1/hang` is never answered, `/v1/big` without end, everything else at once.
Origin::Script backend() {
  return [endless = std::string(4 * mebibyte, 'x')](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{600s});
      if (seen.target == "/v1/hang") {
        connection.stall_until_closed();
        return;
      }
      if (seen.target == "/v1/big") {
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
        connection.send_until_stuck(endless, 10s);
        connection.stall_until_closed();
        return;
      }
      connection.send(ok("x"));
    }
  };
}

struct Latency {
  double p50 = 0;
  double p99 = 0;
  std::size_t count = 0;
};

Latency latency_of(std::vector<double> milliseconds) {
  if (milliseconds.empty()) return {};
  std::sort(milliseconds.begin(), milliseconds.end());
  return {milliseconds[milliseconds.size() / 2], milliseconds[milliseconds.size() * 99 / 100],
          milliseconds.size()};
}

/// Runs `attack` until `length` is over, and an ordinary client beside it.
struct Siege {
  explicit Siege(const Portico& p) : proxy(p) {}

  void run(std::string_view name, const std::function<void(const std::atomic<bool>& over)>& attack,
           std::size_t allowance = 64 * mebibyte) {
    const std::size_t before = process().rss_bytes();
    const milliseconds spent = process().processor_time();
    std::atomic<bool> over{false};
    std::size_t peak = before;
    std::vector<double> times;
    std::thread attacker([&] { attack(over); });
    Client client = proxy.connect();
    const auto end = Clock::now() + length;
    bool served = true;
    while (Clock::now() < end) {
      const auto asked = Clock::now();
      served = served && client.exchange(get("/v1/models")).body == "x";
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - asked).count());
      peak = std::max(peak, process().rss_bytes());
    }
    over = true;
    attacker.join();
    const Latency ordinary = latency_of(std::move(times));
    const milliseconds used = process().processor_time() - spent;
    fmt::print("| {:<44} | {:7.1f} | {:7.1f} | {:6.2f} | {:6.2f} | {:6} | {:5.0f} % |\n", name,
               static_cast<double>(before) / mebibyte, static_cast<double>(peak) / mebibyte, ordinary.p50,
               ordinary.p99, ordinary.count,
               100.0 * static_cast<double>(used.count()) / static_cast<double>(length.count()));
    CHECK(served);
    if (!sanitized()) CHECK(peak < before + allowance);
    CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  }

  [[nodiscard]] Process& process() const { return const_cast<Portico&>(proxy).process(); }

  const Portico& proxy;
};

/// Opens a connection again and again, and does `once` with each; what ends one is the proxy's answer.
void again(const std::atomic<bool>& over, const std::function<void()>& once) {
  while (!over) {
    try {
      once();
    } catch (const std::exception&) {
      continue;
    }
  }
}

/// Holds `count` connections that have sent `bytes` and then stand still, or send one of `drip` a second.
void hold(const Portico& proxy, const std::atomic<bool>& over, std::size_t count, const std::string& bytes,
          char drip = '\0') {
  std::vector<Client> held;
  for (std::size_t i = 0; i < count && !over; ++i) {
    held.push_back(proxy.connect());
    held.back().send(bytes);
  }
  auto next = Clock::now();
  while (!over) {
    if (drip != '\0' && Clock::now() >= next) {
      next += 1s;
      for (Client& client : held) client.send(std::string_view(&drip, 1));
    }
    std::this_thread::sleep_for(10ms);
  }
}

}  // namespace

TEST_CASE("attacks cost bounded memory, and ordinary requests are served meanwhile", "[.][siege]") {
  Origin cpa(backend());
  // No connection limit stands in the way: what is measured is what one connection can do, many times.
  const Portico proxy{{.cpa = cpa.url(),
                       .settings = R"({"workers": 1, "key_guard": {"failures": 0},
                                       "timeouts": {"client_write": "20s"}})",
                       .tls = true,
                       .cleartext_h2 = true}};
  for (int i = 0; i < 100; ++i) static_cast<void>(proxy.exchange(get("/v1/models")));
  proxy.manage("/metrics");
  Siege siege(proxy);
  fmt::print(
      "| attack                                       |  before |    peak |    p50 |    p99 | served | "
      "worker  |\n"
      "|                                              |     MiB |     MiB |     ms |     ms |        |       "
      "  |\n"
      "|----------------------------------------------|---------|---------|--------|--------|--------|-------"
      "--|\n");
  siege.run("none", [](const std::atomic<bool>&) {});
  siege.run("slow head, 1,000 connections",
            [&](const auto& over) { hold(proxy, over, 1'000, "GET /v1/models HTTP/1.1\r\nX-A: ", 'a'); });
  siege.run("slow body, 500 connections", [&](const auto& over) {
    hold(proxy, over, 500, "POST /v1/hang HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 'a');
  });
  siege.run("slow reader of an endless answer, 200",
            [&](const auto& over) { hold(proxy, over, 200, get("/v1/big")); });
  siege.run("idle connections, 2,000", [&](const auto& over) { hold(proxy, over, 2'000, ""); });
  siege.run("connections that come and go",
            [&](const auto& over) { again(over, [&] { proxy.connect().send("G"); }); });
  siege.run("heads of 1 MiB", [&](const auto& over) {
    const std::string line = "X-A: " + std::string(1'000, 'a') + "\r\n";
    again(over, [&] { proxy.connect().send("GET / HTTP/1.1\r\n" + repeated(line, 1'000)); });
  });
  siege.run("TLS handshakes that are given up",
            [&](const auto& over) { again(over, [&] { static_cast<void>(proxy.connect_tls()); }); });

  const auto h2_flood = [&](std::string_view name, const std::string& begin, const std::string& piece) {
    siege.run(name, [&](const auto& over) {
      again(over, [&] {
        H2Wire wire = h2_wire(proxy);
        wire.greet();
        wire.send(begin);
        for (int i = 0; i < 1'000 && !over; ++i) wire.send(piece);
      });
    });
  };
  h2_flood("h2: pings", "", repeated(ping("flood"), 100));
  h2_flood("h2: settings", "", repeated(settings({{Setting::initial_window_size, 1}}), 100));
  h2_flood("h2: empty DATA", head(1, "/v1/hang", flag::end_headers, "POST"),
           repeated(data(1, "", flag::none), 100));
  h2_flood("h2: CONTINUATION without end",
           headers(1, hpack::block(h2::request("/v1/models", {}, "GET", "http")), flag::end_stream),
           repeated(continuation(1, hpack::literal("x-a", std::string(1'000, 'b')), flag::none), 10));
  h2_flood("h2: window updates", "", repeated(window_update(0, 1), 100));
  siege.run("h2: rapid reset", [&](const auto& over) {
    again(over, [&] {
      H2Wire wire = h2_wire(proxy);
      wire.greet();
      for (std::uint32_t stream = 1; stream < 200'000 && !over; stream += 2)
        wire.send(head(stream, "/v1/hang", flag::end_headers | flag::end_stream) + rst_stream(stream));
    });
  });
  siege.run("h2: HPACK bomb, 64 MiB out of 16 KiB", [&](const auto& over) {
    const std::string block = hpack::block(h2::request("/v1/models", {}, "GET", "http")) +
                              hpack::indexing("x-a", std::string(4'000, 'b')) +
                              repeated(hpack::indexed(62), 12'000);
    again(over, [&] {
      H2Wire wire = h2_wire(proxy);
      wire.greet();
      wire.send(headers(1, block.substr(0, 16'000), flag::end_stream) +
                continuation(1, block.substr(16'000)));
      static_cast<void>(wire.wait_goaway(Deadline{1s}));
    });
  });
  siege.run("h2: 4 x 128 streams that read nothing", [&](const auto& over) {
    std::vector<H2Wire> wires;
    for (int i = 0; i < 4 && !over; ++i) {
      wires.push_back(h2_wire(proxy));
      wires.back().greet({{Setting::initial_window_size, 0}});
      for (std::uint32_t stream = 1; stream < 256; stream += 2)
        wires.back().send(head(stream, "/v1/big", flag::end_headers | flag::end_stream));
    }
    while (!over) std::this_thread::sleep_for(10ms);
  });
  siege.run("h2: bodies into a backend that answers never", [&](const auto& over) {
    std::vector<H2Wire> wires;
    for (int i = 0; i < 20 && !over; ++i) {
      wires.push_back(h2_wire(proxy));
      wires.back().greet();
      for (std::uint32_t stream = 1; stream < 16; stream += 2)
        wires.back().send(head(stream, "/v1/hang", flag::end_headers, "POST") +
                          data(stream, std::string(16'000, 'x'), flag::none));
    }
    while (!over) std::this_thread::sleep_for(10ms);
  });
}
