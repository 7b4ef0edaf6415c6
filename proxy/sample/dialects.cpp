#include "proxy/sample/dialects.hpp"

#include <utility>

namespace portico::sample {

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
    case Dialect::realtime:
      return "realtime";
  }
  return {};
}

std::unique_ptr<Writer> make_writer(Dialect dialect, Answer answer) {
  switch (dialect) {
    case Dialect::openai_chat:
      return make_chat_writer(std::move(answer));
    case Dialect::openai_completions:
      return make_completions_writer(std::move(answer));
    case Dialect::openai_responses:
    case Dialect::codex_responses:
      return make_responses_writer(std::move(answer));
    case Dialect::anthropic_messages:
      return make_anthropic_writer(std::move(answer));
    case Dialect::gemini_generate:
      return make_gemini_writer(std::move(answer));
    case Dialect::gemini_interactions:
      return make_interactions_writer(std::move(answer));
    case Dialect::openai_images:
      return make_images_writer(std::move(answer));
    case Dialect::realtime:
      return make_realtime_writer(std::move(answer));
  }
  return nullptr;
}

}  // namespace portico::sample
