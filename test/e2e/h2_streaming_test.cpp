// Specification sections 4, 8 and 9 over HTTP/2: streams beside each other, each with its own pace, break and
// end.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"

using namespace portico::test;

namespace {

constexpr std::size_t mebibyte = 1U << 20;

/// Begins a chunked answer with one chunk and leaves the connection to the test.
Origin::Script begins_stream() {
  return [](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked() + chunk("begin"));
    connection.keep();
  };
}

/// `/v1/endless` is answered with bytes for as long as they are taken, everything else with its target.
Origin::Script endless_beside(std::atomic<std::size_t>& taken) {
  return [&taken](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      if (seen.target != "/v1/endless") {
        connection.send(ok(seen.target));
        continue;
      }
      connection.send(ok_chunked());
      const std::string part = chunk(std::string(65'536, 'x'));
      while (connection.send_until_stuck(part, 30s) == part.size()) taken += part.size();
      return;
    }
  };
}

/// Waits until a count has not grown for a while; returns it.
std::size_t settled(const std::atomic<std::size_t>& count) {
  std::size_t last = 0;
  CHECK(eventually(
      [&] {
        last = count;
        return last > 0 && throughout(300ms, [&] { return count == last; });
      },
      Deadline{30s}));
  return last;
}

bool ended(const Portico& proxy, const std::string& how, double count) {
  return eventually([&] {
    return proxy.metric("portico_exchanges_ended_total", {fmt::format("how=\"{}\"", how)}) == count;
  });
}

constexpr const char* slow_drain = R"({"timeouts": {"drain": "30s"}})";

}  // namespace

TEST_CASE("an event stream passes event by event over h2", "[h2]") {
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
  Portico proxy{{.cpa = cpa.url(), .tls = true, .cleartext_h2 = true}};
  H2Client client = h2_connect(proxy, GENERATE(Door::tls, Door::cleartext));
  const auto stream = client.open(client.head("POST", "/v1/chat/completions"), R"({"stream":true})");
  CHECK(client.wait_head(stream).one("content-type") == "text/event-stream");
  for (std::size_t k = 0; k < 50; ++k) {
    const std::string expected = fmt::format("data: {{\"n\":{}}}\n\n", k);
    REQUIRE(client.read_exact(stream, expected.size()) == expected);
    CHECK(client.response(stream).end == H2End::open);
    seen.pass();
  }
  CHECK(client.wait_end(stream).end == H2End::complete);
}

