#pragma once
// Cuts a text/event-stream (HTML standard, "Server-sent events") into events while its bytes pass.
//
// Lines may end in LF, CR or CRLF and may be cut anywhere; comments, `id` and `retry` are passed over; a byte
// order mark may stand at the very start. Only a blank line dispatches an event, so one that is not finished
// is never told of as such.
//
// owns:    a few bytes
// threads: one
// bytes:   never collected; the data of an event is handed on in pieces where it lies
//
// A handler has
//   void sse_data(std::string_view piece);   of the event's data; a LF between two data lines
//   void sse_name(std::string_view piece);   of the value of its event line; an empty first piece begins it
//   void sse_dispatch();                     the event has data and is complete
//   void sse_discard();                      a blank line ended an event without data

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {

class SseSplitter {
 public:
  template <class Handler>
  void feed(std::string_view bytes, Handler& handler);
  /// True where an event may begin and nothing of one was met.
  [[nodiscard]] bool between_events() const noexcept {
    return state_ == State::name && name_size_ == 0 && mark_ == mark.size() && !skip_line_feed_ && !touched_;
  }

 private:
  enum class State : std::uint8_t { name, value_start, data, event, ignored };
  static constexpr std::size_t unknown = 6;  // longer than any field name that matters
  static constexpr std::string_view mark = "\xEF\xBB\xBF";

  template <class Handler>
  const char* read_name(const char* at, const char* end, Handler& handler);
  template <class Handler>
  void begin_value(Handler& handler);
  template <class Handler>
  const char* read_value(const char* at, const char* line_end, Handler& handler);
  template <class Handler>
  void end_line(Handler& handler);

  State state_ = State::name;
  std::uint8_t name_size_ = 0;
  std::uint8_t mark_ = 0;        // bytes of the byte order mark that were met
  bool skip_line_feed_ = false;  // the line before ended in CR
  bool has_data_ = false;
  bool touched_ = false;  // the event has data or a name
  std::array<char, unknown> name_{};
};

template <class Handler>
void SseSplitter::feed(std::string_view bytes, Handler& handler) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  // Most streams have no CR at all: one search for a whole piece.
  const char* carriage_return = find_byte(at, end, '\r');
  while (at != end) {
    if (skip_line_feed_) {
      skip_line_feed_ = false;
      if (*at == '\n') {
        ++at;
        continue;
      }
    }
    if (state_ == State::name) {
      at = read_name(at, end, handler);
      continue;
    }
    if (state_ == State::value_start) {
      begin_value(handler);
      if (*at == ' ') {
        ++at;
        continue;
      }
    }
    if (carriage_return < at) carriage_return = find_byte(at, end, '\r');
    const char* stop = find_byte(at, carriage_return, '\n');
    at = read_value(at, stop, handler);
    if (at == end) break;
    skip_line_feed_ = *at == '\r';
    ++at;
    end_line(handler);
  }
}

/// The name of a field up to its colon, or a whole line without one.
template <class Handler>
const char* SseSplitter::read_name(const char* at, const char* end, Handler& handler) {
  if (name_size_ == 0 && mark_ >= mark.size() && end - at >= 6) {
    const bool data = std::memcmp(at, "data:", 5) == 0;
    if (data || std::memcmp(at, "event:", 6) == 0) {
      name_size_ = data ? 4 : 5;
      std::memcpy(name_.data(), at, name_size_);
      state_ = State::value_start;
      return at + name_size_ + 1;
    }
  }
  for (; at != end; ++at) {
    const char byte = *at;
    if (mark_ < mark.size()) {
      if (byte == mark[mark_]) {
        ++mark_;
        continue;
      }
      // A part of the mark is a name like any other that means nothing.
      if (mark_ != 0) name_size_ = unknown;
      mark_ = mark.size();
    }
    if (byte == '\n' || byte == '\r') {
      skip_line_feed_ = byte == '\r';
      if (name_size_ != 0) {
        begin_value(handler);
        end_line(handler);
      } else {
        if (has_data_)
          handler.sse_dispatch();
        else if (touched_)
          handler.sse_discard();
        has_data_ = touched_ = false;
      }
      return at + 1;
    }
    if (byte == ':') {
      state_ = State::value_start;
      return at + 1;
    }
    if (name_size_ < unknown) name_[name_size_++] = byte;
  }
  return at;
}

template <class Handler>
void SseSplitter::begin_value(Handler& handler) {
  const std::string_view name(name_.data(), name_size_);
  if (name == "data") {
    state_ = State::data;
    if (has_data_) handler.sse_data("\n");
    has_data_ = touched_ = true;
  } else if (name == "event") {
    state_ = State::event;
    touched_ = true;
    handler.sse_name({});
  } else {
    state_ = State::ignored;
  }
}

template <class Handler>
const char* SseSplitter::read_value(const char* at, const char* line_end, Handler& handler) {
  if (at == line_end) return at;
  const std::string_view piece(at, static_cast<std::size_t>(line_end - at));
  if (state_ == State::data)
    handler.sse_data(piece);
  else if (state_ == State::event)
    handler.sse_name(piece);
  return line_end;
}

template <class Handler>
void SseSplitter::end_line(Handler& handler) {
  // A value that is empty begins with the end of its line.
  if (state_ == State::value_start) begin_value(handler);
  state_ = State::name;
  name_size_ = 0;
}

}  // namespace portico::telemetry
