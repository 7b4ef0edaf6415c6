#include <algorithm>
#include <cstddef>
#include <iterator>

#include "telemetry/failures/characters.hpp"
#include "telemetry/failures/sanitise.hpp"

namespace portico::telemetry {
namespace {

// Joins numbers: `10.20`, `12:34`, `2026-11`.
constexpr bool joins(char c) noexcept { return std::string_view(".:,/-+").find(c) != std::string_view::npos; }

// Nouns whose next word names one of many: the same fault befalls each of them.
bool names_one(std::string_view word) noexcept {
  return word == "model" || word == "models" || word == "provider" || word == "providers";
}

// Where the quoted string that begins at `at` ends; npos where no string does.
std::size_t quoted_end(std::string_view text, std::size_t at) noexcept {
  const char quote = text[at];
  const bool opens = (quote == '"' || quote == '\'' || quote == '`') && (at == 0 || !is_word(text[at - 1]));
  return opens ? text.find(quote, at + 1) : std::string_view::npos;
}

}  // namespace

std::string fault_shape(std::string_view sanitised) {
  std::string shape;
  shape.reserve(sanitised.size());
  bool one_of_many = false;
  for (std::size_t i = 0; i < sanitised.size();) {
    const char c = sanitised[i];
    if (const std::size_t close = quoted_end(sanitised, i); close != std::string_view::npos) {
      // A URL's host tells one fault from another; the quotes around it don't matter.
      if (sanitised.substr(i, close - i).find("://") == std::string_view::npos) {
        shape += "'#'";
        i = close;
      }
      ++i;
      one_of_many = false;
      continue;
    }
    if (!is_word(c)) {
      // `unknown model: x`, `model=x` and `model x` name one alike; nothing else stands between.
      if (c != ' ' && c != '=' && c != ':') one_of_many = false;
      shape += c;
      ++i;
      continue;
    }
    std::size_t end = i;
    bool digits = false;
    while (end < sanitised.size() && is_word(sanitised[end])) digits |= is_digit(sanitised[end++]);
    if (digits || one_of_many) {
      // The parts of a name, a time or an address are one thing.
      while (end + 1 < sanitised.size() && joins(sanitised[end]) && is_word(sanitised[end + 1])) {
        bool more_digits = false;
        std::size_t next = end + 1;
        while (next < sanitised.size() && is_word(sanitised[next]))
          more_digits |= is_digit(sanitised[next++]);
        if (!more_digits && !one_of_many) break;
        end = next;
      }
      shape += '#';
      one_of_many = false;
    } else {
      const std::size_t begin = shape.size();
      std::transform(sanitised.begin() + static_cast<std::ptrdiff_t>(i),
                     sanitised.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(shape),
                     to_lower);
      one_of_many = names_one(std::string_view(shape).substr(begin));
    }
    i = end;
  }
  return shape;
}

}  // namespace portico::telemetry