TEST_CASE("a request body passes piece by piece over h2", "[h2]") {
  Baton seen;
  Origin cpa([&](Connection& connection) {
    Message head = connection.read_head();
    read_request_body(connection, head, [&](std::string_view bytes) {
      for (std::size_t i = 0; i < bytes.size(); ++i) seen.pass();
    });
    connection.send(ok("got it"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = client.open_upload(client.head("POST", "/v1/responses"));
  for (std::size_t k = 0; k < 20; ++k) {
    client.send_data(stream, "x");
    REQUIRE(seen.wait(k + 1));
  }
  client.finish(stream);
  CHECK(client.wait_end(stream).body == "got it");
}

TEST_CASE("100 streams at once get each its own answer, in whatever order the backends give them", "[h2]") {
  constexpr std::size_t count = 100;
  Baton arrived;
  Origin cpa([&](Connection& connection) {
    const Message seen = connection.read_request();
    arrived.pass();
    // Nobody is answered before all are there: they really run at once.
    if (!arrived.wait(count, Deadline{30s})) return;
    const auto seed = std::stoul(seen.body);
    connection.send(ok_chunked());
    const std::string body = pattern(seed, 50'000 + seed);
    for (std::size_t at = 0; at < body.size(); at += 7'001) connection.send(chunk(body.substr(at, 7'001)));
    connection.send("0\r\n\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  std::vector<H2Client::StreamId> streams;
  for (std::size_t i = 0; i < count; ++i)
    streams.push_back(client.open(client.head("POST", "/v1/responses"), fmt::format("{}", i)));
  for (std::size_t i = 0; i < count; ++i) {
    const H2Response& answer = client.wait_end(streams[i], Deadline{30s});
    REQUIRE(answer.end == H2End::complete);
    REQUIRE(answer.body == pattern(i, 50'000 + i));
  }
  CHECK(client.wire().open());
  CHECK(ended(proxy, "complete", count));
}

TEST_CASE("32 MiB pass each way over h2, byte-exact and in flat memory", "[h2]") {
  constexpr std::size_t size = 32 * mebibyte;
  Origin cpa([&](Connection& connection) {
    Message head = connection.read_head();
    Checker checker(2);
    read_request_body(
        connection, head, [&](std::string_view bytes) { checker.take(bytes); }, 30s);
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nX-Got: {} {}\r\nContent-Length: {}\r\n\r\n",
                                checker.good(), checker.size(), size));
    for (std::size_t at = 0; at < size; at += mebibyte)
      connection.send(pattern(1, mebibyte, at), Deadline{30s});
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true, .cleartext_h2 = true}};
  const Door door = GENERATE(Door::tls, Door::cleartext);
  const std::uint32_t window = GENERATE(65'535U, 4'000'000U);
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  H2Client client = h2_connect(proxy, door, {.initial_window = window, .connection_window = window});
  const auto stream = client.open_upload(client.head("POST", "/v1/files"));
  Checker checker(1);
  std::size_t peak = 0;
  client.set_sink(stream, [&](std::string_view bytes) {
    if (checker.size() / mebibyte % 8 == 0) peak = std::max(peak, proxy.process().rss_bytes());
    checker.take(bytes);
  });
  for (std::size_t at = 0; at < size; at += mebibyte) {
    client.send_data(stream, pattern(2, mebibyte, at));
    REQUIRE(client.wait_sent(stream, Deadline{30s}));
  }
  client.finish(stream);
  const H2Response& answer = client.wait_end(stream, Deadline{60s});
  CHECK(answer.one("x-got") == fmt::format("true {}", size));
  CHECK(answer.end == H2End::complete);
  CHECK(checker.good());
  CHECK(checker.size() == size);
  if (!sanitized()) CHECK(peak < before + 6 * mebibyte);
}

TEST_CASE("an h2 stream that is not read holds back its backend alone, in bounded memory", "[h2]") {
  std::atomic<std::size_t> taken{0};
  Origin cpa(endless_beside(taken));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  H2Client client = h2_connect(proxy, Door::tls, {.connection_window = 16 * mebibyte});
  const auto slow = client.open(client.head("GET", "/v1/endless"));
  client.hold(slow);
  client.wait_body(slow, 65'535);
  const std::size_t stuck = settled(taken);
  CHECK(stuck < 32 * mebibyte);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 3 * mebibyte);
  // The others go on.
  for (int i = 0; i < 50; ++i)
    REQUIRE(client.exchange(client.head("GET", "/v1/models")).body == "/v1/models");
  CHECK(client.body_size(slow) == 65'535);
  // And so does this one once it is read again.
  client.set_sink(slow, [](std::string_view) {});
  client.release(slow);
  client.wait_body(slow, stuck + mebibyte, Deadline{30s});
  client.reset(slow);
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{1s}));
}

TEST_CASE("an h2 connection whose window is used up holds back every stream, until it is credited", "[h2]") {
  std::atomic<std::size_t> taken{0};
  Origin cpa(endless_beside(taken));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  H2Client client = h2_connect(proxy, Door::tls, {.initial_window = 8 * mebibyte});
  client.hold_connection();
  std::vector<H2Client::StreamId> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(client.open(client.head("GET", "/v1/endless")));
  const auto received = [&] {
    std::uint64_t sum = 0;
    for (const auto stream : streams) sum += client.body_size(stream);
    return sum;
  };
  CHECK(client.wait_until([&] { return received() == 65'535; }));
  CHECK(settled(taken) < 64 * mebibyte);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 4 * mebibyte);
  CHECK(client.ping());
  CHECK(received() == 65'535);
  for (const auto stream : streams) client.set_sink(stream, [](std::string_view) {});
  client.release_connection();
  CHECK(client.wait_until([&] { return received() > 4 * mebibyte; }, Deadline{30s}));
}

TEST_CASE("a backend that stops reading holds back its h2 stream alone", "[h2]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    while (true) {
      Message head = connection.read_head(Deadline{60s});
      if (head.target == "/v1/files" && !go.wait(1, Deadline{60s})) return;
      Checker checker(4);
      read_request_body(connection, head, [&](std::string_view bytes) { checker.take(bytes); });
      connection.send(ok(fmt::format("{} {}", checker.good(), checker.size())));
    }
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  H2Client client = h2_connect(proxy);
  const auto stuck = client.open(client.head("POST", "/v1/files"), pattern(4, 32 * mebibyte));
  // Its window is not credited while the backend does not take the bytes.
  CHECK(client.wait_until([&] { return cpa.requests() == 1; }));
  client.listen_for(500ms);
  CHECK(client.unsent(stuck) > 16 * mebibyte);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 3 * mebibyte);
  for (int i = 0; i < 20; ++i)
    REQUIRE(client.exchange(client.head("POST", "/v1/responses"), pattern(4, 3000)).body == "true 3000");
  go.pass();
  CHECK(client.wait_end(stuck, Deadline{60s}).body == fmt::format("true {}", 32 * mebibyte));
}

TEST_CASE("an h2 stream that is cancelled closes its backend within a second, the others go on", "[h2]") {
  const std::string phase =
      GENERATE(values<std::string>({"before the response head", "in the stream", "in the upload"}));
  CAPTURE(phase);
  Baton reached;
  Origin cpa([&](Connection& connection) {
    const Message seen = connection.read_head();
    if (seen.target == "/v1/other") {
      connection.send(ok_chunked() + chunk("begin"));
      connection.keep();
      return;
    }
    if (phase == "in the stream") connection.send(ok_chunked() + chunk("data: 1\n\n"));
    reached.pass();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto other = client.open(client.head("GET", "/v1/other"));
  CHECK(client.read_exact(other, 5) == "begin");
  H2Fields fields = client.head("POST", "/v1/responses");
  if (phase == "in the upload") fields.push_back({"content-length", "1000"});
  const auto stream = client.open_upload(fields);
  client.send_data(stream, "part");
  if (phase != "in the upload") client.finish(stream);
  REQUIRE(client.wait_until([&] { return reached.wait(1, Deadline{1ms}); }));
  if (phase == "in the stream") client.wait_body(stream, 9);
  client.reset(stream, H2Error::cancel);
  CHECK(eventually([&] { return cpa.open_connections() == 1; }, Deadline{1s}));
  CHECK(ended(proxy, "client_gone", 1));
  cpa.connection(0).send(chunk("end") + "0\r\n\r\n");
  CHECK(client.wait_end(other).body == "beginend");
  CHECK(client.response(other).end == H2End::complete);
}

TEST_CASE("an h2 connection that ends closes the backends of all its streams within a second", "[h2]") {
  const std::string way = GENERATE(values<std::string>({"GOAWAY", "close_notify", "FIN", "reset"}));
  CAPTURE(way);
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  for (int i = 0; i < 10; ++i)
    CHECK(client.read_exact(client.open(client.head("GET", "/v1/stream")), 5) == "begin");
  CHECK(proxy.metric("portico_streams") == 10);
  if (way == "GOAWAY") client.say_goodbye();
  if (way == "close_notify") client.wire().close();
  if (way == "FIN") client.wire().break_off();
  if (way == "reset") client.wire().reset();
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{1s}));
  for (std::size_t i = 0; i < 10; ++i) CHECK(cpa.connection(i).wait_closed(Deadline{1s}) != Outcome::timeout);
  CHECK(ended(proxy, "client_gone", 10));
  CHECK(eventually([&] { return proxy.metric("portico_connections") == 0; }));
}

TEST_CASE("a backend that breaks off mid-body is RST_STREAM over h2, never END_STREAM", "[h2]") {
  const auto [name, bytes] = GENERATE(table<std::string, std::string>({
      {"Content-Length", ok("hello").substr(0, ok("hello").size() - 2)},
      {"Content-Length, reset", ok("hello").substr(0, ok("hello").size() - 2)},
      {"Content-Length, body not begun", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
      {"mid chunk", ok_chunked() + chunk("hello") + "5\r\nwo"},
      {"between chunks", ok_chunked() + chunk("hello")},
      {"between chunks, reset", ok_chunked() + chunk("hello")},
      {"before the last empty line", ok_chunked() + chunk("hello") + "0\r\n"},
      {"until close, reset", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"},
  }));
  CAPTURE(name);
  Origin cpa([text = bytes, resets = name.ends_with("reset")](Connection& connection) {
    const Message seen = connection.read_request();
    if (seen.target == "/v1/other") {
      connection.send(ok_chunked() + chunk("begin"));
      connection.keep();
      return;
    }
    connection.send(text);
    // Lets the bytes out before the reset, which would overtake them.
    std::this_thread::sleep_for(20ms);
    if (resets) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto other = client.open(client.head("GET", "/v1/other"));
  CHECK(client.read_exact(other, 5) == "begin");
  const H2Response& answer = client.exchange(client.head("GET", "/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.end == H2End::reset);
  CHECK(answer.code != H2Error::no_error);
  CHECK(ended(proxy, "backend_broke_off", 1));
  // The connection and its other streams are not touched.
  cpa.connection(0).send(chunk("end") + "0\r\n\r\n");
  CHECK(client.wait_end(other).end == H2End::complete);
  CHECK(client.goaways().empty());
}

TEST_CASE("a backend whose answer is no answer is a 502 over h2", "[h2]") {
  const std::string bytes = GENERATE(values<std::string>(
      {"", "rubbish\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
       "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"}));
  CAPTURE(bytes);
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(bytes);
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const H2Response& answer = client.exchange(client.head("POST", "/v1/models"), "{}");
  CHECK(answer.status == 502);
  CHECK(answer.end == H2End::complete);
}

TEST_CASE("an early final response during an upload is relayed over h2", "[h2]") {
  const bool closes = GENERATE(true, false);
  Origin cpa([closes](Connection& connection) {
    const Message seen = connection.read_head();
    if (seen.target != "/v1/files") {
      connection.send(ok("x"));
      return;
    }
    connection.send("HTTP/1.1 413 Too Large\r\n" + std::string(closes ? "Connection: close\r\n" : "") +
                    "Content-Length: 5\r\n\r\nlarge");
    if (closes) return;  // with request bytes unread: a reset follows
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = client.open_upload(client.head("POST", "/v1/files"));
  client.send_data(stream, pattern(1, 100'000));
  const H2Response& answer = client.wait_end(stream);
  CHECK(answer.status == 413);
  CHECK(answer.body == "large");
  CHECK(answer.end == H2End::complete);
  // RFC 9113 section 8.1: what may follow the whole answer is a RST_STREAM with NO_ERROR.
  CHECK(answer.code == H2Error::no_error);
  CHECK(client.exchange(client.head("GET", "/v1/models")).body == "x");
}

TEST_CASE("drain over h2: GOAWAY, running streams finish, the connection ends, the exit status is 0",
          "[h2]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain, .tls = true, .cleartext_h2 = true}};
  const Door door = GENERATE(Door::tls, Door::cleartext);
  H2Client client = h2_connect(proxy, door);
  H2Client idle = h2_connect(proxy, door);
  CHECK(idle.ping());
  const auto first = client.open(client.head("GET", "/v1/stream"));
  const auto second = client.open(client.head("GET", "/v1/stream"));
  CHECK(client.read_exact(first, 5) == "begin");
  CHECK(client.read_exact(second, 5) == "begin");
  proxy.signal(SIGTERM);
  CHECK(client.wait_until([&] { return !client.goaways().empty(); }));
  CHECK(client.goaways()[0].code == H2Error::no_error);
  CHECK(client.goaways()[0].last_stream >= second);
  CHECK(idle.wait_closed() == Outcome::fin);
  REQUIRE_FALSE(idle.goaways().empty());
  CHECK(idle.goaways().back().code == H2Error::no_error);
  for (std::size_t i = 0; i < 2; ++i) cpa.connection(i).send(chunk("end") + "0\r\n\r\n");
  CHECK(client.wait_end(first).end == H2End::complete);
  CHECK(client.wait_end(second).end == H2End::complete);
  CHECK(client.response(first).body == "beginend");
  CHECK(client.wait_closed() == Outcome::fin);
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("what still runs over h2 at the end of drain_timeout is cut, never ended", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked() + chunk("begin"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "300ms"}})", .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = client.open(client.head("GET", "/v1/stream"));
  CHECK(client.read_exact(stream, 5) == "begin");
  CHECK(proxy.stop() == 0);
  CHECK(client.wait_end(stream).end != H2End::complete);
}

TEST_CASE("an idle h2 connection ends with GOAWAY after keep_alive, a busy one stays", "[h2]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"keep_alive": "300ms"}})", .tls = true}};
  H2Client busy = h2_connect(proxy);
  const auto stream = busy.open(busy.head("GET", "/v1/stream"));
  CHECK(busy.read_exact(stream, 5) == "begin");
  H2Client idle = h2_connect(proxy);
  CHECK(idle.wait_closed() == Outcome::fin);
  REQUIRE_FALSE(idle.goaways().empty());
  CHECK(idle.goaways().back().code == H2Error::no_error);
  cpa.connection(0).send(chunk("end") + "0\r\n\r\n");
  CHECK(busy.wait_end(stream).end == H2End::complete);
}

TEST_CASE("streams of a connection go on under their settings after SIGHUP, new ones have the new", "[h2]") {
  Origin cpa(begins_stream());
  Origin other(Origin::serve(ok("other")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = client.open(client.head("GET", "/v1/stream"));
  CHECK(client.read_exact(stream, 5) == "begin");
  proxy.reload(fmt::format(R"({{"upstreams": {{"cpa": {{"endpoints": ["{}"]}}}}}})", other.url()));
  CHECK(eventually([&] { return client.exchange(client.head("GET", "/v1/models")).body == "other"; }));
  cpa.connection(0).send(chunk("end") + "0\r\n\r\n");
  CHECK(client.wait_end(stream).body == "beginend");
}
