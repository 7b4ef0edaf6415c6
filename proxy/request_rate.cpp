#include "proxy/request_rate.hpp"

#include <algorithm>

namespace portico::proxy {
namespace {

constexpr unsigned moment_bits = 44;
constexpr std::uint64_t moment_mask = (std::uint64_t{1} << moment_bits) - 1;
constexpr std::uint64_t tick_ns = 125;
constexpr std::uint64_t ticks_per_second = 1'000'000'000 / tick_ns;
/// What is further ahead than this is behind.
constexpr std::uint64_t most_ahead = moment_mask / 2;

/// How far ahead of `now` the moment in a slot is; 0 for one that has passed.
std::uint64_t ahead_of(std::uint64_t now, std::uint64_t slot) noexcept {
  const std::uint64_t ahead = (slot - now) & moment_mask;
  return ahead > most_ahead ? 0 : ahead;
}

std::chrono::seconds seconds_of(std::uint64_t ticks) noexcept {
  return std::chrono::seconds{(ticks + ticks_per_second - 1) / ticks_per_second};
}

}  // namespace

std::chrono::seconds RequestRate::take(ClientNetwork client, const Rate& rate, Moment now) noexcept {
  using std::chrono::seconds;
  if (rate.per_second == 0 || client.is_nobody()) return seconds{0};
  const std::uint64_t interval = std::max<std::uint64_t>(ticks_per_second / rate.per_second, 1);
  const std::uint64_t burst = std::max<std::uint64_t>(rate.burst, 1);
  // The depth of a bucket in time.
  const std::uint64_t depth =
      burst > most_ahead / interval ? most_ahead - most_ahead % interval : burst * interval;
  const std::uint64_t tick = now / tick_ns;

  const std::uint64_t hash = table_.hash(client);
  const std::uint64_t high_bits = hash >> moment_bits;
  const std::uint64_t tag = (high_bits == 0 ? 1 : high_bits) << moment_bits;
  // Each further round means that another worker has just taken the slot that this one had chosen.
  for (std::size_t round = 0; round < Table::window; ++round) {
    std::uint32_t fullest = 0;
    std::uint64_t fullest_seen = 0;
    std::uint64_t least_ahead = UINT64_MAX;
    for (std::size_t i = 0; i < Table::window; ++i) {
      const std::uint32_t index = Table::index(hash, i);
      std::atomic<std::uint64_t>& slot = table_[index];
      std::uint64_t seen = slot.load(std::memory_order_relaxed);
      while ((seen & ~moment_mask) == tag) {
        const std::uint64_t found = ahead_of(tick, seen);
        const std::uint64_t ahead = std::min(found, depth);
        const bool passes = ahead + interval <= depth;
        const seconds wait = passes ? seconds{0} : seconds_of(ahead + interval - depth);
        // A refusal has something to store only where another rate has emptied the bucket further.
        if (!passes && found == ahead) return wait;
        const std::uint64_t next = tag | ((tick + ahead + (passes ? interval : 0)) & moment_mask);
        if (slot.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return wait;
      }
      const std::uint64_t ahead = seen == 0 ? 0 : ahead_of(tick, seen);
      if (ahead < least_ahead) {
        least_ahead = ahead;
        fullest = index;
        fullest_seen = seen;
      }
    }
    const std::uint64_t first = tag | ((tick + interval) & moment_mask);
    if (table_[fullest].compare_exchange_strong(fullest_seen, first, std::memory_order_relaxed))
      return seconds{0};
  }
  return seconds{0};
}

}  // namespace portico::proxy
