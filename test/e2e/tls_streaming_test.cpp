// Specification sections 4 and 9 under TLS: bytes pass at once and exactly, breaks are breaks, ends are clean
// ends.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;
using websocket::Opcode;

namespace {

constexpr std::size_t mebibyte = 1U << 20;

/// Leaves in one of three ways.
void leave(Client& client, const std::string& way) {
  if (way == "close_notify") client.close();
  if (way == "FIN") client.break_off();
  if (way == "reset") client.reset();
}

}  // namespace

TEST_CASE("an event stream passes event by event under TLS", "[tls]") {
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
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls();
  client.send(post("/v1/chat/completions", R"({"stream":true})"));
  CHECK(read_response_head(client).one("Content-Type") == "text/event-stream");
  for (std::size_t k = 0; k < 50; ++k) {
    const std::string expected = chunk(fmt::format("data: {{\"n\":{}}}\n\n", k));
    REQUIRE(client.read_exact(expected.size()) == expected);
    seen.pass();
  }
  CHECK(client.read_exact(5) == "0\r\n\r\n");
}

TEST_CASE("a request body passes piece by piece under TLS", "[tls]") {
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
  Client client = proxy.connect_tls();
  client.send(request("POST", "/v1/responses", {"Content-Length: 20"}));
  for (std::size_t k = 0; k < 20; ++k) {
    client.send("x");
    REQUIRE(seen.wait(k + 1));
  }
  CHECK(client.response().body == "got it");
}

TEST_CASE("32 MiB pass each way under TLS, byte-exact and in flat memory", "[tls]") {
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
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  TlsClientOptions options = proxy.tls_client();
  options.max_version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client = proxy.connect_tls(options);
  client.send(request("POST", "/v1/files", {fmt::format("Content-Length: {}", size)}));
  for (std::size_t at = 0; at < size; at += mebibyte) client.send(pattern(2, mebibyte, at), Deadline{30s});
  Message answer = read_response_head(client, Deadline{30s});
  CHECK(answer.one("X-Got") == fmt::format("true {}", size));
  Checker checker(1);
  std::size_t peak = 0;
  read_response_body(
      client, answer, false,
      [&](std::string_view bytes) {
        if (checker.size() / mebibyte % 8 == 0) peak = std::max(peak, proxy.process().rss_bytes());
        checker.take(bytes);
      },
      30s);
  CHECK(answer.end == End::complete);
  CHECK(checker.good());
  CHECK(checker.size() == size);
  if (!sanitized()) CHECK(peak < before + 6 * mebibyte);
}

TEST_CASE("a TLS client that stops reading costs no memory and the backend is held back", "[tls]") {
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
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  proxy.manage("/metrics");  // what the first scrape allocates is not counted
  const std::size_t before = proxy.process().rss_bytes();
  Client client(proxy.tls_address(), {.receive_buffer = 16 * 1024, .tls = proxy.tls_client()});
  client.send(get("/v1/files"));
  REQUIRE(stuck.wait(1, Deadline{30s}));
  CHECK(taken < offered / 2);
  if (!sanitized()) CHECK(proxy.process().rss_bytes() < before + 3 * mebibyte);
  Message answer = read_response_head(client);
  Checker checker(3);
  read_response_body(client, answer, false, [&](std::string_view bytes) { checker.take(bytes); });
  CHECK(checker.good());
  CHECK(checker.size() == offered);
}

