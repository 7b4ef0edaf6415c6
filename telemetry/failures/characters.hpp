#pragma once
// Kinds of characters in texts from the wire. ASCII only: the C library's answer depends on the locale.
//
// owns:    nothing
// threads: any; pure

#include "telemetry/failures/wording.hpp"

namespace portico::telemetry {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) noexcept { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }
constexpr bool is_alnum(char c) noexcept { return is_digit(c) || is_letter(c); }
constexpr bool is_hex(char c) noexcept { return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f'); }
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\n'; }
/// Part of a character of several bytes.
constexpr bool is_wide(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }
/// What words are made of; providers mask keys with stars.
constexpr bool is_word(char c) noexcept {
  return is_alnum(c) || c == '_' || c == '-' || c == '*' || is_wide(c);
}

}  // namespace portico::telemetry
