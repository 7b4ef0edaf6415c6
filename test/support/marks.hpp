#pragma once
// Bytes that say in plain text whose they are: cells of one size, each with its side, the number of its
// exchange and its own number. As the cells are events of SSE too, such a body may be of any kind.
//
// A pattern (pattern.hpp) shows that a byte is wrong; a mark shows as well whom it belongs to.
//
// owns:    a MarkReader owns a few hundred bytes of what it did not expect
// threads: one object one thread

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace portico::test {

/// Of an exchange, from 1 to 2^28 - 1.
using ExchangeNumber = std::uint32_t;

enum class Side : char { request = 'q', response = 'p' };

/// Bytes of one cell: `data: q000002a00000007` and an empty line.
inline constexpr std::size_t mark_size = 24;

/// `size` bytes of this side of the exchange from `position`.
std::string marks(Side side, ExchangeNumber exchange, std::size_t size, std::size_t position = 0);

/// Compares a stream with its marks as it arrives.
class MarkReader {
 public:
  MarkReader(Side side, ExchangeNumber exchange) : side_(side), exchange_(exchange) {}

  void take(std::string_view bytes);
  /// Bytes so far.
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool good() const { return strange_.empty(); }
  /// Where the first wrong byte stood and what was there; empty when there is none.
  [[nodiscard]] std::string complaint() const;
  /// Exchanges whose whole marks follow the first wrong byte; may be its own one.
  [[nodiscard]] std::set<ExchangeNumber> strangers() const;

 private:
  Side side_;
  ExchangeNumber exchange_;
  std::size_t size_ = 0;
  std::size_t wrong_at_ = 0;
  std::string strange_;  // from a little before the first wrong byte
};

}  // namespace portico::test