TEST_CASE("a TLS client that goes away closes the backend request within a second", "[tls]") {
  const std::string phase =
      GENERATE(values<std::string>({"before the response head", "in the stream", "in the upload"}));
  const std::string way = GENERATE(values<std::string>({"close_notify", "FIN", "reset"}));
  CAPTURE(phase, way);
  Baton reached;
  Origin cpa([&](Connection& connection) {
    connection.read_head();
    if (phase == "in the stream") connection.send(ok_chunked() + chunk("data: 1\n\n"));
    reached.pass();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls();
  client.send(phase == "in the upload" ? request("POST", "/v1/responses", {"Content-Length: 1000"}) + "part"
                                       : post("/v1/responses", "{}"));
  REQUIRE(reached.wait(1));
  if (phase == "in the stream") client.read_until("data: 1\n\n\r\n");
  leave(client, way);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
  CHECK(eventually(
      [&] { return proxy.metric("portico_exchanges_ended_total", {"how=\"client_gone\""}) == 1; }));
}

TEST_CASE("a backend that breaks off mid-body is a reset without close_notify to a TLS client", "[tls]") {
  const std::string begun =
      GENERATE(ok("hello").substr(0, ok("hello").size() - 2), ok_chunked() + chunk("hello"),
               std::string("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"));
  CAPTURE(begun);
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(begun);
    // Lets the bytes out before the reset, which would overtake them.
    std::this_thread::sleep_for(20ms);
    connection.reset();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls();
  const Message answer = client.exchange(get("/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.body.starts_with("hel"));
  CHECK(answer.end == End::reset);
  CHECK(eventually(
      [&] { return proxy.metric("portico_exchanges_ended_total", {"how=\"backend_broke_off\""}) == 1; }));
}

TEST_CASE("a body that ends with the connection ends with a close_notify under TLS", "[tls]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello");
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const Message answer = proxy.connect_tls().exchange(get("/v1/models"));
  CHECK(answer.body == "hello");
  CHECK(answer.end == End::complete);
}

TEST_CASE("a connection under TLS goes on from request to request, and ends with a close_notify", "[tls]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.target); }));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls(proxy.tls_client({"http/1.1"}));
  for (const char* path : {"/v1/a", "/v1/b", "/v1/c"}) CHECK(client.exchange(get(path)).body == path);
  // Pipelined, in one record.
  client.send(get("/v1/d") + get("/v1/e"));
  CHECK(client.response().body == "/v1/d");
  CHECK(client.response().body == "/v1/e");
  CHECK(cpa.connections() == 1);
  CHECK(client.exchange(get("/v1/f", {"Connection: close"})).body == "/v1/f");
  CHECK(client.ends());
}

TEST_CASE("an answer under TLS is not lost to a reset when the client is still sending", "[tls]") {
  Portico proxy{{.settings = R"({"limits": {"request_body": "1000"}})", .tls = true}};
  Client client = proxy.connect_tls();
  client.send(request("POST", "/v1/x", {"Content-Length: 3000000"}));
  CHECK(client.send_until_stuck(std::string(3'000'000, 'x'), 200ms) > 0);
  const Message answer = client.response();
  CHECK(answer.status == 413);
  CHECK(answer.end == End::complete);
}

TEST_CASE("a WebSocket passes under TLS, frames of all sizes byte-exact", "[tls]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls(proxy.tls_client({"http/1.1"}));
  REQUIRE(client.exchange(websocket::handshake("/v1/responses")).status == 101);
  for (const std::size_t size : {0U, 5U, 126U, 16'384U, 65'536U, 300'000U}) {
    const std::string payload = pattern(size, size);
    client.send(websocket::client_frame(Opcode::binary, payload));
    REQUIRE(websocket::read_frame(client).payload == payload);
  }
  client.send(websocket::client_frame(Opcode::close, ""));
  CHECK(websocket::read_frame(client).opcode == Opcode::close);
  CHECK(client.ends());
}

TEST_CASE("a WebSocket under TLS whose one end goes away is closed towards the other", "[tls]") {
  const std::string way = GENERATE(values<std::string>({"close_notify", "FIN", "reset", "backend"}));
  CAPTURE(way);
  Baton go;
  Origin cpa([&](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    if (way != "backend") {
      connection.stall_until_closed();
      return;
    }
    if (go.wait(1)) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Client client = proxy.connect_tls();
  REQUIRE(client.exchange(websocket::handshake("/v1/responses")).status == 101);
  leave(client, way);
  go.pass();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
  if (way == "backend") CHECK(client.wait_closed() == Outcome::rst);
}

TEST_CASE("while draining an idle TLS connection ends with a close_notify and a running stream finishes",
          "[tls]") {
  Origin cpa([](Connection& connection) {
    while (connection.read_request(Deadline{60s}).target != "/v1/stream") connection.send(ok("x"));
    connection.send(ok_chunked() + chunk("begin"));
    connection.keep();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "30s"}})", .tls = true}};
  Client idle = proxy.connect_tls();
  CHECK(idle.exchange(get("/v1/models")).body == "x");
  Client busy = proxy.connect_tls();
  busy.send(get("/v1/stream"));
  read_response_head(busy);
  CHECK(busy.read_exact(10) == chunk("begin"));
  proxy.signal(SIGTERM);
  CHECK(idle.ends());
  // The busy exchange took the idle connection of the pool, or one of its own.
  cpa.connection(cpa.connections() - 1).send(chunk("end") + "0\r\n\r\n");
  CHECK(busy.read_exact(13) == chunk("end") + "0\r\n\r\n");
  CHECK(busy.ends());
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("a TLS stream that still runs at the end of drain_timeout is cut, not ended", "[tls]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked() + chunk("begin"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "300ms"}})", .tls = true}};
  Client client = proxy.connect_tls();
  client.send(get("/v1/stream"));
  read_response_head(client);
  CHECK(client.read_exact(10) == chunk("begin"));
  CHECK(proxy.stop() == 0);
  CHECK(client.wait_closed() == Outcome::rst);
}
