#pragma once
// The shape of a stream's events: most differ from the one before in a text that nobody wants, and are
// recognised by that without being read again.
//
// A pattern is an event that was read and that changed nothing, with the places where it may differ without
// changing anything either: the content of texts that were skipped, and what stands behind the point from
// which on the rest was ignored. An event that is the same everywhere else changes nothing as well.
//
// owns:    a copy of that event, at most max_size bytes
// threads: one
// bytes:   the copy holds a piece of an answer while the stream lives; it is never told to anybody
// Not for events that change something: the owner forgets the pattern once one did.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::telemetry {

class EventPattern {
 public:
  static constexpr std::size_t max_size = 400;

  /// What the byte that was just read was to its reader.
  enum class Role : std::uint8_t {
    counts,
    opens,    ///< it is the quote in front of a text that is skipped
    skipped,  ///< it belongs to such a text
    ends,     ///< it is the first byte behind which the rest of the line is ignored
    ignored,
  };

  /// Begins to learn an event.
  void begin() noexcept {
    size_ = gaps_ = used_ = 0;
    tail_ = no_tail;
  }
  /// Its next byte. Precondition: fewer than max_size so far.
  void add(char byte, Role role) noexcept;
  /// Forgets what was learnt.
  void clear() noexcept { begin(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The size of the event at the front of `bytes`, if it is one of these; else 0. May learn from a
  /// difference where another may come.
  std::size_t match(std::string_view bytes) noexcept;

 private:
  /// The content of a skipped text: bytes_[begin, end).
  struct Gap {
    std::uint16_t begin = 0;
    std::uint16_t end = 0;
    bool used = false;  // only texts that were seen to differ are looked for an end of
  };
  static constexpr std::size_t max_gaps = 14;
  static constexpr std::uint16_t no_tail = 0xFFFF;

  std::size_t try_match(std::string_view bytes) noexcept;
  bool same(std::string_view bytes, std::size_t at, std::size_t from, std::size_t to) noexcept;
  bool use_gap(std::size_t place) noexcept;

  std::uint16_t size_ = 0;
  std::uint16_t tail_ = no_tail;  // where what is ignored begins; up to the line's end
  std::uint8_t gaps_ = 0;
  std::uint8_t used_ = 0;
  bool retry_ = false;
  std::array<Gap, max_gaps> gap_{};
  std::array<char, max_size> bytes_{};
};

}  // namespace portico::telemetry
