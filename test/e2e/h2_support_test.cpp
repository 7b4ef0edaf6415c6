// The instruments of HTTP/2 first. The servers here are scripts of frames, so that client and frames check
// each other.

#include <algorithm>

#include <catch2/catch.hpp>

#include "test/support/h2_client.hpp"
#include "test/support/h2_frames.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"

using namespace portico::test;

namespace {

using h2::Frame;
using h2::Type;
namespace flag = h2::flag;
namespace hpack = h2::hpack;

/// Preface and SETTINGS of both sides, then `script`.
Origin::Script server(std::function<void(Connection&)> script) {
  return [script = std::move(script)](Connection& connection) {
    if (connection.read_exact(h2::preface.size()) != h2::preface) throw ProtocolError("not the preface");
    connection.send(h2::settings({{h2::Setting::enable_connect_protocol, 1}}) + h2::settings_ack());
    script(connection);
    connection.stall_until_closed();
  };
}

/// The next frame of this type; other frames are passed over.
Frame wait_frame(Connection& connection, Type type) {
  while (true) {
    Frame frame = h2::read_frame(connection);
    if (frame.type == type && !(type == Type::settings && frame.has(flag::ack))) return frame;
  }
}

std::string head(std::uint32_t stream, const std::string& status, std::uint8_t flags = flag::end_headers) {
  return h2::headers(stream, hpack::block({{":status", status}, {"x-a", "b"}}), flags);
}

/// What the client sees of one GET that the server answers with `frames`, after which it ends the connection
/// if `ends`.
H2Response seen(const std::string& frames, bool ends = false) {
  Origin origin(server([&](Connection& connection) {
    wait_frame(connection, Type::headers);
    connection.send(frames);
    if (ends) connection.half_close();
  }));
  H2Client client(Address::of_url(origin.url()));
  return client.exchange(client.head("GET", "/"));
}

}  // namespace

TEST_CASE("the test's HTTP/2 client sees heads, interim heads, body and trailers", "[support]") {
  const H2Response response =
      seen(head(1, "103") + head(1, "200") + h2::data(1, "hel", flag::none) +
           h2::padded_data(1, "lo", 9, flag::none) + h2::headers(1, hpack::literal("x-sum", "42")));
  CHECK(response.status == 200);
  CHECK(response.one("x-a") == "b");
  CHECK_FALSE(response.has(":status"));
  REQUIRE(response.interim.size() == 1);
  CHECK(all_of(response.interim[0], ":status") == std::vector<std::string>{"103"});
  CHECK(response.body == "hello");
  CHECK(response.trailers == H2Fields{{"x-sum", "42"}});
  CHECK(response.end == H2End::complete);
}

TEST_CASE("the test's HTTP/2 client tells how a stream ended", "[support]") {
  const std::string begun = head(1, "200") + h2::data(1, "hel", flag::none);
  CHECK(seen(begun + h2::data(1, "")).end == H2End::complete);
  const H2Response reset = seen(begun + h2::rst_stream(1, H2Error::internal_error));
  CHECK(reset.end == H2End::reset);
  CHECK(reset.code == H2Error::internal_error);
  CHECK(reset.body == "hel");
  const H2Response goaway = seen(h2::goaway(0, H2Error::enhance_your_calm, "calm"));
  CHECK(goaway.end == H2End::refused);
  CHECK(goaway.code == H2Error::enhance_your_calm);
  CHECK(seen(begun, true).end == H2End::fin);
}

TEST_CASE("the test's HTTP/2 client refuses what no server may send", "[support]") {
  CHECK_THROWS_AS(seen(h2::headers(1, hpack::block({{":status", "200"}, {"Upper", "x"}}))), ProtocolError);
  CHECK_THROWS_AS(seen(h2::headers(1, hpack::block({{":status", "200"}, {"connection", "close"}}))),
                  ProtocolError);
  CHECK_THROWS_AS(seen(h2::headers(1, hpack::block({{"x-a", "b"}}))), ProtocolError);
  CHECK_THROWS_AS(
      seen(h2::headers(1, hpack::block({{":status", "200"}, {"content-length", "5"}}), flag::end_headers) +
           h2::data(1, "four")),
      ProtocolError);
}

