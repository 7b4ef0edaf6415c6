// A request that HTTP/1.1 refuses is refused in HTTP/2 too, before a backend sees a byte of it: what no
// honest client sends, frame by frame.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"

using namespace portico::test;
using namespace portico::test::h2;
using namespace std::string_literals;

namespace {

struct Case {
  std::string name;
  H2Fields fields;
};

/// A GET with more fields behind it.
Case with(const std::string& name, const std::string& value) {
  return {name + ": " + value, h2::request("/v1/models", {{name, value}}, "GET", "http")};
}

/// A GET whose pseudo-headers are these.
Case pseudo(const std::string& name, const H2Fields& fields) { return {name, fields}; }

Case path(const std::string& text) { return {":path " + text, h2::request(text, {}, "GET", "http")}; }

Case method(const std::string& text) {
  return {":method " + text, h2::request("/v1/models", {}, text, "http")};
}

Case authority(const std::string& text) {
  Case out{":authority " + text, h2::request("/v1/models", {}, "GET", "http")};
  out.fields[2].value = text;
  return out;
}

const H2Field get_method{":method", "GET"};
const H2Field http_scheme{":scheme", "http"};
const H2Field front{":authority", "front.example"};
const H2Field models{":path", "/v1/models"};

/// RFC 9113 section 8.2: such a message is malformed.
const std::vector<Case>& malformed() {
  static const std::vector<Case> cases = {
      // What belongs to a connection of HTTP/1.1.
      with("connection", "close"),
      with("connection", "x-a"),
      with("keep-alive", "timeout=5"),
      with("proxy-connection", "keep-alive"),
      with("transfer-encoding", "chunked"),
      with("transfer-encoding", "identity"),
      with("upgrade", "websocket"),
      with("te", "gzip"),
      with("te", "trailers, deflate"),
      with("te", "chunked"),
      // Names.
      with("X-Upper", "a"),
      with("x-uppeR", "a"),
      with("", "empty name"),
      with("x a", "b"),
      with("x\ta", "b"),
      with("x:a", "b"),
      with("x\r\ny", "b"),
      with("x\na", "b"),
      with("x\0a"s, "b"),
      with("x\x7f", "b"),
      with("x\xc3\xa4", "b"),
      with("x(", "b"),
      // Values.
      with("x-a", "b\r\nx-evil: 1"),
      with("x-a", "b\nc"),
      with("x-a", "b\rc"),
      with("x-a", "b\0c"s),
      with("x-a", "b\x01"),
      with("x-a", "b\x7f"),
      with("x-a", " b"),
      with("x-a", "b "),
      with("x-a", "\tb"),
      // Pseudo-headers.
      pseudo("after a regular field", {get_method, http_scheme, front, {"x-a", "b"}, models}),
      pseudo("method twice", {get_method, get_method, http_scheme, front, models}),
      pseudo("path twice", {get_method, http_scheme, front, models, {":path", "/v1/other"}}),
      pseudo("authority twice", {get_method, http_scheme, front, front, models}),
      pseudo("scheme twice", {get_method, http_scheme, http_scheme, front, models}),
      pseudo("unknown", {get_method, http_scheme, front, models, {":unknown", "x"}}),
      pseudo("of a response", {get_method, http_scheme, front, models, {":status", "200"}}),
      pseudo("with an upper-case letter", {{":Method", "GET"}, http_scheme, front, models}),
      pseudo("no method", {http_scheme, front, models}),
      pseudo("no path", {get_method, http_scheme, front}),
      pseudo("no scheme", {get_method, front, models}),
      pseudo("empty path", {get_method, http_scheme, front, {":path", ""}}),
      pseudo("protocol without CONNECT",
             {get_method, {":protocol", "websocket"}, http_scheme, front, models}),
      pseudo("CONNECT with a path alone", {{":method", "CONNECT"}, front, models}),
      pseudo("no field at all", {}),
      // Host.
      pseudo("no host", {get_method, http_scheme, models}),
      pseudo("host differs", {get_method, http_scheme, front, models, {"host", "other.example"}}),
      pseudo("host differs by its port",
             {get_method, http_scheme, front, models, {"host", "front.example:81"}}),
      pseudo("host twice",
             {get_method, http_scheme, models, {"host", "front.example"}, {"host", "front.example"}}),
      authority("a b"),
      authority("a/b"),
      authority("user@front.example"),
      authority("a,b"),
      authority("front.example\r\nx-evil: 1"),
      authority("front.example\0"s),
      // Lengths.
      with("content-length", "5"),
      with("content-length", "+0"),
      with("content-length", "-0"),
      with("content-length", "0x0"),
      with("content-length", "0, 0"),
      with("content-length", ""),
      with("content-length", "99999999999999999999999999"),
      {"content-length twice",
       h2::request("/v1/models", {{"content-length", "0"}, {"content-length", "0"}}, "GET", "http")},
      {"two lengths",
       h2::request("/v1/models", {{"content-length", "0"}, {"content-length", "5"}}, "GET", "http")},
  };
  return cases;
}

/// What HTTP/1.1 answers with an error of the client.
const std::vector<Case>& refused() {
  static const std::vector<Case> cases = {
      path("/v1/../v0/management/x"),
      path("/v0/management/../v1/x"),
      path("/v0/management/..%2fx"),
      path("/v0%2fmanagement/x"),
      path("/v1/%2e%2e/v0/management/x"),
      path("/v1/%zz"),
      path("/v1/%"),
      path("/v1/%00"),
      path("/v1/x\\y"),
      path("/v1/x#y"),
      path("/v1/x y"),
      path("/v1/x\ty"),
      path("/v1/x\r\ny: z"),
      path("/v1/x\0y"s),
      path("/v1/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /v1/smuggled"),
      path("v1/models"),
      path("*"),
      path("http://other.example/v1/models"),
      method("*"),
      method("*3"),
      method("$5"),
      method("+OK"),
      method("-ERR"),
      method(":1"),
      method("1GET"),
      method("G T"),
      method("G(T"),
      method(""),
      method("GET /v1/smuggled HTTP/1.1\r\nx: "),
      method("TRACE"),
  };
  return cases;
}

/// Did the peer refuse, one way or another? A connection that ends, or a GOAWAY, is a refusal too.
bool is_refusal(H2Wire& wire, std::uint32_t stream, bool malformed_message) {
  try {
    const auto answer = wire.answer(stream);
    INFO("status " << answer.status << ", reset " << answer.reset.has_value() << ", goaway "
                   << answer.goaway.has_value());
    if (answer.goaway)
      return *answer.goaway == H2Error::protocol_error || *answer.goaway == H2Error::compression_error;
    if (answer.reset) return *answer.reset == H2Error::protocol_error;
    return malformed_message ? answer.status == 400 : answer.status >= 400 && answer.status < 500;
  } catch (const WireError& error) {
    return error.outcome() != Outcome::timeout;
  }
}

/// Each case on a connection of its own; the backend must have seen nothing of any.
void all_refused(const std::vector<Case>& cases, bool malformed_message) {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpa.url(), .cleartext_h2 = true}};
  for (const auto& [name, fields] : cases) {
    CAPTURE(name);
    H2Wire wire = h2_wire(proxy);
    wire.greet();
    wire.send(headers(1, hpack::block(fields)));
    CHECK(is_refusal(wire, 1, malformed_message));
    CHECK(cpa.all_bytes().empty());
  }
  CHECK(cpa.connections() == 0);
  // What is not refused: the same request without a fault.
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(
      headers(1, hpack::block(h2::request("/v1/models", {{"te", "trailers"}, {"x-a", "b"}}, "GET", "http"))));
  CHECK(wire.answer(1).status == 200);
}

