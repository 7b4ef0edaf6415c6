#include "proxy/sample/faults.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace portico::sample {
namespace {

constexpr std::string_view stream_cut =
    "stream error: stream disconnected before completion: stream closed before response.completed";

constexpr std::string_view web_page =
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not "
    "Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>";

constexpr std::array<std::pair<std::string_view, FaultName>, 10> names{
    {{"html-404", FaultName::page},
     {"html-200", FaultName::page_in_200},
     {"revoked", FaultName::revoked},
     {"expired", FaultName::expired},
     {"no-base-url", FaultName::no_base_url},
     {"quota", FaultName::quota},
     {"no-such-host", FaultName::no_such_host},
     {"certificate", FaultName::certificate},
     {"connection-reset", FaultName::connection_reset},
     {"context-length", FaultName::context_length}}};

/// A failed call of CPA to the provider, as Go tells of it.
Fault call_failed(std::string_view host, std::string_view reason, std::string_view category) {
  return {.status = 500,
          .traced = true,
          .message = fmt::format("Post \"https://{}/v1/chat/completions\": {}", host, reason),
          .type = "server_error",
          .code = "internal_server_error",
          .param = "",
          .category = category};
}

Fault credential_refused(std::string_view message, std::string_view category) {
  return {401, true, std::string(message), "authentication_error", "invalid_api_key", "", category};
}

Fault fault_of_status(int status, Dialect dialect, std::string_view model) {
  const auto provider = provider_of(dialect);
  constexpr std::string_view server = "server_error";
  constexpr std::string_view internal = "internal_server_error";
  constexpr std::string_view invalid = "invalid_request_error";
  switch (status) {
    case 400:
      return {400,
              false,
              fmt::format("unknown provider for model {}", model),
              invalid,
              "model_not_found",
              "model",
              "model_name"};
    case 401:
      return credential_refused("invalid x-api-key", "auth_method");
    case 402:
      return {402, true,          "Your workspace has been deactivated.", invalid, "workspace_deactivated",
              "",  "auth_binding"};
    case 403:
      return {403,
              true,
              "Your plan does not include this model.",
              "permission_error",
              "insufficient_quota",
              "",
              "auth_binding"};
    case 404:
      return {404,
              true,
              fmt::format("The model `{}` does not exist or you do not have access to it.", model),
              invalid,
              "model_not_found",
              "",
              "model_name"};
    case 408:
      return broken_stream();
    case 429:
      return {429,
              false,
              fmt::format("All credentials for model {} are cooling down via provider {}", model, provider),
              "rate_limit_error",
              "model_cooldown",
              "",
              "quota"};
    case 500:
      return call_failed("192.0.2.40:9443", "dial tcp 192.0.2.40:9443: connect: connection refused",
                         "network");
    case 501:
      return {501, true, "/responses/compact not supported", invalid, "", "", "client_request"};
    case 502:
      return {
          502, true, "upstream stream closed before first payload", server, internal, "", "upstream_outage"};
    case 503:
      return {503,
              false,
              fmt::format("auth_unavailable: no auth available (providers={}, model={})", provider, model),
              server,
              internal,
              "",
              "auth_binding"};
    case 504:
      return {504, true, "context deadline exceeded", server, internal, "", "timeout"};
    case 529:
      return {529, true, "Overloaded", "overloaded_error", "", "", "upstream_outage"};
    default:
      break;
  }
  if (status >= 500) return {status, true, "The provider failed.", server, internal, "", "upstream_outage"};
  const bool of_the_request = status == 409 || status == 413 || status == 422;
  return {status,
          true,
          "The request was refused.",
          invalid,
          "",
          "",
          of_the_request ? "client_request" : "unknown"};
}

}  // namespace

FaultName fault_named(std::string_view word) noexcept {
  const auto* const found =
      std::find_if(names.begin(), names.end(), [&](const auto& row) { return row.first == word; });
  return found == names.end() ? FaultName::none : found->second;
}

std::string_view provider_of(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::anthropic_messages:
      return "claude";
    case Dialect::gemini_generate:
    case Dialect::gemini_interactions:
      return "gemini";
    default:
      return "codex";
  }
}

Fault broken_stream() {
  return {408, true, std::string(stream_cut), "invalid_request_error", "", "", "upstream_outage"};
}

Fault fault_of(FaultName name, int status, Dialect dialect, std::string_view model) {
  switch (name) {
    case FaultName::none:
    case FaultName::status:
      break;
    case FaultName::page:
      return {404, true, std::string(web_page), "invalid_request_error", "model_not_found", "", "base_url"};
    case FaultName::page_in_200:
      return {200, true, std::string(web_page), "", "", "", "base_url"};
    case FaultName::revoked:
      return credential_refused("Your authentication token has been revoked. Please sign in again.",
                                "auth_binding");
    case FaultName::expired:
      return credential_refused("OAuth token has expired. Please obtain a new token.", "auth_binding");
    case FaultName::no_base_url:
      return credential_refused("missing provider baseURL", "base_url");
    case FaultName::quota:
      return {429, true,   "The usage limit has been reached", "usage_limit_reached", "usage_limit_reached",
              "",  "quota"};
    case FaultName::no_such_host:
      return call_failed("api.provider.invalid",
                         "dial tcp: lookup api.provider.invalid on 192.0.2.53:53: no such host", "base_url");
    case FaultName::certificate:
      return call_failed(
          "gateway.example.net",
          "tls: failed to verify certificate: x509: certificate is valid for www.example.net, not "
          "gateway.example.net",
          "base_url");
    case FaultName::connection_reset:
      return call_failed("api.example.net",
                         "read tcp 192.0.2.7:41772->192.0.2.80:443: read: connection reset by peer",
                         "network");
    case FaultName::context_length:
      return {400,
              true,
              "Your input exceeds the context window of this model. Please adjust your input and try again.",
              "invalid_request_error",
              "context_length_exceeded",
              "input",
              "client_request"};
  }
  return fault_of_status(status, dialect, model);
}

}  // namespace portico::sample
