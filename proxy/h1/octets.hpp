#pragma once
// The classes of bytes that HTTP/1.x grammar is made of, and the few ways of looking for them.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   read, never kept

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/h1/block.hpp"

namespace portico::proxy::h1 {

/// What a byte may be part of; a byte's classes are or-ed together.
enum class Octet : std::uint8_t {
  token = 1,      ///< tchar, RFC 9110 section 5.6.2
  target = 2,     ///< 0x21-0x7e and 0x80-0xff: anything but a space or a control byte
  text = 4,       ///< HTAB, 0x20-0x7e and 0x80-0xff: what field values and reasons are made of
  host = 8,       ///< letters, digits, `-._~`: what a registered name or an IPv4 address is written with
  hex_colon = 16  ///< hexadecimal digits, `:` and `.`: what an IPv6 address is written with
};

namespace detail {

constexpr bool is_one_of(unsigned char byte, std::string_view set) noexcept {
  return byte != 0 && set.find(static_cast<char>(byte)) != std::string_view::npos;
}

constexpr std::array<std::uint8_t, 256> classify() noexcept {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned value = 0; value < classes.size(); ++value) {
    const auto byte = static_cast<unsigned char>(value);
    const auto letter = static_cast<unsigned char>(byte | 0x20U);
    const bool alpha = letter >= 'a' && letter <= 'z' && byte < 0x80;
    const bool digit = byte >= '0' && byte <= '9';
    unsigned in = 0;
    if (alpha || digit || is_one_of(byte, "!#$%&'*+-.^_`|~")) in |= static_cast<unsigned>(Octet::token);
    if (byte > 0x20 && byte != 0x7f) in |= static_cast<unsigned>(Octet::target);
    if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') in |= static_cast<unsigned>(Octet::text);
    if (alpha || digit || is_one_of(byte, "-._~")) in |= static_cast<unsigned>(Octet::host);
    if (digit || (alpha && letter <= 'f') || is_one_of(byte, ":."))
      in |= static_cast<unsigned>(Octet::hex_colon);
    classes[value] = static_cast<std::uint8_t>(in);
  }
  return classes;
}

inline constexpr std::array<std::uint8_t, 256> classes = classify();

}  // namespace detail

/// True when `byte` is in the class.
constexpr bool is(Octet octet, char byte) noexcept {
  return (detail::classes[static_cast<unsigned char>(byte)] & static_cast<unsigned>(octet)) != 0;
}

constexpr bool is_digit(char byte) noexcept { return byte >= '0' && byte <= '9'; }

/// The white space that may surround values and list elements: OWS and BWS of RFC 9110 section 5.6.3.
constexpr bool is_blank(char byte) noexcept { return byte == ' ' || byte == '\t'; }

/// The first byte of [at, end) that is not in the class, or `end`.
inline const char* skip(Octet octet, const char* at, const char* end) noexcept {
  while (at != end && is(octet, *at)) ++at;
  return at;
}

/// True when every byte of `bytes` is in the class and there is at least one.
constexpr bool all(Octet octet, std::string_view bytes) noexcept {
  for (const char byte : bytes)
    if (!is(octet, byte)) return false;
  return !bytes.empty();
}

/// The first byte of [at, end) that is not Octet::text (so a CR or LF stops it), or `end`.
inline const char* find_control(const char* at, const char* end) noexcept {
  while (end - at >= static_cast<std::ptrdiff_t>(block_size)) {
    const Block block = load_block(at);
    const std::size_t hit = first_hit((block < every(' ')) | (block == every('\x7f')));
    at += hit;
    if (hit == block_size) continue;
    // HTAB is too rare to be told apart in every block.
    if (*at != '\t') return at;
    ++at;
  }
  return skip(Octet::text, at, end);
}

/// The first byte of [at, end) that is not Octet::target, or `end`.
inline const char* find_target_end(const char* at, const char* end) noexcept {
  for (; end - at >= static_cast<std::ptrdiff_t>(block_size); at += block_size) {
    const Block block = load_block(at);
    const std::size_t hit = first_hit((block <= every(' ')) | (block == every('\x7f')));
    if (hit != block_size) return at + hit;
  }
  return skip(Octet::target, at, end);
}

/// The first byte of [at, end) that is not Octet::token, or `end`.
inline const char* find_token_end(const char* at, const char* end) noexcept {
  // Names are letters and `-` with few exceptions, so one block mostly tells where a name ends; whatever else
  // it meets is looked up.
  if (end - at >= static_cast<std::ptrdiff_t>(block_size)) {
    const Block block = load_block(at);
    const Block letter = (block | every(' ')) - every('a');
    at += first_hit((letter >= every(26)) & (block != every('-')));
  }
  return skip(Octet::token, at, end);
}

/// `bytes` without the blanks around it.
constexpr std::string_view trim(std::string_view bytes) noexcept {
  while (!bytes.empty() && is_blank(bytes.front())) bytes.remove_prefix(1);
  while (!bytes.empty() && is_blank(bytes.back())) bytes.remove_suffix(1);
  return bytes;
}

/// ASCII letters to lower case, every other byte as it is.
constexpr char lower(char byte) noexcept {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

/// True when the two are equal but for the case of ASCII letters.
constexpr bool equal_folded(std::string_view left, std::string_view right) noexcept {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (lower(left[i]) != lower(right[i])) return false;
  return true;
}

/// True when `bytes` begins with `prefix`, but for the case of ASCII letters.
constexpr bool starts_with_folded(std::string_view bytes, std::string_view prefix) noexcept {
  return bytes.size() >= prefix.size() && equal_folded(bytes.substr(0, prefix.size()), prefix);
}

/// Hands `each` the elements of a comma-separated list (RFC 9110 section 5.6.1) in order, without the blanks
/// around them; empty elements are left out. `each` returns false to stop; so does this then.
template <class Each>
constexpr bool for_each_element(std::string_view list, Each each) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trim(list.substr(0, comma));
    if (!element.empty() && !each(element)) return false;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return true;
}

}  // namespace portico::proxy::h1
