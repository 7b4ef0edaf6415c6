#include "telemetry/tap/pool.hpp"

namespace portico::telemetry {

TapPool::~TapPool() {
  for (List& list : lists_) {
    while (list.head != nullptr) {
      FreeBlock* next = list.head->next;
      ::operator delete(list.head);
      list.head = next;
    }
  }
}

void* TapPool::take(std::uint8_t index) noexcept {
  if (index >= block_sizes.size()) return nullptr;
  List& list = lists_[index];
  if (list.head == nullptr) return ::operator new(block_sizes[index], std::nothrow);
  FreeBlock* block = list.head;
  list.head = block->next;
  list.bytes -= block_sizes[index];
  return block;
}

void TapPool::give(void* block, std::uint8_t index) noexcept {
  List& list = lists_[index];
  if (list.bytes + block_sizes[index] > kept_bytes) {
    ::operator delete(block);
    return;
  }
  list.bytes += block_sizes[index];
  // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): written in place, into memory that the list owns
  list.head = ::new (block) FreeBlock{list.head};
}

}  // namespace portico::telemetry
