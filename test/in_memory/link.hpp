#pragma once
// A test's end of a connection whose other end is the worker's.
//
// owns:    its descriptor, what is still to be sent, what was received
// threads: one; never waits
// errors:  a connection that breaks has ended

#include <cstddef>
#include <string>
#include <string_view>

#include "proxy/listener.hpp"

namespace portico::in_memory {

class Link {
 public:
  explicit Link(proxy::UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  /// Sends as far as the socket takes it, the rest later.
  void send(std::string_view bytes);
  /// Ends our direction once everything has been sent.
  void end();
  /// Closes at once.
  void close() noexcept { fd_ = proxy::UniqueFd(); }
  [[nodiscard]] bool open() const noexcept { return fd_.get() >= 0; }

  /// Reads nothing until it is woken.
  void sleep() noexcept { asleep_ = true; }
  void wake() noexcept { asleep_ = false; }
  /// Moves bytes both ways. True when anything moved or ended.
  bool pump();

  /// Received and not consumed.
  [[nodiscard]] std::string_view received() const noexcept {
    return std::string_view(received_).substr(begin_);
  }
  void consume(std::size_t n) noexcept { begin_ += n; }
  /// Everything that was received.
  [[nodiscard]] std::string_view history() const noexcept { return received_; }
  /// The worker has ended its direction, or the connection.
  [[nodiscard]] bool ended() const noexcept { return ended_; }

  std::size_t messages = 0;  ///< for a backend's script: messages answered

 private:
  bool flush();

  proxy::UniqueFd fd_;
  std::string unsent_;
  std::string received_;
  std::size_t begin_ = 0;
  bool ending_ = false;
  bool ended_ = false;
  bool asleep_ = false;
};

}  // namespace portico::in_memory
