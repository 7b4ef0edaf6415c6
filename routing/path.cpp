#include "routing/path.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "routing/readers.hpp"

namespace portico::routing {

/// The only maker of a NormalizedPath.
struct PathReader {
  static ReadTarget unanimous(std::string_view path) noexcept {
    return {.unanimous = true, .as_received = path, .path = NormalizedPath(path)};
  }
  static ReadTarget read(std::string_view as_received, std::string_view reading) noexcept {
    return {.as_received = as_received, .path = NormalizedPath(reading)};
  }
};

namespace {

constexpr bool is_control(char byte) noexcept {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x20 || value == 0x7f;
}

// The look for bytes that need a second one runs over every target, so it takes sixteen at a time.
using Block = std::uint8_t __attribute__((vector_size(16)));
using Lanes = std::int8_t __attribute__((vector_size(16)));

Block load(const char* bytes) noexcept {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

bool any(Lanes lanes) noexcept {
  std::array<std::uint64_t, 2> halves;
  std::memcpy(&halves, &lanes, sizeof lanes);
  return (halves[0] | halves[1]) != 0;
}

// Bytes of 0x80 and above are nothing unusual: every reader passes them on as they are.
constexpr auto kUnusualInQuery = [](Block bytes, Block) noexcept -> Lanes {
  return (bytes <= 0x20) | (bytes == 0x7f) | (bytes == '#');
};

constexpr auto kUnusualInPath = [](Block bytes, Block next) noexcept -> Lanes {
  const Lanes pair = (bytes == '/') & ((next == '/') | (next == '.'));
  return kUnusualInQuery(bytes, next) | (bytes == '%') | (bytes == '\\') | pair;
};

// Whether `unusual` finds something in `text`, of which it is shown each byte and the one after it.
template <class Unusual>
bool finds(Unusual unusual, std::string_view text) noexcept {
  while (text.size() > sizeof(Block)) {
    if (any(unusual(load(text.data()), load(text.data() + 1)))) return true;
    text.remove_prefix(sizeof(Block));
  }
  std::array<char, sizeof(Block) + 1> padded;
  padded.fill('a');
  text.copy(padded.data(), text.size());
  return any(unusual(load(padded.data()), load(padded.data() + 1)));
}

bool is_reg_name_byte(char c) noexcept {
  const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return alnum || std::string_view("-._~!$&'()*+,;=").find(c) != std::string_view::npos;
}

// RFC 3986 section 3.2 without user info, which RFC 9110 section 4.2.4 tells a recipient to treat as an
// error, and without escapes, which readers of host names disagree about.
bool is_authority(std::string_view text) noexcept {
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || bracket < 3) return false;
    const std::string_view literal = text.substr(1, bracket - 1);
    const auto fits = [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; };
    if (!std::all_of(literal.begin(), literal.end(), fits)) return false;
    rest = text.substr(bracket + 1);
  } else {
    const std::size_t host = std::min(text.find(':'), text.size());
    if (host == 0 ||
        !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(host), is_reg_name_byte))
      return false;
    rest = text.substr(host);
  }
  if (rest.empty()) return true;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return rest.front() == ':' && rest.size() <= 6 && std::all_of(rest.begin() + 1, rest.end(), is_digit);
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  const auto same = [](char l, char c) { return l == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); };
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), same);
}

// What follows the authority of an absolute-form target; nothing if `target` is none.
std::optional<std::string_view> after_authority(std::string_view target) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_ignoring_case(target, scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    if (!is_authority(rest.substr(0, end))) return std::nullopt;
    return rest.substr(end);
  }
  return std::nullopt;
}

// `path` is what comes before the query, scheme and authority included.
Refusal check_bytes(std::string_view target, std::string_view path) noexcept {
  if (std::any_of(target.begin(), target.end(), is_control)) return Refusal::control_byte;
  if (target.find('#') != std::string_view::npos) return Refusal::raw_fragment;
  if (path.find('\\') != std::string_view::npos) return Refusal::backslash;
  if (target.find(' ') != std::string_view::npos) return Refusal::bad_form;
  return Refusal::none;
}

Refusal check_escapes(std::string_view path) noexcept {
  for (std::size_t i = path.find('%'); i != std::string_view::npos; i = path.find('%', i + 1)) {
    const int high = i + 2 < path.size() ? hex_value(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? hex_value(path[i + 2]) : -1;
    if (high < 0 || low < 0) return Refusal::bad_escape;
    const auto byte = static_cast<char>(high * 16 + low);
    if (is_control(byte)) return Refusal::control_byte;
    if (byte == '\\') return Refusal::backslash;
  }
  return Refusal::none;
}

ReadTarget read_unusual(std::string_view target, PathScratch& scratch) {
  std::string_view path = target.substr(0, std::min(target.find('?'), target.size()));
  if (const Refusal refusal = check_bytes(target, path); refusal != Refusal::none)
    return {.refusal = refusal, .as_received = target.starts_with('/') ? path : std::string_view{}};
  if (target == "*") return {.is_asterisk = true};
  if (!target.starts_with('/')) {
    const auto rest = after_authority(target);
    if (!rest) return {.refusal = Refusal::bad_form};
    path = rest->substr(0, std::min(rest->find('?'), rest->size()));
    if (path.empty()) path = "/";  // RFC 9110 section 4.2.3
  }
  if (const Refusal refusal = check_escapes(path); refusal != Refusal::none)
    return {.refusal = refusal, .as_received = path};

  decode(path, Decoding::once, scratch.other);
  clean(scratch.other, Cleaning::merge_then_dots, scratch.reading);
  // An escape makes readers differ even where the one reading happens to look like the path as received.
  const bool escaped = path.find('%') != std::string_view::npos;
  if (!escaped && scratch.reading == path) return PathReader::unanimous(path);
  return PathReader::read(path, scratch.reading);
}

}  // namespace

std::string_view describe(Refusal refusal) noexcept {
  switch (refusal) {
    case Refusal::none:
      break;
    case Refusal::empty:
      return "The request has no target; send a path that begins with '/'.";
    case Refusal::bad_form:
      return "The request target is neither a path that begins with '/', nor an http or https URL, nor '*'.";
    case Refusal::control_byte:
      return "The request target holds a control byte, plain or escaped; remove it.";
    case Refusal::backslash:
      return "The path holds a backslash, plain or escaped; use '/' between segments.";
    case Refusal::bad_escape:
      return "The path holds a '%' that two hexadecimal digits do not follow; write a literal '%' as '%25'.";
    case Refusal::raw_fragment:
      return "The request target holds a '#'; leave the fragment out, or write '#' as '%23'.";
    case Refusal::ambiguous_path:
      return "The path can be read in two ways that lead to different places; send it plain, without dot "
             "segments, doubled slashes or needless escapes.";
  }
  return {};
}

ReadTarget read_target(std::string_view target, PathScratch& scratch) {
  if (target.empty()) return {.refusal = Refusal::empty};
  if (target.front() == '/') [[likely]] {
    const std::string_view path = target.substr(0, target.find('?'));
    const std::string_view query = target.substr(path.size());
    const bool unusual = finds(kUnusualInPath, path) || (!query.empty() && finds(kUnusualInQuery, query));
    if (!unusual) [[likely]]
      return PathReader::unanimous(path);
  }
  return read_unusual(target, scratch);
}

}  // namespace portico::routing
