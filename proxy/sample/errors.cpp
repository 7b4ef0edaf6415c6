#include "proxy/sample/errors.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/wire.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

constexpr std::string_view stream_cut =
    "stream error: stream disconnected before completion: stream closed before response.completed";

constexpr std::string_view web_page =
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not "
    "Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>";

constexpr int cooldown_seconds = 1742;

/// The same fault before it is put into an API's form.
struct Fault {
  int status;
  bool traced;
  std::string message;
  std::string_view type;
  std::string_view code;
  std::string_view param;
};

std::string_view provider_of(Dialect dialect) {
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

Fault fault_for(Dialect dialect, int status, bool html_page, std::string_view model) {
  const auto provider = provider_of(dialect);
  if (html_page) {
    return {status, true, std::string(web_page), "invalid_request_error", "model_not_found", ""};
  }
  switch (status) {
    case 400:
      return {400,
              false,
              fmt::format("unknown provider for model {}", model),
              "invalid_request_error",
              "model_not_found",
              "model"};
    case 401:
      return {401, true, "invalid x-api-key", "authentication_error", "invalid_api_key", ""};
    case 402:
      return {
          402, true, "Your workspace has been deactivated.", "invalid_request_error", "workspace_deactivated",
          ""};
    case 403:
      return {403, true, "Your plan does not include this model.", "permission_error", "insufficient_quota",
              ""};
    case 404:
      return {404,
              true,
              fmt::format("The model `{}` does not exist or you do not have access to it.", model),
              "invalid_request_error",
              "model_not_found",
              ""};
    case 408:
      return {408, true, std::string(stream_cut), "invalid_request_error", "", ""};
    case 429:
      return {429,
              false,
              fmt::format("All credentials for model {} are cooling down via provider {}", model, provider),
              "rate_limit_error",
              "model_cooldown",
              ""};
    case 500:
      return {500,
              true,
              "Post \"https://192.0.2.40:9443/v1/chat/completions\": dial tcp 192.0.2.40:9443: connect: "
              "connection refused",
              "server_error",
              "internal_server_error",
              ""};
    case 502:
      return {
          502, true, "upstream stream closed before first payload", "server_error", "internal_server_error",
          ""};
    case 503:
      return {503,
              false,
              fmt::format("auth_unavailable: no auth available (providers={}, model={})", provider, model),
              "server_error",
              "internal_server_error",
              ""};
    case 504:
      return {504, true, "context deadline exceeded", "server_error", "internal_server_error", ""};
    case 529:
      return {529, true, "Overloaded", "overloaded_error", "", ""};
    default:
      if (status < 500) return {status, true, "The request was refused.", "invalid_request_error", "", ""};
      return {status, true, "The provider failed.", "server_error", "internal_server_error", ""};
  }
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string_view google_status(int status) {
  switch (status) {
    case 400:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 503:
    case 529:
      return "UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status >= 500 ? "INTERNAL" : "FAILED_PRECONDITION";
  }
}

json::object openai_error(const Fault& fault) {
  json::object error{{"message", fault.message}, {"type", fault.type}};
  if (!fault.code.empty()) error["code"] = fault.code;
  if (!fault.param.empty()) error["param"] = fault.param;
  return {{"error", std::move(error)}};
}

json::object anthropic_error(const Fault& fault) {
  return {{"type", "error"}, {"error", {{"type", anthropic_type(fault.status)}, {"message", fault.message}}}};
}

std::string body_of(Dialect dialect, const Fault& fault) {
  if (dialect == Dialect::anthropic_messages) return go_json(anthropic_error(fault));
  const bool google = dialect == Dialect::gemini_generate || dialect == Dialect::gemini_interactions;
  // What CPA itself refuses comes in OpenAI's shape on Gemini's paths too; the provider's own text passes.
  if (google && fault.traced) {
    return go_json(
        {{"error",
          {{"code", fault.status}, {"message", fault.message}, {"status", google_status(fault.status)}}}});
  }
  return go_json(openai_error(fault));
}

}  // namespace

Failure failure_for(Dialect dialect, int status, bool html_page, std::string_view model) {
  const Fault fault = fault_for(dialect, status, html_page, model);
  if (fault.code == "model_cooldown" && dialect != Dialect::anthropic_messages) {
    const auto provider = provider_of(dialect);
    return {
        429, false,
        go_json({{"error",
                  {{"code", fault.code},
                   {"message", fault.message},
                   {"model", model},
                   {"provider", provider},
                   {"reset_seconds", cooldown_seconds},
                   {"reset_time", fmt::format("{}m{}s", cooldown_seconds / 60, cooldown_seconds % 60)}}}})};
  }
  return {status, fault.traced, body_of(dialect, fault)};
}

Failure invalid_request(Dialect dialect, std::string_view reason) {
  const Fault fault{400, false, fmt::format("Invalid request: {}", reason), "invalid_request_error", "", ""};
  return {400, false, body_of(dialect, fault)};
}

Event error_event(Dialect dialect, bool codex) {
  const Fault fault{408, true, std::string(stream_cut), "invalid_request_error", "", ""};
  switch (dialect) {
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      if (codex) {
        const json::object error{
            {"type", "server_error"}, {"code", "request_timeout"}, {"message", stream_cut}};
        return {"response.failed",
                json::serialize(json::object{{"type", "response.failed"},
                                             {"sequence_number", 0},
                                             {"response", {{"status", "failed"}, {"error", error}}}})};
      }
      return {"error", json::serialize(json::object{{"type", "error"},
                                                    {"code", "request_timeout"},
                                                    {"message", stream_cut},
                                                    {"sequence_number", 0}})};
    case Dialect::anthropic_messages:
      return {"error",
              json::serialize(json::object{
                  {"type", "error"}, {"error", {{"type", "overloaded_error"}, {"message", "Overloaded"}}}})};
    case Dialect::gemini_generate:
      return {"error",
              json::serialize(json::object{
                  {"error",
                   {{"code", 503}, {"message", "The model is overloaded."}, {"status", "UNAVAILABLE"}}}})};
    case Dialect::gemini_interactions:
      return {"error", json::serialize(json::object{
                           {"event_type", "error"},
                           {"error", {{"code", "503"}, {"message", "The model is overloaded."}}}})};
    case Dialect::openai_images:
      return {"error", json::serialize(openai_error(fault))};
    case Dialect::realtime:
      return {"error", json::serialize(json::object{{"type", "error"},
                                                    {"event_id", "ev_error"},
                                                    {"error",
                                                     {{"type", "server_error"},
                                                      {"code", "server_error"},
                                                      {"message", "The model failed."},
                                                      {"param", nullptr},
                                                      {"event_id", nullptr}}}})};
    default:
      return {"", json::serialize(openai_error(fault))};
  }
}

std::string error_frame(int status, std::string_view code, std::string_view message, std::string_view param) {
  json::object error{{"message", message}, {"type", "invalid_request_error"}};
  if (!param.empty()) error["param"] = param;
  error["code"] = code;
  return json::serialize(json::object{{"type", "error"}, {"status", status}, {"error", std::move(error)}});
}

}  // namespace portico::sample
