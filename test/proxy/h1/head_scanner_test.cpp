#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/proxy/h1/heads.hpp"

namespace portico::proxy::h1 {
namespace {

using State = HeadScanner::State;

const std::vector<std::string> samples = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200\r\n\r\n\r\n\r\n",
    bytes_of("GET / HTTP/1.1\r\nA: \0\x01\x7f\t\x80\r\n\r\n"),  // the parser's to refuse
    "GET / HTTP/1.1\r\n" + std::string(40, 'n') + ": " + std::string(300, 'v') + "\r\n\r\n",
    "GET / HTTP/1.1\n\n",
    "GET / HTTP/1.1\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nX: y\r\n\n",
    "GET / HTTP/1.1\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\r\n\r\n",
    "\n",
};

TEST_CASE("a head ends at its empty line, and what follows is not looked at") {
  HeadScanner scanner;
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(scanner.scan(head + "\n\r\x01") == State::complete);
  CHECK(scanner.size() == head.size());
}

TEST_CASE("an unfinished head wants more, also when it ends inside a CRLF") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size) {
    HeadScanner scanner;
    CHECK(scanner.scan(std::string_view(head).substr(0, size)) == State::need_more);
  }
}

TEST_CASE("a scanner refuses LF without CR") {
  CHECK(error_of_request("GET / HTTP/1.1\nHost: a\n\n") == HeadError::bare_line_feed);
  CHECK(error_of_request("GET / HTTP/1.1\r\nHost: a\n\r\n") == HeadError::bare_line_feed);
  CHECK(error_of_request("GET / HTTP/1.1\r\nHost: a\r\n\n") == HeadError::bare_line_feed);
}

TEST_CASE("a scanner refuses CR without LF before the line has ended") {
  HeadScanner scanner;
  CHECK(scanner.scan("GET / HTTP/1.1\rH") == State::bad);
  CHECK(scanner.error() == HeadError::bare_carriage_return);
  CHECK(error_of_request("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n") == HeadError::bare_carriage_return);
}

TEST_CASE("a scanner that said bad goes on saying so until it is reset") {
  HeadScanner scanner;
  REQUIRE(scanner.scan("a\n") == State::bad);
  CHECK(scanner.scan("GET / HTTP/1.1\r\n\r\n") == State::bad);
  scanner.reset();
  CHECK(scanner.error() == HeadError::none);
  CHECK(scanner.scan("GET / HTTP/1.1\r\n\r\n") == State::complete);
}

TEST_CASE("a scanner says the same of a head however it was split") {
  for (const std::string& sample : samples) {
    INFO(sample);
    HeadScanner whole;
    const HeadError expected = scan_in_pieces(sample, sample.size(), 1, whole);
    for (std::size_t first = 0; first <= sample.size(); ++first) {
      for (const std::size_t step : {std::size_t{1}, std::size_t{2}, sample.size()}) {
        HeadScanner scanner;
        REQUIRE(scan_in_pieces(sample, first, step, scanner) == expected);
        REQUIRE(scanner.size() == whole.size());
      }
    }
  }
}

TEST_CASE("one empty line before a request is recognised once it is complete") {
  CHECK(leading_crlf("\r\n") == 2);
  CHECK(leading_crlf("\r\n\r\nGET") == 2);
  CHECK(leading_crlf("GET") == 0);
  CHECK(leading_crlf("\rG") == 0);
  CHECK(leading_crlf("\n") == 0);
  CHECK_FALSE(leading_crlf("\r").has_value());
  CHECK_FALSE(leading_crlf("").has_value());
}

TEST_CASE("only a letter may start a request, so TLS and Redis are known by their first byte") {
  for (int value = 0; value < 256; ++value) {
    const bool letter = (value >= 'a' && value <= 'z') || (value >= 'A' && value <= 'Z');
    CHECK(may_start_request(static_cast<char>(value)) == letter);
  }
}

}  // namespace
}  // namespace portico::proxy::h1
