#pragma once
// Memory of a worker's taps: blocks of a few sizes on free lists, so that an exchange in steady state asks
// the allocator for nothing.
//
// owns:    the blocks on its lists; a block that was taken is the taker's until it is given back
// threads: one worker
// bytes:   never cleared
// errors:  null where there is no memory; never throws

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace portico::telemetry {

class TapPool {
 public:
  static constexpr std::array<std::size_t, 6> block_sizes{256, 512, 1024, 2048, 4096, 8192};
  /// The most that a list keeps, in bytes; what comes back beyond that is freed.
  static constexpr std::size_t kept_bytes = 2U << 20U;

  TapPool() = default;
  TapPool(const TapPool&) = delete;
  TapPool& operator=(const TapPool&) = delete;
  ~TapPool();

  /// Index into block_sizes of the smallest block of at least `size` bytes; past its end when there is none.
  static constexpr std::uint8_t class_of(std::size_t size) noexcept {
    std::uint8_t index = 0;
    while (index < block_sizes.size() && block_sizes[index] < size) ++index;
    return index;
  }
  /// A block of block_sizes[index] bytes, aligned for anything but over-aligned types; null without memory.
  void* take(std::uint8_t index) noexcept;
  /// Gives back what take(index) gave.
  void give(void* block, std::uint8_t index) noexcept;

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  struct List {
    FreeBlock* head = nullptr;
    std::size_t bytes = 0;
  };
  std::array<List, block_sizes.size()> lists_;
};

/// Ends an object that lies in a pool's block.
template <class T>
struct GiveBack {
  TapPool* pool = nullptr;
  void operator()(T* object) const noexcept {
    object->~T();
    pool->give(object, TapPool::class_of(sizeof(T)));
  }
};

template <class T>
using Pooled = std::unique_ptr<T, GiveBack<T>>;

/// An object in a pool's block; null without memory. Its constructor must not throw.
template <class T, class... Args>
Pooled<T> make_pooled(TapPool& pool, Args&&... args) noexcept {
  static_assert(sizeof(T) <= TapPool::block_sizes.back());
  void* block = pool.take(TapPool::class_of(sizeof(T)));
  if (block == nullptr) return {nullptr, GiveBack<T>{&pool}};
  return {::new (block) T(std::forward<Args>(args)...), GiveBack<T>{&pool}};
}

}  // namespace portico::telemetry
