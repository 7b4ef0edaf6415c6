#include "telemetry/failures/sanitise.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "telemetry/failures/address_words.hpp"
#include "telemetry/failures/characters.hpp"
#include "telemetry/failures/plain_text.hpp"
#include "telemetry/failures/secret_words.hpp"
#include "telemetry/failures/wording.hpp"

namespace portico::telemetry {
namespace {

constexpr std::string_view quote_mask = "[…]";
constexpr std::string_view key_mask = "[key]";
constexpr std::string_view token_mask = "[token]";
constexpr std::string_view email_mask = "[email]";
constexpr std::string_view ip_mask = "[ip]";
constexpr std::string_view id_mask = "[id]";
constexpr std::string_view data_mask = "[data]";
constexpr std::string_view value_mask = "[redacted]";

// What a credential may be written in, besides letters and digits.
constexpr bool is_key_mark(char c) noexcept {
  return c == '_' || c == '-' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=' || c == '*';
}
// Quotes of one byte, and the marks for escaped ones.
constexpr bool is_quote(char c) noexcept {
  return c == '"' || c == '\'' || c == '`' || (c >= quote_level_1 && c <= escaped_apostrophe);
}
constexpr bool ends_run(char c) noexcept {
  return is_blank(c) || is_quote(c) || std::string_view(",;()<>{}[]|").find(c) != std::string_view::npos;
}

// Typographic quotes, by what closes them.
struct WideQuote {
  std::string_view open;
  std::string_view close;
};
constexpr std::array<WideQuote, 7> wide_quotes{
    {{"“", "”"}, {"„", "“"}, {"‘", "’"}, {"‚", "‘"}, {"«", "»"}, {"「", "」"}, {"『", "』"}}};

// Goes over a plain text once, from left to right. Each step either copies a piece that is harmless or
// replaces one that is not; what a step looks at ahead of itself is either consumed by it or bounded, except
// the search for a closing quote, which is bounded by the number of strings that may be open at a time.
class Scrubber {
 public:
  Scrubber(std::string_view text, std::size_t limit, bool file_paths_stay)
      : s_(text), limit_(limit), file_paths_stay_(file_paths_stay) {
    out_.reserve(std::min(text.size(), limit) + 32);
  }

  std::string run() {
    // Once the bound is passed by more than a blank, nothing more can show.
    while (i_ < s_.size() && out_.size() <= limit_ + 2) step();
    while (!out_.empty() && out_.back() == ' ') out_.pop_back();
    return std::move(out_);
  }

 private:
  static constexpr std::size_t npos = std::string_view::npos;
  static constexpr std::size_t most_open = 4;      // strings in strings that are read as text
  static constexpr std::size_t longest_name = 64;  // of a model, a field, a host in quotes
  static constexpr std::size_t longest_url = 256;

  [[nodiscard]] char at(std::size_t i) const noexcept { return i < s_.size() ? s_[i] : '\0'; }
  [[nodiscard]] char before(std::size_t i) const noexcept { return i > 0 ? s_[i - 1] : '\0'; }
  [[nodiscard]] std::string_view rest() const noexcept { return s_.substr(i_); }

  void emit(char c) {
    if (is_blank(c)) {
      if (!out_.empty() && out_.back() != ' ') out_ += ' ';
    } else if (c == quote_level_1 || c == quote_level_2 || c == quote_level_3) {
      out_ += '"';
    } else {
      out_ += c == escaped_apostrophe ? '\'' : c;
    }
  }
  void emit(std::string_view text) {
    for (const char c : text) emit(c);
  }
  void mask(std::string_view text, std::size_t end) {
    out_ += text;
    i_ = end;
    masked_ = true;
  }
  void copy_to(std::size_t end) {
    emit(s_.substr(i_, end - i_));
    i_ = end;
  }

