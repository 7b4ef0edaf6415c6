#include "telemetry/tap/request_reader.hpp"

#include <algorithm>
#include <cstddef>

#include "telemetry/tap/usage.hpp"

namespace portico::telemetry {
namespace {

enum Field : std::uint8_t {
  model,
  agent,
  stream_wish,
  tier,
  speed,
  effort,
  budget,
  thinking_type,
  user_id,
  session_id,
  session_id_camel,
  cache_key,
  message_type,
  generate,
};

/// What each API wants, and what every API's body may name its session with.
template <std::size_t Count>
consteval JsonTrie request_trie(const std::array<JsonPath, Count>& own) {
  std::array<JsonPath, Count + 4> all{};
  std::copy(own.begin(), own.end(), all.begin());
  all[Count] = {"metadata.user_id", user_id, want_text};
  all[Count + 1] = {"session_id", session_id, want_text};
  all[Count + 2] = {"sessionId", session_id_camel, want_text};
  all[Count + 3] = {"prompt_cache_key", cache_key, want_text};
  return make_trie(all);
}

constexpr JsonTrie openai_trie = request_trie(std::array<JsonPath, 4>{{
    {"model", model, want_text},
    {"stream", stream_wish, want_start | want_scalar},
    {"service_tier", tier, want_text},
    {"reasoning_effort", effort, want_text},
}});

constexpr JsonTrie responses_trie = request_trie(std::array<JsonPath, 6>{{
    {"model", model, want_text},
    {"stream", stream_wish, want_start | want_scalar},
    {"service_tier", tier, want_text},
    {"reasoning.effort", effort, want_text},
    {"type", message_type, want_text},
    {"generate", generate, want_scalar},
}});

constexpr JsonTrie anthropic_trie = request_trie(std::array<JsonPath, 7>{{
    {"model", model, want_text},
    {"stream", stream_wish, want_start | want_scalar},
    {"service_tier", tier, want_text},
    {"speed", speed, want_text},
    {"thinking.type", thinking_type, want_text},
    {"thinking.budget_tokens", budget, want_scalar},
    {"output_config.effort", effort, want_text},
}});

// Google's libraries write either case.
constexpr JsonTrie gemini_trie = request_trie(std::array<JsonPath, 6>{{
    {"serviceTier", tier, want_text},
    {"service_tier", tier, want_text},
    {"generationConfig.thinkingConfig.thinkingLevel", effort, want_text},
    {"generationConfig.thinkingConfig.thinkingBudget", budget, want_scalar},
    {"generation_config.thinking_config.thinking_level", effort, want_text},
    {"generation_config.thinking_config.thinking_budget", budget, want_scalar},
}});

constexpr JsonTrie interactions_trie = request_trie(std::array<JsonPath, 5>{{
    {"model", model, want_text},
    {"agent", agent, want_text},
    {"stream", stream_wish, want_start | want_scalar},
    {"service_tier", tier, want_text},
    {"generation_config.thinking_level", effort, want_text},
}});

constexpr JsonTrie realtime_trie = request_trie(std::array<JsonPath, 4>{{
    {"model", model, want_text},
    {"session.model", model, want_text},
    {"session.reasoning.effort", effort, want_text},
    {"type", message_type, want_text},
}});

const JsonTrie& trie_of(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      return responses_trie;
    case Dialect::anthropic_messages:
      return anthropic_trie;
    case Dialect::gemini_generate:
      return gemini_trie;
    case Dialect::gemini_interactions:
      return interactions_trie;
    case Dialect::realtime:
      return realtime_trie;
    default:
      return openai_trie;
  }
}

/// Finds `session_id` in the JSON text that Claude Code writes into metadata.user_id.
struct UserIdHandler {
  Scratch& scratch;
  Scratch& found;

