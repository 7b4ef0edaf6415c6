#include "telemetry/cells.hpp"

#include <algorithm>
#include <new>

namespace portico::telemetry {
namespace {

template <class Index>
std::size_t number(Index index) noexcept {
  return static_cast<std::size_t>(index);
}

std::size_t pair_slot(RouteLabel route, Dialect dialect) noexcept {
  return number(route) * dialect_count + number(dialect);
}

// The worker is the only writer of its slots, so its own look needs no ordering. The store publishes the
// block's zeroed cells to the telemetry thread, which loads with acquire.
template <class Block>
Block& block_of(std::atomic<Block*>& slot, std::vector<std::unique_ptr<Block>>& owned) {
  Block* block = slot.load(std::memory_order_relaxed);
  if (block == nullptr) [[unlikely]] {
    block = owned.emplace_back(std::make_unique<Block>()).get();
    slot.store(block, std::memory_order_release);
  }
  return *block;
}

// The index of the entry that equals `same`, else of a new one; `other` once only the last place is left.
template <class Entry, class Same>
std::size_t index_in(std::vector<Entry>& table, std::size_t capacity, Same same, Entry fresh, Entry other) {
  const auto found = std::find_if(table.begin(), table.end(), same);
  if (found != table.end()) return static_cast<std::size_t>(found - table.begin());
  if (table.size() == capacity) return capacity - 1;
  table.push_back(table.size() == capacity - 1 ? std::move(other) : std::move(fresh));
  return table.size() - 1;
}

}  // namespace

void Histogram::observe_us(std::uint64_t us) noexcept {
  std::size_t i = 0;
  while (i < bounds_us.size() && us > bounds_us[i]) ++i;
  buckets_[i].add();
  sum_.add(us);
}

Counter& WorkerCells::requests(RouteLabel route, Dialect dialect, int code) noexcept {
  try {
    return block_of(requests_[pair_slot(route, dialect)], owned_codes_)[code];
  } catch (const std::bad_alloc&) {
    return uncounted_;
  }
}

EndpointCells& WorkerCells::endpoint(EndpointLabel label) {
  return block_of(endpoints_[number(label)], owned_endpoints_);
}

ListenerCells& WorkerCells::listener(ListenerLabel label) {
  return block_of(listeners_[number(label)], owned_listeners_);
}

const CodeCounters* WorkerCells::requests_block(RouteLabel route, Dialect dialect) const noexcept {
  return requests_[pair_slot(route, dialect)].load(std::memory_order_acquire);
}

const EndpointCells* WorkerCells::endpoint_block(EndpointLabel label) const noexcept {
  return endpoints_[number(label)].load(std::memory_order_acquire);
}

const ListenerCells* WorkerCells::listener_block(ListenerLabel label) const noexcept {
  return listeners_[number(label)].load(std::memory_order_acquire);
}

Registry::Registry(std::size_t workers) {
  cells_.reserve(workers);
  for (std::size_t i = 0; i < workers; ++i) cells_.push_back(std::make_unique<WorkerCells>());
}

RouteLabel Registry::route(std::string_view label) {
  const std::lock_guard lock(mutex_);
  return static_cast<RouteLabel>(index_in(
      routes_, WorkerCells::max_routes, [&](const std::string& known) { return known == label; },
      std::string(label), std::string("other")));
}

EndpointLabel Registry::endpoint(std::string_view upstream, std::string_view endpoint) {
  const std::lock_guard lock(mutex_);
  return static_cast<EndpointLabel>(index_in(
      endpoints_, WorkerCells::max_endpoints,
      [&](const EndpointName& known) { return known.upstream == upstream && known.endpoint == endpoint; },
      EndpointName{std::string(upstream), std::string(endpoint)}, EndpointName{"other", "other"}));
}

ListenerLabel Registry::listener(std::string_view label) {
  const std::lock_guard lock(mutex_);
  return static_cast<ListenerLabel>(index_in(
      listeners_, WorkerCells::max_listeners, [&](const std::string& known) { return known == label; },
      std::string(label), std::string("other")));
}

std::vector<std::string> Registry::routes() const {
  const std::lock_guard lock(mutex_);
  return routes_;
}

std::vector<EndpointName> Registry::endpoints() const {
  const std::lock_guard lock(mutex_);
  return endpoints_;
}

std::vector<std::string> Registry::listeners() const {
  const std::lock_guard lock(mutex_);
  return listeners_;
}

BrakedAddresses Registry::braked(std::size_t most) const {
  return braked_ ? braked_(most) : BrakedAddresses{};
}

}  // namespace portico::telemetry
