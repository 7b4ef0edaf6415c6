#include "proxy/http/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

using State = ProxyHeader::State;
using Source = ProxyHeader::Source;

constexpr std::string_view first_word = "PROXY ";
constexpr std::string_view signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t max_line = 107;  // section 2.1, the end of the line included
constexpr std::size_t fixed_size = 16;

ProxyHeader bad(std::string_view sentence) noexcept {
  ProxyHeader header;
  header.state = State::bad;
  header.sentence = sentence;
  return header;
}

ProxyHeader complete(std::size_t size, Source source, const conf::IpAddress& address = {}) noexcept {
  return {State::complete, size, source, address, {}};
}

/// Whether as much as there is of `bytes` is the beginning of `whole`.
bool may_become(std::string_view bytes, std::string_view whole) noexcept {
  const std::size_t size = std::min(bytes.size(), whole.size());
  return bytes.substr(0, size) == whole.substr(0, size);
}

// ---- version 1
// ---------------------------------------------------------------------------------------------------

/// 0 to 65535 in decimal, without leading zeros.
bool is_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (!h1::is_digit(c)) return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65'535;
}

std::optional<conf::IpAddress> address_of(std::string_view text, bool v6) noexcept {
  if ((text.find(':') != std::string_view::npos) != v6) return std::nullopt;
  return conf::IpAddress::parse(text);
}

/// Takes what stands before the next space off the front of `line`; nothing where there is no space.
std::optional<std::string_view> take_word(std::string_view& line) noexcept {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space + 1);
  return word;
}

/// The line between `PROXY ` and its end.
ProxyHeader read_line(std::string_view line, std::size_t size) noexcept {
  constexpr std::string_view malformed = "The line of the PROXY header (version 1) is malformed.";
  // Whatever follows UNKNOWN is to be ignored.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return complete(size, Source::nobody);
  const auto family = take_word(line);
  const auto source = take_word(line);
  const auto destination = take_word(line);
  const auto source_port = take_word(line);
  if (!source_port || (*family != "TCP4" && *family != "TCP6")) return bad(malformed);
  const bool v6 = *family == "TCP6";
  const std::optional<conf::IpAddress> address = address_of(*source, v6);
  if (!address || !address_of(*destination, v6) || !is_port(*source_port) || !is_port(line))
    return bad(malformed);
  return complete(size, Source::address, *address);
}

ProxyHeader read_version_1(std::string_view bytes) noexcept {
  const std::string_view window = bytes.substr(0, max_line);
  const std::size_t end = window.find_first_of("\r\n");
  if (end == std::string_view::npos || end + 1 == window.size()) {
    if (window.size() == max_line) return bad("The line of the PROXY header (version 1) is too long.");
    if (end != std::string_view::npos && window[end] == '\n')
      return bad("The line of the PROXY header (version 1) ends without CR.");
    // A line that can't become one is not waited for.
    const std::string_view begun = window.substr(std::min(first_word.size(), window.size()));
    const bool possible = may_become(begun, "TCP4 ") || may_become(begun, "TCP6 ") ||
                          may_become(begun, "UNKNOWN ") || begun == "UNKNOWN\r";
    if (!possible) return bad("The PROXY header (version 1) names an unknown family.");
    return {};
  }
  if (window[end] != '\r' || window[end + 1] != '\n')
    return bad("The line of the PROXY header (version 1) does not end with CR LF.");
  return read_line(window.substr(first_word.size(), end - first_word.size()), end + 2);
}

// ---- version 2
// ---------------------------------------------------------------------------------------------------

std::uint8_t octet(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::size_t number16(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::size_t>(octet(bytes, at) << 8 | octet(bytes, at + 1));
}

// Castagnoli's polynomial, reflected (RFC 3720 appendix B.4).
constexpr auto crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f6'3b78U : 0U);
    table[i] = crc;
  }
  return table;
}();

/// The CRC32C of `bytes` with four zeros in the place of those at `hole`.
std::uint32_t crc32c(std::string_view bytes, std::size_t hole) noexcept {
  std::uint32_t crc = 0xffff'ffff;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint8_t byte = i >= hole && i < hole + 4 ? std::uint8_t{0} : octet(bytes, i);
    crc = crc >> 8 ^ crc_table[(crc ^ byte) & 0xff];
  }
  return ~crc;
}

