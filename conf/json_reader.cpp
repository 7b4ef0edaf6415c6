#include "conf/json_reader.hpp"

#include <fmt/format.h>

#include <set>

#include <boost/json/basic_parser_impl.hpp>

namespace portico::conf {
namespace {

namespace json = boost::json;

/// Builds the tree from the parser's events. The feeder tells where the current token began.
class TreeBuilder {
 public:
  constexpr static std::size_t max_array_size = max_json_size;
  constexpr static std::size_t max_object_size = max_json_size;
  constexpr static std::size_t max_string_size = max_json_size;
  constexpr static std::size_t max_key_size = max_json_size;

  explicit TreeBuilder(std::string_view name) : name_(name) {}

  std::optional<Position> token;  // where the token that is being read began
  std::optional<JsonValue> root;
  std::vector<Problem> problems;

  // The names and signatures below are what json::basic_parser calls.
  // NOLINTBEGIN(readability-identifier-naming)
  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return open(JsonObject{}); }
  bool on_object_end(std::size_t, json::error_code&) { return close(); }
  bool on_array_begin(json::error_code&) { return open(JsonArray{}); }
  bool on_array_end(std::size_t, json::error_code&) { return close(); }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    append(part);
    Level& level = levels_.back();
    level.key = std::exchange(text_, {});
    level.key_at = take_token();
    level.repeated = !level.seen.insert(level.key).second;
    if (level.repeated)
      problems.push_back(
          {std::string(name_),
           level.key_at.line,
           level.key_at.column,
           {},
           fmt::format("the key {} stands twice in this object", quote_json(level.key.substr(0, 64)))});
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    append(part);
    return add(std::exchange(text_, {}));
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) { return add(value); }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) { return add(value); }
  bool on_double(double value, json::string_view, json::error_code&) { return add(value); }
  bool on_bool(bool value, json::error_code&) { return add(value); }
  bool on_null(json::error_code&) { return add(nullptr); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
  // NOLINTEND(readability-identifier-naming)

 private:
  /// A list or object that is not closed yet.
  struct Level {
    JsonValue value;
    std::string key;
    Position key_at;
    bool repeated = false;
    std::set<std::string> seen;
  };

  Position take_token() { return std::exchange(token, std::nullopt).value_or(Position{}); }

  bool append(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }

  template <class T>
  bool open(T&& empty) {
    levels_.push_back({.value = {.data = std::forward<T>(empty), .at = take_token()},
                       .key = {},
                       .key_at = {},
                       .repeated = false,
                       .seen = {}});
    return true;
  }

  bool close() {
    JsonValue value = std::move(levels_.back().value);
    levels_.pop_back();
    token.reset();
    attach(std::move(value));
    return true;
  }

  template <class T>
  bool add(T&& data) {
    attach({.data = std::forward<T>(data), .at = take_token()});
    return true;
  }

  void attach(JsonValue&& value) {
    if (levels_.empty()) {
      root = std::move(value);
      return;
    }
    Level& parent = levels_.back();
    if (auto* array = std::get_if<JsonArray>(&parent.value.data)) {
      array->push_back(std::move(value));
    } else if (!parent.repeated) {
      std::get<JsonObject>(parent.value.data)
          .push_back({.key = std::move(parent.key), .at = parent.key_at, .value = std::move(value)});
    }
  }

  std::string_view name_;
  std::string text_;  // the string or key so far
  std::vector<Level> levels_;
};

/// Turns comments into spaces byte by byte. Boost.JSON can skip comments, but up to 1.81 it misses the end of
/// one that closes with two asterisks.
class CommentFilter {
 public:
  enum class Verdict : std::uint8_t { feed, skip, feed_slash_first };

