#include "telemetry/tap/user_agent.hpp"

#include <algorithm>
#include <array>

namespace portico::telemetry {
namespace {

struct Beginning {
  std::string_view text;  // lower case
  std::string_view family;
};
// The first that fits; a browser comes last, because many others begin as one does.
constexpr std::array<Beginning, 23> beginnings{{
    {"codex_cli_rs/", "codex-cli"},
    {"codex-cli/", "codex-cli"},
    {"codex_exec/", "codex-cli"},
    {"codex_vscode/", "codex-cli"},
    {"claude-cli/", "claude-cli"},
    {"claude-code/", "claude-cli"},
    {"geminicli/", "gemini-cli"},
    {"gemini-cli/", "gemini-cli"},
    {"google-genai-sdk/", "google-genai"},
    {"google-api-", "google-api"},
    {"openai/js", "openai-js"},
    {"openai/python", "openai-python"},
    {"asyncopenai/python", "openai-python"},
    {"anthropic/js", "anthropic-js"},
    {"anthropic/python", "anthropic-python"},
    {"asyncanthropic/python", "anthropic-python"},
    {"curl/", "curl"},
    {"python-requests/", "python"},
    {"python-httpx/", "python"},
    {"go-http-client/", "go"},
    {"node", "node"},
    {"axios/", "node"},
    {"mozilla/", "browser"},
}};

bool begins(std::string_view text, std::string_view lower) noexcept {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b | 0x20) : b);
         });
}

}  // namespace

std::string_view user_agent_family(std::string_view user_agent) noexcept {
  if (user_agent.empty()) return {};
  for (const Beginning& beginning : beginnings)
    if (begins(user_agent, beginning.text)) return beginning.family;
  return "other";
}

}  // namespace portico::telemetry
