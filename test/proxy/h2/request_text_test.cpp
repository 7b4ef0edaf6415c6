#include "proxy/h2/request_text.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "proxy/h1/octets.hpp"
#include "test/proxy/h1/heads.hpp"

using namespace portico::proxy;
using h2::RequestText;
using Verdict = RequestText::Verdict;
using Fields = std::vector<std::pair<std::string, std::string>>;

namespace {

constexpr std::size_t roomy = 65'536;
constexpr std::string_view key = "AAAAAAAAAAAAAAAAAAAAAA==";

enum class Body : std::uint8_t { none, follows };

/// What becomes of one head.
struct Made {
  Verdict verdict = Verdict::good;
  std::string text;
  bool websocket = false;
  bool chunked = false;
};

Made make(const Fields& fields, Body body = Body::none, std::size_t limit = roomy) {
  RequestText request;
  request.begin(limit);
  for (const auto& [name, value] : fields) request.add(name, value);
  Made made;
  made.verdict = request.finish(body == Body::follows);
  made.websocket = request.websocket();
  made.chunked = request.chunked();
  if (made.verdict != Verdict::good) return made;
  made.text.resize(request.size());
  request.write(made.text, made.websocket ? key : std::string_view());
  return made;
}

/// A GET with further fields.
Fields get_with(const Fields& more) {
  Fields fields{
      {":method", "GET"}, {":scheme", "https"}, {":path", "/v1/models"}, {":authority", "a.example"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Verdict verdict_with(const Fields& more) { return make(get_with(more)).verdict; }

}  // namespace

TEST_CASE("a head over HTTP/2 becomes the HTTP/1.1 head that it stands for") {
  const Made made = make(get_with({{"accept", "*/*"}, {"x-empty", ""}, {"accept", "text/html"}}));
  REQUIRE(made.verdict == Verdict::good);
  REQUIRE(
      made.text ==
      "GET /v1/models HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\nx-empty: \r\naccept: text/html\r\n\r\n");
  REQUIRE_FALSE(made.chunked);
  REQUIRE_FALSE(made.websocket);
}

TEST_CASE("a body of unknown length goes on in chunks, one with a length and none do not") {
  const Fields post{{":method", "POST"}, {":scheme", "https"}, {":path", "/"}, {":authority", "a"}};
  Fields sized = post;
  sized.emplace_back("content-length", "5");
  REQUIRE(make(post, Body::follows).text ==
          "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
  REQUIRE(make(post, Body::follows).chunked);
  REQUIRE_FALSE(make(post, Body::none).chunked);
  REQUIRE_FALSE(make(sized, Body::follows).chunked);
  REQUIRE(make(sized, Body::follows).text == "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n");
}

TEST_CASE("cookie crumbs become one field again") {
  const Made made = make(get_with({{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", "c=3"}}));
  REQUIRE(made.text == "GET /v1/models HTTP/1.1\r\nhost: a.example\r\nx: y\r\ncookie: a=1; b=2; c=3\r\n\r\n");
}

TEST_CASE("Host stands in for an authority that is not given, and may say the same") {
  const Fields without{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "b.example"}};
  REQUIRE(make(without).text == "GET / HTTP/1.1\r\nhost: b.example\r\n\r\n");
  REQUIRE(make(get_with({{"host", "A.Example"}})).text ==
          "GET /v1/models HTTP/1.1\r\nhost: a.example\r\n\r\n");
}

TEST_CASE("two hosts are ambiguous") {
  REQUIRE(verdict_with({{"host", "b.example"}}) == Verdict::ambiguous);
  REQUIRE(verdict_with({{"host", "a.example:443"}}) == Verdict::ambiguous);
  REQUIRE(verdict_with({{"host", ""}}) == Verdict::ambiguous);
  REQUIRE(verdict_with({{"host", "a.example"}, {"host", "a.example"}}) == Verdict::ambiguous);
}

TEST_CASE("a field that could stand for another line is refused") {
  const std::string nul("a\0b", 3);
  for (const std::string& value :
       {std::string("a\r\nhost: b"), std::string("a\rb"), std::string("a\nb"), nul}) {
    CAPTURE(value);
    REQUIRE(verdict_with({{"x", value}}) == Verdict::malformed);
    REQUIRE(verdict_with({{"host", value}}) == Verdict::malformed);
    REQUIRE(verdict_with({{"cookie", value}}) == Verdict::malformed);
    REQUIRE(make({{":method", "GET"}, {":path", value}, {":authority", "a"}}).verdict == Verdict::malformed);
  }
  for (const std::string name : {"", "x y", "x:y", "X-Upper", "x\r", "x\x7f", ":unknown"}) {
    CAPTURE(name);
    REQUIRE(verdict_with({{name, "v"}}) == Verdict::malformed);
  }
}

TEST_CASE("what concerns one connection only is refused") {
  for (const std::string name :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    CAPTURE(name);
    REQUIRE(verdict_with({{name, "x"}}) == Verdict::malformed);
  }
  REQUIRE(verdict_with({{"te", "gzip"}}) == Verdict::malformed);
  REQUIRE(verdict_with({{"te", "trailers"}}) == Verdict::good);
}

TEST_CASE("a pseudo-field stands once, and is a word") {
  REQUIRE(verdict_with({{":path", "/other"}}) == Verdict::malformed);
  REQUIRE(verdict_with({{":authority", "b"}}) == Verdict::malformed);
  REQUIRE(make({{":method", "GET"}, {":path", "/a b"}}).verdict == Verdict::malformed);
  REQUIRE(make({{":method", "GET"}, {":path", ""}}).verdict == Verdict::malformed);
  REQUIRE(make({{":method", "GET POST"}, {":path", "/"}}).verdict == Verdict::malformed);
}

TEST_CASE("a request without method or path is malformed") {
  REQUIRE(make({{":method", "GET"}, {":authority", "a"}}).verdict == Verdict::malformed);
  REQUIRE(make({{":path", "/"}, {":authority", "a"}}).verdict == Verdict::malformed);
}

TEST_CASE("CONNECT has an authority for its target, and no path") {
  const Made made = make({{":method", "CONNECT"}, {":authority", "a.example:443"}}, Body::follows);
  REQUIRE(made.verdict == Verdict::good);
  REQUIRE(made.text == "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n");
  REQUIRE_FALSE(made.chunked);
  REQUIRE(make({{":method", "CONNECT"}, {":path", "/"}, {":authority", "a"}}).verdict == Verdict::malformed);
  REQUIRE(make({{":method", "CONNECT"}}).verdict == Verdict::malformed);
}

TEST_CASE("an extended CONNECT becomes the upgrade to a WebSocket") {
  Fields fields{{":method", "CONNECT"},
                {":protocol", "websocket"},
                {":scheme", "https"},
                {":path", "/v1/responses"},
                {":authority", "a"},
                {"sec-websocket-version", "13"},
                {"sec-websocket-key", "of no meaning"}};
  const Made made = make(fields, Body::follows);
  REQUIRE(made.verdict == Verdict::good);
  REQUIRE(made.websocket);
  REQUIRE_FALSE(made.chunked);
  const h1::RequestReading reading(made.text);
  REQUIRE(reading.error == h1::HeadError::none);
  REQUIRE(reading.head.websocket);
  REQUIRE(reading.head.method == "GET");
  REQUIRE(reading.head.target == "/v1/responses");
  REQUIRE(reading.fields.find(h1::FieldId::sec_websocket_key)->value == key);

  Fields sized = fields;
  sized.emplace_back("content-length", "5");
  REQUIRE(make(sized, Body::follows).verdict == Verdict::malformed);
  fields[1].second = "connect-udp";
  REQUIRE(make(fields, Body::follows).verdict == Verdict::no_such_use);
  fields[1].second = "websocket";
  fields[0].second = "GET";
  REQUIRE(make(fields, Body::follows).verdict == Verdict::malformed);
}

TEST_CASE("a head above its limit is too large, and what was not kept of it still counts") {
  // 42 bytes of pseudo-fields, 4 more for each of them and for the one after.
  const Fields fields = get_with({{"x", std::string(100, 'y')}});
  std::size_t size = 0;
  for (const auto& [name, value] : fields) size += name.size() + value.size() + 4;
  REQUIRE(make(fields, Body::none, size).verdict == Verdict::good);
  REQUIRE(make(fields, Body::none, size - 1).verdict == Verdict::too_large);

  RequestText request;
  request.begin(10);
  REQUIRE_FALSE(request.add(":path", "/v1/models"));
  REQUIRE_FALSE(request.add("a", "b"));
  REQUIRE(request.too_large());
  REQUIRE(request.seen() == 19 + 6);
  REQUIRE(request.finish(false) == Verdict::too_large);
}

TEST_CASE("a head leaves nothing behind for the next one") {
  RequestText request;
  request.begin(roomy);
  for (const auto& [name, value] :
       get_with({{"host", "a.example"}, {"cookie", "a=1"}, {"content-length", "3"}, {"x", "y"}}))
    request.add(name, value);
  REQUIRE(request.finish(true) == Verdict::good);
  request.begin(roomy);
  for (const auto& [name, value] : Fields{{":method", "PUT"}, {":path", "/"}, {":authority", "b"}})
    request.add(name, value);
  REQUIRE(request.finish(true) == Verdict::good);
  std::string text(request.size(), '\0');
  request.write(text, {});
  REQUIRE(text == "PUT / HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n");
}

TEST_CASE("what is written is read as one request with the same fields, whatever they hold") {
  std::mt19937 random(1);
  const std::vector<std::string> names{"accept", "x-a",  "host",   "cookie",           "content-length",
                                       "te",     "user", "x_y",    "expect",           "authorization",
                                       "x y",    "Bad",  "origin", "sec-websocket-key"};
  const std::string characters("az09 \t,;=:/\"%\xc3\xa4\r\n\0", 18);
  std::size_t good = 0;
  for (int round = 0; round < 20'000; ++round) {
    Fields fields{
        {":method", random() % 2 == 0 ? "POST" : "GET"}, {":path", "/v1/x"}, {":authority", "a.example"}};
    for (std::size_t count = random() % 5; count > 0; --count) {
      std::string value;
      // Mostly without the last three, which no value may hold.
      const std::size_t most = characters.size() - (random() % 8 == 0 ? 0 : 3);
      for (std::size_t size = random() % 6; size > 0; --size) value += characters[random() % most];
      fields.emplace_back(names[random() % names.size()], value);
    }
    const Made made = make(fields, random() % 2 == 0 ? Body::none : Body::follows);
    if (made.verdict != Verdict::good) continue;
    ++good;
    h1::HeadScanner scanner;
    REQUIRE(scanner.scan(made.text) == h1::HeadScanner::State::complete);
    // No field can end the head early.
    REQUIRE(scanner.size() == made.text.size());
    const h1::RequestReading reading(made.text);
    if (reading.error != h1::HeadError::none) continue;
    REQUIRE(reading.head.method == fields[0].second);
    REQUIRE(reading.head.target == "/v1/x");
    REQUIRE(reading.head.host == "a.example");
    REQUIRE((reading.head.framing == h1::Framing::chunked) == made.chunked);
    for (const h1::Field& field : reading.fields.all()) {
      const bool ours = field.name == "host" || field.name == "cookie" || field.name == "transfer-encoding";
      const bool theirs = std::any_of(fields.begin(), fields.end(), [&](const auto& sent) {
        return sent.first == field.name && h1::trim(sent.second) == field.value;
      });
      REQUIRE((ours || theirs));
    }
  }
  REQUIRE(good > 1'000);
}

TEST_CASE("trailers become lines, or none when one of them can't") {
  h2::TrailerText trailers;
  trailers.begin(64);
  REQUIRE(trailers.add("x-sum", "1"));
  REQUIRE(trailers.add("x-more", "2"));
  REQUIRE(trailers.lines() == "x-sum: 1\r\nx-more: 2\r\n");
  REQUIRE(trailers.add("x", "a\r\nb: c"));
  REQUIRE(trailers.lines().empty());
  trailers.begin(64);
  REQUIRE(trailers.lines().empty());
  REQUIRE(trailers.add("x", "1"));
  REQUIRE(trailers.add(":path", "/"));
  REQUIRE(trailers.lines().empty());
  trailers.begin(10);
  REQUIRE(trailers.add("x", "12345"));
  REQUIRE_FALSE(trailers.add("y", ""));
  REQUIRE(trailers.lines().empty());
}