  void step() {
    if (std::exchange(masked_, false) && secret_after_mask()) return;
    const char c = s_[i_];
    if (i_ >= run_end_ && !ends_run(c) && enter_run()) return;
    if (email_begin_ < i_) find_email(i_);  // a mask went beyond it
    if (is_quote(c)) return quote();
    if (is_wide(c) && wide_quote()) return;
    if (i_ == email_begin_) return email();
    if (is_word(c)) return word();
    switch (c) {
      case '{':
      case '[':
        ++depth_;
        break;
      case '}':
      case ']':
        if (depth_ > 0) --depth_;
        if (depth_ == 0) member_ = Member::none;
        break;
      case '?':
      case '&':
      case '#':
        if (query()) return;
        break;
      case '/':
      case '~':
        if (path()) return;
        break;
      case ':':
        if (address()) return;
        break;
      case '\\':
        if (is_alnum(at(i_ + 1))) return mask(path_mask, run_end_);
        break;
      default:
        break;
    }
    emit(c);
    ++i_;
  }

  // The name of a secret may have been swallowed by the mask before this place, together with its colon.
  bool secret_after_mask() {
    std::size_t end = i_;
    while (end > 0 && i_ - end < 4 && (is_quote(s_[end - 1]) || s_[end - 1] == ':' || s_[end - 1] == '='))
      --end;
    std::size_t begin = end;
    while (begin > 0 && end - begin <= longest_name && is_word(s_[begin - 1])) --begin;
    return secret_after(s_.substr(begin, end - begin), end);
  }

  // --- runs: what stands between blanks, quotes and brackets ---

  // True if the whole run was masked.
  bool enter_run() {
    run_begin_ = i_;
    run_end_ = i_;
    while (run_end_ < s_.size() && !ends_run(s_[run_end_])) ++run_end_;
    in_url_ = false;
    find_email(i_);
    const std::string_view run = s_.substr(run_begin_, run_end_ - run_begin_);
    if (is_base64(run)) {
      mask(token_mask, run_end_);
      return true;
    }
    if (!starts_with_words(run, "data:") || at(run_end_) != ';') return false;
    // The payload of a data URL goes on behind its `;base64,`.
    while (run_end_ < s_.size() && !is_blank(s_[run_end_]) && !is_quote(s_[run_end_])) ++run_end_;
    mask(data_mask, run_end_);
    return true;
  }

  // --- e-mail addresses ---

  void find_email(std::size_t from) {
    email_begin_ = npos;
    if (from >= run_end_ || run_end_ <= no_email_before_) return;
    const std::string_view run = s_.substr(from, run_end_ - from);
    for (std::size_t sign = run.find('@'); sign != npos; sign = run.find('@', sign + 1)) {
      std::size_t begin = sign;
      while (begin > 0 && std::string_view("=&?/@").find(run[begin - 1]) == npos) --begin;
      std::size_t end = sign + 1;
      while (end < run.size() && std::string_view("=&?/@:").find(run[end]) == npos) ++end;
      if (begin == sign || !is_mail_domain(run.substr(sign + 1, end - sign - 1))) continue;
      email_begin_ = from + begin;
      email_end_ = from + end;
      return;
    }
    no_email_before_ = run_end_;
  }
  void email() {
    mask(email_mask, email_end_);
    find_email(i_);
  }

  // --- words ---

  void word() {
    if (rest().starts_with("-----BEGIN")) return pem();
    if (url() || address()) return;
    if (i_ == run_begin_ && path()) return;
    std::size_t end = i_;
    while (end < s_.size() && end != email_begin_ && is_word(s_[end]) && !starts_wide_quote(end)) ++end;
    // A quote of several bytes stands here although no string begins.
    if (end == i_) return copy_to(i_ + wide_size(i_));
    const std::string_view text = s_.substr(i_, end - i_);
    if (has_key(text)) return mask(text.find("eyJ") != npos ? token_mask : key_mask, end_of_key(end));
    if (looks_random(text)) return mask(id_mask, end_of_key(end));
    if (text.size() <= longest_name && secret_after(text, end)) return;
    previous_word_ = text;
    copy_to(end);
  }
  [[nodiscard]] std::size_t wide_size(std::size_t i) const noexcept {
    std::size_t size = 1;
    while (i + size < s_.size() && (static_cast<unsigned char>(s_[i + size]) & 0xc0U) == 0x80U) ++size;
    return size;
  }

