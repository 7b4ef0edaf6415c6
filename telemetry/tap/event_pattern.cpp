#include "telemetry/tap/event_pattern.hpp"

#include <algorithm>
#include <cstring>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {
namespace {

/// Behind the content of a text whose first byte is at `at`: its closing quote. npos if it does not end in
/// `bytes`, or holds a byte that would end the line.
std::size_t skip_text(std::string_view bytes, std::size_t at) noexcept {
  const char* const floor = bytes.data();
  const char* const end = floor + bytes.size();
  for (const char* here = floor + at;;) {
    here = find_text_end(here, end, floor);
    if (here == end) return std::string_view::npos;
    if (*here == '"') return static_cast<std::size_t>(here - floor);
    if (*here != '\\' || end - here < 2 || static_cast<unsigned char>(here[1]) < ' ')
      return std::string_view::npos;
    here += 2;
  }
}

}  // namespace

void EventPattern::add(char byte, Role role) noexcept {
  bytes_[size_] = byte;
  ++size_;
  if (role == Role::opens && gaps_ < max_gaps) gap_[gaps_++] = {size_, size_, false};
  // The last gap grows with its text; a text without a gap has to be the same.
  if (role == Role::skipped && gaps_ > 0 && gap_[gaps_ - 1U].end + 1U == size_) gap_[gaps_ - 1U].end = size_;
  if (role == Role::ends) tail_ = size_;
}

std::size_t EventPattern::match(std::string_view bytes) noexcept {
  do {
    retry_ = false;
    if (const std::size_t size = try_match(bytes); size != 0) return size;
  } while (retry_);
  return 0;
}

std::size_t EventPattern::try_match(std::string_view bytes) noexcept {
  std::size_t from = 0;  // in the pattern
  std::size_t at = 0;    // in the event
  for (std::size_t i = 0, left = used_; left > 0; ++i) {
    const Gap& gap = gap_[i];
    if (!gap.used) continue;
    --left;
    if (!same(bytes, at, from, gap.begin)) return 0;
    at = skip_text(bytes, at + gap.begin - from);
    if (at == std::string_view::npos) return 0;
    from = gap.end;
  }
  if (tail_ != no_tail) {
    if (!same(bytes, at, from, tail_)) return 0;
    // Any other control byte might end the line as well.
    const char* const floor = bytes.data();
    const char* const end = floor + bytes.size();
    const char* const line_end = find_control(floor + at + tail_ - from, end, floor);
    if (line_end == end || *line_end != '\n') return 0;
    at = static_cast<std::size_t>(line_end - floor);
    from = size_ - 2U;
  }
  return same(bytes, at, from, size_) ? at + size_ - from : 0;
}

/// Whether the event goes on at `at` like the pattern's bytes [from, to).
bool EventPattern::same(std::string_view bytes, std::size_t at, std::size_t from, std::size_t to) noexcept {
  const std::size_t size = to - from;
  const char* const expected = bytes_.data() + from;
  if (bytes.size() - at >= size && std::memcmp(bytes.data() + at, expected, size) == 0) return true;
  const std::string_view rest = bytes.substr(at, size);
  const auto differs = std::mismatch(rest.begin(), rest.end(), expected).first;
  if (differs != rest.end()) retry_ = use_gap(from + static_cast<std::size_t>(differs - rest.begin()));
  return false;
}

/// Lets the text at this place of the pattern differ from now on.
bool EventPattern::use_gap(std::size_t place) noexcept {
  for (std::size_t i = 0; i < gaps_; ++i) {
    Gap& gap = gap_[i];
    if (gap.used || place < gap.begin || place > gap.end) continue;
    gap.used = true;
    ++used_;
    return true;
  }
  return false;
}

}  // namespace portico::telemetry
