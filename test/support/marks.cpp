#include "test/support/marks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace portico::test {

namespace {

// So much of what was not expected is kept.
constexpr std::size_t most_strange = 512;
constexpr std::string_view opening = "data: ";
constexpr std::size_t number_digits = 7;

}  // namespace

std::string marks(Side side, ExchangeNumber exchange, std::size_t size, std::size_t position) {
  const std::size_t first = position / mark_size;
  const std::size_t skipped = position % mark_size;
  std::string out;
  out.reserve(skipped + size + mark_size);
  for (std::size_t cell = first; out.size() < skipped + size; ++cell)
    fmt::format_to(std::back_inserter(out), "{}{}{:07x}{:08x}\n\n", opening, static_cast<char>(side),
                   exchange, cell);
  return out.substr(skipped, size);
}

void MarkReader::take(std::string_view bytes) {
  if (!good()) {
    strange_ += bytes.substr(0, most_strange - strange_.size());
    size_ += bytes.size();
    return;
  }
  const std::string expected = marks(side_, exchange_, bytes.size(), size_);
  if (bytes != expected) {
    const auto wrong = std::mismatch(bytes.begin(), bytes.end(), expected.begin()).first - bytes.begin();
    wrong_at_ = size_ + static_cast<std::size_t>(wrong);
    // With the beginning of the cell that it cuts into.
    const auto from =
        static_cast<std::size_t>(wrong) - std::min(static_cast<std::size_t>(wrong), wrong_at_ % mark_size);
    strange_ = bytes.substr(from, most_strange);
  }
  size_ += bytes.size();
}

std::string MarkReader::complaint() const {
  if (good()) return {};
  return fmt::format("exchange {:07x}, side {}: wrong from byte {} on: '{}'", exchange_,
                     static_cast<char>(side_), wrong_at_, strange_.substr(0, 4 * mark_size));
}

std::set<ExchangeNumber> MarkReader::strangers() const {
  std::set<ExchangeNumber> out;
  const std::string_view text(strange_);
  // The first cell may be put together of two.
  for (auto at = text.find(opening, 1); at != std::string_view::npos; at = text.find(opening, at + 1)) {
    const auto cell = text.substr(at, mark_size);
    if (!cell.ends_with("\n\n")) continue;
    const auto digits = cell.substr(opening.size() + 1, number_digits);
    ExchangeNumber number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (read.ec == std::errc() && read.ptr == digits.data() + number_digits) out.insert(number);
  }
  return out;
}

}  // namespace portico::test
