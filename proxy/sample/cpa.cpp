#include "proxy/sample/cpa.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/errors.hpp"
#include "proxy/sample/model_call.hpp"
#include "proxy/sample/probe.hpp"
#include "proxy/sample/turns.hpp"

namespace portico::sample {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::array models = std::to_array<std::string_view>(
    {"gpt-5.4", "gpt-5.4-mini", "claude-sonnet-4-6", "gemini-3-pro-preview", "gemini-3-flash", "gpt-image-2",
     "fast", "long-200+delay-10", "slow-first-byte", "stall", "fail-429", "fail-mid-stream", "cut-mid-stream",
     "reset-mid-stream", "no-usage", "blanks", "echo-headers"});

constexpr std::string_view json_utf8 = "application/json; charset=utf-8";
constexpr std::string_view gemini_prefix = "/v1beta/models/";

// ---- open to anyone

constexpr std::string_view greeting =
    R"({"endpoints":["POST /v1/chat/completions","POST /v1/completions","GET /v1/models"],)"
    R"("message":"CLI Proxy API Server: a sample inside Portico"})";

asio::awaitable<void> answer_greeting(Exchange& exchange) {
  co_await exchange.respond(200, json_utf8, std::string(greeting));
}

asio::awaitable<void> answer_callback(Exchange& exchange) {
  co_await exchange.respond(
      200, "text/html; charset=utf-8",
      "<html><head><meta charset=\"utf-8\"><title>Authentication successful (sample)</title>"
      "</head><body><h1>Authentication successful!</h1><p>You can close this window. "
      "This is a sample: nobody was signed in.</p></body></html>");
}

bool is_callback(std::string_view path) {
  return path == "/anthropic/callback" || path == "/codex/callback" || path == "/antigravity/callback";
}

// ---- models

std::string openai_models() {
  json::array data;
  for (const auto id : models) {
    data.push_back(
        {{"id", id}, {"object", "model"}, {"created", 1787380215}, {"owned_by", "portico-sample"}});
  }
  return json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}});
}

std::string anthropic_models() {
  json::array data;
  for (const auto id : models) {
    data.push_back(
        {{"type", "model"}, {"id", id}, {"display_name", id}, {"created_at", "2026-08-22T06:30:15Z"}});
  }
  return json::serialize(json::object{{"data", std::move(data)},
                                      {"has_more", false},
                                      {"first_id", models.front()},
                                      {"last_id", models.back()}});
}

json::object gemini_model(std::string_view id) {
  return {{"name", fmt::format("models/{}", id)},
          {"version", "sample"},
          {"displayName", id},
          {"supportedGenerationMethods", {"generateContent", "countTokens"}}};
}

asio::awaitable<void> answer_models(Exchange& exchange) {
  const bool anthropic =
      !exchange.field("Anthropic-Version").empty() || exchange.field("User-Agent").starts_with("claude-cli");
  std::string body = anthropic ? anthropic_models() : openai_models();
  co_await exchange.respond(200, json_utf8, std::move(body));
}

std::string gemini_models() {
  json::array list;
  for (const auto id : models) list.push_back(gemini_model(id));
  return json::serialize(json::object{{"models", std::move(list)}});
}

std::string no_such_action(std::string_view path) {
  return go_json(
      {{"error", {{"message", fmt::format("{} not found.", path)}, {"type", "invalid_request_error"}}}});
}

asio::awaitable<void> answer_not_found(Exchange& exchange) { co_await exchange.respond(404, "", ""); }

