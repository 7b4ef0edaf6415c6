#include "conf/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace portico::conf {
namespace {

// sockaddr_un::sun_path holds 108 bytes, the terminating zero included.
constexpr std::size_t max_socket_path = 107;
// RFC 1035 section 2.3.4, without the root label.
constexpr std::size_t max_host_name = 253;
constexpr std::size_t max_label = 63;
constexpr std::string_view unix_prefix = "unix:";
constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Decimal digits only, no sign and no leading zero, which some readers take for octal.
std::optional<unsigned> parse_decimal(std::string_view text, unsigned max) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto value = parse_decimal(text, 65'535);
  if (!value) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

/// The path after `unix:`; empty when it is none.
std::string_view socket_path(std::string_view text) {
  if (!text.starts_with(unix_prefix)) return {};
  const std::string_view path = text.substr(unix_prefix.size());
  const bool plain = std::none_of(path.begin(), path.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  return path.size() > 1 && path.size() <= max_socket_path && path.front() == '/' && plain
             ? path
             : std::string_view{};
}

struct HostPort {
  std::string_view host;  // without brackets
  bool bracketed = false;
  std::optional<std::string_view> port;
};

/// Cuts `host[:port]`; says nothing yet about what either part contains.
std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parts.host = text.substr(1, close - 1);
    parts.bracketed = true;
    rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
  } else {
    const auto colon = text.find(':');
    parts.host = text.substr(0, colon);
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  if (!rest.empty()) parts.port = rest.substr(1);
  return parts;
}

/// An IPv6 address out of brackets; an IPv4 one does not belong there.
std::optional<IpAddress> parse_bracketed(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return std::nullopt;
  return IpAddress::parse(text);
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + ('a' - 'A')) : b);
         });
}

std::uint16_t default_port(Url::Scheme scheme) { return scheme == Url::Scheme::https ? 443 : 80; }

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) noexcept {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
  for (std::size_t i = 0; i < 4; ++i)
    bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (8 * (3 - i)) & 0xff);
  return IpAddress{bytes};
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  char buffer[INET6_ADDRSTRLEN];
  // inet_pton reads up to a zero byte and would take what stands before one for the whole.
  if (text.size() >= sizeof(buffer) || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer);
  buffer[text.size()] = '\0';

  in_addr v4_address{};
  if (::inet_pton(AF_INET, buffer, &v4_address) == 1) return v4(ntohl(v4_address.s_addr));
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET6, buffer, bytes.data()) == 1) return IpAddress{bytes};
  return std::nullopt;
}

bool IpAddress::is_v4() const noexcept {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes_.begin());
}

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; }) &&
         bytes_[15] == 1;
}

std::size_t IpAddress::write(char (&out)[48]) const noexcept {
  if (is_v4()) {
    // Written for every request, and inet_ntop goes through printf.
    char* at = out;
    for (std::size_t i = 12; i < bytes_.size(); ++i) {
      if (i > 12) *at++ = '.';
      at = std::to_chars(at, out + sizeof(out), bytes_[i]).ptr;
    }
    *at = '\0';
    return static_cast<std::size_t>(at - out);
  }
  // Cannot fail: the family is known and 48 bytes hold the longest form.
  ::inet_ntop(AF_INET6, bytes_.data(), out, sizeof(out));
  return std::strlen(out);
}

std::string IpAddress::text() const {
  char buffer[48];
  const std::size_t length = write(buffer);
  return {buffer, length};
}