  // A key may hide behind a mark inside a longer word.
  static bool has_key(std::string_view word) noexcept {
    for (std::size_t i = 0; i < word.size(); ++i) {
      const bool starts = i == 0 || !is_alnum(word[i - 1]);
      if (starts && key_prefix(word.substr(i)) != 0) return true;
    }
    return false;
  }
  // Keys may go on behind marks that are no part of a word; a mark at the end is the sentence's.
  [[nodiscard]] std::size_t end_of_key(std::size_t end) const noexcept {
    for (;;) {
      std::size_t next = end;
      while (next < s_.size() && is_key_mark(s_[next])) ++next;
      if (next < s_.size() && (is_alnum(s_[next]) || is_wide(s_[next]))) {
        while (next < s_.size() && (is_alnum(s_[next]) || is_wide(s_[next]))) ++next;
        end = next;
        continue;
      }
      while (end < s_.size() && (s_[end] == '=' || s_[end] == '*')) ++end;
      return end;
    }
  }

  void pem() {
    const std::size_t end = s_.find("-----END", i_);
    if (end == npos) return mask(key_mask, s_.size());
    const std::size_t close = s_.find("-----", end + 8);
    mask(key_mask, close == npos ? s_.size() : close + 5);
  }

  // --- a name, and the secret behind it ---

  // Handles `text`, which ends at `end`, and its value, if it names a secret that has one.
  bool secret_after(std::string_view text, std::size_t end) {
    const bool scheme = starts_with_words(text, "bearer") || starts_with_words(text, "basic");
    const SecretName name = secret_name(text);
    if (name == SecretName::no && !scheme) return false;
    const Separator separator = separator_after(end);
    const bool joined = separator.assigns || (scheme && text.size() <= 6) || follows_directly(separator);
    if (!joined) return false;
    const std::size_t value = separator.value;
    if (value >= s_.size()) return false;
    const std::size_t value_end = end_of_value(name, value, scheme);
    const std::string_view found = trimmed(s_.substr(value, value_end - value));
    if (found.empty() || value_end <= i_) return false;
    if (name != SecretName::line && harmless(name, found, scheme, separator)) return false;
    copy_to(std::max(value, i_));
    mask(scheme ? token_mask : value_mask, value_end);
    return true;
  }

  struct Separator {
    std::size_t value = 0;  ///< where the value begins, its opening quote included
    bool assigns = false;   ///< by a colon or an equals sign
    bool filled = false;    ///< by words such as `provided`
  };
  // `": "`, ` = '`, ` provided: `, `"]: `.
  [[nodiscard]] Separator separator_after(std::size_t i) const noexcept {
    Separator found;
    const std::size_t last = std::min(s_.size(), i + longest_name);
    for (int words = 0; words < 3; ++words) {
      while (i < last && (is_blank(s_[i]) || is_quote(s_[i]) || s_[i] == ']' || s_[i] == ')')) ++i;
      std::size_t end = i;
      while (end < s_.size() && end - i < 10 && is_alnum(s_[end])) ++end;
      static constexpr std::array<std::string_view, 8> fillers{"provided", "given", "supplied", "is",
                                                               "was",      "value", "header",   "used"};
      const std::string_view filler = s_.substr(i, end - i);
      const bool fills = std::any_of(fillers.begin(), fillers.end(), [&](std::string_view word) {
        return word.size() == filler.size() && starts_with_words(filler, word);
      });
      if (!fills) break;
      found.filled = true;
      i = end;
    }
    while (i < s_.size() &&
           (s_[i] == ':' || s_[i] == '=' || s_[i] == '>' || (found.assigns && is_blank(s_[i])))) {
      found.assigns = true;
      ++i;
    }
    found.value = i;
    return found;
  }
  // `api key ab12cd34` and `password 'x'` have no colon; `api key is required` has no value.
  [[nodiscard]] bool follows_directly(const Separator& separator) const noexcept {
    std::size_t end = separator.value;
    bool digits = false;
    while (end < s_.size() && end - separator.value < 128 && (is_alnum(s_[end]) || is_key_mark(s_[end]))) {
      digits |= is_digit(s_[end]) || s_[end] == '*';
      ++end;
    }
    return digits && end - separator.value >= 6;
  }

