// Known ways of making two readers of one message disagree about where it ends. Each has to be refused, on
// requests and on responses alike, and however its bytes were split.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/proxy/h1/heads.hpp"

namespace portico::proxy::h1 {
namespace {

struct Payload {
  std::string lines;
  HeadError error;
};

const std::vector<Payload> payloads = {
    // CL.TE and TE.CL
    {"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", HeadError::both_length_and_encoding},
    {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", HeadError::both_length_and_encoding},
    {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", HeadError::both_length_and_encoding},
    // TE.TE: one of two readers is made to miss it
    {"Transfer-Encoding: xchunked\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked, identity\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: identity, chunked\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked, chunked\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked;q=1\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: \"chunked\"\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: chunked x\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: cow\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding:\r\n", HeadError::bad_transfer_encoding},
    {"Transfer-Encoding: \xff"
     "chunked\r\n",
     HeadError::bad_transfer_encoding},
    {"Transfer-Encoding : chunked\r\n", HeadError::bad_field_name},
    {"Transfer-Encoding\t: chunked\r\n", HeadError::bad_field_name},
    {"Transfer-Encoding\x0b: chunked\r\n", HeadError::bad_field_name},
    {"Transfer Encoding: chunked\r\n", HeadError::bad_field_name},
    {"Transfer-Encoding\x80: chunked\r\n", HeadError::bad_field_name},
    {bytes_of("Transfer-Encoding\0: chunked\r\n"), HeadError::bad_field_name},
    {"Transfer-Encoding chunked\r\n", HeadError::bad_field_name},
    {"Transfer-Encoding\r\n", HeadError::missing_colon},
    {" Transfer-Encoding: chunked\r\n", HeadError::obsolete_folding},
    {"\tTransfer-Encoding: chunked\r\n", HeadError::obsolete_folding},
    {"Transfer-Encoding:\r\n chunked\r\n", HeadError::obsolete_folding},
    {"Transfer-Encoding: x\r\n\tchunked\r\n", HeadError::obsolete_folding},
    {"X: y\r\n Transfer-Encoding: chunked\r\n", HeadError::obsolete_folding},
    {"Transfer-Encoding:\x0b"
     "chunked\r\n",
     HeadError::bad_field_value},
    {"Transfer-Encoding: chunked\x0c\r\n", HeadError::bad_field_value},
    {bytes_of("Transfer-Encoding: chunked\0\r\n"), HeadError::bad_field_value},
    {bytes_of("Transfer-Encoding:\0chunked\r\n"), HeadError::bad_field_value},
    {"Transfer-Encoding:\x7f"
     "chunked\r\n",
     HeadError::bad_field_value},
    // lines that only one of two readers sees
    {"X: y\nTransfer-Encoding: chunked\r\n", HeadError::bare_line_feed},
    {"X: y\rTransfer-Encoding: chunked\r\n", HeadError::bare_carriage_return},
    {"X: y\n\nGET /admin HTTP/1.1\r\n", HeadError::bare_line_feed},
    {"\nTransfer-Encoding: chunked\r\n", HeadError::bare_line_feed},
    {"Transfer-Encoding: chunked\n", HeadError::bare_line_feed},
    {"Transfer-Encoding:\rchunked\r\n", HeadError::bare_carriage_return},
    {"Transfer-Encoding: chunked\r\r\n", HeadError::bare_carriage_return},
    {"Transfer-Encoding:\nchunked\r\n", HeadError::bare_line_feed},
    {"X: y\r\r\nContent-Length: 5\r\n", HeadError::bare_carriage_return},
    // lengths that readers count differently
    {"Content-Length: 5\r\nContent-Length: 6\r\n", HeadError::bad_content_length},
    {"Content-Length: 5\r\ncontent-length: 5\r\n", HeadError::bad_content_length},
    {"Content-Length: +5\r\n", HeadError::bad_content_length},
    {"Content-Length: -5\r\n", HeadError::bad_content_length},
    {"Content-Length: 5,5\r\n", HeadError::bad_content_length},
    {"Content-Length: 5, 6\r\n", HeadError::bad_content_length},
    {"Content-Length:  5 6\r\n", HeadError::bad_content_length},
    {"Content-Length: 0x5\r\n", HeadError::bad_content_length},
    {"Content-Length: 5_0\r\n", HeadError::bad_content_length},
    {"Content-Length: \r\n", HeadError::bad_content_length},
    {"Content-Length: 18446744073709551616\r\n", HeadError::bad_content_length},
    {"Content-Length : 5\r\n", HeadError::bad_field_name},
    {"Content-Length\t: 5\r\n", HeadError::bad_field_name},
    {"Content-Length: 5\r\n 6\r\n", HeadError::obsolete_folding},
    {"Content-Length: 5\x0b\r\n", HeadError::bad_field_value},
    {bytes_of("Content-Length: 5\0"
              "6\r\n"),
     HeadError::bad_field_value},
};

TEST_CASE("a smuggling payload is refused in a request and in a response") {
  for (const Payload& payload : payloads) {
    INFO(payload.lines);
    CHECK(error_of_request(post_with(payload.lines)) == payload.error);
    CHECK(error_of_response(ok_with(payload.lines)) == payload.error);
    // Before the other fields as well as behind them.
    CHECK(error_of_request("POST / HTTP/1.1\r\n" + payload.lines + "Host: a\r\n\r\n") == payload.error);
  }
}

TEST_CASE("a smuggling payload is refused by the same name however it was split") {
  HeadFields fields{200};
  RequestHead head;
  for (const Payload& payload : payloads) {
    INFO(payload.lines);
    const std::string bytes = post_with(payload.lines);
    for (std::size_t first = 0; first <= bytes.size(); ++first) {
      for (const std::size_t step : {std::size_t{1}, bytes.size()}) {
        HeadScanner scanner;
        HeadError error = scan_in_pieces(bytes, first, step, scanner);
        if (error == HeadError::none)
          error = parse_request(std::string_view(bytes).substr(0, scanner.size()), {}, fields, head);
        REQUIRE(error == payload.error);
      }
    }
  }
}

TEST_CASE("a head with LF line ends or CR line ends is refused as a whole") {
  CHECK(error_of_request("POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n") == HeadError::bare_line_feed);
  CHECK(error_of_request("POST / HTTP/1.1\rHost: a\rContent-Length: 5\r\r") ==
        HeadError::bare_carriage_return);
  CHECK(error_of_request("POST / HTTP/1.1\n\rHost: a\n\r\n\r") == HeadError::bare_line_feed);
  CHECK(error_of_response("HTTP/1.1 200 OK\nContent-Length: 5\n\n") == HeadError::bare_line_feed);
}

}  // namespace
}  // namespace portico::proxy::h1
