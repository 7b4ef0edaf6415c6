#pragma once
// Memory for coroutine frames: freed frames of a thread are kept by size and handed out again.
//
// owns:    the kept frames, until the thread ends
// threads: each has its own lists; a frame must be freed on the thread that made it
// Under AddressSanitizer the lists are bypassed, so that a use after free is seen.

#include <cstddef>

namespace portico::proxy {

/// Uninitialised memory of at least `size` bytes, aligned for any object. Throws std::bad_alloc.
void* allocate_frame(std::size_t size);
/// `size` as given to allocate_frame.
void free_frame(void* frame, std::size_t size) noexcept;

/// Base of promise types whose coroutine frames come from the pool.
struct PooledFrame {
  // The sized delete is the matching one: a frame is freed with its size.
  // NOLINTNEXTLINE(misc-new-delete-overloads)
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

}  // namespace portico::proxy
