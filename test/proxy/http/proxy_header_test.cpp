#include "proxy/http/proxy_header.hpp"

#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico::proxy::http;
using portico::conf::IpAddress;
using State = ProxyHeader::State;
using Source = ProxyHeader::Source;

namespace {

const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string number16(std::size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

/// A header of version 2 around `payload`.
std::string version_2(int command, int family, const std::string& payload) {
  return signature + static_cast<char>(command) + static_cast<char>(family) + number16(payload.size()) +
         payload;
}

std::string tlv(int type, const std::string& value) {
  return static_cast<char>(type) + number16(value.size()) + value;
}

const std::string v4_addresses("\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb", 12);
const std::string v6_addresses = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + '\x01' +
                                 std::string(16, '\x20') + number16(12'345) + number16(443);

/// The same, bit by bit: a second reader of RFC 3720.
std::uint32_t slow_crc32c(const std::string& bytes) {
  std::uint32_t crc = 0xffff'ffff;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

/// A header with a checksum among its TLVs, which is made right.
std::string with_checksum(const std::string& before, const std::string& after) {
  std::string header = version_2(0x21, 0x11, v4_addresses + before + tlv(0x03, std::string(4, '\0')) + after);
  const std::uint32_t crc = slow_crc32c(header);
  const std::size_t at = 16 + v4_addresses.size() + before.size() + 3;
  header.replace(at, 4, number16(crc >> 16) + number16(crc & 0xffff));
  return header;
}

/// Complete, for this address, and every byte of it consumed.
void check_address(const std::string& header, std::string_view address) {
  CAPTURE(header);
  const ProxyHeader read = read_proxy_header(header + "GET / HTTP/1.1\r\n");
  REQUIRE(read.state == State::complete);
  CHECK(read.size == header.size());
  CHECK(read.source == Source::address);
  CHECK(read.address == IpAddress::parse(address));
}

void check_source(const std::string& header, Source source) {
  CAPTURE(header);
  const ProxyHeader read = read_proxy_header(header + "\r\n\r\n");
  REQUIRE(read.state == State::complete);
  CHECK(read.size == header.size());
  CHECK(read.source == source);
}

void check_bad(const std::string& header) {
  CAPTURE(header);
  const ProxyHeader read = read_proxy_header(header);
  CHECK(read.state == State::bad);
  CHECK_FALSE(read.sentence.empty());
}

}  // namespace

TEST_CASE("version 1 names the client by address, and what follows the line is the client's") {
  check_address("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", "192.0.2.1");
  check_address("PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", "255.255.255.255");
  check_address("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1");
  check_address("PROXY TCP6 2001:DB8:0:0:0:0:0:1 2001:db8::2 65535 1\r\n", "2001:db8::1");
  // Linux writes the mapped form so.
  check_address("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.8 5 6\r\n", "192.0.2.7");
}

TEST_CASE("the longest line of version 1 is 107 bytes") {
  const std::string longest =
      "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535" + std::string(48, 'x') + "\r\n";
  REQUIRE(longest.size() == 107);
  check_source(longest, Source::nobody);
  const std::string longer = "PROXY UNKNOWN " + std::string(92, 'x');
  CHECK(read_proxy_header(longer).state == State::need_more);
  check_bad(longer + "\r\n");
  check_bad(longer + "x");
}

TEST_CASE("a client that version 1 calls UNKNOWN is nobody, whatever the line says of it") {
  check_source("PROXY UNKNOWN\r\n", Source::nobody);
  check_source("PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n", Source::nobody);
  check_source("PROXY UNKNOWN  \t?\r\n", Source::nobody);
}

TEST_CASE("a line of version 1 that is not exactly so is refused") {
  for (const char* line : {"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2\r\n",
                           "PROXY TCP4 192.0.2.1\r\n",
                           "PROXY TCP4 \r\n",
                           "PROXY \r\n",
                           "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
                           "PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n",
                           "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
                           "PROXY TCP4 192.0.2.1 x 1 2\r\n",
                           "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
                           "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY TCP6 2001:db8::1 192.0.2.1 1 2\r\n",
                           "PROXY TCP6 2001:db8::1%eth0 ::1 1 2\r\n",
                           "PROXY TCP6 1:2:3 ::1 1 2\r\n",
                           "PROXY TCP6 1::2::3 ::1 1 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 100000\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
                           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\r\n",
                           "PROXY TCP4\t192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
                           "PROXY UNKNOWNS 1\r\n",
                           "PROXY unknown\r\n",
                           "PROXY UNKNOWN\n",
                           "PROXY UNKNOWN\rX",
                           "PROXY  TCP4",
                           "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n"}) {
    check_bad(line);
  }
  check_bad(std::string("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n", 40));
}

TEST_CASE("what no PROXY header begins with is refused at its first byte that says so") {
  for (const char* bytes : {"G", "PO", "PROXZ", "PROXY\r", "\n", "\r\r", "\x16\x03\x01", "PRI * HTTP/2.0\r\n",
                            "PROXY X", "PROXY UNKNOWNX", "PROXY TCP44"}) {
    check_bad(bytes);
  }
  CHECK(read_proxy_header({}).state == State::need_more);
  CHECK(read_proxy_header("PROXY UNKNOWN\r").state == State::need_more);
}

TEST_CASE("version 2 names the client by address") {
  check_address(version_2(0x21, 0x11, v4_addresses), "192.0.2.1");
  check_address(version_2(0x21, 0x12, v4_addresses), "192.0.2.1");
  check_address(version_2(0x21, 0x21, v6_addresses), "2001:db8::1");
  check_address(version_2(0x21, 0x22, v6_addresses), "2001:db8::1");
  const std::string mapped = std::string(10, '\0') + "\xff\xff\xc0" + std::string("\0\x02\x07", 3);
  check_address(version_2(0x21, 0x21, mapped + std::string(20, '\0')), "192.0.2.7");
}

TEST_CASE("a proxy that speaks for itself is the peer, and the rest of its header means nothing") {
  check_source(version_2(0x20, 0x00, ""), Source::peer);
  check_source(version_2(0x20, 0x11, v4_addresses), Source::peer);
  check_source(version_2(0x20, 0xff, "whatever"), Source::peer);
}

TEST_CASE("a client on a unix socket or of no known family is nobody, never the proxy") {
  check_source(version_2(0x21, 0x00, ""), Source::nobody);
  check_source(version_2(0x21, 0x00, "ignored"), Source::nobody);
  check_source(version_2(0x21, 0x31, std::string(216, 'p')), Source::nobody);
  check_source(version_2(0x21, 0x32, std::string(216, '\0') + tlv(0x04, "")), Source::nobody);
}

TEST_CASE("TLVs are skipped, but they fill the header exactly") {
  check_address(version_2(0x21, 0x11, v4_addresses + tlv(0x01, "h2") + tlv(0xea, "") + tlv(0x02, "host")),
                "192.0.2.1");
  check_address(version_2(0x21, 0x21, v6_addresses + tlv(0x04, std::string(300, '\0'))), "2001:db8::1");
  check_bad(version_2(0x21, 0x11, v4_addresses + "\x01"));
  check_bad(version_2(0x21, 0x11, v4_addresses + std::string("\x01\x00", 2)));
  check_bad(version_2(0x21, 0x11, v4_addresses + std::string("\x01\x00\x03hi", 5)));
  check_bad(version_2(0x21, 0x11, v4_addresses + tlv(0x01, "h2") + std::string(2, '\0')));
}

TEST_CASE("a checksum of version 2 is right, of four bytes, and there once") {
  // RFC 3720 appendix B.4 has this one.
  REQUIRE(slow_crc32c(std::string(32, '\0')) == 0x8a9136aa);
  const std::string right = with_checksum(tlv(0x01, "h2"), tlv(0x04, std::string(7, '\0')));
  check_address(right, "192.0.2.1");
  for (const std::size_t at : {std::size_t{16}, std::size_t{34}, right.size() - 1}) {
    std::string wrong = right;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    CAPTURE(at);
    check_bad(wrong);
  }
  check_bad(version_2(0x21, 0x11, v4_addresses + tlv(0x03, std::string(5, '\0'))));
  check_bad(with_checksum("", tlv(0x03, std::string(4, '\0'))));
}

TEST_CASE("another version, command, family or length of version 2 is refused as soon as it shows") {
  for (const int command : {0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x30, 0x31, 0xf1})
    check_bad(signature + static_cast<char>(command));
  for (const int family : {0x01, 0x02, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xff})
    check_bad(signature + '\x21' + static_cast<char>(family));
  check_bad(signature + "\x21\x11" + number16(11));
  check_bad(signature + "\x21\x21" + number16(35));
  check_bad(signature + "\x21\x31" + number16(215));
  check_bad(signature + "\x21\x11" + number16(2'049));
  check_bad(signature + std::string("\x20\x00", 2) + number16(65'535));
  check_address(version_2(0x21, 0x11, v4_addresses + tlv(0x04, std::string(2'048 - 12 - 3, 'x'))),
                "192.0.2.1");
}

TEST_CASE("however a PROXY header is split, it is the same header") {
  std::mt19937 random(20'261'129);
  std::vector<std::string> headers{"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n",
                                   "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
                                   "PROXY UNKNOWN\r\n",
                                   "PROXY UNKNOWN a b c\r\n",
                                   version_2(0x21, 0x11, v4_addresses),
                                   version_2(0x21, 0x21, v6_addresses + tlv(0x01, "h2")),
                                   version_2(0x20, 0x00, ""),
                                   with_checksum(tlv(0x01, "h2"), tlv(0x04, "pad"))};
  // And neighbours of each, most of them bad.
  for (std::size_t i = 0; i < 800; ++i) {
    std::string changed = headers[i % 8];
    changed[random() % changed.size()] = static_cast<char>(random() % 256);
    headers.push_back(changed);
  }
  for (const std::string& header : headers) {
    CAPTURE(header);
    const std::string stream = header + "GET / HTTP/1.1\r\n\r\n";
    const ProxyHeader whole = read_proxy_header(stream);
    bool decided = false;
    for (std::size_t end = 0; end <= stream.size(); ++end) {
      const ProxyHeader part = read_proxy_header(std::string_view(stream).substr(0, end));
      if (part.state == State::need_more) {
        REQUIRE_FALSE(decided);
        continue;
      }
      // What is decided of a part stays decided, and of a good header nothing is decided before its last
      // byte.
      decided = true;
      REQUIRE(part.state == whole.state);
      REQUIRE(part.size == whole.size);
      REQUIRE(part.source == whole.source);
      REQUIRE(part.address == whole.address);
      if (whole.state == State::complete) REQUIRE(end >= whole.size);
    }
  }
}
