#pragma once
// The forms in which the APIs that CPA serves write one and the same answer: as a stream of events and as
// one object.
//
// owns:    a Writer owns the facts of its answer and the text it has written so far
// threads: the sample's thread
// bytes:   events are JSON texts, not yet framed: SSE, WebSocket and bare objects carry the same

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sample/stats.hpp"

namespace portico::sample {

enum class Dialect : std::uint8_t {
  openai_chat,
  openai_completions,
  openai_responses,
  codex_responses,
  anthropic_messages,
  gemini_generate,
  gemini_interactions,
  openai_images,
  realtime,
};

/// As in accounts: `openai-chat`, `anthropic-messages`, ...
std::string_view name_of(Dialect dialect) noexcept;

/// What an answer is about, the same in every form.
struct Answer {
  std::string id;  ///< without the prefix that a dialect likes
  std::string model;
  std::int64_t created = 0;
  Tokens tokens;
  bool usage = true;          ///< false: no usage anywhere
  bool include_usage = true;  ///< chat and completions: the client asked for usage in the stream
};

struct Event {
  std::string name;  ///< for the `event:` line; empty where the dialect has none
  std::string data;
  std::optional<Tokens> usage = {};  ///< what it tells of the tokens, in place of what was told before
};

class Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  virtual ~Writer() = default;

  /// Events before the first text.
  virtual std::vector<Event> opening() = 0;
  /// The event that carries the next piece of text.
  virtual Event text(std::string_view piece) = 0;
  /// Events after the last text; the usage is in them, or between them.
  virtual std::vector<Event> closing() = 0;
  /// The complete answer as one JSON text.
  virtual std::string whole(std::string_view full_text) = 0;
};

std::unique_ptr<Writer> make_writer(Dialect dialect, Answer answer);

// One for each family; make_writer chooses.
std::unique_ptr<Writer> make_chat_writer(Answer answer);
std::unique_ptr<Writer> make_completions_writer(Answer answer);
std::unique_ptr<Writer> make_responses_writer(Answer answer);
std::unique_ptr<Writer> make_anthropic_writer(Answer answer);
std::unique_ptr<Writer> make_gemini_writer(Answer answer);
std::unique_ptr<Writer> make_interactions_writer(Answer answer);
std::unique_ptr<Writer> make_images_writer(Answer answer);
std::unique_ptr<Writer> make_realtime_writer(Answer answer);

}  // namespace portico::sample
