#include "telemetry/failures/classify.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "telemetry/failures/wording.hpp"

namespace portico::telemetry {
namespace {

// What the rules look at: one failed record, read once.
struct Case {
  const RecordFacts& facts;
  int status;  ///< of the error, which a frame or an event inside a 200 may name
  LoweredText text;
  std::string_view type;
  std::string_view code;
  std::string_view own_code;

  explicit Case(const Record& record) noexcept
      : facts(record.facts()),
        status(facts.error_status != 0 ? facts.error_status : facts.status),
        text(record.text(Text::error_message)),
        type(record.text(Text::error_type)),
        code(record.text(Text::error_code)),
        own_code(record.text(Text::own_code)) {}

  [[nodiscard]] bool says(std::string_view words) const noexcept { return text.has(words); }
  [[nodiscard]] bool is_html() const noexcept { return says("<html") || says("<!doctype"); }
};

bool any_of(std::string_view word, std::initializer_list<std::string_view> words) noexcept {
  return std::find(words.begin(), words.end(), word) != words.end();
}

using enum Category;
using enum Confidence;

constexpr FaultField no_field = FaultField::none;

// A rule gives its verdict or passes the case on. Rules of one symptom with several verdicts stay one rule.
struct Rule {
  bool (*fits)(const Case&);
  Verdict (*verdict)(const Case&);
};

template <Category category, FaultField field, Confidence confidence>
Verdict always(const Case& /*unused*/) {
  return {category, field, confidence};
}

template <int status>
bool has_status(const Case& c) {
  return c.status == status;
}

// The order is the meaning: a rule may rely on every rule above it not having fitted.
constexpr std::array rules{
    // What Portico itself saw or said. It knows these for certain.
    Rule{[](const Case& c) {
           // An error that had come before the client left tells more than its leaving. 499 is what an
           // exchange is counted as whose client got no status.
           const bool refused = c.status >= 400 && c.status != 499;
           return c.facts.ended == Ended::client_gone && !c.facts.has_error && !refused;
         },
         always<client_cancelled, no_field, high>},
    Rule{[](const Case& c) { return c.facts.ended == Ended::timeout; }, always<timeout, no_field, high>},
    Rule{[](const Case& c) {
           return c.facts.own_answer && any_of(c.own_code, {"bad_request", "ambiguous_path",
                                                            "method_not_allowed", "version_not_supported"});
         },
         always<client_request, no_field, high>},
    // Shutting down is a bound in time rather than in size: Portico refuses, nobody else is at fault.
    Rule{[](const Case& c) {
           return c.facts.own_answer &&
                  any_of(c.own_code,
                         {"body_too_large", "uri_too_long", "header_too_large", "too_many_connections",
                          "too_many_requests", "too_many_failed_keys", "shutting_down"});
         },
         always<limit, no_field, high>},
    Rule{[](const Case& c) {
           return c.facts.own_answer && any_of(c.own_code, {"upstream_timeout", "request_timeout"});
         },
         always<timeout, no_field, high>},
    // The backend is CPA or CPAMP itself, not a provider: no field of a provider's entry can be at fault.
    Rule{[](const Case& c) { return c.facts.own_answer && c.own_code == "upstream_unreachable"; },
         always<upstream_outage, no_field, high>},
    Rule{[](const Case& c) { return c.facts.own_answer && c.own_code == "upstream_bad_response"; },
         always<network, no_field, medium>},
    Rule{[](const Case& c) { return c.facts.own_answer && c.status < 500; },
         always<client_request, no_field, medium>},
    Rule{[](const Case& c) { return c.facts.own_answer; }, always<unknown, no_field, low>},

    // How the response ended, where it says nothing in words.
    Rule{[](const Case& c) { return c.facts.ended == Ended::backend_broke_off; },
         always<network, no_field, low>},
    Rule{[](const Case& c) { return c.facts.response_kind == ResponseKind::empty; },
         [](const Case& c) {
           if (c.status == 404) return Verdict{client_request, no_field, high};
           if (c.status < 500) return Verdict{client_request, no_field, medium};
           return Verdict{unknown, no_field, low};
         }},
    Rule{[](const Case& c) {
           return c.status < 300 && (c.is_html() || c.facts.response_kind == ResponseKind::text) &&
                  c.type.empty();
         },
         always<base_url, FaultField::base_url, medium>},
    Rule{[](const Case& c) { return c.status < 400 && !c.facts.has_error && !c.facts.final_event; },
         always<upstream_outage, no_field, medium>},

    // CPA's own refusals before it chose a credential.
    Rule{[](const Case& c) { return c.status == 401 && !c.facts.has_trace && c.says("api key"); },
         always<client_key, no_field, high>},
    Rule{[](const Case& c) {
           return !c.facts.has_trace &&
                  (c.code == "invalid_realtime_client_secret" || c.code == "unsafe_example_api_key" ||
                   c.says("unsafe_example_api_key"));
         },
         always<client_key, no_field, high>},
    Rule{[](const Case& c) { return c.says("unknown provider for model"); },
         always<model_name, FaultField::model_names, high>},

    // A web server spoke where an API should have.
    Rule{[](const Case& c) { return c.is_html() || c.says("404 page not found"); },
         [](const Case& c) {
           if (c.status == 404 || c.status == 405) return Verdict{base_url, FaultField::base_url, high};
           if (c.status >= 500) return Verdict{upstream_outage, FaultField::base_url, low};
           return Verdict{network, FaultField::base_url, low};
         }},

    // CPA labels every 403 `insufficient_quota`; its type tells those apart.
    Rule{[](const Case& c) {
           const bool limited =
               c.status == 429 ||
               any_of(c.code, {"model_cooldown", "rate_limit_exceeded", "insufficient_quota",
                               "usage_limit_reached", "credential_concurrency_exceeded"}) ||
               any_of(c.type, {"usage_limit_reached", "rate_limit_error", "insufficient_quota"});
           return limited && c.type != "permission_error";
         },
         always<quota, no_field, high>},
    Rule{[](const Case& c) { return c.says("auth_unavailable") || c.says("auth_not_found"); },
         always<auth_binding, FaultField::auth_binding, medium>},

    // The way from CPA to the provider, in the words of Go's network errors.
    Rule{[](const Case& c) {
           return c.says("missing provider baseurl") || c.says("no such host") ||
                  c.says("unsupported protocol scheme");
         },
         always<base_url, FaultField::base_url, high>},
    // Refused by the proxy that CPA itself goes through: not the provider's address.
    Rule{[](const Case& c) { return c.says("proxyconnect tcp") || c.says("socks connect"); },
         always<network, no_field, medium>},
    Rule{[](const Case& c) { return c.says("connection refused"); },
         always<network, FaultField::base_url, medium>},
    Rule{[](const Case& c) {
           return c.says("x509:") || c.says("tls:") || c.says("server gave http response to https client") ||
                  c.says("malformed http response");
         },
         always<base_url, FaultField::base_url, medium>},
    Rule{[](const Case& c) { return c.says("stream closed before") || c.says("stream disconnected"); },
         always<upstream_outage, no_field, medium>},
    Rule{[](const Case& c) {
           return c.says("connection reset") || c.says("i/o timeout") || c.says("broken pipe") ||
                  c.says("network is unreachable") || c.says("no route to host") ||
                  c.says("temporary failure in name resolution") || c.text.ends_with(": eof");
         },
         always<network, no_field, medium>},
    Rule{[](const Case& c) {
           return c.says("context deadline exceeded") || c.says("client.timeout exceeded");
         },
         always<timeout, no_field, medium>},

    // What the provider, or CPA in its name, says in codes and types.
    Rule{[](const Case& c) {
           return any_of(c.code,
                         {"context_length_exceeded", "context_too_large", "message_too_big",
                          "string_above_max_length", "invalid_prompt", "invalid_value", "unsupported_value",
                          "cyber_policy", "thinking_signature_invalid", "previous_response_not_found"}) ||
                  c.says("unsupported request content encoding") || c.says("only supported on /v1/");
         },
         always<client_request, no_field, high>},
    Rule{[](const Case& c) { return c.type == "authentication_error" || c.status == 401; },
         [](const Case& c) {
           const bool dead = c.says("revoked") || c.says("expired") || c.says("deactivated") ||
                             c.says("missing access token");
           return dead ? Verdict{auth_binding, FaultField::auth_binding, high}
                       : Verdict{auth_method, FaultField::auth_method, medium};
         }},
    // Nobody is served by an account whose workspace is gone or unpaid: more than a guess.
    Rule{
        [](const Case& c) { return c.status == 402 && (c.says("deactivated") || c.type == "billing_error"); },
        always<auth_binding, FaultField::auth_binding, high>},
    Rule{[](const Case& c) { return c.type == "permission_error" || c.status == 402 || c.status == 403; },
         always<auth_binding, FaultField::auth_binding, medium>},
    Rule{has_status<404>, always<model_name, FaultField::model_names, medium>},
    Rule{[](const Case& c) {
           return c.status == 400 || c.status == 409 || c.status == 413 || c.status == 422;
         },
         always<client_request, no_field, medium>},
    // Such as /responses/compact at a provider that has none.
    Rule{has_status<501>, always<client_request, no_field, medium>},
    Rule{[](const Case& c) { return c.type == "timeout_error" || c.status == 504; },
         always<timeout, no_field, medium>},
    Rule{[](const Case& c) {
           return any_of(c.type, {"overloaded_error", "api_error", "server_error"}) ||
                  c.code == "server_error" || c.status >= 500;
         },
         always<upstream_outage, no_field, high>},
    Rule{[](const Case& /*unused*/) { return true; }, always<unknown, no_field, low>},
};

}  // namespace

bool is_cpamp(const Record& record) noexcept {
  return record->dialect == Dialect::management || record.text(Text::owner) == "cpamp";
}

std::optional<Verdict> classify(const Record& record) {
  if (!record->failed && record->ended != Ended::client_gone) return std::nullopt;
  if (is_cpamp(record) && !record->own_answer) return std::nullopt;
  const Case c(record);
  const auto* const rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& r) { return r.fits(c); });
  return rule->verdict(c);
}

}  // namespace portico::telemetry
