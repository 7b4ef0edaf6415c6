#include <algorithm>

#include "proxy/h1/block.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

bool may_start_request(char first) noexcept {
  const char letter = lower(first);
  return letter >= 'a' && letter <= 'z';
}

std::optional<std::size_t> leading_crlf(std::string_view bytes) noexcept {
  if (bytes.empty() || bytes == "\r") return std::nullopt;
  return bytes.starts_with("\r\n") ? 2 : 0;
}

namespace {

// A byte and the one behind it say whether a line end is whole, without a stop at every line.
constexpr bool broken(char byte, char next) noexcept { return (byte == '\r') != (next == '\n'); }
// Where all line ends before are whole, LF and CR in a row begin the empty line.
constexpr bool empty_line(char byte, char next) noexcept { return byte == '\n' && next == '\r'; }

// The first index of [at, size - 1) at which one of the two holds, or size - 1. Nothing before `at` does.
std::size_t find_pair(std::string_view bytes, std::size_t at) noexcept {
  const std::size_t last = bytes.size() - 1;
  if (last >= block_size) {
    while (at != last) {
      // The last block overlaps what has been looked at rather than going byte by byte.
      at = std::min(at, last - block_size);
      const Block here = load_block(bytes.data() + at);
      const Block next = load_block(bytes.data() + at + 1);
      const std::size_t hit = first_hit(((here == every('\r')) ^ (next == every('\n'))) |
                                        ((here == every('\n')) & (next == every('\r'))));
      at += hit;
      if (hit != block_size) break;
    }
    return at;
  }
  while (at != last && !broken(bytes[at], bytes[at + 1]) && !empty_line(bytes[at], bytes[at + 1])) ++at;
  return at;
}

}  // namespace

HeadScanner::State HeadScanner::scan(std::string_view bytes) noexcept {
  if (error_ != HeadError::none) return State::bad;
  if (bytes.size() <= position_) return State::need_more;
  if (bytes.front() == '\n') {
    error_ = HeadError::bare_line_feed;
    return State::bad;
  }
  // A head that begins with the empty line has no LF in front of it.
  if (bytes.starts_with("\r\n")) {
    position_ = 2;
    return State::complete;
  }
  position_ = find_pair(bytes, position_);
  if (position_ + 1 == bytes.size()) return State::need_more;
  if (empty_line(bytes[position_], bytes[position_ + 1])) {
    if (position_ + 2 == bytes.size()) return State::need_more;
    if (bytes[position_ + 2] == '\n') {
      position_ += 3;
      return State::complete;
    }
    ++position_;
  }
  error_ = bytes[position_] == '\r' ? HeadError::bare_carriage_return : HeadError::bare_line_feed;
  return State::bad;
}

}  // namespace portico::proxy::h1
