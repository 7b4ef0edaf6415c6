// Specification section 3: a WebSocket upgrade becomes a tunnel, and nothing else ever does.

#include "test/support/websocket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;
using websocket::Opcode;

namespace {

/// Opens a tunnel.
Client upgraded(const Portico& proxy, std::string_view path = "/v1/responses") {
  Client client = proxy.connect();
  const Message answer = client.exchange(websocket::handshake(path));
  if (answer.status != 101) throw std::runtime_error("no 101: " + answer.head + answer.body);
  return client;
}

}  // namespace

TEST_CASE("a WebSocket upgrade that the backend accepts becomes a two-way tunnel", "[websocket]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message answer = client.exchange(websocket::handshake(
      "/v1/responses?model=x",
      {"Sec-WebSocket-Protocol: realtime, a.b", "x-codex-turn-state: s", "Origin: http://x"}));
  REQUIRE(answer.status == 101);
  CHECK(answer.one("Sec-WebSocket-Accept") == websocket::accept_for(websocket::key));
  CHECK(answer.one("Upgrade") == "websocket");
  CHECK(answer.one("Connection") == "upgrade");
  const Message seen = cpa.request(0);
  CHECK(seen.target == "/v1/responses?model=x");
  CHECK(seen.has_line("Sec-WebSocket-Protocol: realtime, a.b"));
  CHECK(seen.has_line("x-codex-turn-state: s"));
  CHECK(seen.one("Sec-WebSocket-Key") == websocket::key);
  CHECK(seen.one("Sec-WebSocket-Version") == "13");
  CHECK(seen.all("X-Forwarded-For").size() == 1);
  client.send(websocket::client_frame(Opcode::text, "hello"));
  const auto frame = websocket::read_frame(client);
  CHECK(frame.opcode == Opcode::text);
  CHECK(frame.payload == "hello");
  client.send(websocket::client_frame(Opcode::close, ""));
  CHECK(websocket::read_frame(client).opcode == Opcode::close);
  CHECK(client.ends());
}