  [[nodiscard]] std::size_t end_of_value(SecretName name, std::size_t value, bool scheme) const noexcept {
    std::size_t i = value;
    if (name == SecretName::line) return end_of_line(i);
    std::size_t end = end_of_one(name, i);
    // `Authorization: Bearer x`, and `token: Bearer x` as well.
    for (int words = 0; words < 2; ++words) {
      const std::string_view first = trimmed(s_.substr(i, end - i));
      if (scheme ? !first.empty() && !starts_with_words(first, "bearer") : !is_scheme(first)) break;
      i = end;
      while (i < s_.size() && (is_blank(s_[i]) || is_quote(s_[i]) || s_[i] == ':' || s_[i] == '=')) ++i;
      end = end_of_one(name, i);
    }
    return end;
  }
  [[nodiscard]] std::size_t end_of_one(SecretName name, std::size_t i) const noexcept {
    while (i < s_.size() && is_blank(s_[i])) ++i;
    if (i >= s_.size()) return i;
    if (s_[i] == '{' || s_[i] == '[') return end_of_brackets(i);
    if (is_quote(s_[i])) {
      const char quote = s_[i];
      std::size_t end = s_.find(quote, i + 1);
      if (end == npos) return s_.size();
      // An empty string ends here; behind any other more of the secret may be glued to the quote.
      if (end == i + 1) return end + 1;
      ++end;
      while (end < s_.size() && (is_alnum(s_[end]) || is_key_mark(s_[end]))) end = end_of_string(end, quote);
      return end;
    }
    const bool phrase = name == SecretName::phrase;
    while (i < s_.size() && !is_blank(s_[i]) && !is_quote(s_[i]) &&
           (phrase || std::string_view(",;&)}]<>|").find(s_[i]) == npos)) {
      ++i;
    }
    return i;
  }
  [[nodiscard]] std::size_t end_of_string(std::size_t i, char quote) const noexcept {
    while (i < s_.size() && !is_blank(s_[i]) && s_[i] != quote &&
           std::string_view(",;)}]").find(s_[i]) == npos) {
      ++i;
    }
    return i < s_.size() && s_[i] == quote ? i + 1 : i;
  }
  [[nodiscard]] std::size_t end_of_brackets(std::size_t i) const noexcept {
    std::size_t depth = 0;
    for (; i < s_.size(); ++i) {
      if (s_[i] == '{' || s_[i] == '[') ++depth;
      if ((s_[i] == '}' || s_[i] == ']') && --depth == 0) return i + 1;
    }
    return i;
  }
  // To the closing quote or the line's end; a line that ends in `;`, `,` or a scheme goes on in the next.
  [[nodiscard]] std::size_t end_of_line(std::size_t i) const noexcept {
    while (i < s_.size() && is_blank(s_[i])) ++i;
    if (i >= s_.size() || is_quote(s_[i]) || s_[i] == '{' || s_[i] == '[')
      return end_of_one(SecretName::line, i);
    std::size_t word = i;
    for (; i < s_.size() && !is_quote(s_[i]); ++i) {
      if (s_[i] == ' ') word = i + 1;
      if (s_[i] != '\n') continue;
      const std::string_view last = s_.substr(word, i - word);
      word = i + 1;
      if (!last.ends_with(';') && !last.ends_with(',') && !is_scheme(last)) return i;
    }
    return i;
  }

  static std::string_view trimmed(std::string_view text) noexcept {
    const auto outer = [](char c) { return is_blank(c) || is_quote(c) || c == '.' || c == '!'; };
    while (!text.empty() && outer(text.front())) text.remove_prefix(1);
    while (!text.empty() && outer(text.back())) text.remove_suffix(1);
    return text;
  }
  [[nodiscard]] bool harmless(SecretName name, std::string_view found, bool scheme,
                              const Separator& separator) const noexcept {
    if (tells_of_secret(found)) return true;
    // A weak name's value is a secret only if nobody would call a field so.
    const bool plain = std::all_of(found.begin(), found.end(),
                                   [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '.'; });
    const bool weak = name == SecretName::weak && !starts_with_words(previous_word_, "api");
    if (weak && (is_request_field(found) || (plain && found.size() <= 32 && at(separator.value - 1) != '=')))
      return true;
    return scheme && name == SecretName::no && found.size() <= longest_name &&
           !starts_with_words(s_.substr(i_), "bearer") && !mixed(found);
  }
  // `Basic dXNlcjpw`, but not `basic understanding`.
  static bool mixed(std::string_view word) noexcept {
    const bool upper = std::any_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    const bool other = std::any_of(word.begin(), word.end(), [](char c) { return is_digit(c) || c == '='; });
    return word.size() >= 6 && (upper || other);
  }

