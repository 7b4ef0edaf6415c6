#include "proxy/key_guard.hpp"

#include <algorithm>

namespace portico::proxy {
namespace {

// 36 bits of these are 21 years of the monotonic clock.
constexpr std::uint64_t tick_ns = 10'000'000;
constexpr std::uint64_t most_failures = (std::uint64_t{1} << 20) - 1;

/// How a client stands, as it lies in a slot: tag 7 bits, braked 1, failures 20, time 36.
struct State {
  std::uint64_t tag = 0;
  bool braked = false;
  std::uint64_t failures = 0;
  std::uint64_t time = 0;  // in ticks: the end of the pause when braked, else the first failure

  static State of(std::uint64_t word) noexcept {
    return {word >> 57, (word >> 56 & 1) != 0, word >> 36 & most_failures,
            word & ((std::uint64_t{1} << 36) - 1)};
  }
  [[nodiscard]] std::uint64_t word() const noexcept {
    return tag << 57 | std::uint64_t{braked} << 56 | failures << 36 | time;
  }
};

std::uint64_t tag_of(std::uint64_t hash) noexcept { return hash >> 57; }

std::uint64_t ticks_of(conf::Milliseconds time) noexcept {
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(time.count()) * 1'000'000 / tick_ns, 1);
}

/// When a slot in this state means nothing any more.
std::uint64_t end_of(std::uint64_t word, std::uint64_t window) noexcept {
  const State state = State::of(word);
  return state.braked ? state.time : state.time + window;
}

}  // namespace

/// The client's slot, its own or one taken over; null where other workers took each one that was chosen.
KeyGuard::Slot* KeyGuard::claim(ClientNetwork client, std::uint64_t hash, std::uint64_t window) noexcept {
  for (std::size_t round = 0; round < Table::window; ++round) {
    Slot* chosen = nullptr;
    std::uint64_t owner = 0;
    std::uint64_t left = 0;
    std::uint64_t first_end = UINT64_MAX;
    for (std::size_t i = 0; i < Table::window; ++i) {
      Slot& slot = table_[Table::index(hash, i)];
      const std::uint64_t seen = slot.client.load(std::memory_order_acquire);
      if (seen == client.word()) return &slot;
      const std::uint64_t state = slot.state.load(std::memory_order_relaxed);
      const std::uint64_t end = seen == 0 ? 0 : end_of(state, window);
      if (end < first_end) {
        first_end = end;
        owner = seen;
        left = state;
        chosen = &slot;
      }
    }
    // What the last client left goes first: the new one may have its tag.
    if (chosen->state.compare_exchange_strong(left, 0, std::memory_order_relaxed) &&
        chosen->client.compare_exchange_strong(owner, client.word(), std::memory_order_release,
                                               std::memory_order_relaxed)) {
      return chosen;
    }
  }
  return nullptr;
}

bool KeyGuard::failed(ClientNetwork client, const conf::KeyGuardSettings& settings, Moment now) noexcept {
  if (settings.failures == 0 || client.is_nobody()) return false;
  const std::uint64_t limit = std::min<std::uint64_t>(settings.failures, most_failures);
  const std::uint64_t window = ticks_of(settings.window);
  const std::uint64_t pause = ticks_of(settings.pause);
  const std::uint64_t tick = now / tick_ns;
  const std::uint64_t hash = table_.hash(client);
  Slot* const slot = claim(client, hash, window);
  if (slot == nullptr) return false;

  std::uint64_t seen = slot->state.load(std::memory_order_relaxed);
  for (;;) {
    State state = State::of(seen);
    bool closes = false;
    if (state.tag == tag_of(hash) && state.braked && state.time > tick) {
      state.failures = std::min(state.failures + 1, most_failures);
      state.time = std::max(state.time, std::min(state.time + pause / limit, tick + most_pauses * pause));
    } else {
      // What another client left here, or what time has forgiven.
      if (state.tag != tag_of(hash) || state.braked || state.failures == 0 || tick >= state.time + window)
        state = {tag_of(hash), false, 0, tick};
      ++state.failures;
      closes = state.failures >= limit;
      if (closes) {
        state.braked = true;
        state.time = tick + pause;
      }
    }
    if (!slot->state.compare_exchange_weak(seen, state.word(), std::memory_order_relaxed)) continue;
    if (state.braked) {
      const Moment end = state.time * tick_ns;
      Moment last = last_end_.load(std::memory_order_relaxed);
      while (last < end && !last_end_.compare_exchange_weak(last, end, std::memory_order_relaxed)) {
      }
    }
    return closes;
  }
}

std::chrono::seconds KeyGuard::pause_of(ClientNetwork client, Moment now) const noexcept {
  using std::chrono::seconds;
  if (now >= last_end_.load(std::memory_order_relaxed) || client.is_nobody()) return seconds{0};
  const std::uint64_t hash = table_.hash(client);
  for (std::size_t i = 0; i < Table::window; ++i) {
    const Slot& slot = table_[Table::index(hash, i)];
    if (slot.client.load(std::memory_order_acquire) != client.word()) continue;
    const State state = State::of(slot.state.load(std::memory_order_relaxed));
    const Moment end = state.time * tick_ns;
    if (state.tag != tag_of(hash) || !state.braked || end <= now) return seconds{0};
    return std::chrono::ceil<seconds>(std::chrono::nanoseconds(end - now));
  }
  return seconds{0};
}

std::vector<KeyGuard::Braked> KeyGuard::braked(Moment now) const {
  std::vector<Braked> found;
  if (now >= last_end_.load(std::memory_order_relaxed)) return found;
  for (const Slot& slot : table_.all()) {
    const std::uint64_t word = slot.client.load(std::memory_order_acquire);
    const State state = State::of(slot.state.load(std::memory_order_relaxed));
    const Moment end = state.time * tick_ns;
    if (word == 0 || !state.braked || end <= now) continue;
    const ClientNetwork client = ClientNetwork::from_word(word);
    if (state.tag != tag_of(table_.hash(client))) continue;
    found.push_back({client,
                     std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(end - now)),
                     state.failures});
  }
  return found;
}

}  // namespace portico::proxy
