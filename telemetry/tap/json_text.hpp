#pragma once
// What stands between the quotes of a JSON string, decoded piece by piece (RFC 8259 section 7).
//
// owns:    an escape that is not complete, a few bytes
// threads: one
// bytes:   plain runs are handed on where they lie
// An escape that means nothing becomes the character behind its backslash; half a surrogate pair, or digits
// that are none, become U+FFFD. Bytes that are no UTF-8 are passed on as they are.

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {

class JsonTextDecoder {
 public:
  void reset() noexcept { *this = JsonTextDecoder{}; }

  /// Takes content from `at` up to and with the closing quote, and moves `at` behind it; true when the quote
  /// was there. `sink` gets views that are valid for its call.
  template <class Sink>
  bool feed(const char*& at, const char* end, Sink sink) {
    const char* const floor = at;
    while (at != end) {
      if (step_ != 0) {
        at = take_escape(at, sink);
        continue;
      }
      const char* stop = find_string_end(at, end, floor);
      if (stop != at) {
        end_surrogate(sink);
        sink(std::string_view(at, static_cast<std::size_t>(stop - at)));
        at = stop;
        if (at == end) return false;
      }
      if (*at++ == '"') {
        end_surrogate(sink);
        return true;
      }
      step_ = 1;
    }
    return false;
  }

 private:
  static constexpr std::string_view replacement = "\xEF\xBF\xBD";
  static constexpr unsigned no_digit = 16;

  static constexpr unsigned digit_of(char byte) noexcept {
    if (byte >= '0' && byte <= '9') return static_cast<unsigned>(byte - '0');
    const char folded = static_cast<char>(byte | 0x20);
    if (folded >= 'a' && folded <= 'f') return static_cast<unsigned>(folded - 'a') + 10;
    return no_digit;
  }

  template <class Sink>
  const char* take_escape(const char* at, Sink& sink) {
    if (step_ == 1) {
      if (*at == 'u') {
        step_ = 2;
        unit_ = 0;
        return at + 1;
      }
      end_surrogate(sink);
      const char plain = plain_of(*at);
      sink(std::string_view(&plain, 1));
      step_ = 0;
      return at + 1;
    }
    const unsigned digit = digit_of(*at);
    if (digit == no_digit) {
      // The byte itself is read again: it may be the quote that ends the string.
      end_surrogate(sink);
      sink(replacement);
      step_ = 0;
      return at;
    }
    unit_ = static_cast<std::uint16_t>(unit_ * 16U + digit);
    if (++step_ == 6) {
      step_ = 0;
      take_unit(sink);
    }
    return at + 1;
  }

  static constexpr char plain_of(char byte) noexcept {
    switch (byte) {
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      default:
        return byte;
    }
  }

  template <class Sink>
  void take_unit(Sink& sink) {
    const bool low = unit_ >= 0xDC00 && unit_ < 0xE000;
    if (low && high_ != 0) {
      const std::uint32_t code = 0x10000U + ((high_ - 0xD800U) << 10U) + (unit_ - 0xDC00U);
      high_ = 0;
      put(code, sink);
      return;
    }
    end_surrogate(sink);
    if (low)
      sink(replacement);
    else if (unit_ >= 0xD800 && unit_ < 0xDC00)
      high_ = unit_;
    else
      put(unit_, sink);
  }

  /// A first half that nothing followed.
  template <class Sink>
  void end_surrogate(Sink& sink) {
    if (high_ == 0) return;
    high_ = 0;
    sink(replacement);
  }

  template <class Sink>
  static void put(std::uint32_t code, Sink& sink) {
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80U | (code >> shift & 0x3FU)); };
    std::array<char, 4> out{};
    std::size_t size = 0;
    if (code < 0x80) {
      out = {static_cast<char>(code)};
      size = 1;
    } else if (code < 0x800) {
      out = {static_cast<char>(0xC0U | code >> 6U), tail(0)};
      size = 2;
    } else if (code < 0x10000) {
      out = {static_cast<char>(0xE0U | code >> 12U), tail(6), tail(0)};
      size = 3;
    } else {
      out = {static_cast<char>(0xF0U | code >> 18U), tail(12), tail(6), tail(0)};
      size = 4;
    }
    sink(std::string_view(out.data(), size));
  }

  std::uint8_t step_ = 0;  // 0: none; 1: after the backslash; 2 to 5: how many digits are there, and two
  std::uint16_t unit_ = 0;
  std::uint16_t high_ = 0;  // the first half of a surrogate pair
};

}  // namespace portico::telemetry
