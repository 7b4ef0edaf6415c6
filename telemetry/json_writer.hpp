#pragma once
// Writes compact JSON straight into a string: for documents that would be costly as a tree.
//
// owns:    nothing; appends to the caller's string
// threads: one
// The caller opens and closes what it should; commas are the writer's business.

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portico::telemetry {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) noexcept : out_(out) {}

  JsonWriter& open_object() { return open('{'); }
  JsonWriter& open_array() { return open('['); }
  JsonWriter& close_object() { return close('}'); }
  JsonWriter& close_array() { return close(']'); }
  /// `name` is a literal that needs no escapes.
  JsonWriter& key(std::string_view name);

  /// What is not well-formed UTF-8 becomes `?`.
  JsonWriter& text(std::string_view value);
  JsonWriter& text_or_null(std::string_view value) { return value.empty() ? null() : text(value); }
  template <std::integral Number>
  JsonWriter& number(Number value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return raw({digits, static_cast<std::size_t>(end - digits)});
  }
  /// Six significant digits.
  JsonWriter& number(std::optional<double> value);
  JsonWriter& null() { return raw("null"); }
  /// A complete JSON value.
  JsonWriter& raw(std::string_view json);

 private:
  void separate();
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);

  std::string& out_;
  bool comma_ = false;
};

}  // namespace portico::telemetry
