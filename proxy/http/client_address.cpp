#include "proxy/http/client_address.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

constexpr std::size_t max_items = 32;
constexpr std::size_t max_hops_told = 16;

bool is_port(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), h1::is_digit);
}

/// An address as balancers write it: plain, `1.2.3.4:567`, `[v6]`, `[v6]:567`, each also in quotes.
std::optional<conf::IpAddress> read_item(std::string_view item) noexcept {
  if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
  if (item.starts_with('[')) {
    const auto close = item.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const auto inside = item.substr(1, close - 1);
    const auto after = item.substr(close + 1);
    if (!after.empty() && (after.front() != ':' || !is_port(after.substr(1)))) return std::nullopt;
    if (inside.find(':') == std::string_view::npos) return std::nullopt;
    return conf::IpAddress::parse(inside);
  }
  const auto colon = item.find(':');
  if (colon != std::string_view::npos && item.find(':', colon + 1) == std::string_view::npos) {
    if (!is_port(item.substr(colon + 1))) return std::nullopt;
    item = item.substr(0, colon);
  }
  return conf::IpAddress::parse(item);
}

/// The items of all X-Forwarded-For lines as one list (RFC 9110 section 5.3), last one first. Empty items
/// are no items (section 5.6.1).
class ItemsFromRight {
 public:
  explicit ItemsFromRight(std::span<const h1::Field> fields) noexcept : fields_(fields) {}

  std::optional<std::string_view> next() noexcept {
    for (;;) {
      while (!rest_.empty()) {
        const auto comma = rest_.rfind(',');
        const auto item = h1::trim(comma == std::string_view::npos ? rest_ : rest_.substr(comma + 1));
        rest_ = comma == std::string_view::npos ? std::string_view{} : rest_.substr(0, comma);
        if (!item.empty()) return item;
      }
      while (!fields_.empty() && fields_.back().id != h1::FieldId::x_forwarded_for) {
        fields_ = fields_.first(fields_.size() - 1);
      }
      if (fields_.empty()) return std::nullopt;
      rest_ = fields_.back().value;
      fields_ = fields_.first(fields_.size() - 1);
    }
  }

 private:
  std::span<const h1::Field> fields_;  // lines still to be read
  std::string_view rest_;              // of the line being read
};

/// The address in the only X-Real-IP line; nothing when there are two, which nobody can rank.
std::optional<conf::IpAddress> only_real_ip(const h1::HeadFields& fields) noexcept {
  if (!fields.once(h1::FieldId::x_real_ip)) return std::nullopt;
  return read_item(fields.find(h1::FieldId::x_real_ip)->value);
}

}  // namespace

TrustedProxies::TrustedProxies(std::span<const conf::Network> networks) {
  for (const auto& network : networks) {
    if (network.is_unix()) {
      unix_ = true;
    } else {
      networks_.push_back(network);
    }
  }
}

bool TrustedProxies::trusts(const conf::IpAddress& address) const noexcept {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const conf::Network& network) { return network.contains(address); });
}

void ForwardedChain::append(const conf::IpAddress& address) noexcept {
  char plain[48];
  const auto length = address.write(plain);
  if (length_ != 0) {
    std::memcpy(text_ + length_, ", ", 2);
    length_ += 2;
  }
  std::memcpy(text_ + length_, plain, length);
  length_ += length;
}

void ForwardedChain::assign(const Peer& peer) noexcept {
  address_ = peer.is_unix ? conf::IpAddress::v4(0) : peer.ip;
  length_ = 0;
  append(address_);
  client_length_ = length_;
}

void ForwardedChain::assign(const Peer& peer, const h1::HeadFields& fields, conf::ClientAddressHeader header,
                            const TrustedProxies& trusted) noexcept {
  if (!(peer.is_unix ? trusted.trusts_unix() : trusted.trusts(peer.ip))) return assign(peer);

  const conf::IpAddress nobody = conf::IpAddress::v4(0);
  // Every hop that is vouched for by the one to its right, nearest first; a unix socket has no address.
  std::array<conf::IpAddress, max_items + 1> hops;
  std::size_t count = 0;
  if (!peer.is_unix) hops[count++] = peer.ip;
  if (header == conf::ClientAddressHeader::x_real_ip) {
    if (fields.has(h1::FieldId::x_real_ip)) hops[count++] = only_real_ip(fields).value_or(nobody);
  } else {
    ItemsFromRight items(fields.all());
    for (std::size_t looked_at = 0; looked_at < max_items; ++looked_at) {
      const auto item = items.next();
      if (!item) break;
      const auto address = read_item(*item);
      // A trusted proxy's word for a client it can't name. Its own address must not stand in for that client:
      // it may be local, and local callers are trusted by the backend.
      hops[count++] = address.value_or(nobody);
      if (!address || !trusted.trusts(*address)) break;
    }
  }
  if (count == 0) return assign(peer);

  address_ = hops[count - 1];
  length_ = 0;
  append(address_);
  client_length_ = length_;
  for (std::size_t i = std::min(count - 1, max_hops_told); i > 0; --i) append(hops[i - 1]);
}

}  // namespace portico::proxy::http
