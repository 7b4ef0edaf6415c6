#pragma once
// The inner loop of JsonScanner. Included by json_scanner.hpp alone.
//
// Each step takes bytes as far as they go and leaves in state_ what comes next; the common course (name,
// colon, value, comma) runs through without returning to the loop's head.

#include <algorithm>

#include "telemetry/tap/json_scanner.hpp"

namespace portico::telemetry {

inline void JsonScanner::choose(std::string_view key) noexcept {
  node_ = depth_ == 0 ? std::uint8_t{0} : trie_->member(stack_[depth_ - 1U].node, key);
  state_ = State::colon;
  if (doubled_ == Doubled::last_counts || node_ == 0) return;
  const std::uint64_t bit = std::uint64_t{1} << node_;
  if ((seen_ & bit) != 0) node_ = 0;
  seen_ |= bit;
}

/// Goes into the object or array of node_ if anything in it is wanted.
inline bool JsonScanner::open(bool array) noexcept {
  const JsonNode& here = node();
  const bool wanted =
      array ? here.element != 0 : here.first_child != 0 || (here.wants & (want_end | want_raw)) != 0;
  if (!wanted || depth_ == max_depth) {
    skipped_ = 1;
    state_ = State::skip_nest;
    return false;
  }
  stack_[depth_++] = {node_, array};
  if (array) node_ = here.element;
  state_ = array ? State::value : State::key;
  return true;
}

template <class Handler>
void JsonScanner::feed(std::string_view bytes, Handler& handler) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  raw_from_ = at;
  while (at != end) {
    switch (state_) {
      case State::key:
      case State::cut_key:
        at = read_key(at, end, handler);
        if (at == end || state_ != State::colon) break;
        [[fallthrough]];
      case State::colon:
        while (at != end && *at != ':' && static_cast<unsigned char>(*at) <= ' ') ++at;
        if (at == end) break;
        // Without a colon there is no value to it; whatever stands there is read as one.
        if (*at == ':') ++at;
        state_ = State::value;
        if (at == end) break;
        [[fallthrough]];
      case State::value:
        at = read_value(at, end, handler);
        if (at == end || state_ != State::after_value) break;
        [[fallthrough]];
      case State::after_value:
        at = read_after(at, end, handler);
        break;
      case State::text:
        at = read_text(at, end, handler);
        break;
      case State::filled:
        if (*at != '"') handler.json_filled(node().field);
        state_ = State::skip_string;
        break;
      case State::token:
        at = read_token(at, end, handler);
        break;
      case State::skip_string:
      case State::skip_escape:
        at = skip_string(at, end);
        break;
      case State::skip_nest:
      case State::skip_inner:
      case State::skip_inner_escape:
        at = skip_nest(at, end);
        break;
      case State::stopped:
        return;
    }
  }
  if (raw_depth_ != 0 && raw_from_ != end)
    handler.json_raw(trie_->nodes[stack_[raw_depth_ - 1U].node].field,
                     {raw_from_, static_cast<std::size_t>(end - raw_from_)}, false);
}

template <class Handler>
const char* JsonScanner::read_key(const char* at, const char* end, Handler& handler) {
  if (state_ == State::key) {
    while (*at != '"') {
      if (*at == '}') {
        close(at, handler);
        return at + 1;
      }
      if (++at == end) return at;
    }
    ++at;
    const char* stop = find_string_end(at, end);
    if (stop != end && *stop == '"') {
      choose({at, static_cast<std::size_t>(stop - at)});
      return stop + 1;
    }
    held_ = 0;
    decoder_.reset();
    state_ = State::cut_key;
  }
  const bool whole = decoder_.feed(at, end, [this](std::string_view part) {
    const std::size_t fits = std::min(part.size(), hold_.size() - held_);
    std::copy_n(part.data(), fits, hold_.data() + held_);
    held_ = static_cast<std::uint8_t>(held_ + fits);
  });
  // A name that fills hold_ is longer than any that is wanted.
  if (whole) choose({hold_.data(), held_});
  return at;
}

template <class Handler>
const char* JsonScanner::read_value(const char* at, const char* end, Handler& handler) {
  while (static_cast<unsigned char>(*at) <= ' ' || *at == ',')
    if (++at == end) return at;
  const JsonNode& here = node();
  const char first = *at;
  if (first == ']' || first == '}') {
    // The end of an empty array, or of an object that lacks a value; outside of everything it means nothing.
    if (depth_ == 0) return at + 1;
    state_ = State::after_value;
    return at;
  }
  if ((here.wants & want_start) != 0) handler.json_start(here.field, first);
  switch (first) {
    case '"':
      ++at;
      if ((here.wants & want_text) != 0) {
        decoder_.reset();
        state_ = State::text;
        if (at == end) return at;
        const char* stop = find_string_end(at, end);
        if (stop == end || *stop != '"') return at;
        state_ = State::after_value;
        const std::string_view text(at, std::min(static_cast<std::size_t>(stop - at), max_text));
        if (!handler.json_text(here.field, text)) state_ = State::stopped;
        return stop + 1;
      }
      state_ = (here.wants & want_filled) != 0 ? State::filled : State::skip_string;
      if (state_ == State::filled || at == end) return at;
      return skip_string(at, end);
    case '{':
      if (open(false) && (here.wants & want_raw) != 0 && raw_depth_ == 0) {
        raw_depth_ = depth_;
        raw_from_ = at;
      }
      return at + 1;
    case '[':
      open(true);
      return at + 1;
    default:
      break;
  }
  if ((here.wants & want_scalar) == 0) {
    state_ = State::after_value;
    return at;
  }
  held_ = 0;
  state_ = State::token;
  return read_token(at, end, handler);
}

