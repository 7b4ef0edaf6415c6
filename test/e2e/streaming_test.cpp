// Specification section 4: bytes pass at once, exactly, in bounded memory.

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

constexpr std::size_t mebibyte = 1U << 20;

enum class Coding { length, chunked };

/// Sends `size` pattern bytes as a body; head apart. `step` differs from the proxy's buffer on purpose.
void send_pattern(Wire& wire, Coding coding, std::uint64_t size, std::uint64_t seed) {
  constexpr std::uint64_t step = 300'007;
  for (std::uint64_t at = 0; at < size; at += step) {
    const std::string part = pattern(seed, static_cast<std::size_t>(std::min(step, size - at)), at);
    wire.send(coding == Coding::chunked ? chunk(part) : part, Deadline{30s});
  }
  if (coding == Coding::chunked) wire.send("0\r\n\r\n");
}

/// Two downloads and two uploads' worth of one size through one proxy.
void download(Coding coding, std::uint64_t size) {
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(coding == Coding::chunked
                        ? ok_chunked()
                        : fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", size));
    send_pattern(connection, coding, size, 1);
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client = proxy.connect();
  client.send(get("/v1/files"));
  Message answer = read_response_head(client);
  Checker checker(1);
  std::size_t peak = 0;
  std::uint64_t looked = 0;
  read_response_body(
      client, answer, false,
      [&](std::string_view bytes) {
        checker.take(bytes);
        if (checker.size() - looked > 4 * mebibyte) {
          looked = checker.size();
          peak = std::max(peak, proxy.process().rss_bytes());
        }
      },
      30s);
  CHECK(answer.end == End::complete);
  CHECK(checker.good());
  CHECK(checker.size() == size);
  if (!sanitized()) CHECK(peak < before + 4 * mebibyte);
}

void upload(Coding coding, std::uint64_t size) {
  Origin cpa([&](Connection& connection) {
    Message head = connection.read_head();
    Checker checker(2);
    read_request_body(
        connection, head, [&](std::string_view bytes) { checker.take(bytes); }, 30s);
    connection.send(ok(fmt::format("{} {} {}", head.end == End::complete, checker.good(), checker.size())));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"limits": {"request_body": "2GiB"}})"}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client = proxy.connect();
  client.send("POST /v1/files HTTP/1.1\r\nHost: x\r\n" +
              (coding == Coding::chunked ? std::string("Transfer-Encoding: chunked\r\n\r\n")
                                         : fmt::format("Content-Length: {}\r\n\r\n", size)));
  send_pattern(client, coding, size, 2);
  const std::size_t after = proxy.process().rss_bytes();
  CHECK(client.response(false, Deadline{60s}).body == fmt::format("true true {}", size));
  if (!sanitized()) CHECK(after < before + 4 * mebibyte);
}

}  // namespace

TEST_CASE("an event stream passes event by event: nothing is held back or coalesced", "[streaming]") {
  Baton seen;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked({"Content-Type: text/event-stream"}));
    for (std::size_t k = 0; k < 50; ++k) {
      // The next event only leaves after the client has the one before: any buffering would stop here.
      if (!seen.wait(k)) return;
      connection.send(chunk(fmt::format("data: {{\"n\":{}}}\n\n", k)));
    }
    if (!seen.wait(50)) return;
    connection.send("0\r\n\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(post("/v1/chat/completions", R"({"stream":true})"));
  CHECK(read_response_head(client).one("Content-Type") == "text/event-stream");
  for (std::size_t k = 0; k < 50; ++k) {
    const std::string expected = chunk(fmt::format("data: {{\"n\":{}}}\n\n", k));
    // Chunk framing is passed through, not rebuilt.
    REQUIRE(client.read_exact(expected.size()) == expected);
    seen.pass();
  }
  CHECK(client.read_exact(5) == "0\r\n\r\n");
}

