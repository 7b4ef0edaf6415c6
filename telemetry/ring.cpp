#include "telemetry/ring.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace portico::telemetry {

namespace {
constexpr std::size_t least_capacity = 4096;

std::size_t round_up(std::size_t size) noexcept { return (size + 7) & ~std::size_t{7}; }
}  // namespace

void Ring::Free::operator()(std::byte* bytes) const noexcept {
  ::operator delete[](bytes, std::align_val_t{64});
}

Ring::Ring(std::size_t bytes, Waker& waker)
    : mask_(std::bit_ceil(std::max(bytes, least_capacity)) - 1), waker_(waker) {
  buffer_.reset(static_cast<std::byte*>(::operator new[](mask_ + 1, std::align_val_t{64})));
}

bool Ring::try_push(const Record& record) noexcept {
  const std::size_t size = round_up(sizeof(Entry) + sizeof(RecordFacts) + record.texts().size());
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::size_t rest = capacity() - (head & mask_);
  const std::size_t padded = size <= rest ? 0 : rest;
  if (head + padded + size - seen_tail_ > capacity()) {
    seen_tail_ = tail_.load(std::memory_order_acquire);
    if (head + padded + size - seen_tail_ > capacity()) {
      dropped_.add();
      // Whoever could make room may be napping.
      waker_.wake_for(true);
      return false;
    }
  }
  if (padded > 0) {
    const Entry entry{static_cast<std::uint32_t>(padded), padding};
    std::memcpy(at(head), &entry, sizeof entry);
  }
  std::byte* to = at(head + padded);
  const Entry entry{static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(record.texts().size())};
  std::memcpy(to, &entry, sizeof entry);
  std::memcpy(to + sizeof entry, &record.facts(), sizeof(RecordFacts));
  std::memcpy(to + sizeof entry + sizeof(RecordFacts), record.texts().data(), record.texts().size());
  const std::uint64_t next = head + padded + size;
  pushed_.add();
  head_.store(next, std::memory_order_seq_cst);
  if (next - seen_tail_ > capacity() / 2) [[unlikely]]
    seen_tail_ = tail_.load(std::memory_order_acquire);
  waker_.wake_for(next - seen_tail_ > capacity() / 2);
  return true;
}

const Ring::Entry* Ring::front() noexcept {
  for (;;) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == seen_head_) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (tail == seen_head_) return nullptr;
    }
    const auto* entry = std::launder(reinterpret_cast<const Entry*>(at(tail)));
    if (entry->texts_size != padding) return entry;
    pop(*entry);
  }
}

void Ring::pop(const Entry& entry) noexcept {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  tail_.store(tail + entry.size, std::memory_order_release);
}

Record Ring::record_of(const Entry& entry) noexcept {
  const auto* bytes = reinterpret_cast<const std::byte*>(&entry) + sizeof entry;
  const auto* facts = std::launder(reinterpret_cast<const RecordFacts*>(bytes));
  return {*facts, {reinterpret_cast<const char*>(bytes) + sizeof(RecordFacts), entry.texts_size}};
}

std::size_t Ring::used_bytes() const noexcept {
  // The tail first: read the other way round it could overtake the head that was seen.
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  return static_cast<std::size_t>(head_.load(std::memory_order_acquire) - tail);
}

}  // namespace portico::telemetry
