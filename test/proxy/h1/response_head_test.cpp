#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/proxy/h1/heads.hpp"

namespace portico::proxy::h1 {
namespace {

std::string status(std::string_view status_line) { return std::string(status_line) + "\r\n\r\n"; }

TEST_CASE("a response head is cut into its parts") {
  const std::string bytes =
      "HTTP/1.1 404 Not \t\xc3\xa4 Found\r\nContent-Length: 7\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
  const ResponseReading reading(bytes);
  REQUIRE(reading.error == HeadError::none);
  CHECK(reading.head.status == 404);
  CHECK(reading.head.reason == "Not \t\xc3\xa4 Found");
  CHECK(reading.head.minor == 1);
  CHECK(reading.head.framing == Framing::length);
  CHECK(reading.head.content_length == 7);
  CHECK(reading.head.has_content_length);
  CHECK(reading.head.keep_alive);
  REQUIRE(reading.fields.all().size() == 3);
  CHECK(reading.fields.all()[2].line == "Set-Cookie: b\r\n");
}

TEST_CASE("a reason may be empty, and its space may be missing") {
  for (const std::string good : {"HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 599 x", "HTTP/1.1 100 "}) {
    const std::string bytes = status(good);
    CHECK(ResponseReading(bytes).error == HeadError::none);
  }
}

TEST_CASE("a status line is a version, three digits and a reason") {
  for (const std::string bad :
       {"HTTP/1.1",         "HTTP/1.1 ",      "HTTP/1.1 20",        "HTTP/1.1  200 OK",   "HTTP/1.1 2000",
        "HTTP/1.1 200OK",   "HTTP/1.1\t200",  "HTTP/1.1 200\tOK",   "HTTP/1.1 2x0 OK",    "HTTP/1.1 +20 OK",
        "HTTP/1.1 099 x",   "HTTP/1.1 600 x", "HTTP/1.1 999 x",     "http/1.1 200 OK",    "HTTP/1 200 OK",
        " HTTP/1.1 200 OK", "ICY 200 OK",     "HTTP/1.1 200 a\x01", "HTTP/1.1 200 a\x7f", ""}) {
    INFO(bad);
    CHECK(error_of_response(status(bad)) == HeadError::bad_status_line);
  }
  CHECK(error_of_response(bytes_of("HTTP/1.1 200 a\0\r\n\r\n")) == HeadError::bad_status_line);
  CHECK(error_of_response(status("HTTP/2.0 200 OK")) == HeadError::bad_version);
  CHECK(error_of_response(status("HTTP/1.2 200 OK")) == HeadError::bad_version);
}

TEST_CASE("a response's body ends as its head says, or with the connection") {
  const auto framing = [](const std::string& bytes) {
    const ResponseReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    return reading.head.framing;
  };
  CHECK(framing(ok_with("Transfer-Encoding: Chunked\r\n")) == Framing::chunked);
  CHECK(framing(ok_with("Content-Length: 0\r\n")) == Framing::length);
  CHECK(framing(ok_with("")) == Framing::until_close);
}

TEST_CASE("a response to HEAD, a 1xx, a 204 and a 304 have no body, whatever Content-Length says") {
  for (const std::string line :
       {"HTTP/1.1 100", "HTTP/1.1 101", "HTTP/1.1 199", "HTTP/1.1 204", "HTTP/1.1 304"}) {
    const std::string bytes = line + "\r\nContent-Length: 5\r\n\r\n";
    const ResponseReading reading(bytes);
    REQUIRE(reading.error == HeadError::none);
    CHECK(reading.head.framing == Framing::none);
    CHECK(reading.head.has_content_length);
    CHECK(reading.head.content_length == 5);
    CHECK(reading.head.keep_alive);
  }
  for (const std::string fields : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
    const std::string bytes = ok_with(fields);
    const ResponseReading reading(bytes, true);
    REQUIRE(reading.error == HeadError::none);
    CHECK(reading.head.framing == Framing::none);
    CHECK(reading.head.keep_alive);
  }
}

TEST_CASE("a 1xx or 204 that announces a transfer coding is refused, a 304 is not") {
  for (const std::string line : {"HTTP/1.1 100", "HTTP/1.1 101", "HTTP/1.1 204"})
    CHECK(error_of_response(line + "\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          HeadError::bad_transfer_encoding);
  CHECK(error_of_response("HTTP/1.1 304\r\nTransfer-Encoding: chunked\r\n\r\n") == HeadError::none);
}

TEST_CASE("a response's framing is read as strictly as a request's, also where no body follows") {
  for (const bool to_head : {false, true}) {
    const auto error = [to_head](const std::string& bytes) { return ResponseReading(bytes, to_head).error; };
    CHECK(error(ok_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) ==
          HeadError::both_length_and_encoding);
    CHECK(error(ok_with("Content-Length: 5\r\nContent-Length: 5\r\n")) == HeadError::bad_content_length);
    CHECK(error(ok_with("Content-Length: 5,5\r\n")) == HeadError::bad_content_length);
    CHECK(error(ok_with("Transfer-Encoding: gzip, chunked\r\n")) == HeadError::bad_transfer_encoding);
    CHECK(error("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == HeadError::bad_transfer_encoding);
    CHECK(error(ok_with("Connection: a b\r\n")) == HeadError::bad_connection);
    CHECK(error(ok_with("A: b\r\n c\r\n")) == HeadError::obsolete_folding);
    CHECK(error(ok_with("A : b\r\n")) == HeadError::bad_field_name);
  }
}

TEST_CASE("a backend's connection is used again only when the body has an end of its own") {
  const auto keeps = [](const std::string& bytes) { return ResponseReading(bytes).head.keep_alive; };
  CHECK(keeps(ok_with("Content-Length: 5\r\n")));
  CHECK(keeps(ok_with("Transfer-Encoding: chunked\r\n")));
  CHECK_FALSE(keeps(ok_with("")));
  CHECK_FALSE(keeps(ok_with("Connection: keep-alive\r\n")));
  CHECK_FALSE(keeps(ok_with("Content-Length: 5\r\nConnection: close\r\n")));
  CHECK_FALSE(keeps("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"));
  CHECK(keeps("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"));
}

TEST_CASE("only a 101 that says so switches to WebSocket") {
  const std::string fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const auto switches = [](const std::string& bytes) { return ResponseReading(bytes).head.websocket; };
  CHECK(switches("HTTP/1.1 101 Switching Protocols\r\n" + fields));
  CHECK_FALSE(switches("HTTP/1.1 200 OK\r\n" + fields));
  CHECK_FALSE(switches("HTTP/1.1 101\r\nUpgrade: websocket\r\n\r\n"));
  CHECK_FALSE(switches("HTTP/1.1 101\r\nConnection: upgrade\r\n\r\n"));
  CHECK_FALSE(switches("HTTP/1.1 101\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"));
}

TEST_CASE("more response fields than there is room for are refused") {
  HeadFields one{1};
  ResponseHead head;
  CHECK(parse_response(ok_with("A: b\r\n"), false, one, head) == HeadError::none);
  CHECK(parse_response(ok_with("A: b\r\nC: d\r\n"), false, one, head) == HeadError::too_many_fields);
}

TEST_CASE("bytes that are no complete response head are refused at every length") {
  const std::string bytes = ok_with("Content-Length: 5\r\n");
  HeadFields fields{200};
  ResponseHead head;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<char> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(parse_response({part.data(), part.size()}, false, fields, head) != HeadError::none);
  }
  CHECK(parse_response(bytes, false, fields, head) == HeadError::none);
}

}  // namespace
}  // namespace portico::proxy::h1