/// `{model}:{verb}` below /v1beta/models/.
asio::awaitable<void> serve_gemini(Exchange& exchange, Context& context) {
  const std::string action = percent_decode(exchange.path().substr(gemini_prefix.size()));
  if (exchange.method() == "GET") {
    if (std::find(models.begin(), models.end(), action) == models.end()) {
      co_await exchange.respond(404, "application/json",
                                R"({"error":{"message":"Not Found","type":"not_found"}})");
      co_return;
    }
    std::string body = json::serialize(gemini_model(action));
    co_await exchange.respond(200, json_utf8, std::move(body));
    co_return;
  }
  const auto colon = action.find(':');
  if (colon == std::string::npos || action.find(':', colon + 1) != std::string::npos) {
    std::string body = no_such_action(exchange.path());
    co_await exchange.respond(404, "application/json", std::move(body));
    co_return;
  }
  ModelCall call{Dialect::gemini_generate, Operation::generate, false, action.substr(0, colon)};
  const auto verb = std::string_view(action).substr(colon + 1);
  if (verb == "streamGenerateContent") {
    call.operation = Operation::stream;
  } else if (verb == "countTokens") {
    call.operation = Operation::count_tokens;
  } else if (verb != "generateContent") {
    // CPA answers verbs that it does not know with an empty 200.
    co_await exchange.respond(200, "", "");
    co_return;
  }
  co_await call_model(exchange, context, std::move(call));
}

// ---- the table

std::optional<ModelCall> model_call_for(std::string_view path) {
  struct Row {
    std::string_view path;
    Dialect dialect;
    Operation operation;
    bool decodes_zstd;
  };
  static constexpr std::array table = std::to_array<Row>({
      {"/v1/chat/completions", Dialect::openai_chat, Operation::generate, true},
      {"/v1/completions", Dialect::openai_completions, Operation::generate, true},
      {"/v1/responses", Dialect::openai_responses, Operation::generate, true},
      {"/v1/responses/compact", Dialect::openai_responses, Operation::compact, true},
      {"/backend-api/codex/responses", Dialect::codex_responses, Operation::generate, true},
      {"/backend-api/codex/responses/compact", Dialect::codex_responses, Operation::compact, true},
      {"/v1/messages", Dialect::anthropic_messages, Operation::generate, false},
      {"/v1/messages/count_tokens", Dialect::anthropic_messages, Operation::count_tokens, false},
      {"/v1/images/generations", Dialect::openai_images, Operation::generate, true},
      {"/v1beta/interactions", Dialect::gemini_interactions, Operation::generate, false},
  });
  const auto row = std::find_if(table.begin(), table.end(), [&](const Row& r) { return r.path == path; });
  if (row == table.end()) return std::nullopt;
  return ModelCall{row->dialect, row->operation, row->decodes_zstd, {}};
}

bool is_realtime(std::string_view path) { return path == "/v1/realtime"; }

bool needs_key(std::string_view path) {
  return path.starts_with("/v1/") || path.starts_with("/v1beta/") || path.starts_with("/openai/v1/") ||
         path.starts_with("/backend-api/codex/");
}

/// The paths that a trailing slash is taken off from, by a redirect.
bool is_plain_path(std::string_view path) {
  return path == "/healthz" || path == "/v1/models" || path == "/v1beta/models" || is_callback(path) ||
         is_realtime(path) || model_call_for(path).has_value();
}

/// Realtime paths have an error object, all others a bare string.
constexpr std::string_view realtime_key_error =
    R"({"error":{"message":"Invalid API key","type":"authentication_error","param":null,"code":"invalid_api_key"}})";
constexpr std::string_view key_error = R"({"error":"Invalid API key"})";

asio::awaitable<void> refuse_key(Exchange& exchange, Context& context, std::string key) {
  const auto path = exchange.path();
  const bool realtime = path.starts_with("/v1/realtime") || path.starts_with("/v1/live");
  std::string body(realtime ? realtime_key_error : key_error);
  co_await exchange.respond(401, json_utf8, std::move(body));

  // CPA refuses before it reads a body. Who watches the wire sees the model in it all the same.
  auto call = model_call_for(path);
  if (!call && path.starts_with(gemini_prefix)) {
    const std::string action = percent_decode(path.substr(gemini_prefix.size()));
    call = ModelCall{Dialect::gemini_generate, {}, false, action.substr(0, action.find(':'))};
  }
  if (!call) co_return;
  if (call->model.empty()) call->model = model_in(co_await exchange.read_leftover());
  const Caller caller{std::string(name_of(call->dialect)), std::move(call->model), std::move(key)};
  context.stats.count(caller, {.outcome = Outcome::failure, .category = "client_key"});
}

