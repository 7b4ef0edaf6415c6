#include "proxy/h2/response_fields.hpp"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using namespace portico::proxy::h2;

namespace {

std::string shown(std::span<const nghttp2_nv> fields) {
  std::string text;
  for (const nghttp2_nv& field : fields) {
    text.append(reinterpret_cast<const char*>(field.name), field.namelen);
    text += '=';
    text.append(reinterpret_cast<const char*>(field.value), field.valuelen);
    text += '|';
  }
  return text;
}

std::string cut(std::string head, bool tunnel = false) {
  ResponseFields fields;
  return shown(fields.cut(head, tunnel));
}

}  // namespace

TEST_CASE("a response head becomes a status and fields in lower case, in order and with repetitions") {
  REQUIRE(cut("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: A=B\r\nset-cookie: C\r\n\r\n") ==
          ":status=200|content-type=text/plain|set-cookie=A=B|set-cookie=C|");
  REQUIRE(cut("HTTP/1.1 404 \r\n\r\n") == ":status=404|");
  REQUIRE(cut("HTTP/1.1 204\r\n\r\n") == ":status=204|");
}

TEST_CASE("values lose the white space around them and nothing else") {
  REQUIRE(cut("HTTP/1.1 200 OK\r\nX-A: \t a  b \t\r\nX-B:c\r\nX-C:\r\nX-D: a:b\r\n\r\n") ==
          ":status=200|x-a=a  b|x-b=c|x-c=|x-d=a:b|");
}

TEST_CASE("what concerns one connection only is left out") {
  REQUIRE(cut("HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n"
              "Transfer-Encoding: chunked\r\nUpgrade: h2c\r\nX-A: 1\r\n\r\n") == ":status=200|x-a=1|");
}

TEST_CASE("a 101 of a tunnel is a 200 without the handshake's answer") {
  const std::string head =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: y\r\n\r\n";
  REQUIRE(cut(head, true) == ":status=200|sec-websocket-protocol=y|");
}

TEST_CASE("trailers are fields without a status, up to the empty line or the end") {
  ResponseFields fields;
  std::string lines = "X-Sum: 1\r\nX-More: 2\r\n";
  REQUIRE(shown(fields.cut_trailers(lines)) == "x-sum=1|x-more=2|");
  std::string ended = "X-Sum: 1\r\n\r\nX-Other: 2\r\n";
  REQUIRE(shown(fields.cut_trailers(ended)) == "x-sum=1|");
  std::string none;
  REQUIRE(fields.cut_trailers(none).empty());
}

TEST_CASE("a list is made anew for each head") {
  ResponseFields fields;
  std::string first = "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n";
  std::string second = "HTTP/1.1 201 Created\r\nX-B: 2\r\n\r\n";
  fields.cut(first, false);
  REQUIRE(shown(fields.cut(second, false)) == ":status=201|x-b=2|");
}
