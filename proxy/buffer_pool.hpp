#pragma once
// Blocks of memory that bodies and heads pass through, kept on a worker's free list, last in first out, so
// that the next read lands in memory that is still in the cache.
//
// owns:    the pool owns free blocks; a Block owns its bytes until it is destroyed, then they go back
// threads: one worker
// bytes:   never cleared; a reader must look only at what it received

#include <cstddef>
#include <utility>

namespace portico::proxy {

class BufferPool;

/// Borrowed memory. Empty when default-made or moved from.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept
      : pool_(other.pool_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    if (this != &other) {
      release();
      pool_ = other.pool_;
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { release(); }

  explicit operator bool() const noexcept { return data_ != nullptr; }
  [[nodiscard]] char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void release() noexcept;

 private:
  friend class BufferPool;
  Block(BufferPool* pool, char* data, std::size_t size) noexcept : pool_(pool), data_(data), size_(size) {}
  BufferPool* pool_ = nullptr;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

class BufferPool {
 public:
  /// Most reads: heads, events, small bodies.
  static constexpr std::size_t small_size = 16'384;
  /// Bulk: a reader that filled its block comes back with this one.
  static constexpr std::size_t large_size = 65'536;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// A block of at least `size` bytes: small, large, or, above that, exactly `size` and not kept.
  Block borrow(std::size_t size = small_size);
  /// Blocks that are out at present.
  [[nodiscard]] std::size_t borrowed() const noexcept { return borrowed_; }

 private:
  friend class Block;
  struct FreeBlock {
    FreeBlock* next;
  };
  struct List {
    FreeBlock* head = nullptr;
    std::size_t count = 0;
  };
  void give_back(char* data, std::size_t size) noexcept;
  static char* pop(List& list) noexcept;

  List small_;
  List large_;
  std::size_t borrowed_ = 0;
};

}  // namespace portico::proxy