template <class Handler>
const char* JsonScanner::read_text(const char* at, const char* end, Handler& handler) {
  Scratch& scratch = handler.json_scratch();
  const bool whole = decoder_.feed(at, end, [&](std::string_view part) { scratch.append(part, max_text); });
  if (!whole) return at;
  state_ = State::after_value;
  const bool more = handler.json_text(node().field, scratch.view());
  scratch.release();
  if (!more) state_ = State::stopped;
  return at;
}

template <class Handler>
const char* JsonScanner::read_token(const char* at, const char* end, Handler& handler) {
  const char* stop = at;
  while (stop != end && !ends_scalar(*stop)) ++stop;
  const std::size_t size = static_cast<std::size_t>(stop - at);
  std::string_view token(at, size);
  if (held_ != 0 || stop == end) {
    const std::size_t fits = std::min(size, hold_.size() - held_);
    std::copy_n(at, fits, hold_.data() + held_);
    held_ = static_cast<std::uint8_t>(held_ + fits);
    if (stop == end) return stop;
    token = {hold_.data(), held_};
  }
  state_ = State::after_value;
  // No number or word that means anything is as long.
  if (token.size() <= max_token) handler.json_scalar(node().field, token);
  return stop;
}

template <class Handler>
const char* JsonScanner::read_after(const char* at, const char* end, Handler& handler) {
  if (depth_ == 0) return read_between(at, end);
  for (; at != end; ++at) {
    if (*at == ',') {
      const Frame frame = stack_[depth_ - 1U];
      state_ = frame.array ? State::value : State::key;
      if (frame.array) node_ = trie_->nodes[frame.node].element;
      return at + 1;
    }
    if (*at == '}' || *at == ']') {
      close(at, handler);
      return at + 1;
    }
  }
  return at;
}

/// Behind a document: the rest of it, if it is a scalar, up to where another may begin.
inline const char* JsonScanner::read_between(const char* at, const char* end) noexcept {
  while (at != end && !ends_scalar(*at) && !detail::is_structure(*at)) ++at;
  if (at == end) return at;
  state_ = State::value;
  node_ = JsonTrie::root;
  return at;
}

/// `at` is the closing bracket.
template <class Handler>
void JsonScanner::close(const char* at, Handler& handler) {
  state_ = State::after_value;
  if (depth_ == 0) return;
  const Frame frame = stack_[depth_ - 1U];
  const JsonNode& here = trie_->nodes[frame.node];
  if (raw_depth_ == depth_) {
    handler.json_raw(here.field, {raw_from_, static_cast<std::size_t>(at + 1 - raw_from_)}, true);
    raw_depth_ = 0;
  }
  --depth_;
  if (!frame.array && (here.wants & want_end) != 0) handler.json_end(here.field);
  // The document's own members are met afresh in the next one.
  if (depth_ == 0 || frame.node == JsonTrie::root) seen_ = 0;
}

inline const char* JsonScanner::skip_string(const char* at, const char* end) noexcept {
  for (;;) {
    if (state_ == State::skip_escape) {
      if (at == end) return at;
      ++at;
      state_ = State::skip_string;
    }
    at = find_string_end(at, end);
    if (at == end) return at;
    if (*at++ == '"') {
      state_ = State::after_value;
      return at;
    }
    state_ = State::skip_escape;
  }
}

inline const char* JsonScanner::skip_nest(const char* at, const char* end) noexcept {
  for (;;) {
    if (state_ == State::skip_inner_escape) {
      if (at == end) return at;
      ++at;
      state_ = State::skip_inner;
    }
    if (state_ == State::skip_inner) {
      at = find_string_end(at, end);
      if (at == end) return at;
      state_ = *at++ == '"' ? State::skip_nest : State::skip_inner_escape;
      continue;
    }
    at = find_structure(at, end);
    if (at == end) return at;
    const char byte = *at++;
    if (byte == '"') {
      state_ = State::skip_inner;
    } else if (byte == '{' || byte == '[') {
      ++skipped_;
    } else if (--skipped_ == 0) {
      state_ = State::after_value;
      return at;
    }
  }
}

}  // namespace portico::telemetry
