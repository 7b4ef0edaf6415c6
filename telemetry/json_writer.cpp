#include "telemetry/json_writer.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

// Bytes that may stand in a JSON string as they are, whatever surrounds them.
bool plain(char c) noexcept {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';  // a negative char is not ASCII
}

}  // namespace

void JsonWriter::separate() {
  if (comma_) out_ += ',';
  comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  out_ += '"';
  out_ += name;
  out_ += "\":";
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  out_ += '"';
  bool simple = true;
  for (const char c : value) simple = simple && plain(c);
  if (simple) {
    out_ += value;
  } else {
    for (const char c : utf8(value)) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (byte < 0x20 || byte == 0x7f) {
        fmt::format_to(std::back_inserter(out_), "\\u{:04x}", byte);
      } else {
        out_ += c;
      }
    }
  }
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::number(std::optional<double> value) {
  if (!value) return null();
  separate();
  fmt::format_to(std::back_inserter(out_), "{:.6g}", *value);
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

}  // namespace portico::telemetry
