#pragma once
// Reading heads in tests the way a session does: scan first, then parse.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {

/// Scans `bytes`, of which `first` come alone and the rest in steps of `step`.
inline HeadError scan_in_pieces(std::string_view bytes, std::size_t first, std::size_t step,
                                HeadScanner& scanner) {
  for (std::size_t size = first;; size = std::min(size + step, bytes.size())) {
    const auto state = scanner.scan(bytes.substr(0, size));
    if (state == HeadScanner::State::bad) return scanner.error();
    if (state == HeadScanner::State::complete) return HeadError::none;
    // A head that never ends is the test's mistake.
    if (size == bytes.size()) FAIL("the head is not complete");
  }
}

/// What scanner and parser together make of `bytes`. `fields` and the views of `head` borrow from `bytes`.
struct RequestReading {
  HeadFields fields{200};
  RequestHead head;
  HeadError error = HeadError::none;

  explicit RequestReading(std::string_view bytes, RequestLimits limits = {}) {
    HeadScanner scanner;
    error = scan_in_pieces(bytes, bytes.size(), 1, scanner);
    if (error == HeadError::none)
      error = parse_request(bytes.substr(0, scanner.size()), limits, fields, head);
  }
};

struct ResponseReading {
  HeadFields fields{200};
  ResponseHead head;
  HeadError error = HeadError::none;

  explicit ResponseReading(std::string_view bytes, bool to_head_request = false) {
    HeadScanner scanner;
    error = scan_in_pieces(bytes, bytes.size(), 1, scanner);
    if (error == HeadError::none)
      error = parse_response(bytes.substr(0, scanner.size()), to_head_request, fields, head);
  }
};

/// A request head with these further lines, each ended with CRLF by the caller.
inline std::string post_with(std::string_view lines) {
  return "POST /v1/x HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}
inline std::string get_with(std::string_view lines) {
  return "GET /v1/x HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}
inline std::string ok_with(std::string_view lines) {
  return "HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\n";
}

inline HeadError error_of_request(std::string_view bytes) { return RequestReading(bytes).error; }
inline HeadError error_of_response(std::string_view bytes) { return ResponseReading(bytes).error; }

/// A literal that may hold NUL bytes.
template <std::size_t size>
std::string bytes_of(const char (&literal)[size]) {
  return {literal, size - 1};
}

}  // namespace portico::proxy::h1
