#pragma once
// Finds the wanted members of JSON documents in bytes that arrive in any pieces, and skips everything else at
// the speed of looking for quotes and brackets.
//
// It does not judge: what is no JSON gives some facts or none, always the same ones however the bytes are
// cut, in time linear in their number. There is no recursion: what nobody wants is a counter of open
// brackets, and what is wanted lies on a stack as deep as the longest path. Documents may follow one another,
// with blanks or commas between them.
//
// owns:    a few dozen bytes of state; a wanted string that is cut lies in the handler's Scratch
// threads: one
// bytes:   borrowed for the call
//
// A handler has
//   bool json_text(std::uint8_t field, std::string_view text);    false: the rest of the document is not
//   wanted void json_scalar(std::uint8_t field, std::string_view token); a number, true, false, null; at most
//   max_token void json_filled(std::uint8_t field); void json_start(std::uint8_t field, char first); void
//   json_end(std::uint8_t field); void json_raw(std::uint8_t field, std::string_view bytes, bool last);  the
//   object's bytes, in order Scratch& json_scratch();

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/bytes.hpp"
#include "telemetry/tap/json_text.hpp"
#include "telemetry/tap/json_trie.hpp"
#include "telemetry/tap/texts.hpp"

namespace portico::telemetry {

/// Which of two members with the same name counts. The scanner tells of all it meets if the last one does.
enum class Doubled : std::uint8_t { first_counts, last_counts };

class JsonScanner {
 public:
  /// A string longer than this is told only as far; long enough for every text of a record.
  static constexpr std::size_t max_text = 1040;
  static constexpr std::size_t max_token = 31;

  explicit JsonScanner(Doubled doubled) noexcept : doubled_(doubled) {}

  /// Forgets everything; what comes next is the beginning of a document.
  void begin(const JsonTrie& trie) noexcept {
    trie_ = &trie;
    state_ = State::value;
    depth_ = 0;
    node_ = JsonTrie::root;
    raw_depth_ = 0;
    skipped_ = 0;
    seen_ = 0;
  }
  /// True when a document has begun that is not complete.
  [[nodiscard]] bool inside() const noexcept { return depth_ != 0; }
  /// True after a handler said that it wants no more.
  [[nodiscard]] bool stopped() const noexcept { return state_ == State::stopped; }
  /// True inside a text that nobody wants.
  [[nodiscard]] bool skips_text() const noexcept {
    return state_ == State::skip_string || state_ == State::skip_escape || state_ == State::skip_inner ||
           state_ == State::skip_inner_escape;
  }
  /// Ignores everything until begin().
  void stop() noexcept { state_ = State::stopped; }

  template <class Handler>
  void feed(std::string_view bytes, Handler& handler);

 private:
  enum class State : std::uint8_t {
    value,        // a value, or what separates values
    after_value,  // behind a value: rest of a scalar, comma, closing bracket
    key,          // a member's name, or what separates members
    cut_key,      // in a name that began in an earlier piece or has an escape
    colon,        // behind a name
    text,         // in a wanted string
    filled,       // behind the opening quote of a string that may be empty
    token,        // in a wanted scalar
    skip_string,  // in a string nobody wants, which is a value
    skip_escape,  // behind a backslash of it
    skip_nest,    // in an object or array nobody wants
    skip_inner,   // in a string of that
    skip_inner_escape,
    stopped,
  };
  struct Frame {
    std::uint8_t node;
    bool array;
  };
  static constexpr std::size_t max_depth = 8;

  [[nodiscard]] const JsonNode& node() const noexcept { return trie_->nodes[node_]; }
  static constexpr std::array<bool, 256> scalar_ends = [] {
    std::array<bool, 256> ends{};
    for (std::size_t byte = 0; byte <= ' '; ++byte) ends[byte] = true;
    ends[','] = ends['}'] = ends[']'] = true;
    return ends;
  }();
  static constexpr bool ends_scalar(char byte) noexcept {
    return scalar_ends[static_cast<unsigned char>(byte)];
  }

  std::uint8_t choose(std::string_view key, const char* end) noexcept;
  void open(bool array) noexcept;
  void next_member() noexcept;
  template <class Handler>
  const char* run(const char* at, const char* end, Handler& handler);
  const char* read_cut_key(const char* at, const char* end) noexcept;
  template <class Handler>
  const char* read_value(const char* at, const char* end, Handler& handler);
  template <class Handler>
  const char* read_text(const char* at, const char* end, Handler& handler);
  template <class Handler>
  const char* read_token(const char* at, const char* end, Handler& handler);
  template <class Handler>
  const char* read_after(const char* at, const char* end, Handler& handler);
  const char* read_between(const char* at, const char* end) noexcept;
  template <class Handler>
  void close(const char* at, Handler& handler);
  const char* skip_string(const char* at, const char* end) noexcept;
  const char* skip_nest(const char* at, const char* end) noexcept;

  const JsonTrie* trie_ = nullptr;
  const char* floor_ = nullptr;  // of the piece; like the next, meaningful inside feed() only
  const char* raw_from_ = nullptr;
  std::uint64_t skipped_ = 0;  // open brackets of what is skipped
  std::uint64_t seen_ = 0;     // nodes that were met, where the first counts
  State state_ = State::stopped;
  Doubled doubled_;
  std::uint8_t depth_ = 0;
  std::uint8_t node_ = JsonTrie::root;  // of the value that is read or comes next
  std::uint8_t raw_depth_ = 0;          // depth of the object whose bytes are told; 0: none
  std::uint8_t held_ = 0;               // bytes in hold_; more than fit: too many
  JsonTextDecoder decoder_;
  std::array<Frame, max_depth> stack_{};
  std::array<char, max_token + 1> hold_{};  // a name or scalar that is cut
};

}  // namespace portico::telemetry

#include "telemetry/tap/json_scanner_impl.hpp"
