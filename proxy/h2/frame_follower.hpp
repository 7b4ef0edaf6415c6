#pragma once
// Follows the borders of received frames (RFC 9113 section 4.1), for the one thing that nghttp2 does not
// tell: whether the client is in the middle of a request's head.
//
// owns:    a few numbers
// threads: one; pure
// errors:  none: what breaks the rules is nghttp2's to refuse

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::proxy::h2 {

class FrameFollower {
 public:
  /// The next bytes of the connection; `skip` of the first call: the client's preface.
  explicit FrameFollower(std::size_t skip) noexcept : payload_left_(skip) {}

  void feed(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
      if (payload_left_ > 0) {
        const std::size_t n = std::min(payload_left_, bytes.size());
        payload_left_ -= n;
        bytes.remove_prefix(n);
        continue;
      }
      head_[head_size_++] = static_cast<std::uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      if (head_size_ == head_.size()) begin_frame();
    }
  }

  /// A head has begun and its last frame is not complete, or the preface is not.
  [[nodiscard]] bool in_head() const noexcept {
    return open_head_ || ((head_frame_ || begun_ == 0) && payload_left_ > 0);
  }
  /// How many heads have begun: tells one that stands still from one after another.
  [[nodiscard]] std::uint64_t heads() const noexcept { return heads_; }

 private:
  void begin_frame() noexcept {
    constexpr std::uint8_t headers = 1;
    constexpr std::uint8_t continuation = 9;
    constexpr std::uint8_t end_headers = 4;
    head_size_ = 0;
    ++begun_;
    payload_left_ = std::size_t{head_[0]} << 16 | std::size_t{head_[1]} << 8 | std::size_t{head_[2]};
    head_frame_ = head_[3] == headers || head_[3] == continuation;
    open_head_ = head_frame_ && (head_[4] & end_headers) == 0;
    if (head_[3] == headers) ++heads_;
  }

  std::array<std::uint8_t, 9> head_{};
  std::size_t head_size_ = 0;
  std::size_t payload_left_;
  std::uint64_t begun_ = 0;
  std::uint64_t heads_ = 0;
  bool head_frame_ = false;
  bool open_head_ = false;
};

}  // namespace portico::proxy::h2
