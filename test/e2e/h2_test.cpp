// Specification sections 3 and 8: a request of HTTP/2 becomes one of HTTP/1.1 and its answer one of HTTP/2,
// with nothing lost, added or joined.

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/doors.hpp"
#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"

using namespace portico::test;

namespace {

struct World {
  explicit World(Origin::Script script)
      : cpa(std::move(script)), proxy({.cpa = cpa.url(), .tls = true, .cleartext_h2 = true}) {}
  explicit World(std::string answer = ok("fine")) : World(Origin::serve(std::move(answer))) {}
  Origin cpa;
  Portico proxy;
};

const H2Field te_trailers{"te", "trailers"};

}  // namespace

TEST_CASE("h2 client, h1 backend: GET and POST pass, under TLS and in cleartext", "[h2]") {
  World world(Origin::serve(
      [](const Message& seen) { return ok(seen.method + seen.target + seen.body, {"X-A: b"}); }));
  const Door door = GENERATE(Door::tls, Door::cleartext);
  H2Client client = h2_connect(world.proxy, door);
  const H2Response& got = client.exchange(client.head("GET", "/v1/models?key=a%20b"));
  CHECK(got.status == 200);
  CHECK(got.one("x-a") == "b");
  CHECK(got.one("content-length") == fmt::format("{}", got.body.size()));
  CHECK(got.body == "GET/v1/models?key=a%20b");
  CHECK(got.end == H2End::complete);
  const H2Response& posted = client.exchange(client.head("POST", "/v1/responses"), "hello");
  CHECK(posted.body == "POST/v1/responseshello");
  CHECK(world.cpa.request(0).start_line == "GET /v1/models?key=a%20b HTTP/1.1");
  // One connection to the backend serves stream after stream.
  CHECK(world.cpa.connections() == 1);
  CHECK(client.ping());
}