asio::awaitable<void> redirect_slash(Exchange& exchange) {
  // CPA believes this header; a front door that lets it through shows here.
  std::string location(exchange.field("X-Forwarded-Prefix"));
  location += exchange.path().substr(0, exchange.path().size() - 1);
  if (!exchange.query().empty()) location += fmt::format("?{}", exchange.query());
  Fields fields;
  fields.emplace_back("Location", std::move(location));
  const bool get = exchange.method() == "GET";
  const int status = get ? 301 : 307;
  const std::string_view type = get ? "text/html; charset=utf-8" : "";
  co_await exchange.respond(status, type, "", std::move(fields));
}

asio::awaitable<void> serve_upgrade(Exchange& exchange, Context& context) {
  const auto path = exchange.path();
  if (path == "/v1/responses") {
    co_await serve_responses_turns(exchange, context, Dialect::openai_responses);
  } else if (path == "/backend-api/codex/responses") {
    co_await serve_responses_turns(exchange, context, Dialect::codex_responses);
  } else if (is_realtime(path)) {
    co_await serve_realtime(exchange, context);
  } else {
    co_await serve_ws_echo(exchange);
  }
}

bool can_upgrade(std::string_view path) {
  return path == "/v1/responses" || path == "/backend-api/codex/responses" || is_realtime(path) ||
         path == "/v1/sample/ws";
}

asio::awaitable<void> serve_probe(Exchange& exchange, Context& context) {
  const auto probe = exchange.path().substr(std::string_view("/v1/sample/").size());
  if (probe == "echo" || probe.starts_with("echo/")) {
    co_await answer_echo(exchange);
  } else if (probe == "sink") {
    co_await answer_sink(exchange);
  } else if (probe == "bytes") {
    co_await answer_bytes(exchange, context);
  } else if (probe == "stats") {
    co_await answer_stats(exchange, context);
  } else {
    co_await answer_not_found(exchange);
  }
}

}  // namespace

std::string_view cpa_fields() noexcept {
  return "X-Portico-Sample: cpa\r\n"
         "Access-Control-Allow-Headers: *\r\n"
         "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
         "Access-Control-Allow-Origin: *\r\n"
         "Access-Control-Expose-Headers: X-CPA-TRACE-ID, X-CPA-VERSION, X-CPA-COMMIT, X-CPA-BUILD-DATE, "
         "X-CPA-SUPPORT-PLUGIN, X-CPA-HOME-VERSION, X-CPA-HOME-BUILD-DATE, X-SERVER-VERSION, "
         "X-SERVER-BUILD-DATE, Location, Retry-After, X-Request-Id, OpenAI-Request-Id\r\n";
}

asio::awaitable<void> serve_cpa(Exchange& exchange, Context& context) {
  const auto method = exchange.method();
  const auto path = exchange.path();
  const bool get = method == "GET";
  auto key = presented_key(exchange);
  // In the order of the real one: CORS before keys, keys before anything that costs.
  if (method == "OPTIONS") {
    co_await exchange.respond(204, "", "");
  } else if (path == "/healthz" && (get || method == "HEAD")) {
    co_await exchange.respond(200, json_utf8, R"({"status":"ok"})");
  } else if (get && path == "/") {
    co_await answer_greeting(exchange);
  } else if (get && is_callback(path)) {
    co_await answer_callback(exchange);
  } else if (path.size() > 1 && path.ends_with('/') && is_plain_path(path.substr(0, path.size() - 1))) {
    co_await redirect_slash(exchange);
  } else if (needs_key(path) && key.refused) {
    co_await refuse_key(exchange, context, std::move(key.key));
  } else if (exchange.is_upgrade() && can_upgrade(path)) {
    co_await serve_upgrade(exchange, context);
  } else if (path.starts_with("/v1/sample/")) {
    co_await serve_probe(exchange, context);
  } else if (get && path == "/v1/models") {
    co_await answer_models(exchange);
  } else if (get && path == "/v1beta/models") {
    co_await exchange.respond(200, json_utf8, gemini_models());
  } else if ((get || method == "POST") && path.starts_with(gemini_prefix)) {
    co_await serve_gemini(exchange, context);
  } else if (auto call = model_call_for(path); call && method == "POST") {
    co_await call_model(exchange, context, std::move(*call));
    co_return;
  } else {
    co_await answer_not_found(exchange);
  }
}

}  // namespace portico::sample
