#include "telemetry/failures/plain_text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "telemetry/failures/characters.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

constexpr std::optional<unsigned> hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = to_lower(c);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a') + 10U;
  return std::nullopt;
}

std::optional<unsigned> hex_number(std::string_view digits) noexcept {
  unsigned number = 0;
  for (const char c : digits) {
    const auto digit = hex_value(c);
    if (!digit) return std::nullopt;
    number = number * 16 + *digit;
  }
  return number;
}

// Characters that show nothing, or reorder what is shown: a secret could be hidden behind them.
constexpr bool is_invisible(std::uint32_t c) noexcept {
  return (c >= 0x80 && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) ||
         c == 0xfeff || (c >= 0xe0000 && c <= 0xe01ef);
}

constexpr bool is_wide_blank(std::uint32_t c) noexcept {
  return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

// Takes bytes one by one; what has become a complete escape at the end of the output is replaced at once by
// what it stands for, which may in turn complete another. Each replacement shortens the output, so the whole
// is linear.
class Unwrapper {
 public:
  explicit Unwrapper(std::size_t size) { out_.reserve(size); }

  void put(char c) {
    if (in_path_) {
      if (!ends_path(c)) return;
      in_path_ = false;
    }
    std::optional<char> next = c;
    while (next) next = append(*next);
  }
  void put_character(std::uint32_t c) {
    if (is_invisible(c)) return;
    if (is_wide_blank(c)) return put(' ');
    if (c >= 0xff01 && c <= 0xff5e) return put(static_cast<char>(c - 0xff01 + '!'));
    if (c < 0x800) {
      put_byte(0xc0U | (c >> 6U));
    } else if (c < 0x10000) {
      put_byte(0xe0U | (c >> 12U));
      put_byte(0x80U | ((c >> 6U) & 0x3fU));
    } else {
      put_byte(0xf0U | (c >> 18U));
      put_byte(0x80U | ((c >> 12U) & 0x3fU));
      put_byte(0x80U | ((c >> 6U) & 0x3fU));
    }
    put_byte(0x80U | (c & 0x3fU));
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void put_byte(std::uint32_t byte) {
    if (!in_path_) out_ += static_cast<char>(byte);
  }
  static bool ends_path(char c) noexcept {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' ||
           std::string_view("\"'<>|,;)`").find(c) != std::string_view::npos;
  }
  [[nodiscard]] std::size_t backslashes() const noexcept {
    std::size_t count = 0;
    while (count < out_.size() && out_[out_.size() - 1 - count] == '\\') ++count;
    return count;
  }

  // Appends one byte; returns the one to append instead of what was taken back.
  std::optional<char> append(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\r') return append_blank('\n');
    // The marks of quotes come from here alone.
    if (byte < 0x20 && !is_mark(c)) return append_blank(' ');
    if (byte == 0x7f) return std::nullopt;
    if (c == ' ') return append_blank(' ');
    if (c == '\\') return append_backslash();
    if (const std::size_t escapes = backslashes(); escapes > 0 && c != 'u') {
      if (const auto escaped = escape(c, escapes)) {
        out_.resize(out_.size() - escapes);
        return escaped;
      }
    }
    out_ += c;
    if (c == ';') return entity();
    if (hex_value(c)) return number();
    return std::nullopt;
  }
  static bool is_mark(char c) noexcept { return c >= quote_level_1 && c <= escaped_apostrophe; }

  std::optional<char> append_blank(char blank) {
    if (!out_.empty() && (out_.back() == ' ' || out_.back() == '\n')) {
      if (blank == '\n') out_.back() = '\n';
    } else {
      out_ += blank;
    }
    return std::nullopt;
  }

  std::optional<char> append_backslash() {
    const std::size_t size = out_.size();
    const bool drive = size >= 2 && out_[size - 1] == ':' && is_letter(out_[size - 2]);
    if (drive && (size == 2 || !is_alnum(out_[size - 3]))) {
      out_.resize(size - 2);
      out_ += path_mask;
      in_path_ = true;
      return std::nullopt;
    }
    // More than this say nothing new, and counting them must stay cheap.
    if (backslashes() < 8) out_ += '\\';
    return std::nullopt;
  }

  static std::optional<char> escape(char c, std::size_t escapes) noexcept {
    switch (c) {
      case '"':
      case quote_level_1:
        return escapes <= 2 ? quote_level_1 : escapes <= 6 ? quote_level_2 : quote_level_3;
      case '\'':
        return escaped_apostrophe;
      case '/':
        return '/';
      case 'n':
      case 'r':
        return '\n';
      case 't':
      case 'b':
      case 'f':
        return ' ';
      default:
        return std::nullopt;
    }
  }

  std::optional<char> entity() {
    struct Entity {
      std::string_view name;
      char stands_for;
    };
    static constexpr std::array<Entity, 12> entities{{{"&quot;", '"'},
                                                      {"&apos;", '\''},
                                                      {"&amp;", '&'},
                                                      {"&lt;", '<'},
                                                      {"&gt;", '>'},
                                                      {"&nbsp;", ' '},
                                                      {"&#34;", '"'},
                                                      {"&#39;", '\''},
                                                      {"&#x27;", '\''},
                                                      {"&#x22;", '"'},
                                                      {"&colon;", ':'},
                                                      {"&equals;", '='}}};
    for (const Entity& entity : entities) {
      if (out_.ends_with(entity.name)) {
        out_.resize(out_.size() - entity.name.size());
        return entity.stands_for;
      }
    }
    return std::nullopt;
  }

  std::optional<char> number() {
    const std::string_view out(out_);
    if (out.size() >= 3 && out[out.size() - 3] == '%') {
      const auto byte = hex_number(out.substr(out.size() - 2));
      // Bytes of longer characters stay encoded: alone they are no text.
      if (byte && *byte < 0x80) {
        out_.resize(out_.size() - 3);
        return *byte < 0x20 && *byte != '\n' && *byte != '\r' ? ' ' : static_cast<char>(*byte);
      }
    }
    if (out.size() >= 6 && out[out.size() - 5] == 'u' && out[out.size() - 6] == '\\') {
      if (const auto code = hex_number(out.substr(out.size() - 4))) return character(*code);
    }
    return std::nullopt;
  }

  std::optional<char> character(unsigned code) {
    out_.resize(out_.size() - 5);
    const std::size_t escapes = backslashes();
    out_.resize(out_.size() - escapes);
    if (code == '"') return escapes <= 1 ? quote_level_1 : quote_level_2;
    if (code < 0x20) return code == '\n' || code == '\r' ? '\n' : ' ';
    if (code < 0x80) return static_cast<char>(code);
    if (code >= 0xd800 && code < 0xe000) return '?';
    put_character(code);
    return std::nullopt;
  }

  std::string out_;
  bool in_path_ = false;
};

struct Character {
  std::uint32_t code;
  std::size_t size;
};

// `text` is well-formed.
Character character_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xe0) return {((lead & 0x1fU) << 6U) | (byte(1) & 0x3fU), 2};
  if (lead < 0xf0) return {((lead & 0x0fU) << 12U) | ((byte(1) & 0x3fU) << 6U) | (byte(2) & 0x3fU), 3};
  return {
      ((lead & 0x07U) << 18U) | ((byte(1) & 0x3fU) << 12U) | ((byte(2) & 0x3fU) << 6U) | (byte(3) & 0x3fU),
      4};
}