TEST_CASE("the test's HTTP/2 client runs streams at once under TLS and names h2", "[support]") {
  TemporaryFolder folder;
  Authority authority;
  const auto files = authority.issue().write(folder.path(), "leaf");
  Origin origin(
      TlsServerOptions{.identity = files, .alpn = {"h2"}}, server([](Connection& connection) {
        h2::HeaderDecoder decoder;
        std::vector<std::string> paths;
        for (int i = 0; i < 3; ++i)
          paths.push_back(all_of(decoder.decode(wait_frame(connection, Type::headers).payload), ":path")[0]);
        // The last one first.
        for (std::uint32_t stream : {5U, 3U, 1U})
          connection.send(head(stream, "200") + h2::data(stream, paths.at(stream / 2)));
      }));
  H2Client client(Address::of_url(origin.url()), {.connection = {.tls = TlsClientOptions{}}});
  CHECK(client.wire().tls().alpn == "h2");
  std::vector<H2Client::StreamId> streams;
  for (const char* path : {"/0", "/1", "/2"}) streams.push_back(client.open(client.head("GET", path)));
  CHECK(streams == std::vector<H2Client::StreamId>{1, 3, 5});
  CHECK(client.wait_end(streams[0]).body == "/0");
  CHECK(client.wait_end(streams[1]).body == "/1");
  CHECK(client.wait_end(streams[2]).body == "/2");
  CHECK(origin.errors().empty());
}

TEST_CASE("the test's HTTP/2 client sends bodies, trailers and resets as it is told", "[support]") {
  Baton done;
  std::vector<Frame> frames;  // the server's, until it is done
  Origin origin(server([&](Connection& connection) {
    while (frames.empty() || frames.back().type != Type::rst_stream) {
      frames.push_back(h2::read_frame(connection));
      if (frames.back().stream == 0) frames.pop_back();
    }
    done.pass();
    connection.send(head(3, "200", flag::end_headers | flag::end_stream));
  }));
  H2Client client(Address::of_url(origin.url()));
  const auto first = client.open_upload(client.head("POST", "/"));
  client.send_data(first, "one");
  client.send_data(first, "two");
  client.send_trailers(first, {{"x-sum", "42"}});
  const auto second = client.open(client.head("POST", "/"), "body");
  const auto third = client.open_upload(client.head("POST", "/"));
  client.reset(third, H2Error::cancel);
  CHECK(client.wait_end(second).status == 200);
  CHECK(client.wait_end(third).end == H2End::cancelled);
  REQUIRE(done.wait(1));
  std::string sent;
  for (const auto& frame : frames)
    if (frame.stream == 1) sent += frame.payload.substr(0, frame.type == Type::data ? 100 : 0);
  CHECK(sent == "onetwo");
  const auto last_of = [&](std::uint32_t stream) {
    return *std::find_if(frames.rbegin(), frames.rend(), [&](const Frame& f) { return f.stream == stream; });
  };
  CHECK(last_of(1).type == Type::headers);
  CHECK(last_of(1).has(flag::end_stream));
  CHECK(last_of(3).payload == "body");
  CHECK(last_of(3).has(flag::end_stream));
  CHECK(last_of(5).error() == H2Error::cancel);
}