  // --- addresses and paths ---

  bool url() {
    std::size_t colon = i_;
    while (colon < s_.size() && colon - i_ < 16 &&
           (is_alnum(s_[colon]) || s_[colon] == '+' || s_[colon] == '-'))
      ++colon;
    if (colon == i_ || !s_.substr(colon).starts_with("://")) return false;
    if (starts_with_words(rest(), "file:")) {
      mask(path_mask, run_end_);
      return true;
    }
    const std::size_t begin = colon + 3;
    std::size_t end = begin;
    while (end < s_.size() && !is_blank(s_[end]) && !is_quote(s_[end]) &&
           std::string_view("/?#<>\\").find(s_[end]) == npos) {
      ++end;
    }
    const std::string_view authority = s_.substr(begin, end - begin);
    const std::size_t sign = authority.rfind('@');
    const std::size_t host = sign == npos ? begin : begin + sign + 1;
    copy_to(begin);
    in_url_ = true;
    run_end_ = std::max(run_end_, end);
    while (run_end_ < s_.size() && !is_blank(s_[run_end_]) && !is_quote(s_[run_end_]) &&
           s_[run_end_] != '<' && s_[run_end_] != '>') {
      ++run_end_;
    }
    // A password with a slash or a quote in it looks like a port that is no number.
    const std::size_t colon_at = authority.rfind(':');
    if (sign == npos && colon_at != npos && authority.back() != ']' &&
        !is_port(authority.substr(colon_at + 1))) {
      mask(quote_mask, run_end_);
      return true;
    }
    i_ = host;
    run_begin_ = i_ + 1;  // what comes is no file's path
    if (email_begin_ == npos || email_begin_ < end) find_email(end);
    if (s_.substr(i_, 1) == "[") {
      const std::size_t close = s_.substr(i_, end - i_).find(']');
      if (close != npos) mask(ip_mask, i_ + close + 1);
      return true;
    }
    if (!address()) copy_host(end);
    return true;
  }
  static bool is_port(std::string_view text) noexcept {
    while (!text.empty() && std::string_view(",;.)]}:").find(text.back()) != npos) text.remove_suffix(1);
    return std::all_of(text.begin(), text.end(), is_digit);
  }
  void copy_host(std::size_t end) {
    while (i_ < end && (is_word(s_[i_]) || s_[i_] == '.')) {
      std::size_t label = i_;
      while (label < end && is_word(s_[label])) ++label;
      const std::string_view text = s_.substr(i_, label - i_);
      if (looks_random(text) || has_key(text)) {
        mask(id_mask, label);
      } else {
        copy_to(label == i_ ? i_ + 1 : label);
      }
    }
  }

  // Everything behind `?`, `&x=` or a URL's `#`: names of parameters tell little, and values may be keys.
  bool query() {
    std::size_t i = i_ + 1;
    while (i < s_.size() && i - i_ <= longest_name &&
           (is_alnum(s_[i]) || std::string_view("_-.$[]").find(s_[i]) != npos))
      ++i;
    const bool named = i > i_ + 1 && at(i) == '=';
    const bool fragment = s_[i_] == '#' && in_url_ && i_ < run_end_ && i > i_ + 1;
    const bool bare = s_[i_] == '?' && in_url_ && i_ < run_end_ && i > i_ + 1;
    if (!named && !fragment && !bare) return false;
    const char sign = s_[i_];
    while (i < s_.size() && !is_blank(s_[i]) && !is_quote(s_[i]) && s_[i] != '<' && s_[i] != '>') ++i;
    out_ += sign;
    mask(quote_mask, i);
    run_end_ = std::max(run_end_, i_);
    email_begin_ = npos;
    return true;
  }

  bool path() {
    if (file_paths_stay_ || in_url_ || i_ >= run_end_) return false;
    if (s_[i_] == '/' && (is_word(before(i_)) || before(i_) == '/' || before(i_) == '.')) return false;
    if (!is_file_path(s_.substr(i_, std::min(run_end_ - i_, longest_url)))) return false;
    mask(path_mask, run_end_);
    return true;
  }

