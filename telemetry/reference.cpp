#include "telemetry/reference.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <iterator>

#include "telemetry/event_feed.hpp"
#include "telemetry/management.hpp"
#include "telemetry/request_store.hpp"
#include "telemetry/tap/words.hpp"
#include "telemetry/usage/usage_json.hpp"

namespace portico::telemetry {
namespace {

constexpr std::array record_rows{
    FieldRow{"id", "the request's id, as in `X-Request-Id`"},
    FieldRow{"time", "when the request's head was complete; of a turn, when it was asked for"},
    FieldRow{"kind",
             "`exchange`, `turn` (one turn of a WebSocket) or `connection` (a WebSocket, at its end)"},
    FieldRow{"worker", "number of the worker"},
    FieldRow{"listener", "address listened on"},
    FieldRow{"client", "believed address of the client"},
    FieldRow{"route", "label of the rule that owns the path"},
    FieldRow{"upstream", "name of the backend that was asked"},
    FieldRow{"endpoint", "URL of its endpoint that was asked"},
    FieldRow{"key",
             "`fingerprint` (keyed hash) and `mask` of the API key that the client presented; `null`: none"},
    FieldRow{"user_agent", "family of the client's library"},
    FieldRow{"dialect", "API that the path speaks, as in metrics"},
    FieldRow{"operation", "`generate`, `compact`, `count_tokens`, `embed`, `list_models`, `other`"},
    FieldRow{"owner", "name of the backend that owns the path; `null`: Portico itself"},
    FieldRow{"method", "of the request"},
    FieldRow{"path", "as sent, without query"},
    FieldRow{"provider_family", "a guess from the model's name"},
    FieldRow{"model", "as asked for"},
    FieldRow{"model_base", "without prefix and suffix"},
    FieldRow{"model_prefix", "what stands before the first `/`"},
    FieldRow{"model_suffix", "what stands in parentheses at the end"},
    FieldRow{"stream", "whether a stream was asked for"},
    FieldRow{"service_tier", "as asked for"},
    FieldRow{"reasoning_effort", "as asked for, by the model's suffix or the body"},
    FieldRow{"session", "`source` and `id` of the session that the client names"},
    FieldRow{"request_encoding",
             "content coding of the request: `identity`, `gzip`, `deflate`, `br`, `zstd`, `other`"},
    FieldRow{"status", "final status; 101 for a WebSocket; 0: no answer could be given"},
    FieldRow{"response_kind", "`empty`, `json`, `sse`, `json-array`, `websocket`, `text`"},
    FieldRow{"response_encoding", "content coding of the response"},
    FieldRow{"events", "server-sent events, elements of an array, or a server's messages"},
    FieldRow{"response_model", "the model that the answer names"},
    FieldRow{"response_service_tier", "the tier that the answer names"},
    FieldRow{"finish", "why generation ended, in the dialect's own word"},
    FieldRow{"auth_index", "CPA's account that served the request"},
    FieldRow{"cpa_request_id", "CPA's own id of the request"},
    FieldRow{"retry_after_s", "seconds after which the answer asks to try again"},
    FieldRow{"ended", "`complete`, `client_gone`, `backend_broke_off`, `timeout`, `refused`"},
    FieldRow{"failed", "status 400 and up, an error anywhere in the answer, or a broken end"},
    FieldRow{"error", "`type`, `code` and `message` (made safe) of the first error"},
    FieldRow{"failure", "`category`, `field` and `confidence` of the verdict"},
    FieldRow{"tokens",
             "`input`, `cache_read`, `cache_creation`, `output`, `reasoning`, `unclassified`, which share no "
             "token, and `total`; `null`: no usage was seen, which is not zero"},
    FieldRow{"usage_quality", "how far the tokens can be relied on, as in usage"},
    FieldRow{"usage_complete", "whether they are final"},
    FieldRow{"usage_raw",
             "the usage object as it was on the wire; `null` also where it holds what looks like a secret"},
    FieldRow{"request_bytes", "bytes of the request's body"},
    FieldRow{"response_bytes", "bytes of the response's body"},
    FieldRow{"time_to_first_byte_seconds",
             "from `time` to the response's head; of a turn, to its first event"},
    FieldRow{"time_to_first_token_seconds", "from `time` to the first token"},
    FieldRow{"time_per_output_token_seconds", "for each token after the first"},
    FieldRow{"duration_seconds", "from `time` to the end"},
    FieldRow{"warmup", "whether it is a turn that runs no model"},
    FieldRow{"turns", "of a connection: how many turns it had, warm-ups too"},
};

constexpr std::array failure_rows{
    FieldRow{"category", "whose fault it is or of what kind, as in metrics"},
    FieldRow{"field",
             "the field of the provider's entry to look at: `base_url`, `auth_method`, `model_names`, "
             "`auth_binding` or `none`"},
    FieldRow{"confidence", "`low`, `medium` or `high`"},
    FieldRow{"confidence_reason", "what makes it so"},
    FieldRow{"message", "the error's text, values masked"},
    FieldRow{"status", "status of the answer, or the one that an error inside a 200 stands for"},
    FieldRow{"code", "machine code of the error"},
    FieldRow{"speaker", "whose words the message is: `portico` or the name of a backend"},
    FieldRow{"timer", "the time-out of the settings that ended it, such as `timeouts.response_head`"},
    FieldRow{"evidence", "sentences that speak for the verdict"},
    FieldRow{"next_step", "what to do, in one sentence"},
    FieldRow{
        "from_one_alone",
        "`category`, `field` and `confidence` as one such record gives them, without what other records say"},
    FieldRow{"count", "how often in the window"},
    FieldRow{"share",
             "of the traffic of its models in the window, from 0 to 1; of all traffic where 20 models or "
             "more are affected"},
    FieldRow{"first_seen", "when it was first seen, in the window or before"},
    FieldRow{"last_seen", "when it was last seen"},
    FieldRow{"models", "models that were asked for"},
    FieldRow{"keys", "masks of the clients' keys"},
    FieldRow{"auth_indexes", "CPA's accounts that were tried"},
    FieldRow{"request_field", "name of the request's field that was refused"},
    FieldRow{"sample_request_ids", "ids of some of the requests, for logs"},
};

constexpr std::array status_rows{
    FieldRow{"version, pid", "of the running binary"},
    FieldRow{"started, uptime_seconds", "when the process started, and how long ago"},
    FieldRow{"ready, draining", "what `/readyz` says"},
    FieldRow{"workers", "worker threads"},
    FieldRow{"streams", "exchanges and tunnels in progress"},
    FieldRow{"config",
             "`file` (`null`: built-in defaults), when the settings in force were `loaded`, `reloads` tried, "
             "and whether the last one succeeded (`last_reload_ok`)"},
    FieldRow{"listeners[]", "`address`, open `connections`, `accepted` and `refused` since the start"},
    FieldRow{"upstreams[]", "`name`, `endpoints[]`"},
    FieldRow{
        "upstreams[].endpoints[]",
        "`endpoint` (URL), `addresses` it resolves to (empty: it does not), `up`, `connections` {`active`, "
        "`idle`, `connecting`}, and since the start `connects`, `connect_failures`, `reused`, `retries`"},
    FieldRow{
        "certificates[]",
        "that clients are shown: `file` of the chain, `names` (hosts, then addresses), `not_after` when it "
        "expires, `key_type`"},
    FieldRow{"key_guard",
             "the brake on guessing keys: how many client addresses are `braked` now, and `addresses[]`"},
    FieldRow{
        "key_guard.addresses[]",
        "`address` (or IPv6 network), `until` when it is answered 429, and the `failures` that count for "
        "it; at most 100, those first that pause longest"},
};

constexpr std::array routes_rows{
    FieldRow{"label", "as in metrics"},
    FieldRow{"match", "`exact` or `prefix`"},
    FieldRow{"path", "that the rule is about"},
    FieldRow{"action", "`upstream`, `redirect` or `respond`"},
    FieldRow{"target", "the upstream's name, the `Location`, or the status of a fixed answer"},
};

constexpr std::array usage_parameters{
    FieldRow{"window",
             "`15m`, `1h` (the default), `24h`, `7d`, or any number of minutes, hours or days up to 31 days"},
    FieldRow{"group_by",
             "some of `model`, `key`, `dialect`, `route`, `endpoint`, with commas; none: totals only"},
    FieldRow{"model, key, dialect, route, endpoint",
             "only what fits; a key is named by its mask or by at least 8 digits of its fingerprint"},
};

constexpr std::array requests_parameters{
    FieldRow{"limit", "how many at most: 100 unless told, up to 1,000"},
    FieldRow{"status",
             "a code such as `429`, a class such as `4xx`, or `failed`; an error inside a 200 counts by the "
             "status that it stands for"},
    FieldRow{"model, key, dialect, route", "as for usage"},
};

constexpr std::string_view introduction = R"(# Management endpoint

Generated from the tables in `telemetry/`; a test holds the two equal. Do not edit.

An HTTP server of its own, by default on `127.0.0.1:9180`, for people, probes and Prometheus. It runs on the telemetry
thread and never on a worker, so it answers even when every worker is busy. Only `GET` and `HEAD` are understood.

)";

constexpr std::string_view access = R"(
## Who may ask

- **With `admin.token`** every path but `/healthz` and `/readyz` demands `Authorization: Bearer <token>`; otherwise 401.
- **Without a token** Portico starts only on a loopback address or a unix socket (mode 0660). On a loopback port the `Host` header
  must then be `localhost` or a loopback address, with any port; otherwise 403. This keeps out web pages whose own name was made to
  resolve to 127.0.0.1. A reverse proxy in front must send such a `Host`, or a token must be set. `/healthz` and `/readyz` answer
  to any name.

With `admin.tls_certificate` and `admin.tls_key` the endpoint speaks TLS (1.2 or 1.3) and nothing else: a plain request is
answered 400. With `admin.client_ca` besides, a client must show a certificate for clients of one of those authorities, or there is
no connection; the rules above hold all the same. The three files are read anew on SIGHUP and when they change; what is wrong with
them is told in the log, and what was read before stays in force.

Limits: head 8 KiB, body 1 KiB, 64 connections (more are answered 503, or closed under TLS), 10 s to send a request (a TLS
handshake before the first one included), 30 s to take an answer.

## Form of the JSON

Names are snake_case with the unit in the name, times are RFC 3339 in UTC, what has not happened or is not known is `null`. Fields
are added, never renamed. Errors are `{"error":{"code":..., "message":...}}` with the codes `bad_request`, `token_required`,
`invalid_token`, `forbidden_host`, `not_found`, `method_not_allowed`, `body_too_large`, `header_too_large`, `too_many_connections`,
`too_many_subscribers`, `internal_error`. A parameter of a query that is unknown, doubled or can't be understood is a `bad_request`.

No document holds an API key: only a mask, and a fingerprint whose secret stays on this machine. Texts of errors are made safe
before they are kept.
)";