TEST_CASE("a piece of a chunk is passed on before the chunk is whole", "[streaming]") {
  Baton seen;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked());
    const std::string text = "b\r\nhello world\r\n0\r\n\r\n";
    for (std::size_t k = 0; k < text.size(); ++k) {
      // The framing after the data may wait for its own end, the data may not.
      if (k >= 3 && k < 14 && !seen.wait(k - 3)) return;
      connection.send(text.substr(k, 1));
    }
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(get("/v1/models"));
  read_response_head(client);
  CHECK(client.read_exact(3) == "b\r\n");
  std::string text;
  for (int k = 0; k < 11; ++k) {
    text += client.read_exact(1);
    seen.pass();
  }
  CHECK(text == "hello world");
  CHECK(client.read_exact(7) == "\r\n0\r\n\r\n");
}

TEST_CASE("a request body passes piece by piece too", "[streaming]") {
  Baton seen;
  Origin cpa([&](Connection& connection) {
    Message head = connection.read_head();
    read_request_body(connection, head, [&](std::string_view bytes) {
      for (std::size_t i = 0; i < bytes.size(); ++i) seen.pass();
    });
    connection.send(ok("got it"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  const bool coded = GENERATE(true, false);
  Client client = proxy.connect();
  client.send(coded ? request("POST", "/v1/responses", {"Transfer-Encoding: chunked"})
                    : request("POST", "/v1/responses", {"Content-Length: 20"}));
  for (std::size_t k = 0; k < 20; ++k) {
    client.send(coded ? chunk("x") : "x");
    REQUIRE(seen.wait(k + 1));
  }
  if (coded) client.send("0\r\n\r\n");
  CHECK(client.response().body == "got it");
}

TEST_CASE("a 64 MiB answer with Content-Length arrives byte-exact in flat memory", "[streaming]") {
  download(Coding::length, 64 * mebibyte);
}

TEST_CASE("a 64 MiB answer in chunks arrives byte-exact in flat memory", "[streaming]") {
  download(Coding::chunked, 64 * mebibyte);
}

TEST_CASE("a 64 MiB request with Content-Length arrives byte-exact in flat memory", "[streaming]") {
  upload(Coding::length, 64 * mebibyte);
}

TEST_CASE("a 64 MiB request in chunks arrives byte-exact in flat memory", "[streaming]") {
  upload(Coding::chunked, 64 * mebibyte);
}

TEST_CASE("1 GiB arrives byte-exact in flat memory, each way and each framing", "[.][big]") {
  download(Coding::length, 1024ULL * mebibyte);
  download(Coding::chunked, 1024ULL * mebibyte);
  upload(Coding::length, 1024ULL * mebibyte);
  upload(Coding::chunked, 1024ULL * mebibyte);
}

TEST_CASE("a chunked response split at every byte arrives whole", "[streaming]") {
  const std::string text =
      ok_chunked({"X-A: b"}) + "5;ext=1\r\nhello\r\n00006\r\n world\r\nA\r\n0123456789\r\n0\r\n\r\n";
  std::atomic<std::size_t> at{0};
  Origin cpa([&](Connection& connection) {
    while (true) {
      connection.read_request(Deadline{60s});
      const std::size_t k = at;
      connection.send(text.substr(0, k));
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      connection.send(text.substr(k));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (std::size_t k = 1; k < text.size(); ++k) {
    at = k;
    const Message answer = client.exchange(get("/v1/models"));
    REQUIRE(answer.body == "hello world0123456789");
    REQUIRE(answer.one("X-A") == "b");
  }
  CHECK(cpa.connections() == 1);
}

TEST_CASE("a response that arrives byte by byte arrives whole", "[streaming]") {
  const std::string text = GENERATE(ok("hello", {"X-A: b"}), ok_chunked({"X-A: b"}) + chunked("hello", 2));
  Origin cpa([&](Connection& connection) {
    while (true) {
      connection.read_request(Deadline{60s});
      connection.send_split(text, 1);
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  for (int i = 0; i < 3; ++i) CHECK(client.exchange(get("/v1/models")).body == "hello");
}

TEST_CASE("a request split at every byte arrives whole", "[streaming]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target + " " + seen.body); }));
  Portico proxy{{.cpa = cpa.url()}};
  const std::string text = GENERATE(request("POST", "/v1/responses?x=1", {"Transfer-Encoding: chunked"}) +
                                        "3;a=\"b\"\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                                    post("/v1/responses?x=1", "abcde"));
  Client client = proxy.connect();
  for (std::size_t k = 1; k < text.size(); ++k) {
    client.send(text.substr(0, k));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    client.send(text.substr(k));
    REQUIRE(client.response().body == "/v1/responses?x=1 abcde");
  }
  client.send_split(text, 1);
  CHECK(client.response().body == "/v1/responses?x=1 abcde");
  CHECK(cpa.connections() == 1);
}

TEST_CASE("a client that stops reading costs no memory and the backend is held back", "[streaming]") {
  constexpr std::size_t offered = 64 * mebibyte;
  std::atomic<std::size_t> taken{0};
  Baton stuck;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", offered));
    const std::string bytes = pattern(3, offered);
    taken = connection.send_until_stuck(bytes, 500ms);
    stuck.pass();
    connection.send(std::string_view(bytes).substr(taken), Deadline{30s});
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client = proxy.connect({.receive_buffer = 16 * 1024});
  client.send(get("/v1/files"));
  REQUIRE(stuck.wait(1, Deadline{30s}));
  // What the kernel's buffers of three sockets hold, and not the whole answer.
  CHECK(taken < offered / 2);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 2 * mebibyte);
  // It goes on when the client reads again.
  Message answer = read_response_head(client);
  Checker checker(3);
  read_response_body(client, answer, false, [&](std::string_view bytes) { checker.take(bytes); });
  CHECK(checker.good());
  CHECK(checker.size() == offered);
}

TEST_CASE("a backend that stops reading costs no memory and the client is held back", "[streaming]") {
  constexpr std::size_t offered = 64 * mebibyte;
  Baton go;
  Origin cpa([&](Connection& connection) {
    connection.set_receive_buffer(16 * 1024);
    Message head = connection.read_head();
    if (!go.wait(1, Deadline{60s})) return;
    Checker checker(4);
    read_request_body(connection, head, [&](std::string_view bytes) { checker.take(bytes); });
    connection.send(ok(fmt::format("{} {}", checker.good(), checker.size())));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client = proxy.connect();
  client.send(request("POST", "/v1/files", {fmt::format("Content-Length: {}", offered)}));
  const std::string bytes = pattern(4, offered);
  const std::size_t taken = client.send_until_stuck(bytes, 500ms);
  CHECK(taken < offered / 2);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 2 * mebibyte);
  go.pass();
  client.send(std::string_view(bytes).substr(taken), Deadline{30s});
  CHECK(client.response(false, Deadline{30s}).body == fmt::format("true {}", offered));
}

TEST_CASE("an idle stream holds no body buffer", "[streaming]") {
  // 300 streams after 64 KiB each: were a buffer kept, it would show as 300 times its size.
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked());
    connection.send(chunk(pattern(1, 65'536)));
    connection.keep();
  });
  Portico proxy{{.cpa = cpa.url()}};
  const auto open_one = [&] {
    Client client = proxy.connect();
    client.send(get("/v1/models"));
    read_response_head(client);
    client.read_exact(chunk(pattern(1, 65'536)).size());
    return client;
  };
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(open_one());
  const std::size_t before = proxy.process().rss_bytes();
  for (int i = 0; i < 300; ++i) clients.push_back(open_one());
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 300 * 16 * 1024);
  CHECK(clients.size() == 320);
}

TEST_CASE("an early final response during an upload is relayed", "[streaming]") {
  const bool closes = GENERATE(true, false);
  Origin cpa([closes](Connection& connection) {
    connection.read_head();
    connection.send("HTTP/1.1 413 Too Large\r\n" + std::string(closes ? "Connection: close\r\n" : "") +
                    "Content-Length: 5\r\n\r\nlarge");
    if (closes) return;  // with request bytes unread: a reset follows
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/files", {"Content-Length: 10000000"}));
  client.send(pattern(1, 100'000));
  const Message answer = client.response();
  CHECK(answer.status == 413);
  CHECK(answer.body == "large");
  CHECK(answer.end == End::complete);
}

TEST_CASE(
    "a client whose upload is stuck may send on after an early response, which no reset then takes away",
    "[streaming]") {
  const bool tls = GENERATE(false, true);
  CAPTURE(tls);
  Baton stuck;
  Origin cpa([&](Connection& connection) {
    connection.read_head();
    if (!stuck.wait(1, Deadline{60s})) return;
    connection.send(ok("enough"));
    // What came of the body stays unread.
    connection.keep();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = tls ? proxy.connect_tls() : proxy.connect();
  client.send(request("POST", "/v1/files", {"Content-Length: 60000000"}));
  // In steps, so that little waits in front of Portico when the backend's end is full.
  std::size_t sent = 0;
  const auto all_taken = [&] {
    return proxy.metric("portico_body_bytes_total", {R"(direction="request")"}) == static_cast<double>(sent);
  };
  do {
    client.send(pattern(1, 262'144));
    sent += 262'144;
  } while (sent < 30'000'000 && eventually(all_taken, Deadline{300ms}));
  CAPTURE(sent);
  stuck.pass();
  const Message answer = client.response();
  CHECK(answer.body == "enough");
  CHECK(answer.one("Connection") == "close");
  // A connection that was closed over unread bytes would refuse these.
  for (int i = 0; i < 8; ++i) CHECK_NOTHROW(client.send(pattern(2, 16'384)));
  CHECK(client.ends());
}

TEST_CASE("a client that goes away closes the backend request within a second, whatever phase it is in",
          "[streaming]") {
  const std::string phase =
      GENERATE(values<std::string>({"before the response head", "in the stream", "in the upload"}));
  const bool cut = GENERATE(true, false);
  CAPTURE(phase, cut);
  Baton reached;
  Origin cpa([&](Connection& connection) {
    connection.read_head();
    if (phase == "in the stream") connection.send(ok_chunked() + chunk("data: 1\n\n"));
    reached.pass();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(phase == "in the upload" ? request("POST", "/v1/responses", {"Content-Length: 1000"}) + "part"
                                       : post("/v1/responses", "{}"));
  REQUIRE(reached.wait(1));
  if (phase == "in the stream") client.read_until("data: 1\n\n\r\n");
  cut ? client.reset() : client.close();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
  CHECK(eventually(
      [&] { return proxy.metric("portico_exchanges_ended_total", {"how=\"client_gone\""}) == 1; }));
}

TEST_CASE("a client that cuts an upload for which the backend has no room ends the exchange within a second",
          "[streaming]") {
  Baton done;
  Origin cpa([&](Connection& connection) {
    connection.set_receive_buffer(4096);
    connection.read_head();
    // Reads nothing more, so that the proxy waits for room.
    if (!done.wait(1, Deadline{60s})) return;
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(request("POST", "/v1/responses", {"Content-Length: 60000000"}));
  CHECK(client.send_until_stuck(std::string(32 * mebibyte, 'x'), 200ms) < 32 * mebibyte);
  client.reset();
  // Bytes in the kernel's buffers hide the end from the origin; the proxy's own count does not.
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{1s}));
  done.pass();
}

TEST_CASE("a client that stopped reading and then cuts closes the backend request within a second",
          "[streaming]") {
  Baton stuck;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked());
    const std::string part = chunk(std::string(mebibyte, 'x'));
    while (connection.send_until_stuck(part, 200ms) == part.size()) continue;
    stuck.pass();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect({.receive_buffer = 16 * 1024});
  client.send(get("/v1/files"));
  REQUIRE(stuck.wait(1, Deadline{30s}));
  client.reset();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
}

TEST_CASE("a client that goes away while the backend is being connected ends the exchange", "[streaming]") {
  BlackHole hole;
  Portico proxy{{.cpa = hole.url(), .settings = R"({"timeouts": {"connect": "30s"}})"}};
  Client client = proxy.connect();
  client.send(get("/v1/models"));
  REQUIRE(eventually([&] { return proxy.metric("portico_streams") == 1; }));
  client.reset();
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{1s}));
}

TEST_CASE("a backend that breaks off mid-body is passed on as a break, never as a clean end", "[streaming]") {
  const auto [name, bytes] = GENERATE(table<std::string, std::string>({
      {"Content-Length", ok("hello").substr(0, ok("hello").size() - 2)},
      {"Content-Length, body not begun", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
      {"mid chunk", ok_chunked() + chunk("hello") + "5\r\nwo"},
      {"between chunks", ok_chunked() + chunk("hello")},
      {"in a chunk size", ok_chunked() + chunk("hello") + "1"},
      {"before the last empty line", ok_chunked() + chunk("hello") + "0\r\n"},
      {"in a trailer", ok_chunked() + chunk("hello") + "0\r\nX-A: b"},
  }));
  const bool cut = GENERATE(true, false);
  CAPTURE(name, cut);
  Origin cpa([&, text = bytes](Connection& connection) {
    connection.read_request();
    connection.send(text);
    // Lets the bytes out before the reset, which would overtake them.
    std::this_thread::sleep_for(20ms);
    if (cut) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message answer = client.exchange(get("/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.end != End::complete);
  CHECK(eventually(
      [&] { return proxy.metric("portico_exchanges_ended_total", {"how=\"backend_broke_off\""}) == 1; }));
}

TEST_CASE(
    "a chunked answer that breaks off is a break for an HTTP/1.0 client, whose body ends with the connection",
    "[streaming]") {
  const bool cut = GENERATE(true, false);
  Origin cpa([cut](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked() + chunk("hello"));
    std::this_thread::sleep_for(20ms);
    if (cut) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  const Message answer = proxy.exchange("GET /v1/models HTTP/1.0\r\nHost: x\r\n\r\n");
  CHECK(answer.body == "hello");
  CHECK(answer.end == End::reset);
}

TEST_CASE("a body that ends with the connection ends cleanly on FIN and as a break on a reset",
          "[streaming]") {
  const bool cut = GENERATE(true, false);
  const std::string version = GENERATE(values<std::string>({"1.0", "1.1"}));
  Origin cpa([cut](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello");
    std::this_thread::sleep_for(20ms);
    if (cut) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message answer = client.exchange("GET /v1/models HTTP/" + version + "\r\nHost: x\r\n\r\n");
  CHECK(answer.body == "hello");
  CHECK((answer.end == End::complete) == !cut);
}

TEST_CASE("data and FIN in one segment end a body that ends with the connection promptly", "[streaming]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    const int on = 1;
    ::setsockopt(connection.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    connection.send("HTTP/1.1 200 OK\r\n\r\nhello");
    connection.half_close();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  // Far less than a poll or a timer for each would take.
  const Deadline deadline{2s};
  for (int i = 0; i < 50; ++i) {
    const Message answer = proxy.exchange(get("/v1/models"));
    REQUIRE(answer.body == "hello");
    REQUIRE(answer.end == End::complete);
  }
  CHECK_FALSE(deadline.expired());
}

TEST_CASE("a client that sends its request and FIN at once is gone: the backend request is closed",
          "[streaming]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  // One segment: the end arrives together with the bytes, and no later event announces it.
  const int on = 1;
  ::setsockopt(client.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
  client.send(post("/v1/responses", "{}"));
  client.half_close();
  CHECK(client.wait_closed() != Outcome::timeout);
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{1s}));
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
}