  bool address() {
    // `Chrome/120.0.0.0` is a version.
    if (before(i_) == '/' && !in_url_ && i_ >= 2 && is_word(s_[i_ - 2])) return false;
    const std::size_t size = std::max(ipv4_size(s_, i_), ipv6_size(s_, i_));
    if (size == 0) return false;
    // The machine itself is nobody's address, and says that a local proxy is meant.
    const std::string_view found = s_.substr(i_, size);
    if (found.starts_with("127.") || found == "0.0.0.0" || found == "::1") {
      copy_to(i_ + size);
    } else {
      mask(ip_mask, i_ + size);
    }
    return true;
  }

  // --- quoted strings ---

  void quote() {
    const char c = s_[i_];
    if (closes_here()) return;
    const bool apostrophe = c == '\'' || c == escaped_apostrophe;
    if (apostrophe && is_word(before(i_))) return pass_quote();
    std::size_t count = 1;
    while (at(i_ + count) == c) ++count;
    if (count == 2 && !is_word(at(i_ + 2))) {  // an empty string
      copy_to(i_ + 2);
      return after_value();
    }
    const std::size_t begin = i_ + count;
    if (begin >= s_.size()) return copy_to(begin);
    const std::size_t close = count == 1 ? find_close(begin, c) : s_.find(s_.substr(i_, count), begin);
    if (close == npos) {
      // Cut off: whatever it was, its end is not there to tell.
      emit(c);
      return mask(quote_mask, s_.size());
    }
    string(begin, close, count);
  }
  void pass_quote() {
    emit(s_[i_]);
    ++i_;
  }
  [[nodiscard]] bool is_key_of_member(std::size_t end) const noexcept {
    while (end < s_.size() && is_blank(s_[end])) ++end;
    return at(end) == ':';
  }

  // The string from `begin` to `close`, in `count` quotes at each end: left out, or gone into as text.
  void string(std::size_t begin, std::size_t close, std::size_t count) {
    const std::string_view content = s_.substr(begin, close - begin);
    const std::size_t end = close + count;
    if (at(end) == '@') {  // an e-mail address whose name is quoted
      mask(email_mask, std::max(end + 1, run_end_of(end)));
      return;
    }
    const bool named = is_name_like(content);
    const bool key = is_key_of_member(end);
    bool shown = named;
    if (key) {
      member_ = is_telling_member(content) ? Member::telling : Member::other;
    } else if (member_ != Member::none && is_value_place()) {
      shown = member_ == Member::telling && (named || open_size_ < most_open);
    } else if (is_told(content)) {
      shown = false;
    }
    if (shown && open_size_ < open_.size()) {
      open_[open_size_++] = {close, count};
      return copy_to(begin);
    }
    copy_to(begin);
    mask(quote_mask, close);
    copy_to(end);
    if (!key) after_value();
  }
  [[nodiscard]] std::size_t run_end_of(std::size_t i) const noexcept {
    while (i < s_.size() && !ends_run(s_[i])) ++i;
    return i;
  }
  // Whether the words before say that the string is what a client had sent.
  [[nodiscard]] bool is_told(std::string_view content) const noexcept {
    return introduces_value(previous_word_) && previous_is_near() && !is_request_field(content);
  }
  [[nodiscard]] bool previous_is_near() const noexcept {
    const std::string_view text = previous_word_;
    if (text.empty()) return false;
    const auto end = static_cast<std::size_t>(text.data() + text.size() - s_.data());
    return i_ - end <= 3;
  }
  [[nodiscard]] bool is_value_place() const noexcept {
    std::size_t i = i_;
    while (i > 0 && is_blank(s_[i - 1])) --i;
    return before(i) == ':' || (depth_ > 0 && (before(i) == ',' || before(i) == '['));
  }
  void after_value() {
    // Outside of brackets a member has one value.
    if (depth_ == 0) member_ = Member::none;
  }

  static bool is_name_like(std::string_view content) noexcept {
    const bool url = content.find("://") != npos;
    if (content.size() > (url ? longest_url : longest_name)) return false;
    return std::all_of(content.begin(), content.end(), [&](char c) {
      return is_alnum(c) || std::string_view("._:/@+-()[]$").find(c) != npos ||
             (url && std::string_view("?&=#%~!*,;").find(c) != npos);
    });
  }

