#pragma once
// The tap: what an exchange shows to telemetry while its bytes pass.
//
// The exchange calls one function for each thing that happens, with views of the bytes where they lie; a tap
// never waits, never changes a byte and never keeps a view after the call.
//
// owns:    nothing yet: this tap looks at nothing. It is the seam at which the parsers attach.
// threads: the worker of its exchange
// bytes:   borrowed for the length of the call

#include <string_view>

#include "telemetry/cells.hpp"

namespace portico::telemetry {

/// The request's head as the exchange sees it.
struct RequestFacts {
  std::string_view method;
  std::string_view target;
  std::string_view path;  ///< the reading of the target
  std::string_view request_id;
  std::string_view client;  ///< believed address of the client
  Dialect dialect = Dialect::other;
};

class Tap {
 public:
  void request_head(const RequestFacts& /*facts*/, std::string_view /*head*/) noexcept {}
  void request_body(std::string_view /*payload*/) noexcept {}
  void response_head(int /*status*/, std::string_view /*head*/) noexcept {}
  void response_body(std::string_view /*payload*/) noexcept {}
  /// Bytes of a tunnel, from the client or from the backend.
  void tunnel(bool /*from_client*/, std::string_view /*bytes*/) noexcept {}
  /// Called exactly once, last.
  void end(Ended /*how*/, int /*status*/) noexcept {}
};

}  // namespace portico::telemetry
