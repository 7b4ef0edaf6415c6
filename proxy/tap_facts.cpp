#include "proxy/tap_facts.hpp"

#include <array>

namespace portico::proxy {

namespace {

using h1::FieldId;

/// By the order of telemetry::session_headers.
constexpr std::array<FieldId, telemetry::session_headers.size()> session_fields{
    FieldId::x_claude_code_session_id, FieldId::session_id,
    FieldId::session_id_underscore,    FieldId::x_session_id,
    FieldId::x_session_affinity,       FieldId::x_client_request_id};

std::string_view value_of(const h1::HeadFields& fields, FieldId id) noexcept {
  // A search costs more than the test of the bit, and most heads have few of these.
  if (!fields.has(id)) return {};
  return fields.find(id)->value;
}

}  // namespace

telemetry::RequestFacts request_facts(const h1::RequestHead& head) noexcept {
  const h1::HeadFields& fields = *head.fields;
  telemetry::RequestFacts facts;
  facts.method = head.method;
  facts.target = head.target;
  facts.user_agent = value_of(fields, FieldId::user_agent);
  facts.authorization = value_of(fields, FieldId::authorization);
  facts.x_goog_api_key = value_of(fields, FieldId::x_goog_api_key);
  facts.x_api_key = value_of(fields, FieldId::x_api_key);
  facts.content_type = value_of(fields, FieldId::content_type);
  facts.content_encoding = value_of(fields, FieldId::content_encoding);
  for (std::size_t i = 0; i < session_fields.size(); ++i)
    facts.sessions[i] = value_of(fields, session_fields[i]);
  facts.websocket = head.websocket;
  facts.has_body = head.framing == h1::Framing::chunked || head.content_length > 0;
  return facts;
}

telemetry::ResponseFacts response_facts(const h1::ResponseHead& head) noexcept {
  const h1::HeadFields& fields = *head.fields;
  telemetry::ResponseFacts facts;
  facts.status = head.status;
  facts.content_type = value_of(fields, FieldId::content_type);
  facts.content_encoding = value_of(fields, FieldId::content_encoding);
  facts.retry_after = value_of(fields, FieldId::retry_after);
  facts.trace_id = value_of(fields, FieldId::x_cpa_trace_id);
  facts.websocket_extensions = value_of(fields, FieldId::sec_websocket_extensions);
  return facts;
}

}  // namespace portico::proxy
