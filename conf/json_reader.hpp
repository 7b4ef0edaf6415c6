#pragma once
// JSON with comments and trailing commas, read into a tree in which every value and key knows where it stood.
//
// owns:    JsonDocument owns the tree; nothing points into the text
// threads: any
// errors:  never thrown; a text that is not JSON has no root and one problem, a repeated key is a problem
// Not for the data path: the text is fed to the parser byte by byte, to know positions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "conf/problem.hpp"

namespace portico::conf {

/// The longest text that is read.
inline constexpr std::size_t max_json_size = 1'048'576;
/// The deepest nesting of lists and objects.
inline constexpr std::size_t max_json_depth = 32;

/// 1-based; the column counts bytes.
struct Position {
  unsigned line = 1;
  unsigned column = 1;
  friend bool operator==(const Position&, const Position&) = default;
};

struct JsonMember;
struct JsonValue;
using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<JsonMember>;

/// Integers are int64_t unless only uint64_t holds them.
struct JsonValue {
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, JsonArray, JsonObject>
      data;
  Position at;

  /// Null unless the value is of that type.
  [[nodiscard]] const std::string* string() const noexcept { return std::get_if<std::string>(&data); }
  [[nodiscard]] const JsonArray* array() const noexcept { return std::get_if<JsonArray>(&data); }
  [[nodiscard]] const JsonObject* object() const noexcept { return std::get_if<JsonObject>(&data); }
  /// The value of an integer that is not negative.
  [[nodiscard]] std::optional<std::uint64_t> unsigned_integer() const noexcept;
};

/// A member of an object, in the order of the file. Of a repeated key the first stays.
struct JsonMember {
  std::string key;
  Position at;  ///< of the key
  JsonValue value;
};

struct JsonDocument {
  std::optional<JsonValue> root;
  std::vector<Problem> problems;
};

/// Reads `text`. `name` becomes the source of problems.
JsonDocument read_json(std::string_view text, std::string_view name);

/// The text as a JSON string: quoted, with `"`, `\` and bytes below 0x20 and 0x7f escaped.
std::string quote_json(std::string_view text);

}  // namespace portico::conf
