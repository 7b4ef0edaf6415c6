#include "proxy/buffer_pool.hpp"

#include <new>

namespace portico::proxy {
namespace {

constexpr std::align_val_t alignment{64};
// What a burst borrowed beyond this goes back to the system: 4 MiB in each list.
constexpr std::size_t kept_small = 256;
constexpr std::size_t kept_large = 64;

char* allocate(std::size_t size) { return static_cast<char*>(::operator new(size, alignment)); }
void deallocate(void* data) noexcept { ::operator delete(data, alignment); }

}  // namespace

void Block::release() noexcept {
  if (data_ != nullptr) pool_->give_back(std::exchange(data_, nullptr), std::exchange(size_, 0));
}

BufferPool::~BufferPool() {
  for (List* list : {&small_, &large_}) {
    while (char* data = pop(*list)) deallocate(data);
  }
}

char* BufferPool::pop(List& list) noexcept {
  FreeBlock* block = list.head;
  if (block == nullptr) return nullptr;
  list.head = block->next;
  --list.count;
  return reinterpret_cast<char*>(block);
}

Block BufferPool::borrow(std::size_t size) {
  char* data = nullptr;
  if (size <= small_size) {
    size = small_size;
    data = pop(small_);
  } else if (size <= large_size) {
    size = large_size;
    data = pop(large_);
  }
  if (data == nullptr) data = allocate(size);
  ++borrowed_;
  return {this, data, size};
}

void BufferPool::give_back(char* data, std::size_t size) noexcept {
  --borrowed_;
  List* list = size == small_size ? &small_ : size == large_size ? &large_ : nullptr;
  const std::size_t kept = list == &small_ ? kept_small : kept_large;
  if (list == nullptr || list->count >= kept) {
    deallocate(data);
    return;
  }
  ::new (data) FreeBlock{list->head};
  list->head = std::launder(reinterpret_cast<FreeBlock*>(data));
  ++list->count;
}

}  // namespace portico::proxy
