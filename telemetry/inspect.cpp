#include "telemetry/inspect.hpp"

#include <span>

#include "telemetry/failures/classify.hpp"
#include "telemetry/record_json.hpp"

namespace portico::telemetry {
namespace {

std::string_view word_of(bool value) noexcept { return value ? "true" : "false"; }

void write_turn(JsonWriter& json, const Record& turn) {
  json.open_object();
  json.key("model").text_or_null(turn.text(Text::model));
  json.key("response_model").text_or_null(turn.text(Text::response_model));
  json.key("warmup").raw(word_of(turn->warmup));
  json.key("finish").text_or_null(turn.text(Text::finish));
  json.key("failed").raw(word_of(turn->failed));
  json.key("error");
  write_record_error(json, turn);
  json.key("tokens");
  write_record_tokens(json, turn->tokens);
  json.key("usage_quality").text(name_of(turn->usage_quality));
  json.key("usage_raw");
  write_record_usage_raw(json, turn);
  json.close_object();
}

void write_turns(JsonWriter& json, const Record& record, std::span<const KeptRecord> turns) {
  json.key("turns");
  if (record->kind != RecordKind::connection) {
    json.null();
    return;
  }
  json.open_array();
  for (const KeptRecord& turn : turns) write_turn(json, turn.record());
  json.close_array();
}

/// One member of the outermost object on each line.
std::string with_lines(std::string_view json) {
  std::string out;
  int depth = 0;
  bool in_text = false;
  bool escaped = false;
  for (const char byte : json) {
    const bool closes = !in_text && (byte == '}' || byte == ']');
    if (closes && depth-- == 1) out += '\n';
    out += byte;
    if (in_text) {
      if (!escaped && byte == '"') in_text = false;
      escaped = !escaped && byte == '\\';
    } else if (byte == '"') {
      in_text = true;
    } else if (byte == '{' || byte == '[') {
      if (++depth == 1) out += "\n  ";
    } else if (byte == ',' && depth == 1) {
      out += "\n  ";
    } else if (byte == ':' && depth == 1) {
      out += ' ';
    }
  }
  return out + '\n';
}

}  // namespace

void RecordCollection::push(const Record& record) noexcept {
  records_.push_back({record.facts(), std::string(record.texts())});
}

std::string render_inspection(const RecordCollection& collection, const CapturedBodies& bodies) {
  const std::vector<KeptRecord>& records = collection.records();
  if (records.empty()) return "null\n";
  const Record record = records.back().record();
  std::string out;
  JsonWriter json(out);
  json.open_object();
  write_record_request(json, record);
  write_record_response(json, record, classify(record));
  write_record_usage(json, record);
  write_turns(json, record, std::span(records).first(records.size() - 1));
  json.key("request_body_bytes").number(bodies.request_bytes);
  json.key("response_body_bytes").number(bodies.response_bytes);
  json.key("response_body_sha256").text(bodies.response_sha256);
  json.close_object();
  return with_lines(out);
}

}  // namespace portico::telemetry
