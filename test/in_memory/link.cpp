#include "test/in_memory/link.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace portico::in_memory {

void Link::send(std::string_view bytes) {
  unsent_ += bytes;
  flush();
}

void Link::end() {
  ending_ = true;
  flush();
}

bool Link::flush() {
  if (!open()) return false;
  bool moved = false;
  while (!unsent_.empty()) {
    const ssize_t n = ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      // Nobody will read the rest.
      if (errno != EAGAIN && errno != EWOULDBLOCK) unsent_.clear();
      break;
    }
    unsent_.erase(0, static_cast<std::size_t>(n));
    moved = true;
  }
  if (ending_ && unsent_.empty()) {
    ending_ = false;
    moved = true;
    ::shutdown(fd_.get(), SHUT_WR);
  }
  return moved;
}

bool Link::pump() {
  bool moved = flush();
  std::array<char, 65'536> bytes;
  while (open() && !ended_ && !asleep_) {
    const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    moved = true;
    if (n <= 0) {
      ended_ = true;
      break;
    }
    received_.append(bytes.data(), static_cast<std::size_t>(n));
  }
  return moved;
}

}  // namespace portico::in_memory