TEST_CASE("h2 client, h1 backend: the backend sees Host from :authority and each field once, in order",
          "[h2]") {
  World world;
  const Door door = GENERATE(Door::tls, Door::cleartext);
  H2Client client = h2_connect(world.proxy, door);
  const H2Fields fields = {{"authorization", "bEaReR sk-Test"},
                           {"x-api-key", "K1"},
                           {"x-b", "2"},
                           {"x-b", "1"},
                           {"x-a", "3"},
                           {"session_id", "abc"},
                           {"accept-encoding", "gzip, br;q=0.5"},
                           {"empty", ""},
                           {"x-bytes", "\xc3\xa4\x80\xff"},
                           {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  H2Fields sent = fields;
  sent.push_back({"x-request-id", "abc-123"});
  const H2Response& answer = client.exchange(client.head("GET", "/v1/models", sent));
  CHECK(answer.one("x-request-id") == "abc-123");
  const Message seen = world.cpa.wait_request(0);
  CHECK(seen.all("Host") == std::vector<std::string>{"front.example"});
  H2Fields passed;
  for (const auto& line : seen.lines)
    if (std::any_of(fields.begin(), fields.end(),
                    [&](const H2Field& field) { return field.name == line.name; }))
      passed.push_back({line.name, line.value});
  CHECK(passed == fields);
  CHECK(seen.all("X-Request-Id") == std::vector<std::string>{"abc-123"});
  for (const char* name : {"Connection", "TE", "Transfer-Encoding", "Content-Length", "Upgrade"})
    CHECK_FALSE(seen.has(name));
  for (const auto& line : seen.lines) CHECK(line.name.find(':') == std::string::npos);
  const std::string scheme = door == Door::tls ? "https" : "http";
  CHECK(seen.all("X-Forwarded-Proto") == std::vector<std::string>{scheme});
  CHECK(seen.all("X-Forwarded-For") == std::vector<std::string>{"127.0.0.1"});
  CHECK(seen.all("X-Real-IP") == std::vector<std::string>{"127.0.0.1"});
  CHECK(seen.all("X-Forwarded-Host") == std::vector<std::string>{"front.example"});
  CHECK(seen.all("Forwarded") ==
        std::vector<std::string>{fmt::format("for=127.0.0.1;proto={};host=\"front.example\"", scheme)});
}

TEST_CASE("h2 client: what it says of its own address and scheme is discarded", "[h2]") {
  World world;
  H2Client client = h2_connect(world.proxy, Door::tls, {.connection = {.source = "127.0.0.77"}});
  client.exchange(client.head("GET", "/v1/models",
                              {{"x-forwarded-for", "127.0.0.1"},
                               {"x-forwarded-for", "10.0.0.1"},
                               {"x-real-ip", "::1"},
                               {"x-forwarded-proto", "http"},
                               {"x-forwarded-host", "evil.example"},
                               {"forwarded", "for=127.0.0.1;host=evil.example"},
                               {"x-forwarded-prefix", "/evil"}}));
  const Message seen = world.cpa.wait_request(0);
  CHECK(seen.all("X-Forwarded-For") == std::vector<std::string>{"127.0.0.77"});
  CHECK(seen.all("X-Real-IP") == std::vector<std::string>{"127.0.0.77"});
  CHECK(seen.all("X-Forwarded-Proto") == std::vector<std::string>{"https"});
  CHECK(seen.head.find("evil") == std::string::npos);
}

TEST_CASE("h2 client, h1 backend: cookie crumbs are joined again", "[h2]") {
  World world;
  H2Client client = h2_connect(world.proxy);
  client.exchange(client.head("GET", "/v1/models",
                              {{"cookie", "a=b"}, {"x-a", "1"}, {"cookie", "c=\"d\""}, {"cookie", "e=f"}}));
  CHECK(world.cpa.wait_request(0).all("cookie") == std::vector<std::string>{"a=b; c=\"d\"; e=f"});
}

TEST_CASE("h2 client: Host in place of :authority, and one that equals it, are taken", "[h2]") {
  World world;
  H2Client client = h2_connect(world.proxy);
  H2Fields without = client.head("GET", "/v1/models", {{"host", "front.example"}});
  std::erase_if(without, [](const H2Field& field) { return field.name == ":authority"; });
  CHECK(client.exchange(without).status == 200);
  CHECK(client.exchange(client.head("GET", "/v1/models", {{"host", "front.example"}})).status == 200);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(world.cpa.request(i).all("host") == std::vector<std::string>{"front.example"});
}

TEST_CASE("h1 backend, h2 client: fields of the connection are removed, the others pass in lower case",
          "[h2]") {
  World world(ok(
      "x", {"Connection: X-Private, keep-alive", "X-Private: 1", "Keep-Alive: timeout=5",
            "Proxy-Connection: close", "Upgrade: h2c", "LOCATION: http://other.example/x", "Set-Cookie: a=1",
            "set-cookie: b=2", "X-CPA-TRACE-ID: a.b", "X-Empty:", "X-Blanks:   a  b  "}));
  H2Client client = h2_connect(world.proxy);
  const H2Response& answer = client.exchange(client.head("GET", "/v1/models"));
  CHECK(answer.status == 200);
  for (const char* name :
       {"connection", "x-private", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"})
    CHECK_FALSE(answer.has(name));
  CHECK(answer.one("location") == "http://other.example/x");
  CHECK(answer.all("set-cookie") == std::vector<std::string>{"a=1", "b=2"});
  CHECK(answer.one("x-cpa-trace-id") == "a.b");
  CHECK(answer.all("x-empty") == std::vector<std::string>{""});
  CHECK(answer.one("x-blanks") == "a  b");
  CHECK(answer.body == "x");
}

TEST_CASE("h1 backend, h2 client: every framing of a body becomes DATA without its framing", "[h2]") {
  const std::string text = pattern(1, 100'000);
  const auto [name, bytes] = GENERATE_COPY(table<std::string, std::string>({
      {"length", ok(text)},
      {"chunks", ok_chunked() + chunked(text, 777)},
      {"chunks with extensions",
       ok_chunked() + "5;a=b\r\n" + text.substr(0, 5) + "\r\n" + chunked(text.substr(5), 4096)},
      {"until close", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n" + text},
  }));
  CAPTURE(name);
  Origin cpa([&, answer = bytes](Connection& connection) {
    connection.read_request();
    connection.send(answer);
  });
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  const H2Response& answer = client.exchange(client.head("GET", "/v1/models"));
  CHECK(answer.body == text);
  CHECK(answer.end == H2End::complete);
  CHECK(answer.has("content-length") == (name == "length"));
}

TEST_CASE("h2 client, h1 backend: a body without content-length is sent in chunks, one with it by length",
          "[h2]") {
  World world(Origin::serve([](const Message& seen) { return ok(seen.body); }));
  H2Client client = h2_connect(world.proxy);
  const bool sized = GENERATE(true, false);
  const std::string body = pattern(2, 200'000);
  const auto stream = client.open_upload(
      client.head("POST", "/v1/responses",
                  sized ? H2Fields{{"content-length", fmt::format("{}", body.size())}} : H2Fields{}));
  client.send_data(stream, body.substr(0, 1000));
  client.send_data(stream, body.substr(1000));
  client.finish(stream);
  CHECK(client.wait_end(stream).body == body);
  const Message seen = world.cpa.request(0);
  CHECK(seen.has("content-length") == sized);
  CHECK(seen.one("Transfer-Encoding") == (sized ? "" : "chunked"));
}

TEST_CASE("h2 client, h1 backend: a POST that ends with its head has an empty body", "[h2]") {
  World world(Origin::serve([](const Message& seen) { return ok(fmt::format("<{}>", seen.body)); }));
  H2Client client = h2_connect(world.proxy);
  CHECK(client.exchange(client.head("POST", "/v1/responses")).body == "<>");
  CHECK(client.exchange(client.head("POST", "/v1/responses", {{"content-length", "0"}})).body == "<>");
  // And END_STREAM on an empty DATA frame.
  CHECK(client.exchange(client.head("POST", "/v1/responses"), "").body == "<>");
  // The next request is not taken for a body.
  CHECK(client.exchange(client.head("POST", "/v1/responses"), "x").body == "<x>");
}

TEST_CASE("h2 client, h1 backend: padding is not payload", "[h2]") {
  World world(Origin::serve([](const Message& seen) { return ok(seen.body); }));
  h2::H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  wire.send(h2::headers(
                1, h2::hpack::block(h2::request("/v1/responses", {{"content-length", "6"}}, "POST", "http")),
                h2::flag::end_headers) +
            h2::padded_data(1, "pad", 255, h2::flag::none) + h2::padded_data(1, "", 9, h2::flag::none) +
            h2::padded_data(1, "ded", 0));
  const auto answer = wire.answer(1);
  CHECK(answer.status == 200);
  CHECK(answer.body == "padded");
}

TEST_CASE("h2 client, h1 backend: heads in any coding and in CONTINUATION frames are one request", "[h2]") {
  using namespace h2;
  World world(Origin::serve([](const Message& seen) { return ok(seen.one("x-key")); }));
  H2Wire wire = h2_wire(world.proxy);
  wire.greet();
  const std::string block = hpack::indexed(2) + hpack::indexed(6) +
                            hpack::literal(":authority", "front.example") +
                            hpack::literal(":path", "/v1/models") + hpack::indexing("x-key", "indexed") +
                            hpack::never_indexed("authorization", "Bearer k");
  std::string frames = headers(1, block.substr(0, 3), flag::end_stream);
  for (std::size_t at = 3; at < block.size(); at += 11)
    frames += continuation(1, block.substr(at, 11), at + 11 < block.size() ? flag::none : flag::end_headers);
  wire.send(frames);
  CHECK(wire.answer(1).body == "indexed");
  // The field that entered the table comes back by its number.
  wire.send(headers(3, hpack::block(request("/v1/models", {}, "GET", "http")) + hpack::indexed(62)));
  CHECK(wire.answer(3).body == "indexed");
}

TEST_CASE("h1 backend, h2 client: trailers pass to a client that said te: trailers", "[h2]") {
  World world(ok_chunked({"Trailer: X-Sum"}) + chunk("hello") +
              "0\r\nX-Sum: 42\r\nContent-Length: 9\r\n\r\n");
  H2Client client = h2_connect(world.proxy);
  const bool wants = GENERATE(true, false);
  const H2Response& answer =
      client.exchange(client.head("GET", "/v1/models", wants ? H2Fields{te_trailers} : H2Fields{}));
  CHECK(answer.body == "hello");
  CHECK(answer.end == H2End::complete);
  CHECK(answer.trailers == (wants ? H2Fields{{"x-sum", "42"}} : H2Fields{}));
  CHECK(world.cpa.request(0).one("TE") == (wants ? "trailers" : ""));
}

TEST_CASE("h2 client, h1 backend: trailers of a request pass where the client said te: trailers", "[h2]") {
  World world([](Connection& connection) {
    Message seen = connection.read_head();
    read_request_body(connection, seen);
    connection.send(ok(seen.trailers.empty() ? "none" : seen.trailers[0].raw));
    connection.stall_until_closed();
  });
  H2Client client = h2_connect(world.proxy);
  const auto stream = client.open_upload(client.head("POST", "/v1/responses", {te_trailers}));
  client.send_data(stream, "hello");
  client.send_trailers(stream, {{"x-sum", "42"}});
  CHECK(client.wait_end(stream).body == "x-sum: 42");
}

TEST_CASE("h1 backend, h2 client: 1xx responses are relayed before the final one", "[h2]") {
  World world(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
      ok("done"));
  H2Client client = h2_connect(world.proxy);
  const H2Response& answer = client.exchange(client.head("GET", "/v1/models"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "done");
  REQUIRE(answer.interim.size() == 2);
  CHECK(all_of(answer.interim[0], ":status") == std::vector<std::string>{"103"});
  CHECK(all_of(answer.interim[0], "link") == std::vector<std::string>{"</a.css>; rel=preload"});
  CHECK(all_of(answer.interim[1], ":status") == std::vector<std::string>{"102"});
}

TEST_CASE("h2 client, h1 backend: expect: 100-continue is answered by the backend's own 100", "[h2]") {
  World world([](Connection& connection) {
    Message head = connection.read_head();
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    read_request_body(connection, head);
    connection.send(ok(head.body));
    connection.stall_until_closed();
  });
  H2Client client = h2_connect(world.proxy);
  const auto stream = client.open_upload(
      client.head("POST", "/v1/responses", {{"expect", "100-continue"}, {"content-length", "5"}}));
  CHECK(all_of(client.wait_interim(stream, 1).interim[0], ":status") == std::vector<std::string>{"100"});
  client.send_data(stream, "hello");
  client.finish(stream);
  CHECK(client.wait_end(stream).body == "hello");
}

TEST_CASE("h1 backend, h2 client: answers to HEAD, 204 and 304 have no body and end", "[h2]") {
  World world([](Connection& connection) {
    while (true) {
      const Message seen = connection.read_request(Deadline{60s});
      if (seen.method == "HEAD") connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
      if (seen.target == "/v1/none") connection.send("HTTP/1.1 204 No Content\r\n\r\n");
      if (seen.target == "/v1/same")
        connection.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n");
      if (seen.target == "/v1/some") connection.send(ok("some"));
    }
  });
  H2Client client = h2_connect(world.proxy);
  const H2Response& head = client.exchange(client.head("HEAD", "/v1/models"));
  CHECK(head.one("content-length") == "5");
  CHECK(head.body.empty());
  CHECK(head.end == H2End::complete);
  CHECK(client.exchange(client.head("GET", "/v1/none")).status == 204);
  const H2Response& same = client.exchange(client.head("GET", "/v1/same"));
  CHECK(same.status == 304);
  CHECK(same.one("etag") == "\"x\"");
  CHECK(same.end == H2End::complete);
  CHECK(client.exchange(client.head("GET", "/v1/some")).body == "some");
  CHECK(world.cpa.connections() == 1);
}

TEST_CASE("an own answer over h2 has the shape of the API that was called", "[h2]") {
  Portico proxy{{.tls = true}};
  H2Client client = h2_connect(proxy);
  const auto answer = [&](const std::string& path, const H2Fields& more = {}) {
    H2Fields fields = {{"x-request-id", "id-1"}, {"content-type", "application/json"}};
    fields.insert(fields.end(), more.begin(), more.end());
    const H2Response& got = client.exchange(client.head("POST", path, fields), "{}");
    CHECK(got.status == 502);
    CHECK(got.end == H2End::complete);
    CHECK(got.one("x-request-id") == "id-1");
    CHECK(got.body.find("upstream_unreachable") != std::string::npos);
    return got.body;
  };
  CHECK(boost::json::parse(answer("/v1/chat/completions")).at("error").at("code") == "upstream_unreachable");
  CHECK(boost::json::parse(answer("/v1/messages")).at("type") == "error");
  CHECK(boost::json::parse(answer("/v1/models", {{"anthropic-version", "2023-06-01"}})).at("type") ==
        "error");
  CHECK(boost::json::parse(answer("/v1beta/models/x:generateContent")).at("error").at("code") == 502);
  CHECK(answer("/management.html", {{"accept", "text/html"}}).find("<") != std::string::npos);
  // And the redirect of the root is relative.
  const H2Response& root = client.exchange(client.head("GET", "/"));
  CHECK(root.status == 302);
  CHECK(root.one("location") == "/management.html");
}

TEST_CASE("an h2 request is routed as an h1 request is", "[h2]") {
  Origin cpa(Origin::serve(ok("cpa")));
  Origin cpamp(Origin::serve(ok("cpamp")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url(), .tls = true}};
  H2Client client = h2_connect(proxy);
  CHECK(client.exchange(client.head("GET", "/v1/models")).body == "cpa");
  CHECK(client.exchange(client.head("GET", "/v0/management/usage")).body == "cpamp");
  CHECK(client.exchange(client.head("GET", "/health")).body == "cpamp");
  CHECK(client.exchange(client.head("GET", "/elsewhere")).body == "cpa");
  CHECK(client.exchange(client.head("OPTIONS", "*")).status == 204);
}

TEST_CASE("a body over the limit is refused over h2, and the connection goes on", "[h2]") {
  Origin cpa(Origin::serve([](const Message& seen) { return ok(seen.body); }));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"limits": {"request_body": 1000}})", .tls = true}};
  H2Client client = h2_connect(proxy);
  SECTION("by its content-length, before the backend sees it") {
    const auto stream = client.open_upload(client.head("POST", "/v1/files", {{"content-length", "1001"}}));
    CHECK(client.wait_end(stream).status == 413);
    CHECK(client.response(stream).body.find("body_too_large") != std::string::npos);
    CHECK(cpa.connections() == 0);
  }
  SECTION("by what it sends") {
    const auto stream = client.open_upload(client.head("POST", "/v1/files"));
    client.send_data(stream, std::string(50'000, 'x'));
    CHECK(client.wait_end(stream).status == 413);
    CHECK(cpa.requests() == 0);
  }
  CHECK(client.exchange(client.head("POST", "/v1/files"), "next").body == "next");
  CHECK(client.goaways().empty());
}

TEST_CASE("limits and time-outs of HTTP/1.1 hold for h2", "[h2]") {
  BlackHole hole;
  Portico proxy{
      {.cpa = hole.url(),
       .settings = R"({"limits": {"request_head": "4KiB", "request_target": 256, "request_fields": 20},
                                 "timeouts": {"connect": "200ms", "request_body": "200ms"}})",
       .tls = true}};
  H2Client client = h2_connect(proxy);
  const auto refused = [&](const H2Fields& request, int status, const char* code) {
    const H2Response& answer = client.exchange(request);
    CHECK(answer.status == status);
    CHECK(answer.body.find(code) != std::string::npos);
  };
  refused(client.head("GET", "/v1/" + std::string(300, 'a')), 414, "uri_too_long");
  refused(client.head("GET", "/v1/x", {{"x-a", std::string(5000, 'a')}}), 431, "header_too_large");
  refused(client.head("GET", "/v1/x", H2Fields(30, {"x-a", "b"})), 431, "header_too_large");
  refused(client.head("GET", "/v1/models"), 504, "upstream_timeout");
  const auto slow = client.open_upload(client.head("POST", "/v1/files", {{"content-length", "100"}}));
  CHECK(client.wait_end(slow).status >= 408);
  CHECK(client.ping());
}

TEST_CASE("prior knowledge is refused where it is not switched on, and HTTP/1.1 beside it where it is",
          "[h2]") {
  Origin cpa(Origin::serve(ok("x")));
  SECTION("off") {
    Portico proxy{{.cpa = cpa.url()}};
    Client client = proxy.connect();
    client.send(std::string(h2::preface) + h2::settings());
    const Message answer = client.response();
    CHECK((answer.status == 400 || answer.status == 505));
    CHECK(client.ends());
    CHECK(cpa.connections() == 0);
  }
  SECTION("on") {
    Portico proxy{{.cpa = cpa.url(), .cleartext_h2 = true}};
    CHECK(proxy.exchange(get("/v1/models")).body == "x");
    // The preface may come byte by byte, and a request may begin as it does.
    H2Client client = h2_connect(proxy, Door::cleartext);
    CHECK(client.exchange(client.head("GET", "/v1/models")).body == "x");
    Client other = proxy.connect();
    other.send_split(request("PROPFIND", "/v1/models"), 1);
    CHECK(other.response().body == "x");
    h2::H2Wire wire = h2_wire(proxy);
    wire.wire().send_split(std::string(h2::preface) + h2::settings() +
                               h2::headers(1, h2::hpack::block(h2::request("/v1/models", {}, "GET", "http"))),
                           1);
    CHECK(wire.answer(1).body == "x");
    // The old way to change over is not taken.
    const Message upgrade =
        proxy.exchange(get("/v1/models", {"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                          "HTTP2-Settings: AAMAAABkAAQAAP__"}));
    CHECK(upgrade.status == 200);
  }
}

TEST_CASE("the settings of h2 say how many streams there may be and that extended CONNECT is taken", "[h2]") {
  const std::size_t streams = GENERATE(128U, 10U);
  Portico proxy{{.settings = streams == 128 ? "" : R"({"http2": {"streams": 10}})", .tls = true}};
  H2Client client = h2_connect(proxy);
  CHECK(client.takes_extended_connect());
  CHECK(client.setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) == streams);
}
