#pragma once
// Looking for words in a text from the wire without regard to letter case, and without allocating.
//
// owns:    LoweredText owns its copy; the functions own nothing
// threads: any; pure

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace portico::telemetry {

/// ASCII only: other bytes stay as they are.
constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether `text` starts with `words`, which are in lower case.
inline bool starts_with_words(std::string_view text, std::string_view words) noexcept {
  return text.size() >= words.size() && std::equal(words.begin(), words.end(), text.begin(),
                                                   [](char word, char c) { return word == to_lower(c); });
}
/// Whether `text` ends with `words`, which are in lower case.
inline bool ends_with_words(std::string_view text, std::string_view words) noexcept {
  return text.size() >= words.size() && starts_with_words(text.substr(text.size() - words.size()), words);
}

/// A text's beginning in lower case, so that many words can be looked for at the price of one conversion.
/// What lies beyond the first `capacity` bytes is not seen, except by ends_with().
class LoweredText {
 public:
  static constexpr std::size_t capacity = 2048;

  explicit LoweredText(std::string_view text) noexcept
      : whole_(text), size_(std::min(text.size(), capacity)) {
    std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size_), lowered_.begin(),
                   to_lower);
  }
  /// `words` in lower case.
  [[nodiscard]] bool has(std::string_view words) const noexcept {
    return std::string_view(lowered_.data(), size_).find(words) != std::string_view::npos;
  }
  /// `words` in lower case.
  [[nodiscard]] bool ends_with(std::string_view words) const noexcept {
    return ends_with_words(whole_, words);
  }

 private:
  std::string_view whole_;
  std::size_t size_;
  std::array<char, capacity> lowered_;
};

}  // namespace portico::telemetry
