#pragma once
// What is wanted of the responses of each API, as paths, and what the type of an event means.
//
// owns:    constants
// threads: any; pure

#include <cstdint>
#include <string_view>

#include "telemetry/tap/json_trie.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// What is found at a path.
enum class Found : std::uint8_t {
  document,
  kind,  ///< of an event, by its own `type`
  model,
  tier,
  status,       ///< of a response, job or interaction
  stop_reason,  ///< Anthropic
  choice,       ///< an element of `choices` or `candidates`
  choice_index,
  choice_finish,
  block_reason,  ///< Gemini: the prompt was refused
  token,         ///< a sign that an answer has begun
  usage,
  interim_usage,  ///< CPA's name for the numbers of unfinished chunks
  input_count,
  output_count,
  total_count,
  read_count,
  write_count,
  reasoning_count,
  tool_count,
  error,  ///< an object or a text
  error_type,
  error_code,
  error_message,
  error_param,
  reset_seconds,
  resets_in_seconds,
  flat_code,  ///< the same beside the error, or instead of it
  flat_message,
  flat_param,
  flat_status,
};

/// APIs whose responses read alike.
enum class Family : std::uint8_t {
  chat,
  responses,
  anthropic,
  gemini,
  interactions,
  images,
  videos,
  embeddings,
  realtime,
  plain,  ///< only errors are looked for
};
Family family_of(Dialect dialect) noexcept;

/// What an event is to the account, by its type.
enum class EventKind : std::uint8_t {
  unnamed,  ///< it has no type, or one that says nothing
  noise,    ///< nothing in it matters
  delta,    ///< a piece of the answer; nothing else in it matters
  created,  ///< an answer has begun
  start,    ///< message_start
  update,   ///< message_delta
  stop,     ///< message_stop
  final,    ///< the answer is complete; holds usage
  failed,   ///< the answer failed
  error,
};
EventKind event_kind(Family family, std::string_view type) noexcept;

/// True where nothing behind the type of such an event matters.
constexpr bool ignorable(EventKind kind) noexcept {
  return kind == EventKind::noise || kind == EventKind::delta;
}

/// For the events of a stream. `seeks_token`: the first token has not come yet.
const JsonTrie& event_trie(Family family, bool seeks_token) noexcept;
/// For a body that is one document.
const JsonTrie& document_trie(Family family) noexcept;
/// For a body that came with an error's status.
const JsonTrie& error_trie() noexcept;

}  // namespace portico::telemetry
