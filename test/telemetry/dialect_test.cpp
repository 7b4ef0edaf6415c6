#include <string_view>

#include <catch2/catch.hpp>

#include "telemetry/cells.hpp"

using namespace portico::telemetry;

TEST_CASE("the path decides the dialect") {
  struct Row {
    std::string_view path;
    std::string_view dialect;
  };
  const Row rows[] = {
      {"/v1/chat/completions", "openai-chat"},
      {"/v1/completions", "openai-completions"},
      {"/v1/responses", "openai-responses"},
      {"/v1/responses/compact", "openai-responses"},
      {"/backend-api/codex/responses", "codex-responses"},
      {"/backend-api/codex/responses/compact", "codex-responses"},
      {"/v1/messages", "anthropic-messages"},
      {"/v1/messages/count_tokens", "anthropic-messages"},
      {"/v1beta/models/gemini-2.5-pro:generateContent", "gemini-generate"},
      {"/v1beta/models/a/b:streamGenerateContent", "gemini-generate"},
      {"/v1beta/models/odd:name:countTokens", "gemini-generate"},
      {"/v1beta/models/m:embedContent", "gemini-generate"},
      {"/v1beta/models/m:batchEmbedContents", "gemini-generate"},
      {"/v1beta/interactions", "gemini-interactions"},
      {"/v1beta/interactions/123", "gemini-interactions"},
      {"/v1/images/generations", "openai-images"},
      {"/v1/images/edits", "openai-images"},
      {"/v1/videos", "openai-videos"},
      {"/v1/videos/generations", "openai-videos"},
      {"/openai/v1/videos", "openai-videos"},
      {"/openai/v1/videos/abc/content", "openai-videos"},
      {"/v1/embeddings", "openai-embeddings"},
      {"/v1/realtime", "realtime"},
      {"/v1/realtime/calls/x", "realtime"},
      {"/v1/live", "realtime"},
      {"/v1/live/call", "realtime"},
      {"/v0/management", "management"},
      {"/v0/management/usage", "management"},
      {"/usage-service/x", "management"},
      {"/v1/models", "other"},
      {"/v1beta/models", "other"},
      {"/models", "other"},
      {"/healthz", "other"},
      {"/", "other"},
      {"", "other"},
      {"*", "other"},
  };
  for (const Row& row : rows) {
    INFO(row.path);
    CHECK(name_of(dialect_of(row.path)) == row.dialect);
  }
}

TEST_CASE("only whole segments and known verbs make a dialect") {
  for (const std::string_view path :
       {"/v1/messages-x", "/v1/chat/completionsx", "/v1/chat", "/v1", "/v1/", "/v1x/messages", "/V1/messages",
        "/v1beta/models/m:predict", "/v1beta/models/m",
        "/v1beta/models/m:", "/v1beta/modelsx:generateContent", "/backend-api/codex/models",
        "/openai/v1/chat/completions", "/v0/managementx", "/v1/livestream"}) {
    INFO(path);
    CHECK(dialect_of(path) == Dialect::other);
  }
}
