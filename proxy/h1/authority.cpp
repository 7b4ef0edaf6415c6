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
  std::size_t host_end = 0;
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos || !all(Octet::hex_colon, authority.substr(1, bracket - 1)))
      return false;
    // The shortest address is `::`; without this `[a.b]` would pass.
    if (std::ranges::count(authority.substr(1, bracket - 1), ':') < 2) return false;
    host_end = bracket + 1;
  } else {
    host_end = std::min(authority.find(':'), authority.size());
    if (!all(Octet::host, authority.substr(0, host_end))) return false;
  }
  if (host_end == authority.size()) return true;
  return authority[host_end] == ':' && valid_port(authority.substr(host_end + 1));
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
