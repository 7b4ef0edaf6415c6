#include "proxy/frame_pool.hpp"

#include <array>
#include <new>

namespace portico::proxy {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool bypass = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool bypass = true;
#else
constexpr bool bypass = false;
#endif
#else
constexpr bool bypass = false;
#endif

constexpr std::size_t step = 64;
constexpr std::size_t classes = 64;           // frames up to 4 KiB are kept
constexpr std::size_t kept_per_class = 4096;  // what a burst left behind goes back to the system

struct FreeFrame {
  FreeFrame* next;
};

class Lists {
 public:
  Lists() = default;
  Lists(const Lists&) = delete;
  Lists& operator=(const Lists&) = delete;
  ~Lists() {
    for (Class& c : classes_) {
      while (void* frame = c.pop()) ::operator delete(frame);
    }
  }

  void* take(std::size_t index) {
    if (void* frame = classes_[index].pop()) return frame;
    return ::operator new((index + 1) * step);
  }

  void put(std::size_t index, void* frame) noexcept {
    Class& c = classes_[index];
    if (c.count == kept_per_class) {
      ::operator delete(frame);
      return;
    }
    ::new (frame) FreeFrame{c.head};
    c.head = std::launder(static_cast<FreeFrame*>(frame));
    ++c.count;
  }

 private:
  struct Class {
    FreeFrame* head = nullptr;
    std::size_t count = 0;
    void* pop() noexcept {
      FreeFrame* frame = head;
      if (frame == nullptr) return nullptr;
      head = frame->next;
      --count;
      return frame;
    }
  };
  std::array<Class, classes> classes_;
};

thread_local Lists lists;

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = (size - 1) / step;
  if (bypass || index >= classes) return ::operator new(size);
  return lists.take(index);
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = (size - 1) / step;
  if (bypass || index >= classes) {
    ::operator delete(frame);
    return;
  }
  lists.put(index, frame);
}

}  // namespace portico::proxy