/// Frames after a greeting, in cleartext; the GOAWAY's code, or nothing if the connection goes on and answers
/// a PING.
struct Verdict {
  std::optional<H2Error> goaway;
  std::optional<H2Error> reset;
  bool closed = false;
};
Verdict verdict(const Portico& proxy, const std::string& frames) {
  Verdict out;
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.flood(frames + ping("mark"), 1);
  try {
    while (true) {
      const Frame frame = wire.next();
      if (frame.type == Type::goaway && frame.error() != H2Error::no_error) out.goaway = frame.error();
      if (frame.type == Type::rst_stream) out.reset = frame.error();
      if (frame.type == Type::ping && frame.has(flag::ack)) break;
    }
  } catch (const WireError& error) {
    out.closed = error.outcome() != Outcome::timeout;
  }
  return out;
}

std::string get_head(std::uint32_t stream, std::uint8_t flags = flag::end_headers | flag::end_stream) {
  return headers(stream, hpack::block(h2::request("/v1/models", {}, "GET", "http")), flags);
}

}  // namespace

TEST_CASE("a malformed request of h2 is refused and the backend sees nothing of it", "[h2]") {
  all_refused(malformed(), true);
}

TEST_CASE("a target or method that HTTP/1.1 refuses is refused in h2, and the backend sees nothing of it",
          "[h2]") {
  all_refused(refused(), false);
}

