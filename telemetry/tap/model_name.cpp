#include "telemetry/tap/model_name.hpp"

#include <array>

namespace portico::telemetry {
namespace {

struct Beginning {
  std::string_view text;
  std::string_view family;
};
constexpr std::array<Beginning, 19> beginnings{{
    {"claude-", "anthropic"},  {"gpt-", "openai"},  {"codex-", "openai"},  {"chatgpt-", "openai"},
    {"o1", "openai"},          {"o3", "openai"},    {"o4", "openai"},      {"text-embedding-", "openai"},
    {"dall-e-", "openai"},     {"sora-", "openai"}, {"gemini-", "google"}, {"gemma-", "google"},
    {"imagen-", "google"},     {"veo-", "google"},  {"grok-", "xai"},      {"kimi-", "moonshot"},
    {"deepseek-", "deepseek"}, {"qwen", "alibaba"}, {"glm-", "zhipu"},
}};
constexpr std::string_view cloak = "claude-fable-5-dd-";

}  // namespace

ModelName read_model_name(std::string_view name) {
  ModelName parts;
  const std::size_t open = name.ends_with(')') ? name.rfind('(') : std::string_view::npos;
  // Nothing before the parenthesis would leave no name.
  if (open != std::string_view::npos && open != 0) {
    parts.suffix = name.substr(open + 1, name.size() - open - 2);
    name = name.substr(0, open);
  }
  std::string turned;
  if (name.starts_with(cloak)) {
    const std::string_view reversed = name.substr(cloak.size());
    turned.assign(reversed.rbegin(), reversed.rend());
    name = turned;
  }
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    parts.prefix = name.substr(0, slash);
    name = name.substr(slash + 1);
  }
  parts.base = name;
  return parts;
}

std::string_view provider_family(std::string_view base) noexcept {
  for (const Beginning& beginning : beginnings)
    if (base.starts_with(beginning.text)) return beginning.family;
  return {};
}

}  // namespace portico::telemetry
