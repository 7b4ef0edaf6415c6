#include <catch2/catch.hpp>

#include "telemetry/tap/model_name.hpp"
#include "telemetry/tap/user_agent.hpp"

using namespace portico::telemetry;

TEST_CASE("a model's name is taken apart from its end to its beginning") {
  struct Row {
    std::string_view name, base, prefix, suffix;
  };
  const Row rows[] = {
      {"gpt-5.4", "gpt-5.4", "", ""},
      {"gpt-5.4(high)", "gpt-5.4", "", "high"},
      {"team/vendor/llama(1024)", "vendor/llama", "team", "1024"},
      {"a(b)(c)", "a(b)", "", "c"},
      {"(only)", "(only)", "", ""},
      {"open(", "open(", "", ""},
      {"claude-fable-5-dd-4.5-tpg", "gpt-5.4", "", ""},
      {"claude-fable-5-dd-4.5-tpg/maet(low)", "gpt-5.4", "team", "low"},
      {"", "", "", ""},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const ModelName parts = read_model_name(row.name);
    CHECK(parts.base == row.base);
    CHECK(parts.prefix == row.prefix);
    CHECK(parts.suffix == row.suffix);
  }
}

TEST_CASE("a maker is guessed from how a name begins") {
  CHECK(provider_family("claude-sonnet-4-6") == "anthropic");
  CHECK(provider_family("o3-mini") == "openai");
  CHECK(provider_family("qwen3-max") == "alibaba");
  CHECK(provider_family("gemma-3") == "google");
  CHECK(provider_family("team-llama").empty());
  CHECK(provider_family("").empty());
}

TEST_CASE("a client's library is told by its User-Agent") {
  CHECK(user_agent_family("codex_cli_rs/0.94.0 (Debian 12; x86_64)") == "codex-cli");
  CHECK(user_agent_family("claude-cli/2.1.30 (external, cli)") == "claude-cli");
  CHECK(user_agent_family("GeminiCLI/0.31.0/gemini-3-flash (linux; x64)") == "gemini-cli");
  CHECK(user_agent_family("OpenAI/JS 6.49.0") == "openai-js");
  CHECK(user_agent_family("AsyncOpenAI/Python 2.1") == "openai-python");
  CHECK(user_agent_family("Mozilla/5.0 (X11; Linux x86_64)") == "browser");
  CHECK(user_agent_family("curl/8.5.0") == "curl");
  CHECK(user_agent_family("something else") == "other");
  CHECK(user_agent_family("").empty());
}
