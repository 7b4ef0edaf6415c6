#include "telemetry/tap/response_grammar.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace portico::telemetry {
namespace {

constexpr JsonPath path(std::string_view text, Found found, unsigned wants) {
  return {text, static_cast<std::uint8_t>(found), wants};
}
constexpr JsonPath count(std::string_view text, Found found) { return path(text, found, want_scalar); }
constexpr JsonPath text(std::string_view name, Found found) { return path(name, found, want_text); }

template <std::size_t... Sizes>
consteval auto join(const std::array<JsonPath, Sizes>&... parts) {
  std::array<JsonPath, (Sizes + ...)> all{};
  auto at = all.begin();
  ((at = std::copy(parts.begin(), parts.end(), at)), ...);
  return all;
}

constexpr unsigned object_wants = want_start | want_raw;

// An error is an object, or a text in its place.
constexpr std::array<JsonPath, 8> error_paths{{
    path("", Found::document, want_end),
    path("error", Found::error, want_start | want_text),
    text("error.type", Found::error_type),
    path("error.code", Found::error_code, want_text | want_scalar),
    text("error.message", Found::error_message),
    text("error.param", Found::error_param),
    count("error.reset_seconds", Found::reset_seconds),
    count("error.resets_in_seconds", Found::resets_in_seconds),
}};
constexpr std::array<JsonPath, 4> flat_error_paths{{
    path("code", Found::flat_code, want_text | want_scalar),
    text("message", Found::flat_message),
    text("param", Found::flat_param),
    count("status", Found::flat_status),
}};

constexpr std::array<JsonPath, 12> chat_paths{{
    text("model", Found::model),
    text("service_tier", Found::tier),
    path("choices[]", Found::choice, want_start | want_end),
    count("choices[].index", Found::choice_index),
    text("choices[].finish_reason", Found::choice_finish),
    path("usage", Found::usage, object_wants),
    count("usage.prompt_tokens", Found::input_count),
    count("usage.completion_tokens", Found::output_count),
    count("usage.total_tokens", Found::total_count),
    count("usage.prompt_tokens_details.cached_tokens", Found::read_count),
    count("usage.prompt_tokens_details.cache_write_tokens", Found::write_count),
    count("usage.completion_tokens_details.reasoning_tokens", Found::reasoning_count),
}};
// Two more names of cache writes, the second CPA's when it translates.
constexpr std::array<JsonPath, 2> chat_write_paths{{
    count("usage.prompt_tokens_details.cache_creation_tokens", Found::write_count),
    count("usage.prompt_tokens_details.cached_creation_tokens", Found::write_count),
}};
constexpr std::array<JsonPath, 4> chat_token_paths{{
    path("choices[].delta.content", Found::token, want_filled),
    path("choices[].delta.reasoning_content", Found::token, want_filled),
    path("choices[].delta.tool_calls[]", Found::token, want_start),
    path("choices[].text", Found::token, want_filled),
}};

constexpr std::array<JsonPath, 9> response_usage_paths{{
    path("response.usage", Found::usage, object_wants),
    count("response.usage.input_tokens", Found::input_count),
    count("response.usage.input_tokens_details.cached_tokens", Found::read_count),
    count("response.usage.input_tokens_details.cache_write_tokens", Found::write_count),
    count("response.usage.input_token_details.cached_tokens", Found::read_count),
    count("response.usage.output_tokens", Found::output_count),
    count("response.usage.output_tokens_details.reasoning_tokens", Found::reasoning_count),
    count("response.usage.output_token_details.reasoning_tokens", Found::reasoning_count),
    count("response.usage.total_tokens", Found::total_count),
}};
constexpr std::array<JsonPath, 10> response_event_paths{{
    text("type", Found::kind),
    text("response.model", Found::model),
    text("response.service_tier", Found::tier),
    text("response.status", Found::status),
    path("response.error", Found::error, want_start | want_text),
    text("response.error.type", Found::error_type),
    path("response.error.code", Found::error_code, want_text | want_scalar),
    text("response.error.message", Found::error_message),
    text("response.error.param", Found::error_param),
    text("session.model", Found::model),
}};
constexpr std::array<JsonPath, 10> response_document_paths{{
    text("model", Found::model),
    text("service_tier", Found::tier),
    text("status", Found::status),
    path("usage", Found::usage, object_wants),
    count("usage.input_tokens", Found::input_count),
    count("usage.input_tokens_details.cached_tokens", Found::read_count),
    count("usage.input_tokens_details.cache_write_tokens", Found::write_count),
    count("usage.output_tokens", Found::output_count),
    count("usage.output_tokens_details.reasoning_tokens", Found::reasoning_count),
    count("usage.total_tokens", Found::total_count),
}};

constexpr std::array<JsonPath, 9> anthropic_usage_paths{{
    path("usage", Found::usage, object_wants),
    count("usage.input_tokens", Found::input_count),
    count("usage.cache_read_input_tokens", Found::read_count),
    count("usage.cache_creation_input_tokens", Found::write_count),
    count("usage.output_tokens", Found::output_count),
    count("usage.output_tokens_details.thinking_tokens", Found::reasoning_count),
    count("usage.output_tokens_details.reasoning_tokens", Found::reasoning_count),
    count("usage.thinking_tokens", Found::reasoning_count),
    text("usage.service_tier", Found::tier),
}};
constexpr std::array<JsonPath, 9> anthropic_start_paths{{
    path("message.usage", Found::usage, object_wants),
    count("message.usage.input_tokens", Found::input_count),
    count("message.usage.cache_read_input_tokens", Found::read_count),
    count("message.usage.cache_creation_input_tokens", Found::write_count),
    count("message.usage.output_tokens", Found::output_count),
    count("message.usage.output_tokens_details.thinking_tokens", Found::reasoning_count),
    count("message.usage.output_tokens_details.reasoning_tokens", Found::reasoning_count),
    count("message.usage.thinking_tokens", Found::reasoning_count),
    text("message.usage.service_tier", Found::tier),
}};
constexpr std::array<JsonPath, 3> anthropic_event_paths{{
    text("type", Found::kind),
    text("message.model", Found::model),
    text("delta.stop_reason", Found::stop_reason),
}};
constexpr std::array<JsonPath, 2> anthropic_document_paths{{
    text("model", Found::model),
    text("stop_reason", Found::stop_reason),
}};

constexpr std::array<JsonPath, 13> gemini_paths{{
    text("modelVersion", Found::model),
    path("candidates[]", Found::choice, want_start | want_end),
    count("candidates[].index", Found::choice_index),
    text("candidates[].finishReason", Found::choice_finish),
    text("promptFeedback.blockReason", Found::block_reason),
    path("usageMetadata", Found::usage, object_wants),
    count("usageMetadata.promptTokenCount", Found::input_count),
    count("usageMetadata.toolUsePromptTokenCount", Found::tool_count),
    count("usageMetadata.cachedContentTokenCount", Found::read_count),
    count("usageMetadata.candidatesTokenCount", Found::output_count),
    count("usageMetadata.thoughtsTokenCount", Found::reasoning_count),
    count("usageMetadata.totalTokenCount", Found::total_count),
    text("usageMetadata.serviceTier", Found::tier),
}};
constexpr std::array<JsonPath, 7> gemini_interim_paths{{
    path("cpaUsageMetadata", Found::interim_usage, object_wants),
    count("cpaUsageMetadata.promptTokenCount", Found::input_count),
    count("cpaUsageMetadata.toolUsePromptTokenCount", Found::tool_count),
    count("cpaUsageMetadata.cachedContentTokenCount", Found::read_count),
    count("cpaUsageMetadata.candidatesTokenCount", Found::output_count),
    count("cpaUsageMetadata.thoughtsTokenCount", Found::reasoning_count),
    count("cpaUsageMetadata.totalTokenCount", Found::total_count),
}};
constexpr std::array<JsonPath, 1> gemini_token_paths{{
    path("candidates[].content.parts[]", Found::token, want_start),
}};

// The second name of each is of translated answers.
constexpr std::array<JsonPath, 11> interaction_usage_paths{{
    path("usage", Found::usage, object_wants),
    count("usage.total_input_tokens", Found::input_count),
    count("usage.input_tokens", Found::input_count),
    count("usage.total_cached_tokens", Found::read_count),
    count("usage.cached_tokens", Found::read_count),
    count("usage.total_output_tokens", Found::output_count),
    count("usage.output_tokens", Found::output_count),
    count("usage.total_thought_tokens", Found::reasoning_count),
    count("usage.reasoning_tokens", Found::reasoning_count),
    count("usage.total_tool_use_tokens", Found::tool_count),
    count("usage.total_tokens", Found::total_count),
}};
constexpr std::array<JsonPath, 11> interaction_inner_usage_paths{{
    path("interaction.usage", Found::usage, object_wants),
    count("interaction.usage.total_input_tokens", Found::input_count),
    count("interaction.usage.input_tokens", Found::input_count),
    count("interaction.usage.total_cached_tokens", Found::read_count),
    count("interaction.usage.cached_tokens", Found::read_count),
    count("interaction.usage.total_output_tokens", Found::output_count),
    count("interaction.usage.output_tokens", Found::output_count),
    count("interaction.usage.total_thought_tokens", Found::reasoning_count),
    count("interaction.usage.reasoning_tokens", Found::reasoning_count),
    count("interaction.usage.total_tool_use_tokens", Found::tool_count),
    count("interaction.usage.total_tokens", Found::total_count),
}};
constexpr std::array<JsonPath, 8> interaction_event_paths{{
    text("event_type", Found::kind),
    text("interaction.model", Found::model),
    text("interaction.service_tier", Found::tier),
    text("interaction.status", Found::status),
    path("interaction.error", Found::error, want_start | want_text),
    path("interaction.error.code", Found::error_code, want_text | want_scalar),
    text("interaction.error.message", Found::error_message),
    text("interaction.error.type", Found::error_type),
}};
constexpr std::array<JsonPath, 3> interaction_document_paths{{
    text("model", Found::model),
    text("service_tier", Found::tier),
    text("status", Found::status),
}};

constexpr std::array<JsonPath, 7> image_paths{{
    text("type", Found::kind),
    text("model", Found::model),
    path("usage", Found::usage, object_wants),
    count("usage.input_tokens", Found::input_count),
    count("usage.input_tokens_details.cached_tokens", Found::read_count),
    count("usage.output_tokens", Found::output_count),
    count("usage.total_tokens", Found::total_count),
}};

constexpr std::array<JsonPath, 2> video_paths{{text("model", Found::model), text("status", Found::status)}};

constexpr std::array<JsonPath, 4> embedding_paths{{
    text("model", Found::model),
    path("usage", Found::usage, object_wants),
    count("usage.prompt_tokens", Found::input_count),
    count("usage.total_tokens", Found::total_count),
}};

// Providers' errors pass as they are, in any shape.
constexpr std::array<JsonPath, 4> any_error_paths{{
    path("code", Found::flat_code, want_text | want_scalar),
    text("message", Found::flat_message),
    text("detail", Found::flat_message),
    text("param", Found::flat_param),
}};

constexpr JsonTrie chat_trie = make_trie(join(chat_paths, chat_write_paths, error_paths));
constexpr JsonTrie chat_seeking_trie =
    make_trie(join(chat_paths, chat_write_paths, chat_token_paths, error_paths));
constexpr JsonTrie responses_event_trie =
    make_trie(join(response_event_paths, response_usage_paths, error_paths, flat_error_paths));
constexpr JsonTrie responses_document_trie = make_trie(join(response_document_paths, error_paths));
constexpr JsonTrie anthropic_event_trie =
    make_trie(join(anthropic_event_paths, anthropic_start_paths, anthropic_usage_paths, error_paths));
constexpr JsonTrie anthropic_document_trie =
    make_trie(join(anthropic_document_paths, anthropic_usage_paths, error_paths));
constexpr JsonTrie gemini_trie = make_trie(join(gemini_paths, gemini_interim_paths, error_paths));
constexpr JsonTrie gemini_seeking_trie =
    make_trie(join(gemini_paths, gemini_interim_paths, gemini_token_paths, error_paths));
constexpr JsonTrie interactions_event_trie = make_trie(
    join(interaction_event_paths, interaction_inner_usage_paths, interaction_usage_paths, error_paths));
constexpr JsonTrie interactions_document_trie =
    make_trie(join(interaction_document_paths, interaction_usage_paths, error_paths));
constexpr JsonTrie images_trie = make_trie(join(image_paths, error_paths, flat_error_paths));
constexpr JsonTrie videos_trie = make_trie(join(video_paths, error_paths));
constexpr JsonTrie embeddings_trie = make_trie(join(embedding_paths, error_paths));
constexpr JsonTrie plain_trie = make_trie(error_paths);
constexpr JsonTrie any_error_trie = make_trie(join(error_paths, any_error_paths));

EventKind responses_kind(std::string_view type) noexcept {
  constexpr std::string_view prefix = "response.";
  if (type.ends_with(".delta")) return EventKind::delta;
  if (type == "error") return EventKind::error;
  if (!type.starts_with(prefix)) return EventKind::unnamed;
  type.remove_prefix(prefix.size());
  if (type == "created") return EventKind::created;
  if (type == "completed" || type == "incomplete" || type == "done") return EventKind::final;
  if (type == "failed") return EventKind::failed;
  if (type == "in_progress" || type == "queued") return EventKind::unnamed;
  return EventKind::noise;
}

EventKind anthropic_kind(std::string_view type) noexcept {
  if (type == "content_block_delta") return EventKind::delta;
  if (type == "message_start") return EventKind::start;
  if (type == "message_delta") return EventKind::update;
  if (type == "message_stop") return EventKind::stop;
  if (type == "error") return EventKind::error;
  return EventKind::noise;
}

EventKind interactions_kind(std::string_view type) noexcept {
  if (type == "step.delta") return EventKind::delta;
  if (type == "error") return EventKind::error;
  if (type == "interaction.completed" || type == "interaction.incomplete" || type == "interaction.cancelled")
    return EventKind::final;
  if (type == "interaction.failed") return EventKind::failed;
  return EventKind::unnamed;
}

EventKind images_kind(std::string_view type) noexcept {
  if (type.ends_with(".partial_image")) return EventKind::delta;
  if (type.ends_with(".completed")) return EventKind::final;
  if (type == "error") return EventKind::error;
  return EventKind::unnamed;
}

}  // namespace

