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

HeadScanner::State HeadScanner::scan(std::string_view bytes) noexcept {
  if (error_ != HeadError::none) return State::bad;
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* at = begin + position_;
  while (at != end) {
    at = find_control(at, end);
    if (at == end) break;
    if (*at == '\n') {
      error_ = HeadError::bare_line_feed;
      break;
    }
    if (*at != '\r') {
      // Which byte is allowed where is the parser's to say.
      ++at;
      continue;
    }
    // A CR that is the last byte so far is looked at again with its successor.
    if (end - at == 1) break;
    if (at[1] != '\n') {
      error_ = HeadError::bare_carriage_return;
      break;
    }
    // Every LF before this one was the end of a line, or the scan would have stopped there.
    const bool empty_line = at == begin || at[-1] == '\n';
    at += 2;
    if (empty_line) {
      position_ = static_cast<std::size_t>(at - begin);
      return State::complete;
    }
  }
  position_ = static_cast<std::size_t>(at - begin);
  return error_ == HeadError::none ? State::need_more : State::bad;
}

}  // namespace portico::proxy::h1
