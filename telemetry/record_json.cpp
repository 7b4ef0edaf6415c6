#include "telemetry/record_json.hpp"

#include <algorithm>
#include <chrono>

#include <boost/json.hpp>

#include "telemetry/json_writer.hpp"
#include "telemetry/tap/model_name.hpp"
#include "telemetry/tap/user_agent.hpp"
#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

void write_boolean(JsonWriter& json, bool value) { json.raw(value ? "true" : "false"); }

void write_seconds(JsonWriter& json, std::uint64_t microseconds) {
  if (microseconds == no_time)
    json.null();
  else
    json.number(static_cast<double>(microseconds) / 1e6);
}

template <class Number>
void write_number_or_null(JsonWriter& json, Number value, Number absent) {
  if (value == absent)
    json.null();
  else
    json.number(value);
}

void write_time(JsonWriter& json, std::uint64_t unix_us) {
  const Rfc3339Text text = rfc3339_text(std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::microseconds(unix_us))));
  json.text({text.data(), text.size()});
}

void write_key(JsonWriter& json, const Record& record) {
  const std::string_view mask = record.text(Text::key_mask);
  if (mask.empty()) {
    json.null();
    return;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 2 * sizeof(KeyFingerprint)> hex{};
  for (std::size_t i = 0; i < record->key.size(); ++i) {
    hex[2 * i] = digits[record->key[i] >> 4U];
    hex[2 * i + 1] = digits[record->key[i] & 15U];
  }
  json.open_object();
  json.key("fingerprint").text({hex.data(), hex.size()});
  json.key("mask").text(mask);
  json.close_object();
}

void write_model(JsonWriter& json, const Record& record) {
  const ModelName name = read_model_name(record.text(Text::model));
  json.key("provider_family").text_or_null(provider_family(name.base));
  json.key("model").text_or_null(record.text(Text::model));
  json.key("model_base").text_or_null(name.base);
  json.key("model_prefix").text_or_null(name.prefix);
  json.key("model_suffix").text_or_null(name.suffix);
}

/// The model's suffix beats what the body says.
void write_effort(JsonWriter& json, const Record& record) {
  std::string effort = read_model_name(record.text(Text::model)).suffix;
  if (effort.empty()) effort = record.text(Text::reasoning_effort);
  std::transform(effort.begin(), effort.end(), effort.begin(), [](char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
  });
  json.text_or_null(effort);
}

void write_session(JsonWriter& json, const Record& record) {
  if (record.text(Text::session_id).empty()) {
    json.null();
    return;
  }
  json.open_object();
  json.key("source").text_or_null(record.text(Text::session_source));
  json.key("id").text(record.text(Text::session_id));
  json.close_object();
}

/// Printed as it came if it is JSON; a wrong byte in it would spoil the whole document.
void write_usage_raw(JsonWriter& json, std::string_view raw) {
  if (raw.empty()) {
    json.null();
    return;
  }
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse({raw.data(), raw.size()}, error);
  if (error)
    json.null();
  else
    json.raw(boost::json::serialize(value));
}

}  // namespace

void write_record_error(JsonWriter& json, const Record& record) {
  if (!record->has_error) {
    json.null();
    return;
  }
  json.open_object();
  json.key("type").text_or_null(record.text(Text::error_type));
  json.key("code").text_or_null(record.text(Text::error_code));
  json.key("message").text_or_null(record.text(Text::error_message));
  json.close_object();
}

void write_record_tokens(JsonWriter& json, const TokenCounts& tokens) {
  if (!tokens.seen) {
    json.null();
    return;
  }
  json.open_object();
  for (std::size_t i = 0; i < token_kind_count; ++i) {
    const auto kind = static_cast<TokenKind>(i);
    json.key(name_of(kind)).number(tokens[kind]);
  }
  json.key("total").number(tokens.total());
  json.close_object();
}

void write_record_usage(JsonWriter& json, const Record& record) {
  const UsageQuality quality = record->usage_quality;
  json.key("tokens");
  write_record_tokens(json, record->tokens);
  json.key("usage_quality").text(name_of(quality));
  json.key("usage_complete");
  write_boolean(json, quality == UsageQuality::complete || quality == UsageQuality::inconsistent ||
                          quality == UsageQuality::unclassified);
  json.key("usage_raw");
  write_record_usage_raw(json, record);
}

