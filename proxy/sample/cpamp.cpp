#include "proxy/sample/cpamp.hpp"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/probe.hpp"

namespace portico::sample {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::string_view panel = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Management panel (sample)</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem; color: #222; }
  .note { background: #fff4d6; border: 1px solid #e0c060; border-radius: 6px; padding: .75rem 1rem; }
  pre { background: #f4f4f4; padding: .75rem 1rem; overflow: auto; }
</style>
</head>
<body>
<h1>Management panel</h1>
<p class="note"><strong>This is a sample</strong> inside Portico, not CPA Manager Plus. It shows that the panel's
paths arrive here and everything else goes to the gateway.</p>
<h2>Health, asked through the same door</h2>
<pre id="health">asking …</pre>
<script>
fetch('/health').then(r => r.text()).then(t => { document.getElementById('health').textContent = t; });
</script>
</body>
</html>
)";

asio::awaitable<void> answer_json(Exchange& exchange, int status, std::string body) {
  co_await exchange.respond(status, "application/json; charset=utf-8", std::move(body));
}

std::string error_body(std::string_view code, std::string_view text) {
  return json::serialize(json::object{{"code", code}, {"error", text}});
}

bool has_bearer(const Exchange& exchange) {
  const auto value = exchange.field("Authorization");
  static constexpr std::string_view scheme = "Bearer ";
  return value.size() > scheme.size() &&
         boost::beast::iequals({value.data(), scheme.size()}, {scheme.data(), scheme.size()});
}

std::string info_json(const Context& context) {
  return json::serialize(json::object{{"service", "cpa-manager-plus"},
                                      {"mode", "sample"},
                                      {"startedAt", context.started * 1000},
                                      {"configured", false},
                                      {"adminReady", true},
                                      {"projectInitialized", false},
                                      {"setupRequired", true},
                                      {"dataKeyReady", true},
                                      {"hasHistoricalData", false}});
}

std::string status_json() {
  return json::serialize(json::object{{"collector",
                                       {{"collector", "stopped"},
                                        {"upstream", ""},
                                        {"mode", "auto"},
                                        {"totalInserted", 0},
                                        {"totalSkipped", 0},
                                        {"deadLetters", 0},
                                        {"lastError", ""}}},
                                      {"events", 0}});
}

std::string admin_json(std::string_view path) {
  return json::serialize(json::object{{"sample", true}, {"path", path}});
}

asio::awaitable<void> redirect_to_panel(Exchange& exchange) {
  Fields fields;
  fields.emplace_back("Location", "/management.html");
  co_await exchange.respond(307, "text/html; charset=utf-8", "", std::move(fields));
}

/// What only an administrator may see; the sample takes any bearer token for one.
asio::awaitable<void> answer_admin(Exchange& exchange, std::string body) {
  if (!has_bearer(exchange)) {
    co_await answer_json(exchange, 401, error_body("invalid_admin_key", "invalid admin key"));
    co_return;
  }
  co_await answer_json(exchange, 200, std::move(body));
}

}  // namespace

std::string_view cpamp_fields() noexcept {
  return "X-Portico-Sample: cpamp\r\n"
         "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
         "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
         "Access-Control-Allow-Origin: *\r\n";
}

asio::awaitable<void> serve_cpamp(Exchange& exchange, Context& context) {
  const auto method = exchange.method();
  const auto path = exchange.path();
  const bool reads = method == "GET" || method == "HEAD";
  const bool read_only = path == "/" || path == "/health" || path == "/management.html" ||
                         path == "/status" || path == "/models" || path == "/v1/models" ||
                         path == "/usage-service/info";
  if (method == "OPTIONS") {
    co_await exchange.respond(204, "", "");
  } else if ((read_only && !reads) || (path == "/setup" && method != "POST")) {
    co_await answer_json(exchange, 405, error_body("method_not_allowed", "method not allowed"));
  } else if (path == "/") {
    co_await redirect_to_panel(exchange);
  } else if (path == "/health") {
    co_await answer_json(exchange, 200, R"({"ok":true,"service":"cpa-manager-plus"})");
  } else if (path == "/management.html") {
    co_await exchange.respond(200, "text/html; charset=utf-8", std::string(panel));
  } else if (path == "/status") {
    co_await answer_admin(exchange, status_json());
  } else if (path == "/models" || path == "/v1/models") {
    co_await answer_json(exchange, context.models_status,
                         error_body("usage_service_not_configured", "usage service is not configured"));
  } else if (path == "/setup") {
    co_await answer_json(exchange, 200, R"({"ok":true,"message":"a sample: nothing was set up"})");
  } else if (path == "/usage-service/info") {
    co_await answer_json(exchange, 200, info_json(context));
  } else if (path == "/usage-service/sample/echo") {
    co_await answer_echo(exchange);
  } else if (path.starts_with("/usage-service/") || path == "/v0/management" ||
             path.starts_with("/v0/management/")) {
    co_await answer_admin(exchange, admin_json(path));
  } else if (path.starts_with("/v0/resource/plugins/")) {
    co_await exchange.respond(200, "text/plain; charset=utf-8", "a plugin's file, from the sample\n");
  } else {
    co_await answer_json(exchange, 404, error_body("not_found", "not found"));
  }
}

}  // namespace portico::sample
