#pragma once
// A record: what the tap leaves behind of one exchange, as plain bytes.
//
// A record is a RecordFacts followed by its texts in one run of bytes; it holds no pointer, so it can be
// copied into a ring and read on another thread as it lies there.
//
// owns:    a Record owns nothing: it views bytes that somebody else keeps
// threads: any
// bytes:   texts are what was on the wire, decoded but not sanitised: whoever stores or shows one makes it
// safe
//          first. No text holds an API key; only its fingerprint and mask are here.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// The texts a record may have. Each is cut to its bound (text_limit) at a character's border.
enum class Text : std::uint8_t {
  request_id,
  method,
  path,   ///< as sent, without query
  owner,  ///< name of the upstream whose route owns the path; empty where Portico itself answers
  client,
  user_agent,
  key_mask,  ///< such as `sk-a...9f3c`; empty where no key was presented
  model,     ///< as asked for, decoded
  service_tier,
  reasoning_effort,  ///< as the body says; a suffix of the model beats it
  session_source,    ///< such as `header:session_id`
  session_id,
  response_model,
  response_service_tier,
  finish,
  auth_index,
  cpa_request_id,
  error_type,
  error_code,  ///< a number as decimal digits
  error_message,
  error_param,  ///< name of the request field that was refused, if the error says so
  usage_raw,    ///< JSON object as received; for Anthropic the merged one
  own_code,     ///< Portico's own machine code, where it answered itself
};
inline constexpr std::size_t text_count = 23;
/// The longest a text may be, in bytes.
constexpr std::size_t text_limit(Text text) noexcept {
  constexpr std::array<std::uint16_t, text_count> limits{128, 16,  512, 64,   64,  512,  16, 256,
                                                         64,  64,  64,  256,  256, 64,   64, 64,
                                                         64,  256, 256, 1024, 256, 2048, 64};
  return limits[static_cast<std::size_t>(text)];
}

struct TextPlace {
  std::uint16_t offset = 0;
  std::uint16_t size = 0;
};

/// Keyed hash of an API key; all zero: no key was presented.
using KeyFingerprint = std::array<std::uint8_t, 16>;

/// Token counts by TokenKind; `seen` is false where there was no usage: absent is not zero.
struct TokenCounts {
  std::array<std::uint64_t, token_kind_count> kinds{};
  bool seen = false;
  [[nodiscard]] std::uint64_t operator[](TokenKind kind) const noexcept {
    return kinds[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] std::uint64_t& operator[](TokenKind kind) noexcept {
    return kinds[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : kinds) sum += count;
    return sum;
  }
};

/// Durations that may be absent.
inline constexpr std::uint64_t no_time = UINT64_MAX;
inline constexpr std::uint32_t no_number = UINT32_MAX;

struct RecordFacts {
  std::uint64_t start_unix_us = 0;  ///< when the request's head was complete (a turn: when it was asked for)
  std::uint64_t duration_us = 0;    ///< from start to end
  std::uint64_t first_byte_us = no_time;   ///< from start to the response's head (a turn: to its first event)
  std::uint64_t first_token_us = no_time;  ///< from start to the first token
  std::uint64_t overhead_us = no_time;     ///< Portico's own added time, waiting left out
  std::uint64_t request_bytes = 0;         ///< payload, after the transfer coding
  std::uint64_t response_bytes = 0;
  TokenCounts tokens;
  KeyFingerprint key{};
  std::uint32_t events =
      no_number;  ///< SSE events, array elements or server messages; only where there are such
  std::uint32_t retry_after_s = no_number;
  std::uint32_t turns = 0;  ///< of a connection: how many were counted, warm-ups too
  std::uint16_t worker = 0;
  std::uint16_t listener = no_label;  ///< ListenerLabel
  std::uint16_t route = no_label;     ///< RouteLabel
  std::uint16_t endpoint = no_label;  ///< EndpointLabel
  std::uint16_t status = 0;           ///< final; 101 for a WebSocket; 0: no answer could be given
  std::uint16_t error_status =
      0;  ///< 400 to 599 where an error inside a 200 or a frame stands for one; else 0
  std::uint8_t http_version = 11;  ///< of the client's request: 10, 11 or 20
  RecordKind kind = RecordKind::exchange;
  Dialect dialect = Dialect::other;
  Operation operation = Operation::other;
  Ended ended = Ended::complete;
  Timer timer = Timer::none;
  ResponseKind response_kind = ResponseKind::empty;
  Coding request_coding = Coding::identity;
  Coding response_coding = Coding::identity;
  UsageQuality usage_quality = UsageQuality::none;
  bool stream = false;
  bool failed = false;
  bool has_error = false;  ///< an error object, event or frame was seen (its texts may be empty all the same)
  bool has_trace = false;  ///< X-CPA-TRACE-ID was there
  bool final_event = false;  ///< the dialect's final event was seen
  bool warmup = false;       ///< a turn that costs nothing
  bool own_answer = false;   ///< Portico itself answered; own_code says with what
  bool websocket = false;
  bool reused_connection = false;
  std::array<TextPlace, text_count> texts{};
};
static_assert(std::is_trivially_copyable_v<RecordFacts>);

/// Time from the first token to the end, for each token after the first; reasoning counts as output. Nothing
/// for what was no stream, or where a part of it is not known.
std::optional<double> seconds_per_output_token(const RecordFacts& facts) noexcept;

/// A view of a record's two parts.
class Record {
 public:
  Record(const RecordFacts& facts, std::string_view texts) noexcept : facts_(&facts), texts_(texts) {}
  [[nodiscard]] const RecordFacts& facts() const noexcept { return *facts_; }
  const RecordFacts* operator->() const noexcept { return facts_; }
  [[nodiscard]] std::string_view texts() const noexcept { return texts_; }
  /// Empty where the record has none.
  [[nodiscard]] std::string_view text(Text which) const noexcept {
    const TextPlace place = facts_->texts[static_cast<std::size_t>(which)];
    return texts_.substr(place.offset, place.size);
  }

 private:
  const RecordFacts* facts_;
  std::string_view texts_;
};

/// Takes finished records; a worker's ring, or what `portico inspect` and tests collect them in.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// The record is copied before the call returns. Never waits.
  virtual void push(const Record& record) noexcept = 0;
};

}  // namespace portico::telemetry