  bool json_text(std::uint8_t /*field*/, std::string_view text) const noexcept {
    found.append(text, JsonScanner::max_text);
    return false;
  }
  void json_scalar(std::uint8_t /*field*/, std::string_view /*token*/) const noexcept {}
  void json_filled(std::uint8_t /*field*/) const noexcept {}
  void json_start(std::uint8_t /*field*/, char /*first*/) const noexcept {}
  void json_end(std::uint8_t /*field*/) const noexcept {}
  void json_raw(std::uint8_t /*field*/, std::string_view /*bytes*/, bool /*last*/) const noexcept {}
  [[nodiscard]] Scratch& json_scratch() const noexcept { return scratch; }
};

constexpr JsonTrie user_id_trie = make_trie(std::array<JsonPath, 1>{{{"session_id", session_id, want_text}}});

std::string_view source_of(SessionRank rank) noexcept {
  switch (rank) {
    case SessionRank::metadata:
      return "body:metadata.user_id";
    case SessionRank::body_session_id:
      return "body:session_id";
    case SessionRank::body_session_id_camel:
      return "body:sessionId";
    default:
      return "body:prompt_cache_key";
  }
}

}  // namespace

RequestReader::RequestReader(TapPool& pool, Texts& out, Dialect dialect, SessionRank session) noexcept
    : scratch_(pool), out_(out), dialect_(dialect), session_(session) {
  begin();
}

void RequestReader::begin() noexcept {
  scanner_.begin(trie_of(dialect_));
  scratch_.release();
  thinking_ = Thinking::absent;
  asked_ = Asked::other;
  stream_ = warmup_ = has_tier_ = has_model_ = has_level_ = false;
  budget_size_ = 0;
}

void RequestReader::finish() noexcept {
  scanner_.stop();
  if (dialect_ == Dialect::anthropic_messages) {
    if (thinking_ == Thinking::disabled) {
      set_effort("none");
    } else if (thinking_ == Thinking::enabled && budget_size_ != 0) {
      out_.set(Text::reasoning_effort, {budget_.data(), budget_size_});
    }
  } else if (!has_level_ && budget_size_ != 0) {
    out_.set(Text::reasoning_effort, {budget_.data(), budget_size_});
  }
}

bool RequestReader::json_text(std::uint8_t field, std::string_view text) noexcept {
  switch (field) {
    case model:
      // An agent stands for a model only where there is none.
      if (!text.empty()) out_.set(Text::model, text);
      has_model_ = true;
      break;
    case agent:
      if (!has_model_) out_.set(Text::model, text);
      break;
    case tier:
      out_.set(Text::service_tier, text);
      has_tier_ = true;
      break;
    case speed:
      if (!has_tier_) out_.set(Text::service_tier, text);
      break;
    case effort:
      set_effort(text);
      has_level_ = true;
      break;
    case thinking_type:
      if (text == "enabled") thinking_ = Thinking::enabled;
      if (text == "adaptive") thinking_ = Thinking::adaptive;
      if (text == "disabled") thinking_ = Thinking::disabled;
      break;
    case user_id:
      offer_user_id(text);
      break;
    case session_id:
      offer_session(SessionRank::body_session_id, text);
      break;
    case session_id_camel:
      offer_session(SessionRank::body_session_id_camel, text);
      break;
    case cache_key:
      offer_session(SessionRank::body_cache_key, text);
      break;
    case message_type:
      if (text == "response.create") asked_ = Asked::create;
      if (text == "response.append") asked_ = Asked::append;
      break;
    default:
      break;
  }
  return true;
}

void RequestReader::json_scalar(std::uint8_t field, std::string_view token) noexcept {
  if (field == stream_wish) {
    stream_ = dialect_ == Dialect::anthropic_messages ? token != "false" : token == "true";
  } else if (field == generate) {
    warmup_ = token == "false";
  } else if (field == budget) {
    // A negative budget (-1) lets the model choose.
    const bool negative = token.starts_with('-');
    if (!read_count(negative ? token.substr(1) : token) || token.size() > budget_.size()) return;
    const std::string_view whole = token.substr(0, token.find('.'));
    std::copy(whole.begin(), whole.end(), budget_.begin());
    budget_size_ = static_cast<std::uint8_t>(whole.size());
  }
}

