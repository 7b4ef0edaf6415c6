#include "proxy/sample/errors.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/wire.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

constexpr int cooldown_seconds = 1742;

constexpr int quota_seconds = 5321;

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

Failure failure_for(Dialect dialect, const Fault& fault, std::string_view model) {
  Failure failure{.status = fault.status, .traced = fault.traced, .body = {}, .category = fault.category};
  if (fault.status == 200) {
    failure.body = fault.message;
    failure.content_type = "text/html; charset=utf-8";
  } else if (fault.code == "model_cooldown" && dialect != Dialect::anthropic_messages) {
    failure.body =
        go_json({{"error",
                  {{"code", fault.code},
                   {"message", fault.message},
                   {"model", model},
                   {"provider", provider_of(dialect)},
                   {"reset_seconds", cooldown_seconds},
                   {"reset_time", fmt::format("{}m{}s", cooldown_seconds / 60, cooldown_seconds % 60)}}}});
  } else if (fault.code == "usage_limit_reached" && dialect != Dialect::anthropic_messages) {
    // The provider's own words, whatever the API.
    failure.body = go_json({{"error",
                             {{"type", fault.type},
                              {"message", fault.message},
                              {"plan_type", "pro"},
                              {"resets_in_seconds", quota_seconds}}}});
  } else {
    failure.body = body_of(dialect, fault);
  }
  return failure;
}

Failure invalid_request(Dialect dialect, std::string_view reason) {
  const Fault fault{.status = 400,
                    .traced = false,
                    .message = fmt::format("Invalid request: {}", reason),
                    .type = "invalid_request_error",
                    .code = "",
                    .param = "",
                    .category = "client_request"};
  return failure_for(dialect, fault, "");
}

Event error_event(Dialect dialect, bool codex) {
  const Fault fault = broken_stream();
  switch (dialect) {
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      if (codex) {
        const json::object error{
            {"type", "server_error"}, {"code", "request_timeout"}, {"message", fault.message}};
        return {"response.failed",
                json::serialize(json::object{{"type", "response.failed"},
                                             {"sequence_number", 0},
                                             {"response", {{"status", "failed"}, {"error", error}}}})};
      }
      return {"error", json::serialize(json::object{{"type", "error"},
                                                    {"code", "request_timeout"},
                                                    {"message", fault.message},
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
