#include "telemetry/failures/request_field.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "telemetry/failures/characters.hpp"
#include "telemetry/failures/secret_words.hpp"

namespace portico::telemetry {
namespace {

constexpr std::size_t longest = 128;
constexpr std::size_t npos = std::string_view::npos;

// A name, or names and indexes joined by dots and brackets.
bool is_path(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || std::string_view("_.[]-$").find(c) != npos; });
}

std::string_view first_part(std::string_view path) noexcept {
  return path.substr(0, path.find_first_of(".["));
}

// Words after which a quoted name is the request's field.
bool introduces_field(std::string_view before) noexcept {
  static constexpr std::array<std::string_view, 14> words{
      "parameter", "parameters", "field", "fields", "argument", "arguments", "property",
      "at",        "name",       "for",   "param",  "option",   "required",  "attribute"};
  return std::any_of(words.begin(), words.end(), [&](std::string_view one) {
    return one.size() == before.size() && starts_with_words(before, one);
  });
}

std::string_view word_before(std::string_view text, std::size_t at) noexcept {
  while (at > 0 && (text[at - 1] == ' ' || text[at - 1] == ':')) --at;
  std::size_t begin = at;
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  return text.substr(begin, at - begin);
}

// `messages.0.content: Field required`.
std::string_view leading_path(std::string_view message) noexcept {
  const std::size_t end = message.find_first_of(": ");
  if (end == npos || message[end] != ':') return {};
  const std::string_view path = message.substr(0, end);
  return is_path(path) && (is_request_field(first_part(path)) || path.find_first_of(".[") != npos)
             ? path
             : std::string_view{};
}

}  // namespace

std::string_view request_field_in(std::string_view message) noexcept {
  if (const std::string_view path = leading_path(message); !path.empty()) return path;
  for (std::size_t at = message.find_first_of("'\"`"); at != npos;
       at = message.find_first_of("'\"`", at + 1)) {
    const std::size_t close = message.find(message[at], at + 1);
    if (close == npos || close - at > longest) continue;
    const std::string_view quoted = message.substr(at + 1, close - at - 1);
    if (is_path(quoted) &&
        (is_request_field(first_part(quoted)) || introduces_field(word_before(message, at)))) {
      return quoted;
    }
  }
  return {};
}

}  // namespace portico::telemetry
