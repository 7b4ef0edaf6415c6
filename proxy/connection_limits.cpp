#include "proxy/connection_limits.hpp"

namespace portico::proxy {
namespace {

constexpr std::uint64_t count_mask = (std::uint64_t{1} << 24) - 1;

}  // namespace

ConnectionLimits::Verdict ConnectionLimits::enter(const conf::IpAddress* client, std::size_t limit,
                                                  std::size_t limit_per_client, Place& place) noexcept {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= limit) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Verdict::too_many;
  }
  place.total_ = true;
  if (client == nullptr) return Verdict::admitted;

  const std::uint64_t hash = table_.hash(ClientNetwork(*client));
  const std::uint64_t tag = (hash | (std::uint64_t{1} << 63)) & ~count_mask;  // never 0
  for (std::size_t i = 0; i < Table::window; ++i) {
    const std::uint32_t index = Table::index(hash, i);
    std::atomic<std::uint64_t>& slot = table_[index];
    std::uint64_t seen = slot.load(std::memory_order_relaxed);
    while ((seen & ~count_mask) == tag) {
      if ((seen & count_mask) >= limit_per_client) {
        leave(place);
        return Verdict::too_many_from_client;
      }
      if (slot.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) {
        place.slot_ = index;
        return Verdict::admitted;
      }
    }
  }
  for (std::size_t i = 0; i < Table::window; ++i) {
    const std::uint32_t index = Table::index(hash, i);
    std::uint64_t free = 0;
    if (table_[index].compare_exchange_strong(free, tag | 1, std::memory_order_relaxed)) {
      place.slot_ = index;
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
