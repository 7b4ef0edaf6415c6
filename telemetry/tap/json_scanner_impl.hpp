#pragma once
// The inner loop of JsonScanner. Included by json_scanner.hpp alone.
//
// There are two ways through a document. run() goes along the members of objects as long as the bytes last,
// with everything in registers; at the end of a piece, or at anything uncommon (a blank, an escape in a
// name), it leaves in state_ where it stands. The steps of feed() go on from any such place, byte by byte if
// need be.

#include <algorithm>

#include "telemetry/tap/json_scanner.hpp"

namespace portico::telemetry {

/// Goes into the object or array of node_ if anything in it is wanted.
inline void JsonScanner::open(bool array) noexcept {
  const JsonNode& here = node();
  const bool wanted =
      array ? here.element != 0 : here.has_members || (here.wants & (want_end | want_raw)) != 0;
  if (!wanted || depth_ == max_depth) {
    skipped_ = 1;
    state_ = State::skip_nest;
    return;
  }
  stack_[depth_++] = {node_, array};
  if (array) node_ = here.element;
  state_ = array ? State::value : State::key;
}

/// The node of a member; where the first one counts, only for the first.
inline std::uint8_t JsonScanner::choose(std::string_view key, const char* end) noexcept {
  const std::uint8_t chosen = trie_->member(stack_[depth_ - 1U].node, key, end);
  if (doubled_ == Doubled::last_counts || chosen == 0) return chosen;
  const std::uint64_t bit = std::uint64_t{1} << chosen;
  const bool met = (seen_ & bit) != 0;
  seen_ |= bit;
  return met ? std::uint8_t{0} : chosen;
}

template <class Handler>
void JsonScanner::feed(std::string_view bytes, Handler& handler) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  floor_ = raw_from_ = at;
  while (at != end) {
    switch (state_) {
      case State::key:
        at = run(at, end, handler);
        break;
      case State::cut_key:
        at = read_cut_key(at, end);
        break;
      case State::colon:
        // Without a colon there is no value to it; whatever stands there is read as one.
        if (*at != ':' && static_cast<unsigned char>(*at) <= ' ') {
          ++at;
          break;
        }
        if (*at == ':') ++at;
        state_ = State::value;
        break;
      case State::value:
        at = read_value(at, end, handler);
        break;
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

/// The members of an object, those of objects in it, and those behind it. Precondition: depth_ > 0, at !=
/// end.
template <class Handler>
const char* JsonScanner::run(const char* at, const char* end, Handler& handler) {
  const char* const floor = floor_;
  for (;;) {
    if (*at == '"') {
      const char* const name = at + 1;
      const char* stop = find_string_end(name, end, floor);
      if (stop == end || *stop != '"') {
        held_ = 0;
        decoder_.reset();
        state_ = State::cut_key;
        return name;
      }
      const std::uint8_t chosen = choose({name, static_cast<std::size_t>(stop - name)}, end);
      node_ = chosen;
      state_ = State::colon;
      at = stop + 1;
      if (at == end || *at != ':') return at;
      state_ = State::value;
      if (++at == end) return at;
      if (chosen != 0) {
        at = read_value(at, end, handler);
        if (at == end) return at;
        if (state_ == State::key) continue;
      } else if (*at == '"') {
        stop = find_string_end(at + 1, end, floor);
        state_ = State::skip_string;
        if (stop == end || *stop != '"') return stop;
        state_ = State::after_value;
        at = stop + 1;
      } else if (*at == '{' || *at == '[') {
        skipped_ = 1;
        state_ = State::skip_nest;
        at = skip_nest(at + 1, end);
      } else if (static_cast<unsigned char>(*at) > ' ') {
        state_ = State::after_value;
        at = find_scalar_end(at, end, floor);
      }
    } else if (*at == '}') {
      close(at, handler);
      ++at;
    } else {
      // Blanks and a doubled comma; what else may stand there is passed over as well.
      if (++at == end) return at;
      continue;
    }
    while (state_ == State::after_value && at != end && depth_ != 0) {
      const char byte = *at;
      if (byte == ',') {
        ++at;
        next_member();
      } else if (byte == '}' || byte == ']') {
        close(at, handler);
        ++at;
      } else {
        return at;
      }
    }
    if (state_ != State::key || at == end) return at;
  }
}

/// Behind the comma of an object or array.
inline void JsonScanner::next_member() noexcept {
  const Frame frame = stack_[depth_ - 1U];
  state_ = frame.array ? State::value : State::key;
  if (frame.array) node_ = trie_->nodes[frame.node].element;
}

inline const char* JsonScanner::read_cut_key(const char* at, const char* end) noexcept {
  const bool whole = decoder_.feed(at, end, [this](std::string_view part) {
    const std::size_t fits = std::min(part.size(), hold_.size() - held_);
    std::copy_n(part.data(), fits, hold_.data() + held_);
    held_ = static_cast<std::uint8_t>(held_ + fits);
  });
  if (!whole) return at;
  // A name that fills hold_ is longer than any that is wanted.
  node_ = choose({hold_.data(), held_}, hold_.data() + hold_.size());
  state_ = State::colon;
  return at;
}

// Inlined into run(), which so keeps its registers: it is the better part of the work on small documents.
template <class Handler>
[[gnu::always_inline]] inline const char* JsonScanner::read_value(const char* at, const char* end,
                                                                  Handler& handler) {
  while (static_cast<unsigned char>(*at) <= ' ')
    if (++at == end) return at;
  const JsonNode& here = node();
  const char first = *at;
  if (first == ']' || first == '}' || first == ',') {
    // The end of an empty array, or a value that is missing; outside of everything it means nothing.
    if (depth_ == 0) return at + 1;
    state_ = State::after_value;
    return at;
  }
  if ((here.wants & want_start) != 0) handler.json_start(here.field, first);
  if (first == '"') {
    ++at;
    if ((here.wants & want_text) == 0) {
      state_ = (here.wants & want_filled) != 0 ? State::filled : State::skip_string;
      if (state_ == State::filled || at == end) return at;
      return skip_string(at, end);
    }
    decoder_.reset();
    state_ = State::text;
    const char* stop = find_string_end(at, end, floor_);
    if (stop == end || *stop != '"') return at;
    state_ = State::after_value;
    const std::string_view text(at, std::min(static_cast<std::size_t>(stop - at), max_text));
    if (!handler.json_text(here.field, text)) state_ = State::stopped;
    return stop + 1;
  }
  if (first == '{') {
    const std::uint8_t before = depth_;
    open(false);
    if (depth_ != before && (here.wants & want_raw) != 0 && raw_depth_ == 0) {
      raw_depth_ = depth_;
      raw_from_ = at;
    }
    return at + 1;
  }
  if (first == '[') {
    open(true);
    return at + 1;
  }
  if ((here.wants & want_scalar) == 0) {
    state_ = State::after_value;
    return depth_ == 0 ? at : find_scalar_end(at, end, floor_);
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
[[gnu::always_inline]] inline const char* JsonScanner::read_token(const char* at, const char* end,
                                                                  Handler& handler) {
  const char* stop = at;
  while (stop != end && !ends_scalar(*stop)) ++stop;
  const auto size = static_cast<std::size_t>(stop - at);
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
  at = find_scalar_end(at, end, floor_);
  if (at == end) return at;
  if (*at == ',')
    next_member();
  else
    close(at, handler);
  return at + 1;
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
[[gnu::always_inline]] inline void JsonScanner::close(const char* at, Handler& handler) {
  state_ = State::after_value;
  const Frame frame = stack_[depth_ - 1U];
  const JsonNode& here = trie_->nodes[frame.node];
  if (raw_depth_ == depth_) {
    handler.json_raw(here.field, {raw_from_, static_cast<std::size_t>(at + 1 - raw_from_)}, true);
    raw_depth_ = 0;
  }
  --depth_;
  if (!frame.array && (here.wants & want_end) != 0) handler.json_end(here.field);
  // The document's own members are met afresh in the next one.
  if (frame.node == JsonTrie::root) seen_ = 0;
}

inline const char* JsonScanner::skip_string(const char* at, const char* end) noexcept {
  if (state_ == State::skip_escape) ++at;
  for (;;) {
    at = find_string_end(at, end, floor_);
    if (at == end) break;
    if (*at == '"') {
      state_ = State::after_value;
      return at + 1;
    }
    if (end - at < 2) {
      state_ = State::skip_escape;
      return end;
    }
    at += 2;
  }
  state_ = State::skip_string;
  return at;
}

inline const char* JsonScanner::skip_nest(const char* at, const char* end) noexcept {
  bool inner = state_ != State::skip_nest;
  if (state_ == State::skip_inner_escape) ++at;
#if defined(__SSE2__)
  while (end - at >= detail::block_size) {
    if (inner) {
      const unsigned hits = detail::bits(detail::StringEnd::hits(detail::block_at(at)));
      if (hits == 0) {
        at += detail::block_size;
        continue;
      }
      at += std::countr_zero(hits);
      inner = *at++ != '"';
      if (!inner) continue;
      if (at == end) {
        state_ = State::skip_inner_escape;
        return at;
      }
      ++at;
      continue;
    }
    const unsigned hits = detail::bits(detail::Structure::hits(detail::block_at(at)));
    if (hits == 0) {
      at += detail::block_size;
      continue;
    }
    at += std::countr_zero(hits);
    const char byte = *at++;
    if (byte == '"') {
      inner = true;
    } else if (byte == '{' || byte == '[') {
      ++skipped_;
    } else if (--skipped_ == 0) {
      state_ = State::after_value;
      return at;
    }
  }
#endif
  for (; at != end; ++at) {
    const char byte = *at;
    if (inner) {
      if (byte == '"') inner = false;
      if (byte != '\\') continue;
      if (++at == end) {
        state_ = State::skip_inner_escape;
        return at;
      }
    } else if (byte == '"') {
      inner = true;
    } else if (byte == '{' || byte == '[') {
      ++skipped_;
    } else if ((byte == '}' || byte == ']') && --skipped_ == 0) {
      state_ = State::after_value;
      return at + 1;
    }
  }
  state_ = inner ? State::skip_inner : State::skip_nest;
  return at;
}

}  // namespace portico::telemetry
