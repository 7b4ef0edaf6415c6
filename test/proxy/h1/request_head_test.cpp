#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "test/proxy/h1/heads.hpp"

namespace portico::proxy::h1 {
namespace {

std::string line(std::string_view request_line) { return std::string(request_line) + "\r\nHost: a\r\n\r\n"; }

std::string with_host(std::string_view host) {
  return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

TEST_CASE("a request head is cut into its parts, and every line is kept as it came") {
  const std::string bytes =
      "POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.com:8080\r\nX-API-Key:  k 1\t \r\n"
      "session_id:s\r\nEmpty:\r\nBlank: \t \r\ncontent-length: 12\r\n\r\n";
  const RequestReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  CHECK(reading.head.method == "POST");
  CHECK(reading.head.target == "/v1/messages?beta=true");
  CHECK(reading.head.host == "api.example.com:8080");
  CHECK(reading.head.minor == 1);
  CHECK(reading.head.framing == Framing::length);
  CHECK(reading.head.content_length == 12);
  CHECK(reading.head.fields == &reading.fields);

  const auto fields = reading.fields.all();
  REQUIRE(fields.size() == 6);
  CHECK(fields[1].name == "X-API-Key");
  CHECK(fields[1].value == "k 1");
  CHECK(fields[1].line == "X-API-Key:  k 1\t \r\n");
  CHECK(fields[2].value == "s");
  CHECK(fields[3].value.empty());
  CHECK(fields[4].value.empty());
  CHECK(fields[5].id == FieldId::content_length);
  std::string lines;
  for (const Field& field : fields) lines += field.line;
  CHECK(bytes == "POST /v1/messages?beta=true HTTP/1.1\r\n" + lines + "\r\n");
}

TEST_CASE("a field is found by its id, the first one where there are several") {
  const std::string bytes = get_with("Cookie: a\r\ncookie: b\r\nAccept: c\r\n");
  RequestReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  CHECK(reading.fields.find(FieldId::cookie)->value == "a");
  CHECK(reading.fields.repeated(FieldId::cookie));
  CHECK(reading.fields.once(FieldId::accept));
  CHECK_FALSE(reading.fields.has(FieldId::te));
  CHECK(reading.fields.find(FieldId::te) == nullptr);
  CHECK_FALSE(reading.fields.once(FieldId::te));
  reading.fields.clear();
  CHECK(reading.fields.all().empty());
  CHECK_FALSE(reading.fields.has(FieldId::cookie));
  CHECK_FALSE(reading.fields.repeated(FieldId::cookie));
}

TEST_CASE("a head that is read again leaves nothing of the one before") {
  HeadFields fields{200};
  RequestHead head;
  const std::string first =
      post_with("Transfer-Encoding: chunked\r\nConnection: close, te\r\nTE: trailers\r\n");
  const std::string second = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
  REQUIRE(parse_request(first, {}, fields, head) == HeadError::none);
  REQUIRE(parse_request(second, {}, fields, head) == HeadError::none);
  CHECK(fields.all().size() == 1);
  CHECK(head.framing == Framing::none);
  CHECK(head.keep_alive);
  CHECK_FALSE(head.te_trailers);
  CHECK(head.host == "b");
}

TEST_CASE("a method is any token that begins with a letter, with its case kept") {
  for (const std::string method : {"GET", "PATCH", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~9"}) {
    const std::string bytes = line(method + " / HTTP/1.1");
    const RequestReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    CHECK(reading.head.method == method);
  }
  for (const std::string method :
       {"*1", "$5", "+OK", "-ERR", ":1", "1GET", "_GET", "GE(T", "GE\"T", "GET,", "G\xc3T"})
    CHECK(error_of_request(line(method + " / HTTP/1.1")) == HeadError::bad_method);
  CHECK(error_of_request(line(" / HTTP/1.1")) == HeadError::bad_method);
  CHECK(error_of_request("\r\n\r\n") == HeadError::bad_request_line);
}

TEST_CASE("a request line is three parts with exactly one space between them") {
  for (const std::string bad : {"GET",
                                "GET ",
                                "GET /",
                                "GET / ",
                                "GET  / HTTP/1.1",
                                "GET /  HTTP/1.1",
                                "GET / HTTP/1.1 ",
                                "GET\t/ HTTP/1.1",
                                "GET /\tHTTP/1.1",
                                "GET /a b HTTP/1.1",
                                "GET / http/1.1",
                                "GET / HTTP/1",
                                "GET / HTTP/1.",
                                "GET / HTTP/11",
                                "GET / HTTP/1.10",
                                "GET / HTTP/a.1",
                                "GET / HTTP/1,1",
                                "GET / XTTP/1.1",
                                "GET /\x01 HTTP/1.1",
                                "GET /\x7f HTTP/1.1"}) {
    INFO(bad);
    CHECK(error_of_request(line(bad)) == HeadError::bad_request_line);
  }
  CHECK(error_of_request(bytes_of("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")) == HeadError::bad_request_line);
  CHECK(error_of_request(bytes_of("GET\0/ HTTP/1.1\r\nHost: a\r\n\r\n")) == HeadError::bad_request_line);
  CHECK(error_of_request(bytes_of("GET / HTTP/1.1\0\r\nHost: a\r\n\r\n")) == HeadError::bad_request_line);
}

TEST_CASE("a target may hold any byte that is no space and no control byte") {
  const std::string bytes = line("GET /m%2Fn/\xe4?q=\"<>\\^`{|}# HTTP/1.1");
  const RequestReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  CHECK(reading.head.target == "/m%2Fn/\xe4?q=\"<>\\^`{|}#");
}

TEST_CASE("only HTTP/1.0 and HTTP/1.1 are spoken") {
  for (const std::string version : {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.1", "HTTP/9.9"})
    CHECK(error_of_request(line("GET / " + version)) == HeadError::bad_version);
  CHECK(error_of_request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == HeadError::bad_version);
  const std::string old = line("GET / HTTP/1.0");
  CHECK(RequestReading(old).head.minor == 0);
}

TEST_CASE("a target longer than its limit is refused by name") {
  const auto error = [](std::size_t size) {
    return RequestReading(line("GET /" + std::string(size - 1, 'a') + " HTTP/1.1"), {.target = 32}).error;
  };
  CHECK(error(32) == HeadError::none);
  CHECK(error(33) == HeadError::target_too_long);
}

TEST_CASE("more fields than allowed, or than there is room for, are refused") {
  const std::string bytes = get_with("A: b\r\nC: d\r\n");
  CHECK(RequestReading(bytes, {.fields = 3}).error == HeadError::none);
  CHECK(RequestReading(bytes, {.fields = 2}).error == HeadError::too_many_fields);
  HeadFields two{2};
  RequestHead head;
  CHECK(parse_request(bytes, {}, two, head) == HeadError::too_many_fields);
}

TEST_CASE("a field name is a token with the colon right behind it") {
  for (const std::string bad : {"Na me: v", "Name : v", "Name\t: v", ": v", "Na(me: v", "N\xc3: v",
                                "Name\x01: v", "Name[]: v", "\"Name\": v", "Na me", "Name "}) {
    INFO(bad);
    CHECK(error_of_request(get_with(bad + "\r\n")) == HeadError::bad_field_name);
  }
  CHECK(error_of_request(get_with(bytes_of("Na\0me: v\r\n"))) == HeadError::bad_field_name);
  CHECK(error_of_request(get_with("X_under.score!: v\r\n")) == HeadError::none);
}

TEST_CASE("a field line without a colon is refused") {
  CHECK(error_of_request(get_with("Name\r\n")) == HeadError::missing_colon);
}

TEST_CASE("a field value has no control byte but HTAB") {
  for (int value = 0; value < 256; ++value) {
    if (value == '\r' || value == '\n') continue;  // the scanner's
    INFO(value);
    const bool control = (value < 32 && value != '\t') || value == 127;
    const std::string field = "Name: a" + std::string(1, static_cast<char>(value)) + "b\r\n";
    CHECK(error_of_request(get_with(field)) == (control ? HeadError::bad_field_value : HeadError::none));
  }
}

TEST_CASE("a line that begins with white space is refused, the first one too") {
  CHECK(error_of_request(get_with("Name: a\r\n b\r\n")) == HeadError::obsolete_folding);
  CHECK(error_of_request(get_with("Name: a\r\n\tb\r\n")) == HeadError::obsolete_folding);
  CHECK(error_of_request(get_with("Name: a\r\n \r\n")) == HeadError::obsolete_folding);
  CHECK(error_of_request("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == HeadError::obsolete_folding);
}

TEST_CASE("an HTTP/1.1 request without Host is refused, an HTTP/1.0 one is not") {
  CHECK(error_of_request("GET / HTTP/1.1\r\n\r\n") == HeadError::missing_host);
  CHECK(error_of_request("GET http://a/ HTTP/1.1\r\n\r\n") == HeadError::missing_host);
  const std::string old = "GET / HTTP/1.0\r\n\r\n";
  const RequestReading reading(old);
  CHECK(reading.error == HeadError::none);
  CHECK(reading.head.host.empty());
}

TEST_CASE("a second Host is refused, even an equal one") {
  CHECK(error_of_request(get_with("host: a.example\r\n")) == HeadError::duplicate_host);
  CHECK(error_of_request("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == HeadError::duplicate_host);
}

TEST_CASE("a Host that is no authority is refused, an empty one too") {
  for (const std::string bad : {"", " ", "a b", "a/b", "u@a", "a, b", "a:b", "[::1"})
    CHECK(error_of_request(with_host(bad)) == HeadError::bad_host);
  CHECK(error_of_request("GET / HTTP/1.0\r\nHost:\r\n\r\n") == HeadError::bad_host);
  CHECK(error_of_request(with_host("[::1]:8317")) == HeadError::none);
}

TEST_CASE("an absolute-form target must name the authority that Host names") {
  CHECK(error_of_request("GET http://A.example/x HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n") == HeadError::none);
  for (const std::string target : {"http://b.example/x", "http://a.example:80/x", "http://u@a.example/x",
                                   "http:///x", "HTTP://b.example", "https://a.example.b?x"})
    CHECK(error_of_request("GET " + target + " HTTP/1.1\r\nHost: a.example\r\n\r\n") == HeadError::bad_host);
  CHECK(error_of_request("GET http://u@a/ HTTP/1.0\r\n\r\n") == HeadError::bad_host);
  CHECK(error_of_request("GET http://a/ HTTP/1.0\r\n\r\n") == HeadError::none);
}

TEST_CASE("a Content-Length is one field of plain digits up to 2^62") {
  for (const std::string good : {"0", "5", "007", "4611686018427387904", "0000000000000000001"}) {
    const std::string bytes = post_with("Content-Length: " + good + "\r\n");
    const RequestReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    CHECK(reading.head.framing == Framing::length);
    CHECK(reading.head.content_length == std::stoull(good));
  }
  for (const std::string bad : {"", "+5", "-5", "5,5", "5, 5", " 5 6", "0x5", "5.0", "5e1", "5;", "\"5\"",
                                "5\x80", "4611686018427387905", "9999999999999999999", "18446744073709551621",
                                "99999999999999999999999999", "00000000000000000001"}) {
    INFO(bad);
    CHECK(error_of_request(post_with("Content-Length: " + bad + "\r\n")) == HeadError::bad_content_length);
  }
  CHECK(error_of_request(post_with("Content-Length: 5\r\ncontent-length: 5\r\n")) ==
        HeadError::bad_content_length);
}

TEST_CASE("a Transfer-Encoding is one field that says chunked, on HTTP/1.1") {
  for (const std::string good : {"chunked", "Chunked", "CHUNKED", "\tchunked \t"}) {
    const std::string bytes = post_with("Transfer-Encoding:" + good + "\r\n");
    const RequestReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    CHECK(reading.head.framing == Framing::chunked);
  }
  for (const std::string bad : {"", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked",
                                "chunked,", ",chunked", "xchunked", "chunkedx", "chunked;q=1", "chunked; x",
                                "\"chunked\"", "'chunked'", "chunked chunked", "chun ked", "chunked\x80"}) {
    INFO(bad);
    CHECK(error_of_request(post_with("Transfer-Encoding: " + bad + "\r\n")) ==
          HeadError::bad_transfer_encoding);
  }
  CHECK(error_of_request(post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) ==
        HeadError::bad_transfer_encoding);
  CHECK(error_of_request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        HeadError::bad_transfer_encoding);
}

TEST_CASE("Content-Length together with Transfer-Encoding is refused, in either order") {
  CHECK(error_of_request(post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) ==
        HeadError::both_length_and_encoding);
  CHECK(error_of_request(post_with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")) ==
        HeadError::both_length_and_encoding);
}

TEST_CASE("a request without both has no body") {
  const std::string bytes = post_with("");
  CHECK(RequestReading(bytes).head.framing == Framing::none);
}

TEST_CASE("Connection options are read from all its fields, in any case, with empty elements") {
  const std::string bytes = get_with("Connection: ,Close, \r\nConnection: UPGRADE,te ,,keep-alive\r\n");
  const RequestReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  const ConnectionOptions& options = reading.head.connection;
  CHECK(options.close);
  CHECK(options.keep_alive);
  CHECK(options.upgrade);
  CHECK(options.te);
  CHECK_FALSE(options.others);
}

TEST_CASE("further names that Connection lists can be asked for, and a listed protected one is no refusal") {
  const std::string bytes =
      get_with("Connection: x-hop\r\nConnection: close, X-Forwarded-For\r\nX-Hop: 1\r\n");
  const RequestReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  CHECK(reading.head.connection.others);
  CHECK(lists_field(reading.fields, "X-HOP"));
  CHECK(lists_field(reading.fields, "x-forwarded-for"));
  CHECK_FALSE(lists_field(reading.fields, "x-ho"));
  CHECK_FALSE(lists_field(reading.fields, "hop"));
  CHECK_FALSE(lists_field(RequestReading(get_with("")).fields, "close"));
}

TEST_CASE("a Connection that is no list of tokens is refused") {
  for (const std::string bad : {"close x", "\"close\"", "close;q=1", "close, a b", "cl\xc3se", "a=b"}) {
    INFO(bad);
    CHECK(error_of_request(get_with("Connection: " + bad + "\r\n")) == HeadError::bad_connection);
  }
}

TEST_CASE("a connection goes on by default on HTTP/1.1 and by wish on HTTP/1.0, and close wins") {
  const auto keeps = [](const std::string& version, const std::string& fields) {
    const std::string bytes = "GET / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n";
    const RequestReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    return reading.head.keep_alive;
  };
  CHECK(keeps("1.1", ""));
  CHECK(keeps("1.1", "Connection: keep-alive\r\n"));
  CHECK(keeps("1.1", "Proxy-Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(keeps("1.0", "Connection: close, keep-alive\r\n"));
}

TEST_CASE("a WebSocket request is one only when every part of it is there") {
  const std::string whole =
      "GET /v1/responses HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  CHECK(RequestReading(whole).head.websocket);

  const auto without = [&whole](std::string_view part, std::string_view instead) {
    std::string bytes = whole;
    bytes.replace(bytes.find(part), part.size(), instead);
    const RequestReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    return reading.head.websocket;
  };
  CHECK_FALSE(without("GET", "POST"));
  CHECK_FALSE(without("GET", "get"));
  CHECK_FALSE(without("HTTP/1.1", "HTTP/1.0"));
  CHECK_FALSE(without(", Upgrade", ""));
  CHECK_FALSE(without("Upgrade: WebSocket\r\n", ""));
  CHECK_FALSE(without(": WebSocket", ": h2c"));
  CHECK_FALSE(without(": WebSocket", ": websocket, h2c"));
  CHECK_FALSE(without(": WebSocket", ": websocket/13"));
  CHECK_FALSE(without("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: websocket"));
  CHECK_FALSE(without("Sec-WebSocket-Key", "X-Key"));
  CHECK_FALSE(without("Sec-WebSocket-Key", "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key"));
  CHECK_FALSE(without("Host", "Content-Length: 3\r\nHost"));
  CHECK_FALSE(without("Host", "Transfer-Encoding: chunked\r\nHost"));
}

TEST_CASE("TE lists trailers as an element of its own or not at all") {
  const auto asks = [](const std::string& fields) {
    const std::string bytes = get_with(fields);
    return RequestReading(bytes).head.te_trailers;
  };
  CHECK(asks("TE: trailers\r\n"));
  CHECK(asks("TE: deflate;q=0.5, Trailers\r\n"));
  CHECK(asks("TE: gzip\r\nTE: trailers\r\n"));
  CHECK_FALSE(asks("TE: deflate\r\n"));
  CHECK_FALSE(asks("TE: xtrailers\r\n"));
  CHECK_FALSE(asks("Trailer: trailers\r\n"));
}

TEST_CASE("Expect: 100-continue counts on HTTP/1.1 only") {
  const std::string now = post_with("Expect: 100-Continue\r\n");
  CHECK(RequestReading(now).head.expect_continue);
  const std::string other = post_with("Expect: 200-ok\r\n");
  CHECK_FALSE(RequestReading(other).head.expect_continue);
  const std::string old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
  CHECK_FALSE(RequestReading(old).head.expect_continue);
}

TEST_CASE("bytes that are no complete head are refused at every length, and so is one with more behind it") {
  const std::string bytes = post_with("Content-Length: 5\r\nConnection: close\r\n");
  HeadFields fields{200};
  RequestHead head;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // In memory of its own, so that a sanitizer sees a look behind the end.
    const std::vector<char> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(parse_request({part.data(), part.size()}, {}, fields, head) != HeadError::none);
  }
  CHECK(parse_request(bytes, {}, fields, head) == HeadError::none);
  CHECK(parse_request(bytes + "x", {}, fields, head) != HeadError::none);
  CHECK(parse_request(bytes + bytes, {}, fields, head) != HeadError::none);
}

TEST_CASE("a parser refuses bare CR and LF by itself") {
  HeadFields fields{200};
  RequestHead head;
  CHECK(parse_request(get_with("A: b\nC: d\r\n"), {}, fields, head) == HeadError::bare_line_feed);
  CHECK(parse_request(get_with("A: b\rC: d\r\n"), {}, fields, head) == HeadError::bare_carriage_return);
}

TEST_CASE("every refusal has a status and a sentence of its own") {
  CHECK(status_of(HeadError::none) == 0);
  CHECK(status_of(HeadError::too_large) == 431);
  CHECK(status_of(HeadError::too_many_fields) == 431);
  CHECK(status_of(HeadError::target_too_long) == 414);
  CHECK(status_of(HeadError::bad_version) == 505);
  std::vector<std::string_view> sentences;
  for (int value = 0; value <= static_cast<int>(HeadError::bad_connection); ++value) {
    const auto error = static_cast<HeadError>(value);
    const std::string_view sentence = sentence_of(error);
    INFO(sentence);
    CHECK(sentence.ends_with("."));
    CHECK(std::find(sentences.begin(), sentences.end(), sentence) == sentences.end());
    sentences.push_back(sentence);
    if (error > HeadError::target_too_long && error != HeadError::bad_version) CHECK(status_of(error) == 400);
  }
}

}  // namespace
}  // namespace portico::proxy::h1