TEST_CASE("the test's HTTP/2 client keeps to the windows it is given", "[support]") {
  Baton go;
  Origin origin(server([&](Connection& connection) {
    std::size_t got = 0;
    while (got < 65'535) got += wait_frame(connection, Type::data).payload.size();
    if (got > 65'535 || !go.wait(1)) throw ProtocolError("more than the window");
    connection.send(h2::window_update(0, 1000) + h2::window_update(1, 1000));
    while (got < 66'535) got += wait_frame(connection, Type::data).payload.size();
    if (got > 66'535) throw ProtocolError("more than the window");
    connection.send(head(1, "200", flag::end_headers | flag::end_stream));
  }));
  H2Client client(Address::of_url(origin.url()));
  const auto stream = client.open_upload(client.head("POST", "/"));
  client.send_data(stream, pattern(1, 70'000));
  CHECK(client.unsent(stream) == 70'000 - 65'535);
  CHECK_FALSE(client.wait_sent(stream, Deadline{100ms}));
  go.pass();
  CHECK(client.wait_end(stream).status == 200);
  CHECK(client.unsent(stream) == 70'000 - 66'535);
  CHECK(origin.errors().empty());
}

TEST_CASE("the test's HTTP/2 client holds back credit of one stream, or of the connection", "[support]") {
  const bool whole = GENERATE(true, false);
  Baton update;
  Origin origin(server([&](Connection& connection) {
    wait_frame(connection, Type::headers);
    connection.send(head(1, "200"));
    for (int i = 0; i < 3; ++i) connection.send(h2::data(1, pattern(1, 16'384), flag::none));
    while (true) {
      const Frame frame = wait_frame(connection, Type::window_update);
      if (frame.stream == (whole ? 0U : 1U)) break;
    }
    connection.send(h2::data(1, ""));
    update.pass();
  }));
  H2Client client(Address::of_url(origin.url()));
  const auto stream = client.open(client.head("GET", "/"));
  if (whole)
    client.hold_connection();
  else
    client.hold(stream);
  client.wait_body(stream, 3 * 16'384);
  client.listen_for(50ms);
  CHECK_FALSE(update.wait(1, Deadline{50ms}));
  if (whole)
    client.release_connection();
  else
    client.release(stream);
  CHECK(client.wait_end(stream).body.size() == 3 * 16'384);
  CHECK(update.wait(1));
}

TEST_CASE("the test's HTTP/2 client pings, sees settings, and carries WebSocket frames", "[support]") {
  Origin origin(server([](Connection& connection) {
    connection.send(h2::ping(wait_frame(connection, Type::ping).payload, flag::ack));
    h2::HeaderDecoder decoder;
    const H2Fields request = decoder.decode(wait_frame(connection, Type::headers).payload);
    if (all_of(request, ":protocol") != std::vector<std::string>{"websocket"})
      throw ProtocolError("no :protocol");
    connection.send(head(1, "200"));
    if (wait_frame(connection, Type::data).payload !=
        websocket::client_frame(websocket::Opcode::text, "hello"))
      throw ProtocolError("not the frame");
    connection.send(h2::data(1, websocket::server_frame(websocket::Opcode::text, "hel"), flag::none) +
                    h2::data(1, websocket::server_frame(websocket::Opcode::text, "lo"), flag::none));
  }));
  H2Client client(Address::of_url(origin.url()));
  CHECK(client.takes_extended_connect());
  CHECK(client.ping());
  const auto stream = client.open_upload(websocket_connect(client, "/v1/ws"));
  CHECK(client.wait_head(stream).status == 200);
  client.send_data(stream, websocket::client_frame(websocket::Opcode::text, "hello"));
  CHECK(read_frame(client, stream).payload == "hel");
  CHECK(read_frame(client, stream).payload == "lo");
  CHECK(origin.errors().empty());
}

TEST_CASE("raw frames carry what they are told, and header blocks decode to what was written", "[support]") {
  h2::HeaderDecoder decoder;
  const std::string odd(300, 'v');
  CHECK(decoder.decode(hpack::table_size(4096) + hpack::literal(":method", "GET") +
                       hpack::never_indexed("authorization", "secret") + hpack::indexing("x-a", odd) +
                       hpack::indexed(62) + hpack::indexed(2)) ==
        H2Fields{
            {":method", "GET"}, {"authorization", "secret"}, {"x-a", odd}, {"x-a", odd}, {":method", "GET"}});
  CHECK_THROWS_AS(decoder.decode(hpack::indexed(99)), ProtocolError);
  CHECK(h2::frame(Type::data, 0x25, 7, "ab") == std::string("\0\0\x02\0\x25\0\0\0\x07"
                                                            "ab",
                                                            11));
  CHECK(h2::frame(Type::ping, 0, 0, "", 0x010203).substr(0, 3) == "\x01\x02\x03");
}

TEST_CASE("the raw HTTP/2 client greets, and reads answers, resets and GOAWAY", "[support]") {
  Origin origin(server([](Connection& connection) {
    connection.send(head(1, "200") + h2::data(1, "hello") + h2::rst_stream(3, H2Error::refused_stream) +
                    h2::goaway(3, H2Error::enhance_your_calm));
  }));
  h2::H2Wire wire(Address::of_url(origin.url()));
  wire.greet();
  const auto answer = wire.answer(1);
  CHECK(answer.status == 200);
  CHECK(answer.body == "hello");
  CHECK(wire.answer(3).reset == H2Error::refused_stream);
  CHECK(wire.wait_goaway() == H2Error::enhance_your_calm);
}
