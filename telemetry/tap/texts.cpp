#include "telemetry/tap/texts.hpp"

#include <algorithm>
#include <cstring>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {

void Scratch::append(std::string_view bytes, std::size_t limit) noexcept {
  const std::size_t fits = std::min(bytes.size(), limit - std::min<std::size_t>(size_, limit));
  if (fits < bytes.size()) overflowed_ = true;
  if (fits == 0) return;
  if ((data_ == nullptr || size_ + fits > TapPool::block_sizes[class_]) && !grow(size_ + fits)) {
    overflowed_ = true;
    return;
  }
  std::memcpy(data_ + size_, bytes.data(), fits);
  size_ = static_cast<std::uint16_t>(size_ + fits);
}

bool Scratch::grow(std::size_t needed) noexcept {
  const std::uint8_t wanted = TapPool::class_of(needed);
  auto* bigger = static_cast<char*>(pool_->take(wanted));
  if (bigger == nullptr) return false;
  if (data_ != nullptr) {
    std::memcpy(bigger, data_, size_);
    pool_->give(data_, class_);
  }
  data_ = bigger;
  class_ = wanted;
  return true;
}

void Scratch::release() noexcept {
  if (data_ != nullptr) pool_->give(data_, class_);
  data_ = nullptr;
  size_ = 0;
  overflowed_ = false;
}

Texts::~Texts() {
  if (data_ != nullptr) pool_->give(data_, class_);
}

std::size_t Texts::live() const noexcept {
  std::size_t sum = 0;
  for (const TextPlace place : places_) sum += place.size;
  for (std::size_t i = 0; i < staged_count; ++i)
    if ((staged_mask_ & 1U << i) != 0) sum += staged_[i].size;
  return sum;
}

/// Moves what is alive to a block with `size` bytes of room behind it.
bool Texts::make_room(std::size_t size) noexcept {
  if (data_ == nullptr && size <= first_size) {
    class_ = TapPool::class_of(first_size);
    data_ = static_cast<char*>(pool_->take(class_));
    return data_ != nullptr;
  }
  const std::size_t needed = live() + size;
  if (needed > last_size) return false;
  // A block that is all but full of live texts would be tidied again for each that is replaced.
  const std::size_t wanted = std::clamp(needed + needed / 4, first_size, last_size);
  const std::uint8_t next = TapPool::class_of(wanted);
  auto* fresh = static_cast<char*>(pool_->take(next));
  if (fresh == nullptr) return false;
  std::uint16_t used = 0;
  const auto move = [&](TextPlace& place) {
    if (place.size == 0) return;
    std::memcpy(fresh + used, data_ + place.offset, place.size);
    place.offset = used;
    used = static_cast<std::uint16_t>(used + place.size);
  };
  for (TextPlace& place : places_) move(place);
  for (std::size_t i = 0; i < staged_count; ++i)
    if ((staged_mask_ & 1U << i) != 0) move(staged_[i]);
  if (data_ != nullptr) pool_->give(data_, class_);
  data_ = fresh;
  class_ = next;
  used_ = used;
  return true;
}

TextPlace Texts::put(std::string_view text) noexcept {
  if (text.empty()) return {};
  const bool fits = data_ != nullptr && used_ + text.size() <= TapPool::block_sizes[class_];
  if (!fits && !make_room(text.size())) return {};
  std::memcpy(data_ + used_, text.data(), text.size());
  const TextPlace place{used_, static_cast<std::uint16_t>(text.size())};
  used_ = static_cast<std::uint16_t>(used_ + text.size());
  return place;
}

void Texts::set(Text which, std::string_view text) noexcept {
  text = cut_text(text, text_limit(which));
  TextPlace& place = places_[index(which)];
  place.size = 0;
  place = put(text);
}

void Texts::stage(Text which, std::string_view text) noexcept {
  text = cut_text(text, text_limit(which));
  staged_mask_ = static_cast<std::uint16_t>(staged_mask_ & ~bit(which));
  staged_[index(which) - first_staged] = put(text);
  staged_mask_ = static_cast<std::uint16_t>(staged_mask_ | bit(which));
}

void Texts::commit(Text which) noexcept {
  if (!staged(which)) return;
  places_[index(which)] = staged_[index(which) - first_staged];
  staged_mask_ = static_cast<std::uint16_t>(staged_mask_ & ~bit(which));
}

void Texts::clear() noexcept {
  places_ = {};
  staged_mask_ = 0;
  used_ = 0;
}

std::string_view Texts::tidy() noexcept {
  // A few stale bytes cost less to copy once more than to squeeze out.
  if (used_ > first_size && used_ > live() + first_size / 2) make_room(0);
  return {data_, used_};
}

}  // namespace portico::telemetry
