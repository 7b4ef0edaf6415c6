#pragma once
// How CPA tells of failures: which status has which body in which API, and whether a credential had been
// chosen by then.
//
// owns:    nothing; returns strings
// threads: any; pure functions

#include <string>
#include <string_view>

#include "proxy/sample/dialects.hpp"
#include "proxy/sample/faults.hpp"

namespace portico::sample {

struct Failure {
  int status = 500;
  bool traced = false;  ///< a credential was chosen, so the response has a trace id
  std::string body;
  std::string_view content_type = "application/json";
  std::string_view category;  ///< as Fault::category
};

/// A fault as CPA answers it in an API.
Failure failure_for(Dialect dialect, const Fault& fault, std::string_view model);

/// 400 for a request that CPA itself cannot read.
Failure invalid_request(Dialect dialect, std::string_view reason);

/// What a stream carries when the provider broke off in the middle of it; that is an outage of the upstream.
/// `codex`: the client is one of the Codex family, which gets another form.
Event error_event(Dialect dialect, bool codex);

/// The frame that tells of a request fault on a Responses WebSocket.
std::string error_frame(int status, std::string_view code, std::string_view message, std::string_view param);

}  // namespace portico::sample