Family family_of(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::openai_chat:
    case Dialect::openai_completions:
      return Family::chat;
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      return Family::responses;
    case Dialect::anthropic_messages:
      return Family::anthropic;
    case Dialect::gemini_generate:
      return Family::gemini;
    case Dialect::gemini_interactions:
      return Family::interactions;
    case Dialect::openai_images:
      return Family::images;
    case Dialect::openai_videos:
      return Family::videos;
    case Dialect::openai_embeddings:
      return Family::embeddings;
    case Dialect::realtime:
      return Family::realtime;
    case Dialect::management:
    case Dialect::other:
      break;
  }
  return Family::plain;
}

EventKind event_kind(Family family, std::string_view type) noexcept {
  switch (family) {
    case Family::responses:
    case Family::realtime:
      return responses_kind(type);
    case Family::anthropic:
      return anthropic_kind(type);
    case Family::interactions:
      return interactions_kind(type);
    case Family::images:
      return images_kind(type);
    default:
      return type == "error" ? EventKind::error : EventKind::unnamed;
  }
}

const JsonTrie& event_trie(Family family, bool seeks_token) noexcept {
  switch (family) {
    case Family::chat:
      return seeks_token ? chat_seeking_trie : chat_trie;
    case Family::gemini:
      return seeks_token ? gemini_seeking_trie : gemini_trie;
    case Family::responses:
    case Family::realtime:
      return responses_event_trie;
    case Family::anthropic:
      return anthropic_event_trie;
    case Family::interactions:
      return interactions_event_trie;
    default:
      return document_trie(family);
  }
}

const JsonTrie& document_trie(Family family) noexcept {
  switch (family) {
    case Family::chat:
      return chat_trie;
    case Family::responses:
      return responses_document_trie;
    case Family::anthropic:
      return anthropic_document_trie;
    case Family::gemini:
      return gemini_trie;
    case Family::interactions:
      return interactions_document_trie;
    case Family::images:
      return images_trie;
    case Family::videos:
      return videos_trie;
    case Family::embeddings:
      return embeddings_trie;
    default:
      return plain_trie;
  }
}

const JsonTrie& error_trie() noexcept { return any_error_trie; }

}  // namespace portico::telemetry
