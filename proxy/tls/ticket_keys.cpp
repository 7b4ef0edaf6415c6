#include "proxy/tls/ticket_keys.hpp"

#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <type_traits>

namespace portico::proxy::tls {

TicketKeys::TicketKeys() : count_(1) {
  static_assert(std::is_trivially_copyable_v<Key> && sizeof(Key) == 80,
                "filled with random bytes as a whole");
  // So few bytes come whole or not at all.
  while (::getrandom(&keys_.front(), sizeof(Key), 0) != static_cast<ssize_t>(sizeof(Key))) {
    if (errno != EINTR) throw std::runtime_error("the system has no randomness to give");
  }
}

TicketKeys::~TicketKeys() { OPENSSL_cleanse(keys_.data(), sizeof keys_); }

std::shared_ptr<const TicketKeys> TicketKeys::rotated() const {
  auto fresh = std::make_shared<TicketKeys>();
  const std::size_t kept = std::min(count_, most - 1);
  std::copy_n(keys_.begin(), kept, fresh->keys_.begin() + 1);
  fresh->count_ = 1 + kept;
  return fresh;
}

const TicketKeys::Key* TicketKeys::find(std::span<const std::uint8_t, 16> name) const noexcept {
  const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count_);
  const auto found = std::find_if(keys_.begin(), end, [&](const Key& key) {
    return std::equal(name.begin(), name.end(), key.name.begin());
  });
  return found == end ? nullptr : &*found;
}

}  // namespace portico::proxy::tls
