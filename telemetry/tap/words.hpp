#pragma once
// The closed lists of words that the tap, its records and everything made of them share.
//
// owns:    nothing; names are literals, valid for ever
// threads: any; pure
// Each name is the word of the documented JSON; the numbers are internal and may change with any release.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::telemetry {

/// How an exchange ended.
enum class Ended : std::uint8_t { complete, client_gone, backend_broke_off, timeout, refused };
inline constexpr std::size_t ended_count = 5;
/// Such as `client_gone`.
std::string_view name_of(Ended ended) noexcept;

/// Which API a request speaks; the path decides.
enum class Dialect : std::uint8_t {
  openai_chat,
  openai_completions,
  openai_responses,
  codex_responses,
  anthropic_messages,
  gemini_generate,
  gemini_interactions,
  openai_images,
  openai_videos,
  openai_embeddings,
  realtime,
  management,
  other,
};
inline constexpr std::size_t dialect_count = 13;
/// Such as `openai-chat`.
std::string_view name_of(Dialect dialect) noexcept;
/// The dialect of a path reading (query cut off). Pure; no allocation.
Dialect dialect_of(std::string_view path) noexcept;

/// What of its API a request asks for.
enum class Operation : std::uint8_t { generate, compact, count_tokens, embed, list_models, other };
/// Such as `count_tokens`.
std::string_view name_of(Operation operation) noexcept;

/// What a response's body turned out to be.
enum class ResponseKind : std::uint8_t { empty, json, sse, json_array, websocket, text };
/// Such as `json-array`.
std::string_view name_of(ResponseKind kind) noexcept;

/// A content coding.
enum class Coding : std::uint8_t { identity, gzip, deflate, br, zstd, other };
/// Such as `zstd`.
std::string_view name_of(Coding coding) noexcept;

/// How much a record's token counts can be relied on.
enum class UsageQuality : std::uint8_t {
  none,          ///< no usage was seen: absent, not zero
  complete,      ///< final numbers, and they add up to the reported total
  inconsistent,  ///< final numbers that contradict each other
  unclassified,  ///< nothing but a total
  partial,       ///< interim numbers only, then the end came
  estimated,     ///< the stream ended well, but only its start event had numbers
};
inline constexpr std::size_t usage_quality_count = 6;
std::string_view name_of(UsageQuality quality) noexcept;

/// Buckets that never share a token.
enum class TokenKind : std::uint8_t { input, cache_read, cache_creation, output, reasoning, unclassified };
inline constexpr std::size_t token_kind_count = 6;
/// Such as `cache_read`.
std::string_view name_of(TokenKind kind) noexcept;

/// Which time-out of the settings ended an exchange.
enum class Timer : std::uint8_t {
  none,
  request_head,
  request_body,
  connect,
  response_head,
  response_body,
  websocket_idle,
  client_write,
};
/// The field of the settings, such as `timeouts.response_head`; empty for none.
std::string_view name_of(Timer timer) noexcept;

/// Indexes into the Registry's label tables; stable for the life of the process, reloads included.
/// `no_label`: none.
enum class RouteLabel : std::uint16_t {};
enum class EndpointLabel : std::uint16_t {};
enum class ListenerLabel : std::uint16_t {};

inline constexpr std::uint16_t no_label = 0xFFFF;

/// What a record accounts for.
enum class RecordKind : std::uint8_t {
  exchange,    ///< a request and its response
  turn,        ///< one turn of a WebSocket
  connection,  ///< a WebSocket as a whole, at its end; its turns have records of their own
};
std::string_view name_of(RecordKind kind) noexcept;

/// What a failure is about: its owner or its kind.
enum class Category : std::uint8_t {
  auth_method,
  client_key,
  model_name,
  base_url,
  auth_binding,
  quota,
  upstream_outage,
  client_request,
  network,
  timeout,
  client_cancelled,
  limit,
  unknown,
};
inline constexpr std::size_t category_count = 13;
std::string_view name_of(Category category) noexcept;

/// Which field of a provider's entry to look at.
enum class FaultField : std::uint8_t { none, base_url, auth_method, model_names, auth_binding };
inline constexpr std::size_t fault_field_count = 5;
std::string_view name_of(FaultField field) noexcept;

enum class Confidence : std::uint8_t { low, medium, high };
std::string_view name_of(Confidence confidence) noexcept;

/// What a failure was found to be.
struct Verdict {
  Category category = Category::unknown;
  FaultField field = FaultField::none;
  Confidence confidence = Confidence::low;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

}  // namespace portico::telemetry