std::optional<Network> Network::parse(std::string_view text) noexcept {
  Network network;
  if (text == unix_prefix) {
    network.unix_ = true;
    return network;
  }
  const auto slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  network.base_ = *base;
  if (slash == std::string_view::npos) return network;

  // `::ffff:10.0.0.0/104` counts its bits in the 16-byte form, `10.0.0.0/8` in the 4-byte form.
  const bool v4_form = text.substr(0, slash).find(':') == std::string_view::npos;
  const auto bits = parse_decimal(text.substr(slash + 1), v4_form ? 32 : 128);
  if (!bits) return std::nullopt;
  network.prefix_bits_ = static_cast<std::uint8_t>(*bits + (v4_form ? 96 : 0));

  // Bits after the prefix say that the writer meant one host or another network: refused, since this list
  // decides whom to believe.
  for (std::size_t bit = network.prefix_bits_; bit < 128; ++bit)
    if ((base->bytes()[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  return network;
}

bool Network::contains(const IpAddress& address) const noexcept {
  if (unix_) return false;
  // A short IPv6 prefix such as `::/0` covers the mapped range by its bits, but nobody means IPv4 by it.
  if (address.is_v4() && prefix_bits_ < 96) return false;
  const std::size_t whole = prefix_bits_ / 8;
  const auto& base = base_.bytes();
  const auto& bytes = address.bytes();
  if (!std::equal(base.begin(), base.begin() + static_cast<std::ptrdiff_t>(whole), bytes.begin()))
    return false;
  const unsigned rest = prefix_bits_ % 8;
  return rest == 0 || ((base[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

std::string Network::text() const {
  if (unix_) return std::string(unix_prefix);
  if (prefix_bits_ == 128) return base_.text();
  // A mapped base has bits up to the 96th, so its prefix is at least that long.
  return base_.text() + "/" + std::to_string(prefix_bits_ - (base_.is_v4() ? 96 : 0));
}

std::optional<ListenAddress> ListenAddress::parse(std::string_view text) {
  ListenAddress address;
  if (text.starts_with(unix_prefix)) {
    const std::string_view path = socket_path(text);
    if (path.empty()) return std::nullopt;
    address.is_unix = true;
    address.path = path;
    return address;
  }
  const auto parts = split_host_port(text);
  if (!parts || !parts->port) return std::nullopt;
  const auto port = parse_port(*parts->port);
  if (!port) return std::nullopt;
  address.port = *port;
  if (parts->host.empty() && !parts->bracketed) {
    address.any = true;
    return address;
  }
  const auto ip = parts->bracketed             ? parse_bracketed(parts->host)
                  : parts->host == "localhost" ? std::optional(IpAddress::v4(0x7f000001))
                                               : IpAddress::parse(parts->host);
  if (!ip) return std::nullopt;
  address.ip = *ip;
  return address;
}

std::string ListenAddress::text() const {
  if (is_unix) return std::string(unix_prefix) + path;
  std::string suffix = ":" + std::to_string(port);
  if (any) return suffix;
  return ip.is_v4() ? ip.text() + suffix : "[" + ip.text() + "]" + suffix;
}

std::optional<Url> Url::parse(std::string_view text) {
  Url url;
  if (text.starts_with(unix_prefix)) {
    const std::string_view path = socket_path(text);
    if (path.empty()) return std::nullopt;
    url.scheme = Scheme::unix_socket;
    url.path = path;
    return url;
  }
  constexpr std::string_view http = "http://";
  constexpr std::string_view https = "https://";
  if (starts_with_ignoring_case(text, http)) {
    text.remove_prefix(http.size());
  } else if (starts_with_ignoring_case(text, https)) {
    text.remove_prefix(https.size());
    url.scheme = Scheme::https;
  } else {
    return std::nullopt;
  }
  if (text.ends_with('/')) text.remove_suffix(1);

  const auto parts = split_host_port(text);
  if (!parts) return std::nullopt;
  url.port = default_port(url.scheme);
  if (parts->port) {
    const auto port = parse_port(*parts->port);
    if (!port || *port == 0) return std::nullopt;
    url.port = *port;
  }
  const auto ip = parts->bracketed ? parse_bracketed(parts->host) : IpAddress::parse(parts->host);
  if (ip)
    url.host = ip->text();
  else if (!parts->bracketed && is_host_name(parts->host))
    url.host = parts->host;
  else
    return std::nullopt;
  return url;
}

std::string Url::authority() const {
  if (scheme == Scheme::unix_socket) return "localhost";
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? "[" + host + "]" : host;
  return port == default_port(scheme) ? name : name + ":" + std::to_string(port);
}

std::string Url::text() const {
  if (scheme == Scheme::unix_socket) return std::string(unix_prefix) + path;
  return (scheme == Scheme::https ? "https://" : "http://") + authority();
}

bool is_host_name(std::string_view text) noexcept {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > max_host_name) return false;
  bool all_digits = true;
  while (true) {
    const auto dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > max_label || label.front() == '-' || label.back() == '-')
      return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; }))
      return false;
    all_digits = std::all_of(label.begin(), label.end(), is_digit);
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  // Resolvers would read a last label of digits as an IPv4 address in one of its odd spellings.
  return !all_digits;
}

}  // namespace portico::conf