TEST_CASE("a malformed request of h2 ends its stream alone where its fields could be read", "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(headers(1, hpack::block(h2::request("/v1/models", {{"connection", "close"}}, "GET", "http"))));
  const auto first = wire.answer(1);
  CHECK((first.reset == H2Error::protocol_error || first.status == 400));
  wire.send(get_head(3));
  CHECK(wire.answer(3).status == 200);
}

TEST_CASE("a body that is not as long as content-length says is a stream error, never a whole request",
          "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok("whole"));
  });
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  const std::string bodies =
      GENERATE(data(1, "four"), data(1, "sixsix"), data(1, "fi", flag::none) + data(1, "vefive"),
               data(1, "four", flag::none) + headers(1, hpack::block({{"x-sum", "1"}})));
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(headers(1, hpack::block(h2::request("/v1/files", {{"content-length", "5"}}, "POST", "http")),
                    flag::end_headers) +
            bodies);
  CHECK(is_refusal(wire, 1, true));
  CHECK(cpa.requests() == 0);
  CHECK(eventually([&] { return cpa.open_connections() == 0; }));
}

TEST_CASE("trailers that frame, route or name a client end the request, or are left out", "[h2]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(ok("x"));
  });
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  const H2Field trailer = GENERATE(values<H2Field>({{"content-length", "9"},
                                                    {"transfer-encoding", "chunked"},
                                                    {"host", "evil"},
                                                    {"authorization", "Bearer evil"},
                                                    {"x-forwarded-for", "127.0.0.1"},
                                                    {"connection", "close"},
                                                    {":path", "/v1/evil"},
                                                    {"X-Upper", "a"},
                                                    {"x-a", "b\r\nevil: 1"}}));
  CAPTURE(trailer.name);
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  wire.send(headers(1, hpack::block(h2::request("/v1/files", {{"te", "trailers"}}, "POST", "http")),
                    flag::end_headers) +
            data(1, "hello", flag::none) + headers(1, hpack::block({trailer})));
  try {
    static_cast<void>(wire.answer(1));
  } catch (const WireError& error) {
    CHECK(error.outcome() != Outcome::timeout);
  }
  for (std::size_t i = 0; i < cpa.requests(); ++i) CHECK(cpa.request(i).trailers.empty());
  CHECK(cpa.all_bytes().find("evil") == std::string::npos);
}

