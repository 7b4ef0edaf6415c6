#include "telemetry/failures/classify.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "test/telemetry/failures/made_record.hpp"

namespace portico::telemetry {
namespace {

using test::MadeRecord;
using enum Category;
using enum Confidence;

constexpr Verdict base_url_high{base_url, FaultField::base_url, high};

// A failed exchange with CPA whose error body is JSON, unless a case says otherwise.
struct Symptom {
  std::string_view name;
  int status = 500;
  bool trace = false;
  std::string_view message;
  std::string_view type;
  std::string_view code;
  Verdict verdict;
};

RecordFacts failed_facts(int status) {
  RecordFacts facts;
  facts.status = static_cast<std::uint16_t>(status);
  facts.failed = true;
  facts.has_error = true;
  facts.response_kind = ResponseKind::json;
  facts.dialect = Dialect::openai_chat;
  facts.operation = Operation::generate;
  return facts;
}

std::optional<Verdict> verdict_of(const RecordFacts& facts, MadeRecord::Texts texts = {}) {
  MadeRecord made(facts, texts);
  if (made.record().text(Text::owner).empty()) made.put(Text::owner, "cpa");
  return classify(made.record());
}

constexpr Verdict binding_high{auth_binding, FaultField::auth_binding, high};
constexpr Verdict binding_medium{auth_binding, FaultField::auth_binding, medium};
constexpr Verdict quota_high{quota, FaultField::none, high};
constexpr Verdict request_high{client_request, FaultField::none, high};
constexpr Verdict request_medium{client_request, FaultField::none, medium};
constexpr Verdict outage_high{upstream_outage, FaultField::none, high};
constexpr Verdict outage_medium{upstream_outage, FaultField::none, medium};
constexpr Verdict network_medium{network, FaultField::none, medium};
constexpr Verdict method_medium{auth_method, FaultField::auth_method, medium};
constexpr Verdict key_high{client_key, FaultField::none, high};

TEST_CASE("each error on the wire has the verdict of the first rule that fits") {
  static constexpr std::string_view cut =
      "stream error: stream disconnected before completion: stream closed before response.completed";
  const Symptom symptom = GENERATE(values<Symptom>({
      // the client's key
      {"no key", 401, false, "Missing API key", "", "", key_high},
      {"wrong key", 401, false, "Invalid API key", "", "", key_high},
      {"dead realtime secret", 401, false, "", "", "invalid_realtime_client_secret", key_high},
      {"template keys", 403, false, "unsafe_example_api_key", "", "", key_high},
      // credentials
      {"wrong kind of credential", 401, true, "invalid x-api-key", "authentication_error", "", method_medium},
      {"a provider's API key words are not the client's", 401, true, "Incorrect API key provided", "", "",
       method_medium},
      {"authentication error inside a 200", 200, true, "no", "authentication_error", "", method_medium},
      {"revoked", 401, true, "Your token was REVOKED.", "authentication_error", "", binding_high},
      {"expired", 401, true, "token expired", "", "", binding_high},
      {"deactivated", 401, true, "account deactivated", "", "", binding_high},
      {"no access token", 401, true, "missing access token", "", "", binding_high},
      {"unpaid", 402, true, "Payment required", "", "", binding_medium},
      {"unpaid by type", 402, true, "Payment required", "billing_error", "", binding_high},
      {"dead workspace", 402, true, "workspace deactivated", "", "", binding_high},
      {"forbidden", 403, true, "Your plan does not include this model", "permission_error",
       "insufficient_quota", binding_medium},
      {"permission error inside a 200", 200, true, "no", "permission_error", "", binding_medium},
      {"nobody to ask", 503, false, "auth_unavailable: no auth available (providers=codex, model=m)",
       "server_error", "internal_server_error", binding_medium},
      {"nobody found", 503, false, "auth_not_found: x", "", "", binding_medium},
      // models
      {"unknown model",
       400,
       false,
       "unknown provider for model gpt-5.44",
       "invalid_request_error",
       "model_not_found",
       {model_name, FaultField::model_names, high}},
      {"the provider's unknown model",
       404,
       true,
       "The model does not exist",
       "invalid_request_error",
       "model_not_found",
       {model_name, FaultField::model_names, medium}},
      // base URL
      {"a web page says not found", 404, true, "<HTML><body>404</body>", "", "model_not_found",
       base_url_high},
      {"a web page forbids the method", 405, true, "<!DOCTYPE html>", "", "", base_url_high},
      {"Go's mux says not found", 404, true, "404 page not found", "", "model_not_found", base_url_high},
      {"an error page of a gateway",
       502,
       true,
       "<html>bad gateway",
       "",
       "",
       {upstream_outage, FaultField::base_url, low}},
      {"a challenge page",
       403,
       true,
       "<!doctype html> just a moment",
       "",
       "",
       {network, FaultField::base_url, low}},
      {"no base URL", 401, true, "missing provider baseURL", "", "", base_url_high},
      {"no such host", 500, true, "Post \"https://x/v1\": dial tcp: lookup x: no such host", "server_error",
       "", base_url_high},
      {"no scheme", 500, true, "unsupported protocol scheme \"\"", "", "", base_url_high},
      {"refused",
       500,
       true,
       "dial tcp: connect: connection refused",
       "server_error",
       "internal_server_error",
       {network, FaultField::base_url, medium}},
      {"wrong certificate",
       500,
       true,
       "x509: certificate is valid for a, not b",
       "server_error",
       "",
       {base_url, FaultField::base_url, medium}},
      {"TLS at a plain port",
       500,
       true,
       "tls: first record does not look like a TLS handshake",
       "",
       "",
       {base_url, FaultField::base_url, medium}},
      {"plain answer at a TLS port",
       500,
       true,
       "http: server gave HTTP response to HTTPS client",
       "",
       "",
       {base_url, FaultField::base_url, medium}},
      {"not HTTP",
       500,
       true,
       "malformed HTTP response \"x\"",
       "",
       "",
       {base_url, FaultField::base_url, medium}},
      // quota
      {"cooling down", 429, false, "All credentials for model m are cooling down", "", "model_cooldown",
       quota_high},
      {"too fast", 429, true, "slow down", "rate_limit_error", "rate_limit_exceeded", quota_high},
      {"429 without words", 429, true, "", "", "", quota_high},
      {"429 that says permission", 429, true, "no", "permission_error", "", binding_medium},
      {"cooldown inside a 200", 200, false, "", "", "model_cooldown", quota_high},
      {"rate limit inside a 200", 200, true, "", "", "rate_limit_exceeded", quota_high},
      {"spent inside a 200", 200, true, "", "", "insufficient_quota", quota_high},
      {"used up by code", 200, true, "", "", "usage_limit_reached", quota_high},
      {"used up by type", 200, true, "", "usage_limit_reached", "", quota_high},
      {"limited by type", 200, true, "", "rate_limit_error", "", quota_high},
      {"spent by type", 200, true, "", "insufficient_quota", "", quota_high},
      {"at once", 429, false, "", "", "credential_concurrency_exceeded", quota_high},
      // the network
      {"CPA's own proxy", 500, true, "proxyconnect tcp: dial tcp: connect: connection refused", "", "",
       network_medium},
      {"reset", 500, true, "read tcp: connection reset by peer", "server_error", "", network_medium},
      {"timeout", 500, true, "dial tcp: i/o timeout", "server_error", "", network_medium},
      {"broken pipe", 500, true, "write: broken pipe", "server_error", "", network_medium},
      {"EOF", 500, true, "Post \"https://x/v1\": EOF", "server_error", "", network_medium},
      {"no route", 500, true, "connect: no route to host", "", "", network_medium},
      {"no network", 500, true, "connect: network is unreachable", "", "", network_medium},
      {"no resolver", 500, true, "lookup x: Temporary failure in name resolution", "", "", network_medium},
      // outages
      {"stream cut, 408", 408, true, cut, "invalid_request_error", "", outage_medium},
      {"stream cut inside a 200", 200, true, cut, "", "request_timeout", outage_medium},
      {"no first payload", 502, true, "upstream stream closed before first payload", "server_error", "",
       outage_medium},
      {"overloaded", 529, true, "Overloaded", "overloaded_error", "", outage_high},
      {"overloaded inside a 200", 200, true, "Overloaded", "overloaded_error", "", outage_high},
      {"api error inside a 200", 200, true, "x", "api_error", "", outage_high},
      {"server error by type", 200, true, "x", "server_error", "", outage_high},
      {"server error by code", 200, true, "x", "", "server_error", outage_high},
      {"500", 500, true, "boom", "", "", outage_high},
      // time
      {"504", 504, true, "gateway", "server_error", "", {timeout, FaultField::none, medium}},
      {"timeout by type", 200, true, "x", "timeout_error", "", {timeout, FaultField::none, medium}},
      {"deadline",
       500,
       true,
       "context deadline exceeded",
       "server_error",
       "",
       {timeout, FaultField::none, medium}},
      // the client's request
      {"context", 400, true, "", "invalid_request_error", "context_length_exceeded", request_high},
      {"context 2", 400, true, "", "", "context_too_large", request_high},
      {"message", 400, true, "", "", "message_too_big", request_high},
      {"string", 400, true, "", "", "string_above_max_length", request_high},
      {"prompt", 400, true, "", "", "invalid_prompt", request_high},
      {"value", 400, true, "", "", "invalid_value", request_high},
      {"value 2", 400, true, "", "", "unsupported_value", request_high},
      {"policy", 400, true, "", "", "cyber_policy", request_high},
      {"signature", 400, true, "", "", "thinking_signature_invalid", request_high},
      {"continuation", 409, true, "", "", "previous_response_not_found", request_high},
      {"encoding", 400, false, "Invalid request: unsupported request content encoding: gzip", "", "",
       request_high},
      {"wrong endpoint for the model", 503, false, "model m is only supported on /v1/images/generations", "",
       "", request_high},
      {"400", 400, true, "bad", "invalid_request_error", "", request_medium},
      {"409", 409, true, "bad", "", "", request_medium},
      {"413", 413, true, "bad", "", "", request_medium},
      {"422", 422, true, "bad", "", "", request_medium},
      {"501", 501, true, "/responses/compact not supported", "", "", request_medium},
      // nothing known
      {"an error without a name inside a 200", 200, true, "odd", "", "", {unknown, FaultField::none, low}},
      {"418", 418, true, "teapot", "", "", {unknown, FaultField::none, low}},
  }));
  CAPTURE(symptom.name);
  RecordFacts facts = failed_facts(symptom.status);
  facts.has_trace = symptom.trace;
  CHECK(verdict_of(facts, {{Text::error_message, symptom.message},
                           {Text::error_type, symptom.type},
                           {Text::error_code, symptom.code}}) == symptom.verdict);
}

TEST_CASE("a status named by an error inside a 200 or a frame stands for the status") {
  RecordFacts facts = failed_facts(200);
  facts.error_status = 429;
  CHECK(verdict_of(facts) == quota_high);
  facts.status = 101;
  facts.error_status = 404;
  facts.has_trace = true;
  CHECK(verdict_of(facts) == Verdict{model_name, FaultField::model_names, medium});
}

TEST_CASE("a response that broke off is the network's before any word it had") {
  RecordFacts facts = failed_facts(429);
  facts.ended = Ended::backend_broke_off;
  CHECK(verdict_of(facts, {{Text::error_code, "model_cooldown"}}) == Verdict{network, FaultField::none, low});
}

TEST_CASE("an empty body is judged by its status alone") {
  RecordFacts facts = failed_facts(404);
  facts.has_error = false;
  facts.response_kind = ResponseKind::empty;
  CHECK(verdict_of(facts) == request_high);
  facts.status = 200;
  CHECK(verdict_of(facts) == request_medium);
  facts.status = 403;
  CHECK(verdict_of(facts) == request_medium);
  facts.status = 500;
  CHECK(verdict_of(facts) == Verdict{unknown, FaultField::none, low});
}

TEST_CASE("a clean end without a final event is the provider's outage") {
  RecordFacts facts = failed_facts(200);
  facts.has_error = false;
  facts.response_kind = ResponseKind::sse;
  CHECK(verdict_of(facts) == outage_medium);
}

TEST_CASE("a refusal without an error object is judged by its status, not by a missing final event") {
  RecordFacts facts = failed_facts(401);
  facts.has_error = false;
  facts.has_trace = true;
  CHECK(verdict_of(facts) == method_medium);
}

TEST_CASE("a web page in a 200 points at the base URL") {
  RecordFacts facts = failed_facts(200);
  facts.has_error = false;
  facts.response_kind = ResponseKind::text;
  CHECK(verdict_of(facts) == Verdict{base_url, FaultField::base_url, medium});
  facts.has_error = true;
  facts.response_kind = ResponseKind::json;
  CHECK(verdict_of(facts, {{Text::error_message, "<html>hello"}}) ==
        Verdict{base_url, FaultField::base_url, medium});
}

TEST_CASE("Portico's own answers name their cause for certain") {
  struct Own {
    int status;
    std::string_view code;
    Verdict verdict;
  };
  const Own own = GENERATE(values<Own>({
      {400, "bad_request", request_high},
      {400, "ambiguous_path", request_high},
      {405, "method_not_allowed", request_high},
      {505, "version_not_supported", request_high},
      {413, "body_too_large", {limit, FaultField::none, high}},
      {414, "uri_too_long", {limit, FaultField::none, high}},
      {431, "header_too_large", {limit, FaultField::none, high}},
      {429, "too_many_connections", {limit, FaultField::none, high}},
      {503, "too_many_connections", {limit, FaultField::none, high}},
      {429, "too_many_requests", {limit, FaultField::none, high}},
      {429, "too_many_failed_keys", {limit, FaultField::none, high}},
      {503, "shutting_down", {limit, FaultField::none, high}},
      {408, "request_timeout", {timeout, FaultField::none, high}},
      {504, "upstream_timeout", {timeout, FaultField::none, high}},
      {502, "upstream_unreachable", outage_high},
      {502, "upstream_bad_response", network_medium},
      {500, "internal_error", {unknown, FaultField::none, low}},
      {404, "", request_medium},
  }));
  CAPTURE(own.code, own.status);
  RecordFacts facts = failed_facts(own.status);
  facts.own_answer = true;
  facts.has_error = false;
  facts.response_kind = ResponseKind::empty;
  facts.ended = Ended::refused;
  CHECK(verdict_of(facts, {{Text::own_code, own.code}}) == own.verdict);
  // A backend that broke off leaves Portico to answer; the answer still tells more.
  facts.ended = Ended::backend_broke_off;
  CHECK(verdict_of(facts, {{Text::own_code, own.code}}) == own.verdict);
}

TEST_CASE("a time-out of Portico's is a time-out whatever had come before") {
  RecordFacts facts = failed_facts(200);
  facts.ended = Ended::timeout;
  facts.timer = Timer::response_body;
  CHECK(verdict_of(facts) == Verdict{timeout, FaultField::none, high});
}

TEST_CASE("a client that went away has cancelled, unless an error had reached it first") {
  RecordFacts facts = failed_facts(200);
  facts.failed = false;
  facts.has_error = false;
  facts.ended = Ended::client_gone;
  CHECK(verdict_of(facts) == Verdict{client_cancelled, FaultField::none, high});
  facts.status = 499;
  CHECK(verdict_of(facts) == Verdict{client_cancelled, FaultField::none, high});
  facts.status = 0;
  CHECK(verdict_of(facts) == Verdict{client_cancelled, FaultField::none, high});
  facts = failed_facts(200);
  facts.ended = Ended::client_gone;
  CHECK(verdict_of(facts, {{Text::error_type, "overloaded_error"}}) == outage_high);
  facts = failed_facts(429);
  facts.has_error = false;
  facts.ended = Ended::client_gone;
  CHECK(verdict_of(facts) == quota_high);
}

TEST_CASE("what did not fail, and what CPAMP answered, has no verdict") {
  RecordFacts facts = failed_facts(200);
  facts.failed = false;
  CHECK_FALSE(verdict_of(facts));
  facts = failed_facts(428);
  CHECK_FALSE(verdict_of(facts, {{Text::owner, "cpamp"}}));
  facts.dialect = Dialect::management;
  CHECK_FALSE(verdict_of(facts));
}

TEST_CASE("Portico's own answer for CPAMP has a verdict: the panel is down") {
  RecordFacts facts = failed_facts(502);
  facts.own_answer = true;
  facts.ended = Ended::refused;
  facts.dialect = Dialect::management;
  CHECK(verdict_of(facts, {{Text::owner, "cpamp"}, {Text::own_code, "upstream_unreachable"}}) == outage_high);
}

TEST_CASE("words are looked for in long messages too, and at their very end") {
  RecordFacts facts = failed_facts(500);
  const std::string filling(1000, 'x');
  CHECK(verdict_of(facts, {{Text::error_message, filling + "Connection RESET"}}) == network_medium);
  CHECK(verdict_of(facts, {{Text::error_message, std::string(20'000, 'x') + ": EOF"}}) == network_medium);
}

}  // namespace
}  // namespace portico::telemetry
