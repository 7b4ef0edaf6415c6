#pragma once
// A worker's records on their way to the telemetry thread: a lock-free ring of bytes, one producer, one
// consumer.
//
//      0        tail (consumer)        head (producer)      capacity
//      | free   | record | record | .. | free               |
//
// Positions only grow; their low bits are the place in the buffer. A record lies in one piece: where it does
// not fit before the end, the rest of the buffer is marked as padding and it begins at the front. A record
// for which there is no room is dropped and counted; the producer never waits.
//
// owns:    its buffer, touched first by the producer as it goes
// threads: push() by one thread, drain() by one other; the numbers by any
// bytes:   copied in; drain() shows them where they lie, until its callback returns
// memory:  - head_ is stored by the producer after the record's bytes are written and loaded with acquire by
// the
//            consumer before it reads them: whatever lies before a head it has seen is whole. The store is
//            sequentially consistent instead of release only because of the waker (see there).
//          - tail_ is stored with release by the consumer after it has read a record and loaded with acquire
//          by the
//            producer before it writes over that place: no record is overwritten while it is read.
//          - each side keeps the other's position as last seen and loads it anew only when that says full or
//          empty,
//            so in steady flow the two threads rarely touch each other's cache line.
//          - the counters are relaxed: each is exact by itself.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "telemetry/cells.hpp"
#include "telemetry/tap/record.hpp"
#include "telemetry/waker.hpp"

namespace portico::telemetry {

class Ring final : public RecordSink {
 public:
  /// `bytes` is rounded up to a power of two, at least 4 KiB. `waker` must outlive the ring.
  Ring(std::size_t bytes, Waker& waker);

  /// Producer. False: there was no room, and the record is counted as dropped.
  bool try_push(const Record& record) noexcept;
  void push(const Record& record) noexcept override { try_push(record); }

  /// Consumer: calls `take(Record)` for up to `most` records, oldest first, and frees their places one by
  /// one. Returns how many there were. An exception of `take` leaves its record in the ring.
  template <class Take>
  std::size_t drain(std::size_t most, Take take) {
    std::size_t count = 0;
    while (count < most) {
      const Entry* entry = front();
      if (entry == nullptr) break;
      take(record_of(*entry));
      pop(*entry);
      ++count;
    }
    return count;
  }
  /// Consumer: whether drain() would find something; orders against the waker's state.
  [[nodiscard]] bool empty() const noexcept {
    return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }
  [[nodiscard]] std::size_t used_bytes() const noexcept;
  [[nodiscard]] std::uint64_t pushed() const noexcept { return pushed_.value(); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.value(); }

 private:
  /// In front of each record's facts; the texts follow them.
  struct Entry {
    std::uint32_t size;        // of all, this included; a multiple of 8
    std::uint32_t texts_size;  // padding: no record here
  };
  static constexpr std::uint32_t padding = UINT32_MAX;

  [[nodiscard]] std::byte* at(std::uint64_t position) const noexcept { return &buffer_[position & mask_]; }
  const Entry* front() noexcept;
  void pop(const Entry& entry) noexcept;
  static Record record_of(const Entry& entry) noexcept;

  struct Free {
    void operator()(std::byte* bytes) const noexcept;
  };

  std::unique_ptr<std::byte[], Free> buffer_;
  std::size_t mask_;
  Waker& waker_;

  // The two sides stand on cache lines of their own.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::uint64_t seen_tail_ = 0;
  Counter pushed_;
  Counter dropped_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  std::uint64_t seen_head_ = 0;
};

}  // namespace portico::telemetry