// Tags may hold anything in their attributes, and scripts are no words for a reader: only text between tags
// stays.
std::string words_of_page(std::string_view page) {
  std::string out;
  std::string_view inside;  // whose text is not shown
  for (std::size_t i = 0; i < page.size();) {
    if (page[i] != '<') {
      if (inside.empty()) out += page[i];
      ++i;
      continue;
    }
    if (inside.empty()) {
      if (starts_with_words(page.substr(i), "<script")) inside = "</script";
      if (starts_with_words(page.substr(i), "<style")) inside = "</style";
    } else if (starts_with_words(page.substr(i), inside)) {
      inside = {};
    }
    const std::size_t end = page.find('>', i);
    if (end == std::string_view::npos) break;
    if (!out.empty() && out.back() != ' ' && out.back() != '\n') out += ' ';
    i = end + 1;
  }
  // What was between two tags may be one blank.
  std::string tidy = "HTML page:";
  for (const char c : out) {
    const bool blank = c == ' ' || c == '\n';
    if (blank ? tidy.back() != ' ' : true) {
      if (!blank && tidy.back() == ':' && tidy.size() == 10) tidy += ' ';
      tidy += blank ? ' ' : c;
    }
  }
  return tidy;
}

}  // namespace

std::string plain_text(std::string_view text) {
  const std::string valid = utf8(text);
  Unwrapper unwrapper(valid.size());
  for (std::size_t i = 0; i < valid.size();) {
    const Character character = character_at(valid, i);
    if (character.code >= 0x80) {
      unwrapper.put_character(character.code);
    } else {
      // A mark's value on the wire is a control character like any other.
      unwrapper.put(character.code >= 1 && character.code <= 4 ? ' ' : static_cast<char>(character.code));
    }
    i += character.size;
  }
  std::string plain = unwrapper.take();
  std::string lowered(plain.size(), '\0');
  std::transform(plain.begin(), plain.end(), lowered.begin(), to_lower);
  const bool page =
      lowered.find("<html") != std::string::npos || lowered.find("<!doctype") != std::string::npos;
  return page ? words_of_page(plain) : plain;
}

}  // namespace portico::telemetry
