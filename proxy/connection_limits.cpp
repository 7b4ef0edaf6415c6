#include "proxy/connection_limits.hpp"

#include <cstring>

namespace portico::proxy {
namespace {

constexpr std::uint64_t count_mask = (std::uint64_t{1} << 24) - 1;

std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 32;
  x *= 0xe9846af9b1a615dULL;
  x ^= x >> 32;
  x *= 0xe9846af9b1a615dULL;
  x ^= x >> 28;
  return x;
}

}  // namespace

ConnectionLimits::ConnectionLimits(std::uint64_t secret) : secret_(secret), table_(slots) {}

std::uint64_t ConnectionLimits::hash(const conf::IpAddress& client) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, client.bytes().data(), 8);
  if (client.is_v4()) std::memcpy(&low, client.bytes().data() + 8, 8);
  return mix(mix(high ^ secret_) + low + (secret_ << 1));
}

ConnectionLimits::Verdict ConnectionLimits::enter(const conf::IpAddress* client, std::size_t limit,
                                                  std::size_t limit_per_client, Place& place) noexcept {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= limit) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Verdict::too_many;
  }
  place.total_ = true;
  if (client == nullptr) return Verdict::admitted;

  const std::uint64_t h = hash(*client);
  const std::uint64_t tag = (h | (std::uint64_t{1} << 63)) & ~count_mask;  // never 0
  const auto at = [&](std::size_t i) -> std::atomic<std::uint64_t>& { return table_[(h + i) % slots]; };
  const auto index = [&](std::size_t i) { return static_cast<std::uint32_t>((h + i) % slots); };
  for (std::size_t i = 0; i < window; ++i) {
    std::uint64_t seen = at(i).load(std::memory_order_relaxed);
    while ((seen & ~count_mask) == tag) {
      if ((seen & count_mask) >= limit_per_client) {
        leave(place);
        return Verdict::too_many_from_client;
      }
      if (at(i).compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) {
        place.slot_ = index(i);
        return Verdict::admitted;
      }
    }
  }
  for (std::size_t i = 0; i < window; ++i) {
    std::uint64_t free = 0;
    if (at(i).compare_exchange_strong(free, tag | 1, std::memory_order_relaxed)) {
      place.slot_ = index(i);
      return Verdict::admitted;
    }
  }
  return Verdict::admitted;
}

void ConnectionLimits::leave(Place& place) noexcept {
  if (place.slot_ != Place::none) {
    std::atomic<std::uint64_t>& slot = table_[place.slot_];
    std::uint64_t seen = slot.load(std::memory_order_relaxed);
    while (!slot.compare_exchange_weak(seen, (seen & count_mask) == 1 ? 0 : seen - 1,
                                       std::memory_order_relaxed)) {
    }
    place.slot_ = Place::none;
  }
  if (place.total_) total_.fetch_sub(1, std::memory_order_relaxed);
  place.total_ = false;
}

}  // namespace portico::proxy