void write_record_usage_raw(JsonWriter& json, const Record& record) {
  write_usage_raw(json, record.text(Text::usage_raw));
}

void write_record_request(JsonWriter& json, const Record& record) {
  const RecordFacts& facts = record.facts();
  json.key("dialect").text(name_of(facts.dialect));
  json.key("operation").text(name_of(facts.operation));
  json.key("owner").text_or_null(record.text(Text::owner));
  json.key("method").text_or_null(record.text(Text::method));
  json.key("path").text_or_null(record.text(Text::path));
  write_model(json, record);
  json.key("stream");
  write_boolean(json, facts.stream);
  json.key("service_tier").text_or_null(record.text(Text::service_tier));
  json.key("reasoning_effort");
  write_effort(json, record);
  json.key("session");
  write_session(json, record);
  json.key("request_encoding").text(name_of(facts.request_coding));
}

void write_record_response(JsonWriter& json, const Record& record, const std::optional<Verdict>& verdict) {
  const RecordFacts& facts = record.facts();
  json.key("status").number(facts.status);
  json.key("response_kind").text(name_of(facts.response_kind));
  json.key("response_encoding").text(name_of(facts.response_coding));
  json.key("events");
  write_number_or_null(json, facts.events, no_number);
  json.key("response_model").text_or_null(record.text(Text::response_model));
  json.key("response_service_tier").text_or_null(record.text(Text::response_service_tier));
  json.key("finish").text_or_null(record.text(Text::finish));
  json.key("auth_index").text_or_null(record.text(Text::auth_index));
  json.key("cpa_request_id").text_or_null(record.text(Text::cpa_request_id));
  json.key("retry_after_s");
  write_number_or_null(json, facts.retry_after_s, no_number);
  json.key("ended").text(name_of(facts.ended));
  json.key("failed");
  write_boolean(json, facts.failed);
  json.key("error");
  write_record_error(json, record);
  json.key("failure");
  if (verdict) {
    json.open_object();
    json.key("category").text(name_of(verdict->category));
    json.key("field").text(name_of(verdict->field));
    json.key("confidence").text(name_of(verdict->confidence));
    json.close_object();
  } else {
    json.null();
  }
}

void append_record_json(std::string& out, const Record& record, const std::optional<Verdict>& verdict,
                        const RecordLabels& labels) {
  const RecordFacts& facts = record.facts();
  JsonWriter json(out);
  json.open_object();
  json.key("id").text_or_null(record.text(Text::request_id));
  json.key("time");
  write_time(json, facts.start_unix_us);
  json.key("kind").text(name_of(facts.kind));
  json.key("worker").number(facts.worker);
  json.key("listener").text_or_null(labels.listener);
  json.key("client").text_or_null(record.text(Text::client));
  json.key("route").text_or_null(labels.route);
  json.key("upstream").text_or_null(labels.upstream);
  json.key("endpoint").text_or_null(labels.endpoint);
  json.key("key");
  write_key(json, record);
  json.key("user_agent").text_or_null(user_agent_family(record.text(Text::user_agent)));
  write_record_request(json, record);
  write_record_response(json, record, verdict);
  write_record_usage(json, record);
  json.key("request_bytes").number(facts.request_bytes);
  json.key("response_bytes").number(facts.response_bytes);
  json.key("time_to_first_byte_seconds");
  write_seconds(json, facts.first_byte_us);
  json.key("time_to_first_token_seconds");
  write_seconds(json, facts.first_token_us);
  json.key("time_per_output_token_seconds").number(seconds_per_output_token(facts));
  json.key("duration_seconds");
  write_seconds(json, facts.duration_us);
  json.key("warmup");
  write_boolean(json, facts.warmup);
  json.key("turns");
  if (facts.kind == RecordKind::connection)
    json.number(facts.turns);
  else
    json.null();
  json.close_object();
}

}  // namespace portico::telemetry
