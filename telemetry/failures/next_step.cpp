#include "telemetry/failures/next_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "telemetry/failures/wording.hpp"

namespace portico::telemetry {
namespace {

using enum Category;

// A sentence's gaps are filled with what the group knows: {account}, {model}, {key}, {timer}, {field},
// {owner}.
struct Row {
  Category category;
  FaultField field;  ///< counts only if `any_field` is false
  bool any_field;
  std::string_view code;  ///< empty: any
  std::string_view text;  ///< in lower case, in the message; empty: any
  std::string_view sentence;
};

constexpr FaultField no_field = FaultField::none;

constexpr std::string_view provider_cut =
    "Nothing is to be set: the provider cut its stream; if it repeats, look at its status page and at the "
    "proxy that CPA uses to reach it.";
constexpr std::string_view too_long =
    "Shorten the conversation, or let the client compact it: it is longer than {model} can read.";
constexpr std::string_view lost_session =
    "See that the session header of the client reaches CPA (session_id, X-Session-ID), so that a session "
    "stays with its account; else let the client start a new one.";

constexpr std::array rows{
    Row{client_key, no_field, true, "unsafe_example_api_key", "",
        "CPA still has the example keys of its template: replace them under `api-keys` in CPA's settings "
        "(CPAMP: Configuration, API keys)."},
    Row{client_key, no_field, true, "", "unsafe_example",
        "CPA still has the example keys of its template: replace them under `api-keys` in CPA's settings "
        "(CPAMP: Configuration, API keys)."},
    Row{client_key, no_field, true, "invalid_realtime_client_secret", "",
        "Let the client ask for a new realtime client secret; it lives for minutes only."},
    Row{client_key, no_field, true, "", "missing",
        "Give the client an API key: it sent none in Authorization, X-Api-Key or X-Goog-Api-Key."},
    Row{client_key, no_field, true, "", "",
        "Compare the key {key} in the client's settings with the list `api-keys` in CPA's settings (CPAMP: "
        "Configuration, API keys)."},

    Row{auth_method, no_field, true, "", "",
        "In CPAMP open the provider entry of {account} and check its auth method: whether it wants an API "
        "key or a signed-in account, and that the key belongs to this provider."},
    Row{auth_binding, no_field, true, "", "auth_unavailable",
        "In CPAMP look under auth files for the accounts that serve {model}: enable, sign in again or add "
        "one, since none can be used now."},
    Row{auth_binding, no_field, true, "", "auth_not_found",
        "In CPAMP look under auth files for the accounts that serve {model}: enable, sign in again or add "
        "one, since none can be used now."},
    Row{auth_binding, no_field, true, "", "unknown provider",
        "In CPAMP check which auth file or provider entry exposed {model} until recently: it was removed, "
        "disabled or has expired."},
    Row{auth_binding, no_field, true, "", "plan",
        "In CPAMP open the auth file of {account} and check its plan: it does not include {model}."},
    Row{auth_binding, no_field, true, "", "workspace",
        "In CPAMP open the auth file of {account}: its workspace is deactivated or unpaid; pay for it or "
        "remove the file."},
    Row{auth_binding, no_field, true, "", "",
        "In CPAMP open the auth file of {account} and sign in again, or disable it if the account is gone."},

    Row{model_name, no_field, true, "", "unknown provider",
        "Correct the model name {model} in the client, or add it to the model names of a provider entry in "
        "CPAMP; `GET /v1/models` lists what is exposed."},
    Row{model_name, no_field, true, "", "",
        "In CPAMP open the provider entry of {account} and compare its model names with the provider's own "
        "list: the provider does not know {model}."},

    Row{base_url, no_field, true, "", "missing provider baseurl",
        "In CPAMP open the provider entry of {account} and fill in its base URL."},
    Row{base_url, no_field, true, "", "no such host",
        "In CPAMP open the provider entry of {account} and correct the host in its base URL: the name does "
        "not exist."},
    Row{base_url, no_field, true, "", "tls",
        "In CPAMP open the provider entry of {account} and check its base URL: http or https, port and host "
        "name must fit the server's certificate."},
    Row{base_url, no_field, true, "", "x509",
        "In CPAMP open the provider entry of {account} and check its base URL: http or https, port and host "
        "name must fit the server's certificate."},
    Row{base_url, no_field, true, "", "",
        "In CPAMP open the provider entry of {account} and compare its base URL with the provider's "
        "documentation, the path above all (often `/v1` is missing or doubled)."},

    Row{quota, no_field, true, "model_cooldown", "",
        "Wait until the accounts of {model} have rested, or add another account for it in CPAMP; what made "
        "them rest is in the failures before this one."},
    Row{quota, no_field, true, "credential_concurrency_exceeded", "",
        "Send fewer requests at once for {model}, or add another account for it in CPAMP."},
    Row{quota, no_field, true, "insufficient_quota", "",
        "Raise or pay the quota of {account} at its provider, or add another account for {model} in CPAMP."},
    Row{quota, no_field, true, "", "",
        "Wait for the limit of {account} to reset (CPAMP shows its quota), or add another account for "
        "{model} in CPAMP."},

    Row{upstream_outage, no_field, true, "upstream_unreachable", "",
        "Start {owner}, or correct its address under `upstreams` in Portico's settings: nothing accepts "
        "connections there, or TLS with it fails, which Portico's log says."},
    Row{upstream_outage, FaultField::base_url, false, "", "",
        "Wait and look at the provider's status page; if it lasts, in CPAMP check the base URL of {account}, "
        "since a web server answered instead of the API."},
    Row{upstream_outage, no_field, true, "", "auth_unavailable",
        "Wait a minute: the accounts of {model} rest after failures of the provider; if it lasts, look at "
        "the provider's status page."},
    Row{upstream_outage, no_field, true, "", "stream closed", provider_cut},
    Row{upstream_outage, no_field, true, "", "stream disconnected", provider_cut},
    Row{upstream_outage, no_field, true, "", "without its final event", provider_cut},
    Row{upstream_outage, no_field, true, "", "empty body",
        "Look into CPA's log, and if CPA runs as part of a cluster, check that it reaches its centre: it "
        "refuses every request."},
    Row{upstream_outage, no_field, true, "", "",
        "Look at the provider's status page and wait; route {model} to another provider in CPAMP if it "
        "lasts."},

    Row{network, no_field, true, "upstream_bad_response", "",
        "Look into the log of {owner}, and check that its address in Portico's settings is its HTTP port."},
    Row{network, no_field, true, "", "proxyconnect",
        "Check the proxy that CPA goes through (`proxy-url` in CPA's settings or in the auth file of "
        "{account}): it refuses connections."},
    Row{network, no_field, true, "", "socks connect",
        "Check the proxy that CPA goes through (`proxy-url` in CPA's settings or in the auth file of "
        "{account}): it refuses connections."},
    Row{network, FaultField::base_url, false, "", "html page",
        "Open the base URL of {account} from CPA's machine: a web page answers, such as a challenge or a "
        "login in between."},
    Row{network, FaultField::base_url, false, "", "",
        "In CPAMP open the provider entry of {account} and compare host and port of its base URL; if they "
        "are right, the provider is down."},
    Row{network, no_field, true, "", "refused",
        "Look at the provider's status page: its address was right and now refuses connections; wait, or "
        "disable {account} in CPAMP."},
    Row{network, no_field, true, "", "no such host", "Check name resolution (DNS) on CPA's machine."},
    Row{network, no_field, true, "", "websocket",
        "Look into CPA's log and usage records at the time of the samples: CPA hides the cause from the "
        "client."},
    Row{network, no_field, true, "", "before the response was complete",
        "Check whether {owner} restarted at these times and look into its log; otherwise look at the network "
        "between Portico and it."},
    Row{network, no_field, true, "", "",
        "Check the network of CPA's machine and its way to the provider (`proxy-url` in CPA's settings, "
        "firewall, line)."},

    Row{timeout, no_field, true, "", "", ""},  // by timer, below

    Row{limit, no_field, true, "body_too_large", "",
        "Send less, or raise `limits.request_body` or the route's own `request_body` in Portico's settings."},
    Row{limit, no_field, true, "uri_too_long", "",
        "Shorten the URL, or raise `limits.request_target` in Portico's settings."},
    Row{limit, no_field, true, "header_too_large", "",
        "Send fewer or shorter headers (cookies are often the cause), or raise `limits.request_head` or "
        "`limits.request_fields` in Portico's settings."},
    Row{limit, no_field, true, "too_many_connections", "",
        "Let clients reuse their connections, or raise `limits.connections_per_client` (status 429) or "
        "`limits.connections` (status 503) in Portico's settings."},
    Row{limit, no_field, true, "too_many_requests", "",
        "Let the client send more slowly, or raise `limits.request_rate` or `limits.request_burst` in "
        "Portico's "
        "settings."},
    Row{limit, no_field, true, "too_many_failed_keys", "",
        "Find out who sends wrong keys from this address: `key_guard` of `/api/v1/status` names it. If many "
        "clients share it, name it in `key_guard.exempt` in Portico's settings."},
    Row{limit, no_field, true, "shutting_down", "", "Send the request again: Portico was being restarted."},
    Row{limit, no_field, true, "", "", "Raise the limit in Portico's settings, or send less."},

    Row{client_cancelled, no_field, true, "", "",
        "Nothing is wrong with the backend: if it happens often, raise the time-out of the client, or of a "
        "proxy between it and Portico."},

    Row{client_request, no_field, true, "ambiguous_path", "",
        "Correct the client's base URL: its path has dot segments, doubled slashes or needless "
        "percent-encoding."},
    Row{client_request, no_field, true, "bad_request", "",
        "Check the client, or the proxy in front of Portico, that sent what is not HTTP."},
    Row{client_request, no_field, true, "method_not_allowed", "",
        "Let the client use the method that the API's documentation gives for this path."},
    Row{client_request, no_field, true, "version_not_supported", "", "Let the client speak HTTP/1.1."},
    Row{client_request, no_field, true, "context_length_exceeded", "", too_long},
    Row{client_request, no_field, true, "context_too_large", "", too_long},
    Row{client_request, no_field, true, "", "context window", too_long},
    Row{client_request, no_field, true, "", "context length", too_long},
    Row{client_request, no_field, true, "", "prompt is too long", too_long},
    Row{client_request, no_field, true, "previous_response_not_found", "", lost_session},
    Row{client_request, no_field, true, "thinking_signature_invalid", "", lost_session},
    Row{client_request, no_field, true, "cyber_policy", "",
        "The provider's policy refuses the content; nothing can be set."},
    Row{client_request, no_field, true, "", "content encoding",
        "Let the client send the body uncompressed, or with zstd on the paths of chat and responses."},
    Row{client_request, no_field, true, "", "only supported on /v1/",
        "Let the client call {model} on the path that the message names."},
    Row{client_request, no_field, true, "", "/responses/compact not supported",
        "Switch off remote compaction in the client, or use a model of a provider that has it: the one "
        "behind "
        "{model} has none."},
    Row{client_request, no_field, true, "", "empty body",
        "Correct the client's base URL or path: CPA does not serve it (CPA's OpenAI paths begin with /v1 "
        "once, Gemini's with /v1beta and end in generateContent, streamGenerateContent or countTokens)."},
    Row{client_request, no_field, true, "", "", "Correct the request that the client sends{refused}."},

    Row{unknown, no_field, true, "internal_error", "", "Look for the sample request ids in Portico's log."},
    Row{unknown, no_field, true, "", "", "Look for the sample request ids' time in CPA's log."},
};

std::string by_timer(const GroupView& view) {
  switch (view.group.timer) {
    case Timer::connect:
      return "Check that {owner} runs and that its address in Portico's settings is right; else raise "
             "`{timer}` there.";
    case Timer::response_head:
      return "Look into the log of {owner} for what it waits; long answers that don't stream need a higher "
             "`{timer}` in Portico's settings.";
    case Timer::response_body:
      return "Look into the log of {owner}: it stopped sending in the middle; if such pauses are normal, "
             "raise `{timer}` in Portico's settings or switch on CPA's `streaming.keepalive-seconds`.";
    case Timer::websocket_idle:
      return "Nothing is wrong if the session was left idle; else raise `{timer}` in Portico's settings.";
    case Timer::client_write:
      return "Look at the client: it stopped reading its answer; a slow network needs a higher `{timer}` in "
             "Portico's settings.";
    case Timer::request_head:
    case Timer::request_body:
      return "Look at the network between the client and Portico, or raise `{timer}` in Portico's settings.";
    case Timer::none:
      break;
  }
  if (view.group.speaker == Speaker::portico)
    return "Look into the log of {owner}, or raise what is under `timeouts` in Portico's settings.";
  return "The provider took too long for CPA: try a smaller request or stream it, and look at the provider's "
         "status page.";
}

std::string named(std::string_view kind, const std::vector<const SeenList::Seen*>& names,
                  std::string_view nameless) {
  if (names.empty()) return std::string(nameless);
  return std::string(kind) + list_of(names);
}

void fill(std::string& sentence, std::string_view gap, std::string_view text) {
  for (std::size_t at = sentence.find(gap); at != std::string::npos;
       at = sentence.find(gap, at + text.size())) {
    sentence.replace(at, gap.size(), text);
  }
}

}  // namespace

std::string next_step_for(const GroupView& view) {
  const FailureGroup& group = view.group;
  const LoweredText text(group.message);
  const auto* const row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) {
    return r.category == group.verdict.category && (r.any_field || r.field == group.verdict.field) &&
           (r.code.empty() || r.code == group.code) && (r.text.empty() || text.has(r.text));
  });
  std::string sentence = row->sentence.empty() ? by_timer(view) : std::string(row->sentence);
  fill(sentence, "{account}", named("auth_index ", view.auth_indexes, "the account"));
  fill(sentence, "{model}", named("", view.models, "the model"));
  fill(sentence, "{key}", named("", view.keys, "that the client sends"));
  fill(sentence, "{timer}", name_of(group.timer));
  fill(sentence, "{owner}", group.owner.empty() ? "the backend" : group.owner);
  fill(sentence, "{refused}",
       group.request_field.empty() ? "" : fmt::format(", its field {} first", group.request_field));
  return sentence;
}

}  // namespace portico::telemetry
