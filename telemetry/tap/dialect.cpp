// Which API a path belongs to. Segments count, so `/v1/messages-x` is not `/v1/messages`.

#include "telemetry/tap/words.hpp"

namespace portico::telemetry {
namespace {

// Cuts `head` off the front of `path` if it stands there as whole segments.
bool take(std::string_view& path, std::string_view head) noexcept {
  if (!path.starts_with(head)) return false;
  if (path.size() > head.size() && path[head.size()] != '/') return false;
  path.remove_prefix(head.size());
  return true;
}

Dialect dialect_of_v1(std::string_view rest) noexcept {
  if (take(rest, "/chat/completions")) return Dialect::openai_chat;
  if (take(rest, "/responses")) return Dialect::openai_responses;
  if (take(rest, "/messages")) return Dialect::anthropic_messages;
  if (take(rest, "/completions")) return Dialect::openai_completions;
  if (take(rest, "/embeddings")) return Dialect::openai_embeddings;
  if (take(rest, "/images")) return Dialect::openai_images;
  if (take(rest, "/videos")) return Dialect::openai_videos;
  if (take(rest, "/realtime")) return Dialect::realtime;
  if (take(rest, "/live")) return Dialect::realtime;
  return Dialect::other;
}

Dialect dialect_of_v1beta(std::string_view rest) noexcept {
  if (take(rest, "/interactions")) return Dialect::gemini_interactions;
  // `/models/{model}:verb`; a model may hold slashes and colons, so the last colon is the verb's.
  if (!take(rest, "/models")) return Dialect::other;
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return Dialect::other;
  const std::string_view verb = rest.substr(colon + 1);
  const bool known = verb == "generateContent" || verb == "streamGenerateContent" || verb == "countTokens" ||
                     verb == "embedContent" || verb == "batchEmbedContents";
  return known ? Dialect::gemini_generate : Dialect::other;
}

}  // namespace

Dialect dialect_of(std::string_view path) noexcept {
  if (take(path, "/v1")) return dialect_of_v1(path);
  if (take(path, "/v1beta")) return dialect_of_v1beta(path);
  if (take(path, "/backend-api/codex/responses")) return Dialect::codex_responses;
  if (take(path, "/openai/v1/videos")) return Dialect::openai_videos;
  if (take(path, "/v0/management") || take(path, "/usage-service")) return Dialect::management;
  return Dialect::other;
}

std::string_view name_of(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::openai_chat:
      return "openai-chat";
    case Dialect::openai_completions:
      return "openai-completions";
    case Dialect::openai_responses:
      return "openai-responses";
    case Dialect::codex_responses:
      return "codex-responses";
    case Dialect::anthropic_messages:
      return "anthropic-messages";
    case Dialect::gemini_generate:
      return "gemini-generate";
    case Dialect::gemini_interactions:
      return "gemini-interactions";
    case Dialect::openai_images:
      return "openai-images";
    case Dialect::openai_videos:
      return "openai-videos";
    case Dialect::openai_embeddings:
      return "openai-embeddings";
    case Dialect::realtime:
      return "realtime";
    case Dialect::management:
      return "management";
    case Dialect::other:
      return "other";
  }
  return "other";
}

}  // namespace portico::telemetry