/// Checks the TLVs, which begin at `at`; gives what is wrong with them, or nothing.
std::string_view objection_to_tlvs(std::string_view header, std::size_t at) noexcept {
  constexpr std::uint8_t type_crc32c = 0x03;
  bool checked = false;
  while (at < header.size()) {
    if (header.size() - at < 3) return "A TLV of the PROXY header is cut.";
    const std::uint8_t type = octet(header, at);
    const std::size_t length = number16(header, at + 1);
    at += 3;
    if (header.size() - at < length) return "A TLV of the PROXY header is longer than the header.";
    if (type == type_crc32c) {
      if (length != 4 || checked) return "The checksum of the PROXY header is malformed.";
      checked = true;
      const std::size_t told = number16(header, at) << 16 | number16(header, at + 2);
      if (told != crc32c(header, at)) return "The checksum of the PROXY header is wrong.";
    }
    at += length;
  }
  return {};
}

conf::IpAddress v4_at(std::string_view bytes, std::size_t at) noexcept {
  return conf::IpAddress::v4(static_cast<std::uint32_t>(number16(bytes, at) << 16 | number16(bytes, at + 2)));
}

conf::IpAddress v6_at(std::string_view bytes, std::size_t at) noexcept {
  std::array<std::uint8_t, 16> address{};
  for (std::size_t i = 0; i < address.size(); ++i) address[i] = octet(bytes, at + i);
  return conf::IpAddress(address);
}

/// Bytes of the addresses and ports of a family and transport (section 2.2); nothing for one that is none.
std::optional<std::size_t> addresses_size(std::uint8_t family) noexcept {
  switch (family) {
    case 0x00:  // UNSPEC
      return 0;
    case 0x11:  // INET, STREAM and DGRAM: a proxy may bring datagrams here, as those of QUIC
    case 0x12:
      return 12;
    case 0x21:  // INET6
    case 0x22:
      return 36;
    case 0x31:  // UNIX
    case 0x32:
      return 216;
    default:
      return std::nullopt;
  }
}

ProxyHeader read_version_2(std::string_view bytes) noexcept {
  constexpr std::size_t command_at = 12;
  constexpr std::size_t family_at = 13;
  constexpr std::size_t length_at = 14;
  if (bytes.size() <= command_at) return {};
  const std::uint8_t command = octet(bytes, command_at);
  if (command != 0x20 && command != 0x21)
    return bad("The PROXY header has another version than 2, or a command other than LOCAL and PROXY.");
  const bool local = command == 0x20;
  if (bytes.size() <= family_at) return {};
  // With LOCAL the family means nothing, and neither does what follows it.
  const std::uint8_t family = octet(bytes, family_at);
  const std::optional<std::size_t> addresses = local ? std::size_t{0} : addresses_size(family);
  if (!addresses) return bad("The PROXY header names a family or transport that does not exist.");
  if (bytes.size() < fixed_size) return {};
  const std::size_t size = fixed_size + number16(bytes, length_at);
  if (size > max_proxy_header) return bad("The PROXY header is too long.");
  if (size < fixed_size + *addresses) return bad("The PROXY header is too short for its addresses.");
  if (bytes.size() < size) return {};
  if (local) return complete(size, Source::peer);
  // The addresses of UNSPEC have no known size, so where its TLVs would begin is not known either.
  if (family == 0x00) return complete(size, Source::nobody);

  const std::string_view objection = objection_to_tlvs(bytes.substr(0, size), fixed_size + *addresses);
  if (!objection.empty()) return bad(objection);
  switch (family >> 4) {
    case 1:
      return complete(size, Source::address, v4_at(bytes, fixed_size));
    case 2:
      return complete(size, Source::address, v6_at(bytes, fixed_size));
    default:
      return complete(size, Source::nobody);
  }
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) noexcept {
  if (bytes.empty()) return {};
  const bool version_2 = bytes.front() == signature.front();
  const std::string_view beginning = version_2 ? signature : first_word;
  if (!may_become(bytes, beginning)) return bad("The connection does not begin with a PROXY header.");
  return version_2 ? read_version_2(bytes) : read_version_1(bytes);
}

}  // namespace portico::proxy::http
