#include "proxy/client_table.hpp"

namespace portico::proxy {
namespace {

// IPv4 addresses have the words of the networks 0:ffff::/32, and ::/64 has that of 0:0:0:1::/64: no client
// has an address there (RFC 4291 section 2.4), so no two clients share a word.
constexpr std::uint64_t v4_words = 0x0000'ffff'0000'0000;
constexpr std::uint64_t v4_mask = 0xffff'ffff'0000'0000;
constexpr std::uint64_t zero_network = 1;

std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 32;
  x *= 0xe9846af9b1a615dULL;
  x ^= x >> 32;
  x *= 0xe9846af9b1a615dULL;
  x ^= x >> 28;
  return x;
}

}  // namespace

ClientNetwork::ClientNetwork(const conf::IpAddress& address) noexcept {
  const auto& bytes = address.bytes();
  const std::size_t first = address.is_v4() ? 12 : 0;
  const std::size_t last = address.is_v4() ? 16 : 8;
  std::uint64_t word = 0;
  for (std::size_t i = first; i < last; ++i) word = word << 8 | bytes[i];
  if (address.is_v4()) {
    word_ = v4_words | word;
  } else {
    word_ = word == 0 ? zero_network : word;
  }
}

ClientNetwork ClientNetwork::from_word(std::uint64_t word) noexcept {
  ClientNetwork network;
  network.word_ = word;
  return network;
}

std::string ClientNetwork::text() const {
  if ((word_ & v4_mask) == v4_words) {
    return conf::IpAddress::v4(static_cast<std::uint32_t>(word_ & ~v4_mask)).text();
  }
  std::array<std::uint8_t, 16> bytes{};
  std::uint64_t rest = word_ == zero_network ? 0 : word_;
  for (std::size_t i = 8; i > 0; --i) {
    bytes[i - 1] = static_cast<std::uint8_t>(rest & 0xff);
    rest >>= 8;
  }
  return conf::IpAddress(bytes).text() + "/64";
}

std::uint64_t keyed_hash(ClientNetwork client, std::uint64_t secret) noexcept {
  return mix(mix(client.word() ^ secret) + (secret << 1));
}

}  // namespace portico::proxy
