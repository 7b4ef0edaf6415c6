// RFC 8441: a WebSocket on one stream of HTTP/2 becomes an upgrade of HTTP/1.1 to the backend, and what
// passes on either kind of connection is accounted alike.

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;
using websocket::Opcode;

namespace {

namespace json = boost::json;

H2Client::StreamId open_websocket(H2Client& client, std::string_view path, const H2Fields& more = {}) {
  if (!client.takes_extended_connect()) throw ProtocolError("no extended CONNECT");
  return client.open_upload(websocket_connect(client, path, more));
}

json::array records(const Portico& proxy, std::size_t count) {
  json::array found;
  REQUIRE(eventually([&] {
    found = json::parse(proxy.manage("/api/v1/requests?limit=1000").body).at("requests").as_array();
    return found.size() >= count;
  }));
  REQUIRE(found.size() == count);
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace

TEST_CASE("extended CONNECT becomes an upgrade to the backend, and frames pass both ways", "[h2]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url(), .tls = true, .cleartext_h2 = true}};
  const Door door = GENERATE(Door::tls, Door::cleartext);
  H2Client client = h2_connect(proxy, door);
  const auto stream = open_websocket(client, "/v1/responses?model=x",
                                     {{"sec-websocket-protocol", "realtime, a.b"}, {"origin", "http://x"}});
  const H2Response& answer = client.wait_head(stream);
  REQUIRE(answer.status == 200);
  for (const char* name : {"sec-websocket-accept", "upgrade", "connection"}) CHECK_FALSE(answer.has(name));
  const Message seen = cpa.request(0);
  CHECK(seen.start_line == "GET /v1/responses?model=x HTTP/1.1");
  CHECK(seen.all("Host") == std::vector<std::string>{"front.example"});
  CHECK(seen.one("Upgrade") == "websocket");
  const std::string listed = seen.one("Connection");
  CHECK((listed == "Upgrade" || listed == "upgrade"));
  CHECK(seen.one("Sec-WebSocket-Version") == "13");
  CHECK(seen.one("Sec-WebSocket-Key").size() == 24);
  CHECK(seen.one("Sec-WebSocket-Protocol") == "realtime, a.b");
  CHECK(seen.one("X-Forwarded-Proto") == (door == Door::tls ? "https" : "http"));
  for (const std::size_t size : {0U, 5U, 126U, 65'536U, 300'000U}) {
    const std::string payload = pattern(size, size);
    client.send_data(stream, websocket::client_frame(Opcode::binary, payload));
    REQUIRE(read_frame(client, stream).payload == payload);
  }
  client.send_data(stream, websocket::client_frame(Opcode::close, ""));
  CHECK(read_frame(client, stream).opcode == Opcode::close);
  client.finish(stream);
  CHECK(client.wait_end(stream).end == H2End::complete);
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
}

TEST_CASE("each WebSocket over h2 has a key of its own, and the answer to another key is refused", "[h2]") {
  Origin cpa([](Connection& connection) {
    const Message seen = connection.read_head();
    connection.send(seen.target == "/v1/foreign"
                        ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: " +
                              websocket::accept_for(websocket::key) + "\r\n\r\n"
                        : websocket::accepted(seen));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  CHECK(client.wait_head(open_websocket(client, "/v1/a")).status == 200);
  CHECK(client.wait_head(open_websocket(client, "/v1/b")).status == 200);
  CHECK(client.wait_head(open_websocket(client, "/v1/foreign")).status == 502);
  CHECK(cpa.request(0).one("Sec-WebSocket-Key") != cpa.request(1).one("Sec-WebSocket-Key"));
}

TEST_CASE("a backend that does not accept the WebSocket is relayed as an ordinary answer over h2", "[h2]") {
  Origin cpa(Origin::serve("HTTP/1.1 403 Forbidden\r\nX-Why: key\r\nContent-Length: 2\r\n\r\nno"));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = open_websocket(client, "/v1/responses");
  const H2Response& answer = client.wait_end(stream);
  CHECK(answer.status == 403);
  CHECK(answer.one("x-why") == "key");
  CHECK(answer.body == "no");
  // A 200 of the backend is no tunnel either: nothing but a matching 101 is.
  Origin plain(Origin::serve(ok("page")));
  Portico second{{.cpa = plain.url(), .tls = true}};
  H2Client other = h2_connect(second);
  const H2Response& page = other.wait_end(open_websocket(other, "/v1/responses"));
  CHECK((page.status < 200 || page.status >= 300));
}

TEST_CASE("the two ends of a WebSocket over h2 end each other", "[h2]") {
  const std::string way =
      GENERATE(values<std::string>({"client resets", "client ends", "backend resets", "backend ends"}));
  CAPTURE(way);
  Baton go;
  Origin cpa([&](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    if (way.starts_with("client")) {
      connection.stall_until_closed();
      return;
    }
    if (go.wait(1) && way == "backend resets") connection.reset();
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = open_websocket(client, "/v1/responses");
  REQUIRE(client.wait_head(stream).status == 200);
  if (way == "client resets") client.reset(stream);
  if (way == "client ends") client.finish(stream);
  go.pass();
  CHECK(client.wait_until([&] { return cpa.open_connections() == 0; }, Deadline{1s}));
  if (way == "backend resets") CHECK(client.wait_end(stream).end == H2End::reset);
  if (way == "backend ends") CHECK(client.wait_end(stream).end != H2End::open);
  CHECK(client.wait_until([&] { return proxy.metric("portico_streams") == 0; }));
  CHECK(client.ping());
}

TEST_CASE("a WebSocket and ordinary streams share a connection of h2", "[h2]") {
  Origin cpa([](Connection& connection) {
    const Message seen = connection.read_head();
    if (!seen.has("Upgrade")) {
      connection.send(ok("x"));
      return;
    }
    connection.send(websocket::accepted(seen));
    while (true) {
      const auto frame = websocket::read_frame(connection, Deadline{60s});
      connection.send(websocket::server_frame(frame.opcode, frame.payload));
    }
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = open_websocket(client, "/v1/responses");
  REQUIRE(client.wait_head(stream).status == 200);
  for (int i = 0; i < 20; ++i) {
    client.send_data(stream, websocket::client_frame(Opcode::text, "ping"));
    REQUIRE(client.exchange(client.head("GET", "/v1/models")).body == "x");
    REQUIRE(read_frame(client, stream).payload == "ping");
  }
}

TEST_CASE("a CONNECT that is no WebSocket is refused and opens no connection to a backend", "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  REQUIRE(client.takes_extended_connect());
  const auto refused = [&](const H2Fields& request) {
    const auto stream = client.open_upload(request);
    const H2Response& answer = client.wait_end(stream);
    return answer.status == 405 || answer.status == 501 || answer.status == 400 || answer.end == H2End::reset;
  };
  H2Fields other = websocket_connect(client, "/v1/responses");
  other[1].value = "connect-udp";
  CHECK(refused(other));
  CHECK(refused({{":method", "CONNECT"}, {":authority", "127.0.0.1:22"}}));
  CHECK(cpa.connections() == 0);
}

TEST_CASE("the turns of a WebSocket over h2 are accounted each by itself", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.send(websocket::accepted(connection.read_head()));
    while (websocket::read_frame(connection).opcode == Opcode::text)
      connection.send(websocket::server_frame(
          Opcode::text,
          R"({"type":"response.completed","response":{"model":"gpt-5.4","status":"completed","usage":)"
          R"({"input_tokens":7,"output_tokens":7,"total_tokens":14}}})"));
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto stream = open_websocket(client, "/backend-api/codex/responses",
                                     {{"authorization", "Bearer sk-test-0123456789abcdefghij9f3c"}});
  REQUIRE(client.wait_head(stream).status == 200);
  for (int i = 0; i < 2; ++i) {
    client.send_data(
        stream, websocket::client_frame(Opcode::text, R"({"type":"response.create","model":"gpt-5.4"})"));
    read_frame(client, stream);
  }
  for (const json::value& turn : records(proxy, 2)) {
    CHECK(turn.at("kind") == "turn");
    CHECK(turn.at("model") == "gpt-5.4");
    CHECK(turn.at("dialect") == "codex-responses");
    CHECK(turn.at("tokens").at("total") == 14);
    CHECK(turn.at("key").at("mask") == "sk-t...9f3c");
  }
  CHECK(proxy.metric("portico_tokens_total") == 28);
}

TEST_CASE("streams of h2 are accounted as exchanges of HTTP/1.1 are", "[h2]") {
  const std::string events =
      chunk("data: {\"model\":\"gpt-5.4\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n") +
      chunk(
          "data: "
          "{\"model\":\"gpt-5.4\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9,"
          "\"total_tokens\":29}}\n\n") +
      chunk("data: [DONE]\n\n") + "0\r\n\r\n";
  Origin cpa([&](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      connection.send(ok_chunked({"Content-Type: text/event-stream"}) +
                      (seen.body.empty() ? chunk("begin") : events));
      if (seen.body.empty()) connection.stall_until_closed();
    }
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const H2Fields fields = {{"authorization", "Bearer sk-test-0123456789abcdefghij9f3c"},
                           {"x-request-id", "mine-1"}};
  const H2Response& answer = client.exchange(client.head("POST", "/v1/chat/completions", fields),
                                             R"({"model":"gpt-5.4","stream":true,"messages":[]})");
  REQUIRE(answer.status == 200);
  const json::object record = records(proxy, 1)[0].as_object();
  CHECK(record.at("id") == "mine-1");
  CHECK(record.at("dialect") == "openai-chat");
  CHECK(record.at("model") == "gpt-5.4");
  CHECK(record.at("stream") == true);
  CHECK(record.at("status") == 200);
  CHECK(record.at("ended") == "complete");
  CHECK(record.at("events") == 3);
  CHECK(record.at("tokens").at("total") == 29);
  CHECK(record.at("key").at("mask") == "sk-t...9f3c");
  CHECK(record.at("client") == "127.0.0.1");
  CHECK(record.at("response_bytes").to_number<std::size_t>() == answer.body.size());

  const auto left = client.open(client.head("GET", "/v1/chat/completions"));
  client.wait_body(left, 5);
  client.reset(left);
  CHECK(records(proxy, 2)[1].at("ended") == "client_gone");
  CHECK(proxy.metric("portico_requests_total") == 2);
  CHECK(proxy.metric("portico_exchanges_ended_total", {"how=\"complete\""}) == 1);
  CHECK(proxy.metric("portico_exchanges_ended_total", {"how=\"client_gone\""}) == 1);
  CHECK(proxy.metric("portico_streams") == 0);
  CHECK(proxy.metric("portico_connections") == 1);
}
