#pragma once
// What an exchange tells its tap besides the bytes of bodies: the heads, already cut into fields.
//
// owns:    nothing: all views are borrowed for the length of the call
// threads: the worker of the exchange

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/record.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// Headers in which clients name their session, in the order in which the first one present counts.
/// `x-claude-code-session-id` comes before what the body says, the others after it.
inline constexpr std::array<std::string_view, 6> session_headers{
    "x-claude-code-session-id", "session-id",         "session_id", "x-session-id",
    "x-session-affinity",       "x-client-request-id"};

/// The request's head. Empty where the request has no such field.
struct RequestFacts {
  std::string_view method;
  std::string_view target;           ///< as sent
  std::string_view path;             ///< the reading of the target: decides the operation
  Dialect dialect = Dialect::other;  ///< of the path: dialect_of()
  std::string_view request_id;
  std::string_view client;  ///< believed address of the client
  std::string_view owner;   ///< name of the upstream; empty where Portico itself answers
  std::string_view user_agent;
  std::string_view authorization;
  std::string_view x_goog_api_key;
  std::string_view x_api_key;
  std::string_view content_type;
  std::string_view content_encoding;
  std::array<std::string_view, session_headers.size()> sessions{};
  bool websocket = false;  ///< asks for an upgrade
  bool has_body = false;
  std::uint8_t http_version = 11;  ///< 10, 11 or 20
  std::uint16_t worker = 0;
  std::uint16_t listener = no_label;
  std::uint16_t route = no_label;
  std::uint64_t start_unix_us = 0;
};

/// The final response's head (101 included).
struct ResponseFacts {
  int status = 0;
  std::uint16_t endpoint = no_label;  ///< for the turns of a WebSocket, whose records do not wait for the end
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view retry_after;
  std::string_view trace_id;              ///< X-CPA-TRACE-ID
  std::string_view websocket_extensions;  ///< Sec-WebSocket-Extensions of a 101
};

/// How the exchange ended, in the proxy's eyes.
struct EndFacts {
  Ended how = Ended::complete;
  Timer timer = Timer::none;
  int status = 0;             ///< what the client got; 0: nothing
  bool own_answer = false;    ///< the answer was Portico's own
  std::string_view own_code;  ///< its machine code; empty for a redirect or fixed answer
  std::uint16_t endpoint = no_label;
  bool reused_connection = false;
  std::uint64_t duration_us = 0;
  std::uint64_t first_byte_us = no_time;
  std::uint64_t first_token_us = no_time;
  std::uint64_t overhead_us = no_time;
};

}  // namespace portico::telemetry
