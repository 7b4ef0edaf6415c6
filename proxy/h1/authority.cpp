#include "proxy/h1/authority.hpp"

#include <algorithm>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

bool valid_port(std::string_view port) noexcept {
  if (port.size() > 5) return false;
  int value = 0;
  for (const char digit : port) {
    if (!is_digit(digit)) return false;
    value = value * 10 + (digit - '0');
  }
  return value <= 65535;
}

}  // namespace

bool valid_authority(std::string_view authority) noexcept {
  const char* const begin = authority.data();
  const char* const end = begin + authority.size();
  const char* host_end = skip(Octet::host, begin, end);
  if (host_end == begin) {
    if (!authority.starts_with('[')) return false;
    host_end = skip(Octet::hex_colon, begin + 1, end);
    // The shortest address is `::`; without this `[a.b]` would pass.
    if (host_end == end || *host_end != ']' || std::count(begin, host_end, ':') < 2) return false;
    ++host_end;
  }
  if (host_end == end) return true;
  return *host_end == ':' && valid_port(authority.substr(static_cast<std::size_t>(host_end - begin) + 1));
}

std::optional<std::string_view> authority_of(std::string_view target) noexcept {
  // Nearly every target is in origin-form; it may hold `://` further on, which is none of ours.
  if (target.starts_with('/')) return std::nullopt;
  const std::size_t colon = target.find(':');
  if (colon == 0 || colon == std::string_view::npos || target.substr(colon, 3) != "://") return std::nullopt;
  // A target that has something else than a scheme here is in no form at all; the router refuses it.
  for (const char byte : target.substr(0, colon))
    if (!is(Octet::host, byte) && byte != '+') return std::nullopt;
  const std::string_view rest = target.substr(colon + 3);
  return rest.substr(0, rest.find_first_of("/?#"));
}

}  // namespace portico::proxy::h1
