#pragma once
// What one exchange of the chaos test and of the soak does: both of its ends know it from the seed and the
// number of the exchange alone, so that neither has to believe what the proxy tells it.
//
// owns:    plain values
// threads: any

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/marks.hpp"
#include "test/support/message.hpp"

namespace portico::test {

/// How the response is made.
enum class Kind : std::uint8_t {
  length,
  chunked,
  until_close,  ///< its end is the connection's
  events,       ///< SSE: chunks that come one by one
  head,         ///< to a HEAD, which has no body
  empty,        ///< 204
  early,        ///< with a length, sent before the request's body has been read
  websocket,    ///< a tunnel, in which each message is answered
};

/// How a backend breaks off.
enum class Fault : std::uint8_t {
  none,
  end,      ///< FIN; under TLS without close_notify
  reset,    ///< RST
  garbage,  ///< bytes that break the framing
};

/// Where a client leaves.
enum class Leave : std::uint8_t { never, in_request, in_response };

enum class BodyFraming : std::uint8_t { none, length, chunked };

struct Plan {
  ExchangeNumber number = 0;
  std::string method;
  std::string target;
  bool management = false;  ///< a path of which nothing is ever repeated
  bool secure_backend = false;

  BodyFraming framing = BodyFraming::none;
  std::size_t request_size = 0;
  std::size_t request_piece = 0;  ///< bytes of each chunk or send
  bool expects = false;           ///< the body waits for a 100 where the client speaks HTTP/1.1
  bool request_trailers = false;  ///< a chunked body ends with some

  Kind kind = Kind::length;
  std::size_t response_size = 0;   ///< of the body; of a WebSocket: of all messages together
  std::size_t response_piece = 0;  ///< bytes of each chunk, send or message
  bool interim = false;            ///< a 103 comes first
  bool trailers = false;           ///< asked for with TE, and sent behind a chunked body
  bool closes = false;             ///< the backend ends its connection after the response
  unsigned pause_us = 0;           ///< at most, between pieces

  Fault fault = Fault::none;
  std::size_t fault_at = 0;  ///< byte of the response's wire form
  Leave leave = Leave::never;
  std::size_t leave_at = 0;     ///< byte of the request's wire form, or of the response's body
  bool leave_by_reset = false;  ///< RST or RST_STREAM of one stream; else FIN, or the whole connection

  /// May the backend get it again where a kept connection turns out dead: all of it, or only its head?
  [[nodiscard]] bool may_repeat() const { return method != "POST" && !management; }
  [[nodiscard]] bool may_repeat_head() const { return !management; }
  /// The status that the backend answers with.
  [[nodiscard]] int status() const;
  [[nodiscard]] std::string id() const;
};

struct PlanOptions {
  std::uint64_t seed = 1;
  /// Clients leave only when it is sure that the proxy has read their request's head.
  bool leave_when_heard = false;
};

Plan plan_of(const PlanOptions& options, ExchangeNumber number);

/// The exchange that a target names; none when it is nobody's.
std::optional<ExchangeNumber> exchange_in(std::string_view target);

/// `body` from its begin in the wire form of a chunked body, in chunks of `piece` bytes; with the end and
/// `trailers`.
std::string in_chunks(std::string_view body, std::size_t piece, const std::vector<std::string>& trailers);

/// The line by which a response tells whose it is: `X-Exchange: 2a`.
inline constexpr std::string_view exchange_header = "x-exchange";
/// A trailer field of both directions.
inline constexpr std::string_view trailer_header = "x-mark";

}  // namespace portico::test
