#include "telemetry/failures/address_words.hpp"

#include <algorithm>

#include "telemetry/failures/characters.hpp"

namespace portico::telemetry {
namespace {

char char_at(std::string_view text, std::size_t at) noexcept { return at < text.size() ? text[at] : '\0'; }

bool begins_word(std::string_view text, std::size_t at, char inside) noexcept {
  return at == 0 || (!is_word(text[at - 1]) && text[at - 1] != inside);
}

}  // namespace

std::size_t ipv4_size(std::string_view text, std::size_t at) noexcept {
  if (!is_digit(char_at(text, at)) || !begins_word(text, at, '.')) return 0;
  std::size_t i = at;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && char_at(text, i++) != '.') return 0;
    const std::size_t begin = i;
    while (i - begin < 4 && is_digit(char_at(text, i))) ++i;
    if (i == begin || i - begin > 3) return 0;
  }
  const char next = char_at(text, i);
  return is_word(next) || (next == '.' && is_digit(char_at(text, i + 1))) ? 0 : i - at;
}

std::size_t ipv6_size(std::string_view text, std::size_t at) noexcept {
  const char first = char_at(text, at);
  if ((!is_hex(first) && first != ':') || !begins_word(text, at, ':')) return 0;
  std::size_t i = at;
  std::size_t colons = 0;
  std::size_t group = 0;
  bool shortened = false;
  for (; i - at < 46 && (is_hex(char_at(text, i)) || char_at(text, i) == ':'); ++i) {
    if (text[i] == ':') {
      ++colons;
      shortened |= char_at(text, i + 1) == ':';
      group = 0;
    } else if (++group > 4) {
      return 0;
    }
  }
  // A colon behind the address is the sentence's.
  if (text[i - 1] == ':' && (i - at < 2 || text[i - 2] != ':')) {
    --i;
    --colons;
  }
  const bool whole = colons == 7 || colons == 5 || (shortened && colons >= 2 && i - at > 2);
  if (!whole || is_word(char_at(text, i))) return 0;
  if (char_at(text, i) == '%') {
    ++i;
    while (is_alnum(char_at(text, i))) ++i;
  }
  return i - at;
}

bool is_mail_domain(std::string_view text) noexcept {
  const bool letters =
      std::any_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_wide(c); });
  const bool address = std::count(text.begin(), text.end(), '.') == 3;
  return (letters && text != "latest" && text != "default") || address;
}

bool is_base64(std::string_view run) noexcept {
  if (run.size() < 20 || run.find_first_of("+/=") == std::string_view::npos || run.starts_with('/'))
    return false;
  bool upper = false;
  bool lower = false;
  std::size_t changes = 0;
  char last = '\0';
  for (const char c : run) {
    if (!is_alnum(c) && std::string_view("+/=_-").find(c) == std::string_view::npos) return false;
    const char kind = is_digit(c) ? 'd' : is_upper(c) ? 'u' : is_letter(c) ? 'l' : last;
    if (kind != last) ++changes;
    last = kind;
    upper |= kind == 'u';
    lower |= kind == 'l';
  }
  return upper && lower && changes * 20 >= run.size() * 9;
}

}  // namespace portico::telemetry