  Verdict next(char c, Position at) {
    switch (state_) {
      case State::plain:
        if (c == '"') state_ = State::string;
        if (c != '/') return Verdict::feed;
        state_ = State::slash;
        began_ = at;
        return Verdict::skip;
      case State::string:
        if (c == '\\') state_ = State::escape;
        if (c == '"') state_ = State::plain;
        return Verdict::feed;
      case State::escape:
        state_ = State::string;
        return Verdict::feed;
      case State::slash:
        if (c == '/' || c == '*') {
          state_ = c == '/' ? State::line : State::block;
          return Verdict::skip;
        }
        state_ = State::plain;
        return Verdict::feed_slash_first;
      case State::line:
        if (c == '\n') state_ = State::plain;
        return Verdict::skip;
      case State::block:
        if (c == '*') state_ = State::star;
        return Verdict::skip;
      case State::star:
        if (c == '/')
          state_ = State::plain;
        else if (c != '*')
          state_ = State::block;
        return Verdict::skip;
    }
    return Verdict::feed;
  }

  /// A comment (or lone slash) that the end of the text cuts off.
  [[nodiscard]] bool unfinished() const {
    return state_ == State::slash || state_ == State::block || state_ == State::star;
  }
  /// Where the last comment began.
  [[nodiscard]] Position began() const { return began_; }

 private:
  enum class State : std::uint8_t { plain, string, escape, slash, line, block, star };
  State state_ = State::plain;
  Position began_;
};

std::string syntax_message(char c, const json::error_code& error) {
  if (error == json::error::too_deep) return fmt::format("nested more than {} deep", max_json_depth);
  if (error != json::error::syntax) return "not JSON here: " + error.message();
  const auto byte = static_cast<unsigned char>(c);
  if (byte < 0x20 || byte >= 0x7f) return fmt::format("not JSON here: unexpected byte 0x{:02x}", byte);
  return fmt::format("not JSON here: unexpected '{}'", c);
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view name) : text_(text), name_(name), parser_(options(), name) {}

  JsonDocument read() {
    if (text_.size() > max_json_size)
      return failed({}, fmt::format("longer than {} KiB, the most that is read", max_json_size / 1024));
    Position at;
    for (const char c : text_) {
      if (auto document = step(c, at)) return std::move(*document);
      if (c == '\n') {
        ++at.line;
        at.column = 1;
      } else {
        ++at.column;
      }
    }
    if (filter_.unfinished()) return failed(filter_.began(), "a comment that does not end");
    json::error_code error;
    parser_.write_some(false, "", 0, error);
    if (error) return failed(at, "the text ends too early; a bracket, quote or value is missing");
    return {std::move(handler().root), std::move(handler().problems)};
  }

 private:
  static json::parse_options options() {
    json::parse_options options;
    options.max_depth = max_json_depth;
    options.allow_trailing_commas = true;
    return options;
  }

  TreeBuilder& handler() { return parser_.handler(); }

  std::optional<JsonDocument> step(char c, Position at) {
    switch (filter_.next(c, at)) {
      case CommentFilter::Verdict::feed:
        return feed(c, at);
      case CommentFilter::Verdict::skip:
        // A comment separates tokens.
        return feed(' ', at);
      case CommentFilter::Verdict::feed_slash_first:
        return feed('/', filter_.began());
    }
    return std::nullopt;
  }

  std::optional<JsonDocument> feed(char c, Position at) {
    const bool separator = std::string_view(" \t\r\n,:").find(c) != std::string_view::npos;
    json::error_code error;
    if (!handler().token && !separator) handler().token = at;
    const std::size_t taken = parser_.write_some(true, &c, 1, error);
    if (error) return failed(at, syntax_message(c, error));
    if (taken == 0 && !separator) return failed(at, "text after the end of the settings");
    return std::nullopt;
  }

  JsonDocument failed(Position at, std::string message) const {
    return {std::nullopt, {{std::string(name_), at.line, at.column, {}, std::move(message)}}};
  }

  std::string_view text_;
  std::string_view name_;
  CommentFilter filter_;
  json::basic_parser<TreeBuilder> parser_;
};

}  // namespace

std::optional<std::uint64_t> JsonValue::unsigned_integer() const noexcept {
  if (const auto* value = std::get_if<std::uint64_t>(&data)) return *value;
  const auto* value = std::get_if<std::int64_t>(&data);
  if (value == nullptr || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

JsonDocument read_json(std::string_view text, std::string_view name) { return Reader(text, name).read(); }

std::string quote_json(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out.append({'\\', c});
    else if (c == '\n')
      out += "\\n";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\u{:04x}", byte);
    else
      out += c;
  }
  return out + '"';
}

}  // namespace portico::conf
