#pragma once
// Reads a response of any API: one document, a stream of events, an array of documents, or the messages of a
// WebSocket server, and keeps what a record needs of them.
//
// What an event says is put aside until the event is complete; one that is cut off counts for nothing.
//
// owns:    the parsers' state, about 500 bytes; the texts go where the constructor was told
// threads: one worker
// bytes:   borrowed for the call; nothing of an answer is kept

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/event_pattern.hpp"
#include "telemetry/tap/json_scanner.hpp"
#include "telemetry/tap/response_grammar.hpp"
#include "telemetry/tap/sse.hpp"
#include "telemetry/tap/texts.hpp"
#include "telemetry/tap/usage.hpp"

namespace portico::telemetry {

/// What the reader must know of the exchange.
struct ResponseContext {
  Dialect dialect = Dialect::other;
  Operation operation = Operation::other;
  int status = 0;
  bool stream = false;            ///< the request asks for a stream
  std::string_view content_type;  ///< borrowed for the constructor's call
};

/// How far the numbers of a response were final.
enum class UsageStage : std::uint8_t {
  none,
  interim,  ///< numbers that a later event was to replace
  start,    ///< of a start event only
  running,  ///< the latest of a stream in which each may be the last
  final,
};

class ResponseReader {
 public:
  /// Writes response_model, response_service_tier, finish, error_* and usage_raw to `out`.
  ResponseReader(TapPool& pool, Texts& out, const ResponseContext& context) noexcept;

  /// Payload of a body, content coding undone.
  void feed(std::string_view bytes) noexcept;
  /// There will be no more of the body, whole or not.
  void finish() noexcept;

  /// For a WebSocket server: a message begins, passes and is complete. Returns what kind of event it was.
  void begin_message() noexcept;
  void feed_message(std::string_view bytes) noexcept { scanner_.feed(bytes, *this); }
  EventKind end_message() noexcept;
  /// The next message belongs to another turn: forgets what the last one left, but for what came of its
  /// texts.
  void begin_turn() noexcept;

  /// Forgets an error that belongs to something else than the turn.
  void forget_error() noexcept {
    has_error_ = false;
    error_status_ = 0;
    retry_after_s_ = no_number;
  }

  [[nodiscard]] ResponseKind kind() const noexcept { return kind_; }
  /// Events or elements so far; only for kinds that have such.
  [[nodiscard]] std::uint32_t events() const noexcept { return events_; }
  [[nodiscard]] bool first_token() const noexcept { return first_token_; }
  /// The event after which nothing more was to come.
  [[nodiscard]] bool final_event() const noexcept { return final_event_; }
  [[nodiscard]] bool has_error() const noexcept { return has_error_; }
  /// The answer says of itself that it failed.
  [[nodiscard]] bool says_failed() const noexcept { return says_failed_; }
  /// 400 to 599 where an error's own code stands for a status; else 0.
  [[nodiscard]] std::uint16_t error_status() const noexcept { return error_status_; }
  [[nodiscard]] std::uint32_t retry_after_s() const noexcept { return retry_after_s_; }
  /// The numbers in normal form. `ended_well`: the response came to a clean end without a fault.
  [[nodiscard]] NormalUsage usage(bool ended_well) const noexcept;

  // For the scanner.
  bool json_text(std::uint8_t field, std::string_view text) noexcept;
  void json_scalar(std::uint8_t field, std::string_view token) noexcept;
  void json_filled(std::uint8_t field) noexcept;
  void json_start(std::uint8_t field, char first) noexcept;
  void json_end(std::uint8_t field) noexcept;
  void json_raw(std::uint8_t field, std::string_view bytes, bool last) noexcept;
  Scratch& json_scratch() noexcept { return scratch_; }

  // For the splitter.
  void sse_data(std::string_view piece) noexcept;
  void sse_name(std::string_view piece) noexcept;
  void sse_dispatch() noexcept;
  void sse_discard() noexcept;

 private:
  /// A short stream is not worth a pattern.
  static constexpr std::uint32_t first_lesson = 6;

  /// What the event that is being read has said so far.
  struct Event {
    UsageNumbers numbers;
    std::uint32_t reset_s = no_number;
    std::uint32_t resets_in_s = no_number;
    std::uint16_t error_status = 0;
    EventKind kind = EventKind::unnamed;
    bool has_usage = false;
    bool has_interim = false;
    bool in_interim = false;  // the numbers being read are of the interim object
    bool has_error = false;
    bool has_flat_error = false;
    bool has_token = false;
    bool has_finish = false;
    bool begun = false;
  };

  void start(char first) noexcept;
  void feed_document(std::string_view bytes) noexcept;
  void feed_events(std::string_view bytes) noexcept;
  std::size_t learn(std::string_view bytes) noexcept;
  [[nodiscard]] bool changes_nothing() const noexcept;
  void take_text_body(std::string_view bytes) noexcept;
  void begin_event() noexcept;
  void commit(bool document) noexcept;
  void commit_error() noexcept;
  void commit_usage(bool document) noexcept;
  void commit_anthropic(bool document) noexcept;
  void keep_usage(UsageStage stage) noexcept;
  void stage_text(Text which, std::string_view text) noexcept;
  void stage_error_code(std::string_view code, bool nested) noexcept;
  void take_count(Count count, std::string_view token) noexcept;
  void end_choice() noexcept;

  JsonScanner scanner_{Doubled::last_counts};
  SseSplitter splitter_;
  Scratch scratch_;
  Scratch raw_;
  Texts& out_;
  Event event_;
  Pooled<EventPattern> pattern_;
  UsageNumbers numbers_;
  std::uint32_t events_ = 0;
  std::uint32_t learn_at_ = first_lesson;  // how many events have to be there before one is learnt
  std::uint32_t retry_after_s_ = no_number;
  std::uint32_t choice_index_ = no_number;
  std::uint32_t choices_ = 0;
  std::uint16_t error_status_ = 0;
  std::uint16_t status_;
  Family family_;
  Inclusion inclusion_;
  ResponseKind kind_ = ResponseKind::empty;
  UsageStage stage_ = UsageStage::none;
  bool counts_usage_;
  bool is_event_stream_;
  bool is_json_;
  bool no_content_type_;
  bool stream_;
  bool blank_before_ = false;  // a space stands before the first byte that counts
  bool first_token_ = false;
  bool final_event_ = false;
  bool has_error_ = false;
  bool says_failed_ = false;
  std::uint8_t name_size_ = 0;
  std::uint8_t finish_size_ = 0;
  std::array<char, 40> name_{};    // of the event, by its event line
  std::array<char, 32> finish_{};  // of the choice that is being read
};

}  // namespace portico::telemetry
