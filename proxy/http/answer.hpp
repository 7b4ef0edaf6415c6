#pragma once
// What Portico itself answers, in the shape of the API that was called, so that a client library's own error
// class carries the message.
//
// owns:    nothing; returns strings
// threads: any; pure functions
// This is off the hot path: it may allocate.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/h1/head.hpp"

namespace portico::proxy::http {

enum class AnswerShape : std::uint8_t { openai, anthropic, google, html, json };

/// Which shape: Anthropic for /v1/messages* and any request with anthropic-version, Google under /v1beta/,
/// OpenAI under /v1/, /backend-api/codex/ and /openai/v1/, HTML elsewhere when Accept has text/html, else
/// JSON. `path` is the reading of the target, or empty when there is none.
AnswerShape shape_for(std::string_view path, bool has_anthropic_version, std::string_view accept) noexcept;

/// Stable machine codes; the words are in answer.cpp's table and in the README.
enum class AnswerCode : std::uint8_t {
  bad_request,                       ///< 400
  ambiguous_path,                    ///< 400
  method_not_allowed,                ///< 405
  request_timeout,                   ///< 408
  body_too_large,                    ///< 413
  uri_too_long,                      ///< 414
  too_many_connections_from_client,  ///< 429, code too_many_connections
  too_many_requests,                 ///< 429
  too_many_failed_keys,              ///< 429
  header_too_large,                  ///< 431
  upstream_bad_response,             ///< 502
  upstream_unreachable,              ///< 502
  upstream_timeout,                  ///< 504
  too_many_connections,              ///< 503
  shutting_down,                     ///< 503
  version_not_supported,             ///< 505
  internal_error,                    ///< 500
};
inline constexpr std::size_t answer_count = 17;

/// What an answer says.
struct AnswerWords {
  AnswerCode answer;
  int status;
  std::string_view code;      ///< machine code
  std::string_view sentence;  ///< one human sentence that says what to do
};
/// The row of the table for `code`.
const AnswerWords& words_of(AnswerCode code) noexcept;

/// What the moment adds to an answer.
struct AnswerFacts {
  AnswerShape shape = AnswerShape::json;
  std::string_view sentence;            ///< instead of the table's, when not empty
  std::string_view request_id;          ///< sane, or empty when the head was never read: the line is left out
  std::string_view date;                ///< IMF-fixdate (RFC 9110 section 5.6.7); empty: no Date
  bool head_request = false;            ///< Content-Length but no body
  bool close = false;                   ///< say Connection: close
  std::uint8_t client_minor = 1;        ///< the client's HTTP/1.x; 1.0 is told Connection: keep-alive
  std::chrono::seconds retry_after{0};  ///< Retry-After of a 429 or 503; 0: 1 s and 5 s
};

/// The whole response, head and body. 503 and 429 carry Retry-After, 405 carries Allow.
std::string format_answer(AnswerCode code, const AnswerFacts& facts);

/// The status of a whole response that one of these functions has made.
int status_of(std::string_view response) noexcept;

/// A redirect with a relative or configured Location (no control bytes in it) and a short body.
std::string format_redirect(int status, std::string_view location, const AnswerFacts& facts);

/// A fixed answer of the route table, or 204 without a body for OPTIONS *. `content_type` holds no control
/// bytes; empty: the line is left out. 204 and 304 never have a body.
std::string format_fixed(int status, std::string_view content_type, std::string_view body,
                         const AnswerFacts& facts);

}  // namespace portico::proxy::http