TEST_CASE("frames that break RFC 9113 end the connection with the code it names", "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  struct Broken {
    std::string name;
    std::string frames;
    std::vector<H2Error> codes;
  };
  const std::vector<Broken> cases = {
      {"DATA on stream 0", data(0, "x"), {H2Error::protocol_error}},
      {"HEADERS on stream 0", headers(0, hpack::block({})), {H2Error::protocol_error}},
      {"an even stream", get_head(2), {H2Error::protocol_error}},
      {"DATA on a stream that nobody opened",
       data(7, "x"),
       {H2Error::protocol_error, H2Error::stream_closed}},
      {"RST_STREAM on a stream that nobody opened", rst_stream(7), {H2Error::protocol_error}},
      {"CONTINUATION without HEADERS", continuation(1, ""), {H2Error::protocol_error}},
      {"a frame between HEADERS and CONTINUATION",
       get_head(1, flag::end_stream) + ping(),
       {H2Error::protocol_error}},
      {"CONTINUATION of another stream",
       get_head(1, flag::end_stream) + continuation(3, ""),
       {H2Error::protocol_error}},
      {"SETTINGS with a stream", frame(Type::settings, 0, 1), {H2Error::protocol_error}},
      {"SETTINGS of five bytes", frame(Type::settings, 0, 0, "12345"), {H2Error::frame_size_error}},
      {"SETTINGS acknowledged with a payload",
       frame(Type::settings, flag::ack, 0, "123456"),
       {H2Error::frame_size_error}},
      {"an initial window over 2^31-1",
       settings({{Setting::initial_window_size, 0x8000'0000}}),
       {H2Error::flow_control_error}},
      {"a frame size under 16,384", settings({{Setting::max_frame_size, 1}}), {H2Error::protocol_error}},
      {"PING of seven bytes", frame(Type::ping, 0, 0, "1234567"), {H2Error::frame_size_error}},
      {"PING on a stream", frame(Type::ping, 0, 1, "12345678"), {H2Error::protocol_error}},
      {"WINDOW_UPDATE of three bytes", frame(Type::window_update, 0, 0, "123"), {H2Error::frame_size_error}},
      {"WINDOW_UPDATE of nothing", window_update(0, 0), {H2Error::protocol_error}},
      {"a window over 2^31-1", window_update(0, 0x7fff'ffff), {H2Error::flow_control_error}},
      {"a frame over the size that was agreed on",
       frame(Type::data, 0, 1, std::string(16'385, 'x')),
       {H2Error::frame_size_error}},
      {"padding that is longer than its frame",
       get_head(1, flag::end_headers) + frame(Type::data, flag::padded, 1, "\xffxx"),
       {H2Error::protocol_error}},
      {"PUSH_PROMISE of a client",
       frame(Type::push_promise, flag::end_headers, 1, "\0\0\0\2"s),
       {H2Error::protocol_error}},
      {"a field that no table has", headers(1, hpack::indexed(99)), {H2Error::compression_error}},
      {"a table larger than was allowed",
       headers(1, hpack::table_size(1U << 20) + hpack::indexed(2)),
       {H2Error::compression_error}},
      {"a header block that ends in the middle",
       headers(1, hpack::block(h2::request("/v1/x")).substr(0, 20)),
       {H2Error::compression_error}},
      {"an integer without end",
       headers(1, std::string(1, '\x7f') + std::string(40, '\xff')),
       {H2Error::compression_error}},
      {"a string longer than its block",
       headers(1, "\x00\x7f\xff\xff\xff\x07"s + "ab"),
       {H2Error::compression_error}},
  };
  for (const auto& [name, frames, codes] : cases) {
    CAPTURE(name);
    const Verdict got = verdict(proxy, frames);
    CHECK(got.goaway);
    CHECK(std::find(codes.begin(), codes.end(), got.goaway.value_or(H2Error::no_error)) != codes.end());
  }
  // What RFC 9113 tells to ignore.
  for (const auto& frames :
       {frame(static_cast<Type>(0x42), 0xff, 0, "x"), frame(static_cast<Type>(0x42), 0xff, 9, "x"),
        priority(1, 0), settings({{static_cast<Setting>(0x4242), 7}}), window_update(0, 1),
        ping("x", flag::ack)}) {
    const Verdict got = verdict(proxy, frames);
    CHECK_FALSE(got.goaway);
    CHECK_FALSE(got.closed);
  }
}

TEST_CASE("a stream number that goes back never becomes a request", "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  const auto got =
      verdict(proxy, get_head(5) + headers(3, hpack::block(h2::request("/v1/back", {}, "GET", "http"))));
  CHECK((!got.goaway || got.goaway == H2Error::protocol_error || got.goaway == H2Error::stream_closed));
  CHECK(cpa.all_bytes().find("/v1/back") == std::string::npos);
}

TEST_CASE("a preface that is none ends the connection on the TLS side where h2 was agreed on", "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string bytes = GENERATE(get("/v1/models"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"),
                                     settings(), std::string(preface) + ping());
  H2Wire wire = h2_wire(proxy, Door::tls);
  wire.flood(bytes + std::string(64, '\0'), 1);
  CHECK(wire.wait_closed() != Outcome::timeout);
  CHECK(cpa.connections() == 0);
}

TEST_CASE("frames of a stream that was reset are passed over for a while, and never become a request",
          "[h2]") {
  Origin cpa([](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      connection.send(ok(seen.body));
    }
  });
  Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
  H2Wire wire = h2_wire(proxy);
  wire.greet();
  const auto post_head = [](std::uint32_t stream) {
    return headers(stream, hpack::block(h2::request("/v1/responses", {}, "POST", "http")), flag::end_headers);
  };
  wire.send(post_head(1) + data(1, "lost", flag::none) + rst_stream(1) + post_head(3) + data(3, "kept"));
  CHECK(wire.answer(3).body == "kept");
  REQUIRE(cpa.requests() == 1);
  CHECK(cpa.request(0).body == "kept");
}