  // The quote that ends the string begun at `begin`. One that opens another string inside it counts as such.
  [[nodiscard]] std::size_t find_close(std::size_t begin, char quote) const noexcept {
    std::size_t depth = 0;
    for (std::size_t i = s_.find(quote, begin); i != npos; i = s_.find(quote, i + 1)) {
      const bool inside = i > begin;
      const bool next = is_word(at(i + 1));
      const bool last = inside && is_word(before(i));
      if (inside && next && last) continue;
      const bool opens =
          inside && next && (is_blank(before(i)) || std::string_view("([{=").find(before(i)) != npos);
      if (opens) {
        ++depth;
      } else if (depth == 0) {
        return i;
      } else {
        --depth;
      }
    }
    return npos;
  }

  struct Open {
    std::size_t close = 0;
    std::size_t count = 0;
  };
  // A string that is being read as text, or was kept, ends here. Ones that a mask has swallowed are
  // forgotten.
  bool closes_here() {
    while (open_size_ > 0 && open_[open_size_ - 1].close < i_) --open_size_;
    if (open_size_ == 0 || open_[open_size_ - 1].close != i_) return false;
    --open_size_;
    const std::size_t count = open_[open_size_].count;
    const bool key = is_key_of_member(i_ + count);
    copy_to(i_ + count);
    if (!key) after_value();
    return true;
  }

  [[nodiscard]] bool starts_wide_quote(std::size_t i) const noexcept {
    if (!is_wide(at(i))) return false;
    const std::string_view text = s_.substr(i);
    return std::any_of(wide_quotes.begin(), wide_quotes.end(), [&](const WideQuote& quote) {
      return text.starts_with(quote.open) || text.starts_with(quote.close);
    });
  }
  bool wide_quote() {
    for (const WideQuote& quote : wide_quotes) {
      if (!rest().starts_with(quote.open)) continue;
      const std::size_t begin = i_ + quote.open.size();
      std::size_t close = s_.find(quote.close, begin);
      // An apostrophe may be written with the same sign.
      while (close != npos && quote.close == "’" && is_alnum(before(close)) && is_alnum(at(close + 3))) {
        close = s_.find(quote.close, close + 3);
      }
      const std::string_view content = s_.substr(begin, close == npos ? npos : close - begin);
      if (close != npos && is_name_like(content) && !is_told(content)) {
        copy_to(begin);
        return true;
      }
      copy_to(begin);
      mask(quote_mask, close == npos ? s_.size() : close);
      if (close != npos) copy_to(close + quote.close.size());
      return true;
    }
    return false;
  }

  enum class Member : std::uint8_t { none, telling, other };

  std::string_view s_;
  std::size_t limit_;
  bool file_paths_stay_;
  std::string out_;
  std::size_t i_ = 0;
  std::size_t run_begin_ = 0;
  std::size_t run_end_ = 0;
  std::size_t email_begin_ = npos;
  std::size_t email_end_ = npos;
  std::size_t no_email_before_ = 0;  // looked for up to here, in vain
  std::string_view previous_word_;
  bool in_url_ = false;
  bool masked_ = false;           // the last step left something out
  std::size_t depth_ = 0;         // of brackets
  Member member_ = Member::none;  // what the last name of a JSON member says of its values
  std::array<Open, most_open * 2> open_{};
  std::size_t open_size_ = 0;
};

// Room for the sign of a cut is made at a character's border.
std::string bounded(std::string text, std::size_t limit) {
  static constexpr std::string_view cut = "...";
  if (text.size() <= limit) return text;
  std::size_t size = limit < cut.size() ? 0 : limit - cut.size();
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size;
  text.resize(size);
  return text += cut.substr(0, limit);
}

}  // namespace

std::string sanitise(std::string_view text, std::size_t limit) {
  const std::string plain = plain_text(text);
  return bounded(Scrubber(plain, limit, false).run(), limit);
}

std::string sanitise_name(std::string_view name) { return sanitise(name, longest_safe_name); }

std::string sanitise_path(std::string_view path, std::size_t limit) {
  const std::string plain = plain_text(path);
  return bounded(Scrubber(plain, limit, true).run(), limit);
}

}  // namespace portico::telemetry
