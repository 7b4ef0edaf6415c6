#pragma once
// The texts of a record while they are being gathered, and room for one text that arrives in pieces.
//
// owns:    one block of the worker's pool, which grows in steps as texts come; a Scratch likewise
// threads: one worker
// bytes:   copied in; a text that no memory is left for stays absent

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/pool.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// Bytes that come in pieces and are looked at once they are whole.
class Scratch {
 public:
  explicit Scratch(TapPool& pool) noexcept : pool_(&pool) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  /// Keeps what fits into `limit` bytes; what is beyond is dropped and overflowed() says so.
  /// Precondition: `limit` is at most the largest block.
  void append(std::string_view bytes, std::size_t limit) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Empty again, and the block goes back.
  void release() noexcept;

 private:
  bool grow(std::size_t needed) noexcept;

  TapPool* pool_;
  char* data_ = nullptr;
  std::uint16_t size_ = 0;
  std::uint8_t class_ = 0;
  bool overflowed_ = false;
};

/// Texts by name in one block. Some of a response's are staged first: they count only if their event does.
class Texts {
 public:
  static constexpr std::size_t first_size = 512;
  static constexpr std::size_t last_size = 8192;

  explicit Texts(TapPool& pool) noexcept : pool_(&pool) {}
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  ~Texts();

  [[nodiscard]] TapPool& pool() const noexcept { return *pool_; }
  [[nodiscard]] std::string_view get(Text which) const noexcept { return at(places_[index(which)]); }
  /// Replaces a text; it is cut to text_limit(). Must not view this object's own bytes.
  void set(Text which, std::string_view text) noexcept;

  /// Puts a text aside under a name that is_staged() knows.
  void stage(Text which, std::string_view text) noexcept;
  [[nodiscard]] bool staged(Text which) const noexcept { return (staged_mask_ & bit(which)) != 0; }
  /// Empty where none is staged: what was staged before may lie in no block any more.
  [[nodiscard]] std::string_view get_staged(Text which) const noexcept {
    return staged(which) ? at(staged_[index(which) - first_staged]) : std::string_view();
  }
  /// The staged text takes the place of the one in force; nothing where none was staged.
  void commit(Text which) noexcept;
  [[nodiscard]] bool any_staged() const noexcept { return staged_mask_ != 0; }
  /// Forgets all staged texts.
  void unstage() noexcept { staged_mask_ = 0; }
  /// No texts at all, but the block is kept.
  void clear() noexcept;

  [[nodiscard]] const std::array<TextPlace, text_count>& places() const noexcept { return places_; }
  /// The bytes that places() point into, mostly without gaps.
  std::string_view tidy() noexcept;

  /// The texts that an event of a response may bring stand together in the list.
  static constexpr std::size_t first_staged = static_cast<std::size_t>(Text::response_model);
  static constexpr std::size_t staged_count = static_cast<std::size_t>(Text::usage_raw) - first_staged + 1;

 private:
  static constexpr std::size_t index(Text which) noexcept { return static_cast<std::size_t>(which); }
  static constexpr std::uint16_t bit(Text which) noexcept {
    return static_cast<std::uint16_t>(1U << (index(which) - first_staged));
  }
  [[nodiscard]] std::string_view at(TextPlace place) const noexcept {
    return {data_ + place.offset, place.size};
  }
  bool make_room(std::size_t size) noexcept;
  [[nodiscard]] std::size_t live() const noexcept;
  TextPlace put(std::string_view text) noexcept;

  TapPool* pool_;
  char* data_ = nullptr;
  std::uint16_t used_ = 0;
  std::uint16_t staged_mask_ = 0;
  std::uint8_t class_ = 0;
  std::array<TextPlace, text_count> places_{};
  std::array<TextPlace, staged_count> staged_{};
};

}  // namespace portico::telemetry
