#include "telemetry/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>

#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

constexpr std::size_t max_line = 2048;

// Relaxed: a line more or less around the moment of a change harms nobody.
std::atomic<Level> threshold{Level::info};

std::string_view name_of(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "error";
}

class Line {
 public:
  void append(std::string_view text) noexcept {
    const std::size_t room = std::min(text.size(), bytes_.size() - 1 - size_);
    std::copy_n(text.data(), room, bytes_.data() + size_);
    size_ += room;
  }

  // A message may hold what a stranger sent: nothing in it may start a new line or drive a terminal. C1
  // controls are two bytes in UTF-8, 0xC2 and 0x80 to 0x9F, and some terminals obey them.
  void append_clean(std::string_view text) noexcept {
    const std::size_t from = size_;
    append(text);
    for (std::size_t i = from; i < size_; ++i) {
      const auto byte = static_cast<unsigned char>(bytes_[i]);
      const auto next = static_cast<unsigned char>(i + 1 < size_ ? bytes_[i + 1] : 0);
      if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0)) {
        bytes_[i] = '?';
        if (byte == 0xc2) bytes_[i + 1] = '?';
      }
    }
    if (size_ - from < text.size()) drop_partial_character();
  }

  void send() noexcept {
    bytes_[size_] = '\n';
    ssize_t written = 0;
    do {
      written = ::write(STDERR_FILENO, bytes_.data(), size_ + 1);
    } while (written < 0 && errno == EINTR);
  }

 private:
  // A line cut inside a UTF-8 sequence would be invalid text to whatever collects the log.
  void drop_partial_character() noexcept {
    std::size_t start = size_;
    while (start > 0 && (static_cast<unsigned char>(bytes_[start - 1]) & 0xc0U) == 0x80U) --start;
    if (start == 0) return;
    const auto lead = static_cast<unsigned char>(bytes_[start - 1]);
    const std::size_t needs = lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : lead >= 0xc0 ? 2U : 1U;
    if (size_ - (start - 1) < needs) size_ = start - 1;
  }

  std::array<char, max_line> bytes_;
  std::size_t size_ = 0;
};

}  // namespace

void set_log_level(Level level) noexcept { threshold.store(level, std::memory_order_relaxed); }

bool log_enabled(Level level) noexcept { return level >= threshold.load(std::memory_order_relaxed); }

void write_log(Level level, std::string_view message) noexcept {
  const int saved_errno = errno;
  const Rfc3339Text now = rfc3339_text(std::chrono::system_clock::now());
  Line line;
  line.append({now.data(), now.size()});
  line.append(" ");
  line.append(name_of(level));
  line.append(" ");
  line.append_clean(message);
  line.send();
  errno = saved_errno;
}

}  // namespace portico::telemetry