TEST_CASE("frames in the segment of the 101 reach the client", "[websocket]") {
  Origin cpa([](Connection& connection) {
    const Message seen = connection.read_head();
    connection.send(websocket::accepted(seen) + websocket::server_frame(Opcode::text, "first") +
                    websocket::server_frame(Opcode::text, "second"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  CHECK(websocket::read_frame(client).payload == "first");
  CHECK(websocket::read_frame(client).payload == "second");
}

TEST_CASE("a 101 and frames that arrive byte by byte arrive whole", "[websocket]") {
  Origin cpa([](Connection& connection) {
    const Message seen = connection.read_head();
    connection.send_split(websocket::accepted(seen) + websocket::server_frame(Opcode::text, "first"), 1);
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send_split(websocket::handshake("/v1/responses"), 1);
  CHECK(client.response().status == 101);
  CHECK(websocket::read_frame(client).payload == "first");
}

TEST_CASE("frames that the client sends with its handshake reach the backend after the 101", "[websocket]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(websocket::handshake("/v1/responses") + websocket::client_frame(Opcode::text, "early"));
  CHECK(client.response().status == 101);
  CHECK(websocket::read_frame(client).payload == "early");
}

TEST_CASE("1,000 frames pass both ways byte-exact", "[websocket]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::string payload = pattern(i, (i * 37) % 3000);
    client.send(websocket::client_frame(Opcode::binary, payload));
    REQUIRE(websocket::read_frame(client).payload == payload);
  }
}

TEST_CASE("frames that cross on their way do not disturb each other", "[websocket]") {
  Origin cpa([](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    // 8 MiB each way at the same time: neither side waits for the other.
    std::string out;
    for (std::uint64_t i = 0; i < 128; ++i)
      out += websocket::server_frame(Opcode::binary, pattern(i, 65'536));
    std::thread sender([&] {
      try {
        connection.send(out, Deadline{30s});
      } catch (const WireError&) {
        // The reading side tells.
      }
    });
    const std::string got = [&] {
      std::string all;
      while (all.size() < 128 * 65'536) all += websocket::read_frame(connection).payload;
      return all;
    }();
    sender.join();
    bool good = true;
    for (std::uint64_t i = 0; i < 128; ++i)
      good = good && got.compare(i * 65'536, 65'536, pattern(1000 + i, 65'536)) == 0;
    connection.send(websocket::server_frame(Opcode::text, good ? "good" : "bad"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  std::string out;
  for (std::uint64_t i = 0; i < 128; ++i)
    out += websocket::client_frame(Opcode::binary, pattern(1000 + i, 65'536));
  std::thread sender([&] {
    try {
      client.send(out, Deadline{30s});
    } catch (const WireError&) {
      // The reading side tells.
    }
  });
  bool good = true;
  std::string last;
  try {
    for (std::uint64_t i = 0; i < 128; ++i)
      good = good && websocket::read_frame(client).payload == pattern(i, 65'536);
    last = websocket::read_frame(client).payload;
  } catch (const WireError&) {
    good = false;
  }
  client.half_close();
  sender.join();
  CHECK(good);
  CHECK(last == "good");
}

TEST_CASE("a refused upgrade is relayed as an ordinary response and the connection stays HTTP",
          "[websocket]") {
  Origin cpa([](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      connection.send(seen.has("Upgrade") ? "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
                                          : ok("yes"));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  const Message refused = client.exchange(websocket::handshake("/v1/responses"));
  CHECK(refused.status == 401);
  CHECK(refused.body == "no");
  CHECK_FALSE(refused.has("Upgrade"));
  CHECK(client.exchange(get("/v1/models")).body == "yes");
}

TEST_CASE("any other Upgrade is stripped", "[websocket]") {
  Origin cpa(Origin::serve(ok("plain")));
  Portico proxy{{.cpa = cpa.url()}};
  const auto text = GENERATE(values<std::string>({
      get("/v1/models", {"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"}),
      get("/v1/models", {"Connection: Upgrade", "Upgrade: foo"}),
      get("/v1/models", {"Connection: Upgrade", "Upgrade: websocket, h2c",
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}),
      // Upgrade without Connection, HTTP/1.0, a body, no key, another method.
      get("/v1/models", {"Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}),
      std::string("GET /v1/models HTTP/1.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
      get("/v1/models", {"Connection: upgrade", "Upgrade: websocket"}),
      post("/v1/models", "x",
           {"Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}),
  }));
  const Message answer = proxy.exchange(text);
  CHECK(answer.status == 200);
  CHECK(answer.body == "plain");
  const Message seen = cpa.wait_request(0);
  CHECK_FALSE(seen.has("Upgrade"));
  CHECK_FALSE(seen.has("HTTP2-Settings"));
  const auto connection = seen.one("Connection");
  CHECK(connection.find("pgrade") == std::string::npos);
}

TEST_CASE("a 101 that nobody asked for is a 502", "[websocket]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  const auto text = GENERATE(
      values<std::string>({get("/v1/models"), get("/v1/models", {"Connection: Upgrade", "Upgrade: h2c"}),
                           post("/v1/responses", "{}")}));
  Client client = proxy.connect();
  const Message answer = client.exchange(text);
  CHECK(answer.status == 502);
  CHECK(answer.body.find("upstream_bad_response") != std::string::npos);
  CHECK(answer.body.find("raw bytes") == std::string::npos);
}

TEST_CASE("a 101 with the wrong Sec-WebSocket-Accept, or none, or for another protocol is a 502",
          "[websocket]") {
  const auto head = GENERATE(values<std::string>(
      {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
       "Upgrade: websocket\r\nConnection: Upgrade\r\n",
       "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
       "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"}));
  Origin cpa([&](Connection& connection) {
    connection.read_head();
    connection.send("HTTP/1.1 101 Switching Protocols\r\n" + head + "\r\n");
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  const Message answer = proxy.exchange(websocket::handshake("/v1/responses"));
  CHECK(answer.status == 502);
  CHECK(answer.body.find("upstream_bad_response") != std::string::npos);
}

TEST_CASE("an idle tunnel is closed after its time-out", "[websocket]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"websocket_idle": "300ms"}})"}};
  Client client = upgraded(proxy);
  // Traffic keeps it open for longer than the time-out.
  const auto until = Clock::now() + 900ms;
  while (Clock::now() < until) {
    client.send(websocket::client_frame(Opcode::text, "x"));
    REQUIRE(websocket::read_frame(client).payload == "x");
    std::this_thread::sleep_for(30ms);
  }
  CHECK(client.wait_closed() != Outcome::timeout);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("a tunnel whose client goes away is closed towards the backend within a second", "[websocket]") {
  const bool cut = GENERATE(true, false);
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  CHECK(cpa.open_connections() == 1);
  cut ? client.reset() : client.close();
  CHECK(eventually([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
}

TEST_CASE("a tunnel whose backend goes away is closed towards the client", "[websocket]") {
  const bool cut = GENERATE(true, false);
  Origin cpa([cut](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    connection.send(websocket::server_frame(Opcode::text, "last"));
    websocket::read_frame(connection);
    if (cut) connection.reset();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  CHECK(websocket::read_frame(client).payload == "last");
  client.send(websocket::client_frame(Opcode::text, "go"));
  const Outcome how = client.wait_closed();
  CHECK(how != Outcome::timeout);
  // A break is passed on as a break.
  if (cut) CHECK(how == Outcome::rst);
}

TEST_CASE("what a client sent before it went away still reaches the backend", "[websocket]") {
  Baton ended;
  std::string got;
  Origin cpa([&](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    for (int i = 0; i < 3; ++i) got += websocket::read_frame(connection).payload;
    ended.pass();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  client.send(websocket::client_frame(Opcode::text, "a") + websocket::client_frame(Opcode::text, "b") +
              websocket::client_frame(Opcode::close, "c"));
  client.close();
  REQUIRE(ended.wait(1));
  CHECK(got == "abc");
}

TEST_CASE("a tunnel whose client has left ends soon even if the backend says one thing more", "[websocket]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    const Message seen = connection.read_head();
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: " +
        websocket::accept_for(websocket::key) + "\r\n\r\n");
    if (!go.wait(1)) return;
    connection.send("one thing more");
    // The end of the client's side comes first; then nothing is said until Portico closes.
    while (connection.fill() == Outcome::data) {
    }
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = upgraded(proxy);
  client.close();
  go.pass();
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{3s}));
}