void RequestReader::json_start(std::uint8_t field, char /*first*/) noexcept {
  // CPA's reader of this API takes anything but `false` for true.
  if (field == stream_wish) stream_ = dialect_ == Dialect::anthropic_messages;
}

void RequestReader::set_effort(std::string_view text) noexcept {
  std::array<char, 64> lower{};
  const std::size_t size = std::min(text.size(), lower.size());
  std::transform(
      text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), lower.begin(),
      [](char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte; });
  out_.set(Text::reasoning_effort, {lower.data(), size});
}

void RequestReader::offer_session(SessionRank rank, std::string_view id) noexcept {
  if (id.empty() || rank >= session_) return;
  session_ = rank;
  out_.set(Text::session_source, source_of(rank));
  out_.set(Text::session_id, id);
}

void RequestReader::offer_user_id(std::string_view text) noexcept {
  if (text.starts_with('{')) {
    Scratch found(out_.pool());
    Scratch cut(out_.pool());
    UserIdHandler handler{cut, found};
    JsonScanner scanner(Doubled::first_counts);
    scanner.begin(user_id_trie);
    scanner.feed(text, handler);
    offer_session(SessionRank::metadata, found.view());
    return;
  }
  constexpr std::string_view mark = "_session_";
  const std::size_t place = text.rfind(mark);
  if (place != std::string_view::npos) offer_session(SessionRank::metadata, text.substr(place + mark.size()));
}

std::string_view model_of_path(std::string_view path) noexcept {
  constexpr std::string_view before = "/models/";
  const std::size_t begin = path.find(before);
  const std::size_t colon = path.rfind(':');
  if (begin == std::string_view::npos || colon == std::string_view::npos) return {};
  const std::size_t name = begin + before.size();
  return colon <= name ? std::string_view() : path.substr(name, colon - name);
}

std::string_view query_value(std::string_view target, std::string_view name) noexcept {
  std::size_t at = target.find('?');
  while (at != std::string_view::npos) {
    ++at;
    const std::size_t end = target.find('&', at);
    const std::string_view member =
        target.substr(at, end == std::string_view::npos ? std::string_view::npos : end - at);
    if (member.size() > name.size() && member[name.size()] == '=' && member.starts_with(name))
      return member.substr(name.size() + 1);
    at = end;
  }
  return {};
}

Operation operation_of(Dialect dialect, std::string_view method, std::string_view path,
                       bool websocket) noexcept {
  const bool post = method == "POST";
  switch (dialect) {
    case Dialect::openai_chat:
    case Dialect::openai_completions:
    case Dialect::gemini_interactions:
    case Dialect::openai_images:
      return post ? Operation::generate : Operation::other;
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      if (path.ends_with("/compact")) return post ? Operation::compact : Operation::other;
      return post || websocket ? Operation::generate : Operation::other;
    case Dialect::anthropic_messages:
      if (!post) return Operation::other;
      return path.ends_with("/count_tokens") ? Operation::count_tokens : Operation::generate;
    case Dialect::gemini_generate:
      if (!post) return Operation::other;
      if (path.ends_with(":countTokens")) return Operation::count_tokens;
      if (path.ends_with("mbedContent") || path.ends_with("mbedContents")) return Operation::embed;
      return Operation::generate;
    case Dialect::openai_embeddings:
      return post ? Operation::embed : Operation::other;
    case Dialect::openai_videos:
    case Dialect::realtime:
      return Operation::generate;
    case Dialect::management:
      return Operation::other;
    case Dialect::other:
      break;
  }
  const bool models = path == "/v1/models" || path == "/v1beta/models" || path == "/models";
  return models && method == "GET" ? Operation::list_models : Operation::other;
}

}  // namespace portico::telemetry
