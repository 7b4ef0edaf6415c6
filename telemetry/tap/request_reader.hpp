#pragma once
// Reads what a request's body, or each message of a WebSocket client, asks for.
//
// Only top-level members count, and the documented ones below them; of two members with one name the first,
// as CPA reads them.
//
// owns:    the scanner's state; the texts it finds go where the constructor was told
// threads: one worker
// bytes:   borrowed for the call; nothing of the prompt is kept

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/json_scanner.hpp"
#include "telemetry/tap/texts.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// Where a session's name was found, by the order in which CPA looks; the lowest counts.
enum class SessionRank : std::uint8_t {
  claude_code_header,
  metadata,
  first_header,  // and those of the four headers behind it
  body_session_id = 7,
  body_session_id_camel,
  body_cache_key,
  none = 255,
};

/// What kind of message a WebSocket client sent.
enum class Asked : std::uint8_t { other, create, append };

class RequestReader {
 public:
  /// Writes model, service_tier, reasoning_effort, session_source and session_id to `out`. A session is
  /// written only if its rank is below `session`.
  RequestReader(TapPool& pool, Texts& out, Dialect dialect, SessionRank session) noexcept;

  /// A document begins: a body, or a message.
  void begin() noexcept;
  void feed(std::string_view bytes) noexcept { scanner_.feed(bytes, *this); }
  /// The document is complete, or there will be no more of it.
  void finish() noexcept;

  /// Asks for a stream, by the body.
  [[nodiscard]] bool stream() const noexcept { return stream_; }
  /// Of a message: its kind, and whether it asks for no answer (`"generate":false`).
  [[nodiscard]] Asked asked() const noexcept { return asked_; }
  [[nodiscard]] bool warmup() const noexcept { return warmup_; }

  // For the scanner.
  bool json_text(std::uint8_t field, std::string_view text) noexcept;
  void json_scalar(std::uint8_t field, std::string_view token) noexcept;
  void json_start(std::uint8_t field, char first) noexcept;
  void json_filled(std::uint8_t /*field*/) noexcept {}
  void json_end(std::uint8_t /*field*/) noexcept {}
  void json_raw(std::uint8_t /*field*/, std::string_view /*bytes*/, bool /*last*/) noexcept {}
  Scratch& json_scratch() noexcept { return scratch_; }

 private:
  enum class Thinking : std::uint8_t { absent, enabled, adaptive, disabled };

  void offer_session(SessionRank rank, std::string_view id) noexcept;
  void offer_user_id(std::string_view text) noexcept;
  void set_effort(std::string_view text) noexcept;

  JsonScanner scanner_{Doubled::first_counts};
  Scratch scratch_;
  Texts& out_;
  Dialect dialect_;
  SessionRank session_;
  Thinking thinking_ = Thinking::absent;
  Asked asked_ = Asked::other;
  bool stream_ = false;
  bool warmup_ = false;
  bool has_tier_ = false;
  bool has_model_ = false;
  bool has_level_ = false;
  std::uint8_t budget_size_ = 0;
  std::array<char, 23> budget_{};  // decimal digits
};

/// The model in a Gemini path, `…/models/{model}:verb`, from the path's reading. Empty where there is none.
std::string_view model_of_path(std::string_view path) noexcept;

/// The value of a query's first member `name`, as sent. Empty where there is none.
std::string_view query_value(std::string_view target, std::string_view name) noexcept;

/// What of its API a request asks for, by method and reading of the path.
Operation operation_of(Dialect dialect, std::string_view method, std::string_view path,
                       bool websocket) noexcept;

}  // namespace portico::telemetry
