#include "telemetry/failures/symptom.hpp"

namespace portico::telemetry {
namespace {

std::string_view own_words(std::string_view code) noexcept {
  struct Words {
    std::string_view code;
    std::string_view sentence;
  };
  static constexpr Words words[] = {
      {"bad_request", "Portico could not read the request as HTTP"},
      {"ambiguous_path", "two servers could read the request's path differently"},
      {"method_not_allowed", "Portico does not forward this method"},
      {"request_timeout", "the request did not arrive in time"},
      {"body_too_large", "the request body is larger than Portico accepts"},
      {"uri_too_long", "the request's URL is longer than Portico accepts"},
      {"too_many_connections", "too many connections are open"},
      {"too_many_requests", "requests came faster than Portico lets one address send them"},
      {"too_many_failed_keys", "the address was refused for its key too often"},
      {"header_too_large", "the request's headers are larger or more than Portico accepts"},
      {"upstream_bad_response", "the backend's answer was no complete HTTP response"},
      {"upstream_unreachable", "Portico could not connect to the backend"},
      {"upstream_timeout", "the backend did not answer in time"},
      {"shutting_down", "Portico was shutting down"},
      {"version_not_supported", "Portico does not speak this version of HTTP"},
      {"internal_error", "Portico failed while it handled the request"},
  };
  for (const Words& one : words) {
    if (one.code == code) return one.sentence;
  }
  return "Portico answered the request itself";
}

}  // namespace

Symptom symptom_of(const Record& record) noexcept {
  const RecordFacts& facts = record.facts();
  if (facts.own_answer) return {own_words(record.text(Text::own_code)), Speaker::portico, false};
  if (facts.ended == Ended::timeout)
    return {"a time-out in Portico ended the exchange", Speaker::portico, false};
  if (const std::string_view message = record.text(Text::error_message); !message.empty()) {
    return {message, Speaker::backend, true};
  }
  if (facts.ended == Ended::client_gone && facts.status < 400) {
    return {"the client closed the connection before the answer was complete", Speaker::portico, false};
  }
  if (facts.ended == Ended::client_gone && facts.status == 499) {
    return {"the client closed the connection before any answer came", Speaker::portico, false};
  }
  if (facts.ended == Ended::backend_broke_off) {
    return facts.websocket
               ? Symptom{"the WebSocket ended in the middle of a turn, without an error frame",
                         Speaker::portico, false}
               : Symptom{"the connection ended before the response was complete", Speaker::portico, false};
  }
  if (facts.response_kind == ResponseKind::empty)
    return {"an answer with an empty body", Speaker::backend, false};
  if (facts.has_error || facts.status >= 400) return {"an error without a message", Speaker::backend, false};
  if (facts.response_kind == ResponseKind::text) {
    return {"a text instead of an API's answer", Speaker::backend, false};
  }
  return {"the response ended without its final event", Speaker::portico, false};
}

}  // namespace portico::telemetry