constexpr std::string_view accounting = R"(
What counts as a request: an exchange, a turn of a WebSocket, or a WebSocket that had no turn. A WebSocket that had turns leaves one
more record, of the kind `connection`, which is no request: whoever adds up records, or the lines of the JSON access log, leaves out
records whose `turns` is above 0, and warm-ups. Then requests and tokens are those of usage and of `/metrics`.

A request counts at its end. Counts are kept by the minute for 3 hours and by the hour for 31 days, in memory. They are bounded: above
`telemetry.series` combinations, new ones count as `other` in every group; combinations whose model and key no successful answer
has vouched for may be a quarter of them. Where memory runs short, the split by names of the oldest hours is given up, and they
count as `other` too. Totals are always exact. A model is `unknown` where the request names none.
)";

void table(std::string& out, std::string_view head, FieldRows rows) {
  fmt::format_to(std::back_inserter(out), "| {} | meaning |\n|---|---|\n", head);
  for (const FieldRow& row : rows)
    fmt::format_to(std::back_inserter(out), "| `{}` | {} |\n", row.name, row.meaning);
}

}  // namespace

FieldRows record_fields() noexcept { return record_rows; }

FieldRows failure_fields() noexcept { return failure_rows; }

std::string render_management_reference() {
  std::string out(introduction);
  table(out, "path", ManagementServer::pages());
  out += access;

  out += "\n### `/api/v1/usage`\n\n";
  table(out, "parameter", usage_parameters);
  out += "\n";
  table(out, "field", usage_fields());
  out += "\nThe counts of `totals` and of each group:\n\n";
  table(out, "field", usage_counts_fields());
  out += accounting;

  out += "\n### `/api/v1/failures`\n\n`window`, `from` and `to` as in usage, and `failures[]`:\n\n";
  table(out, "field", failure_fields());

  out +=
      "\n### `/api/v1/requests`\n\n`requests[]`: the newest records first, of the last "
      "`telemetry.requests`.\n\n";
  table(out, "parameter", requests_parameters);
  out += "\nA record, which is also a line of the JSON access log and the data of an event:\n\n";
  table(out, "field", record_fields());

  fmt::format_to(
      std::back_inserter(out),
      "\n### `/api/v1/events`\n\n"
      "Server-sent events, with the parameters of `/api/v1/requests` but `limit`. Each record that fits is "
      "an `event: exchange` with the record as `data` and a running number as `id`. A client that is more "
      "than 1 MiB behind loses the oldest and gets an `event: dropped` with "
      "`{{\"count\":n}}`. A comment is sent every 15 s of silence. At most {} clients; more are answered "
      "503. A client that takes nothing for 30 s is cut.\n",
      EventFeed::max_subscribers);

  out += "\n### `/api/v1/status`\n\n";
  table(out, "field", status_rows);
  out +=
      "\n### `/api/v1/routes`\n\n`routes[]` in the order in which rules are tried: exact ones, then longer "
      "prefixes "
      "before shorter ones.\n\n";
  table(out, "field", routes_rows);
  out +=
      "\n### `/api/v1/config`\n\nThe settings in force in the layout of the settings file, defaults "
      "included; secrets "
      "are `***`.\n";
  return out;
}

}  // namespace portico::telemetry
