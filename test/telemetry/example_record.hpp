#pragma once
// A record for tests: facts to set, texts to add.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/record.hpp"

namespace portico::test {

/// An answer of 200 to a chat request, complete, with usage; a second long, at a fixed moment.
class ExampleRecord {
 public:
  static constexpr std::uint64_t moment_us = 1'794'150'245'000'000;  ///< 2026-11-08T15:04:05Z

  ExampleRecord() {
    facts.start_unix_us = moment_us;
    facts.duration_us = 1'000'000;
    facts.first_byte_us = 100'000;
    facts.status = 200;
    facts.dialect = telemetry::Dialect::openai_chat;
    facts.operation = telemetry::Operation::generate;
    facts.response_kind = telemetry::ResponseKind::json;
    facts.request_bytes = 100;
    facts.response_bytes = 1'000;
    text(telemetry::Text::method, "POST");
    text(telemetry::Text::path, "/v1/chat/completions");
    text(telemetry::Text::owner, "cpa");
    text(telemetry::Text::client, "127.0.0.1");
    text(telemetry::Text::model, "gpt-5");
    key(7, "sk-a...9f3c");
    tokens(10, 5);
  }

  ExampleRecord& text(telemetry::Text which, std::string_view value) {
    texts_[static_cast<std::size_t>(which)] = value;
    return *this;
  }
  ExampleRecord& model(std::string_view name) { return text(telemetry::Text::model, name); }
  ExampleRecord& key(std::uint8_t seed, std::string_view mask) {
    facts.key.fill(seed);
    return text(telemetry::Text::key_mask, mask);
  }
  ExampleRecord& tokens(std::uint64_t input, std::uint64_t output) {
    facts.tokens = {};
    facts.tokens[telemetry::TokenKind::input] = input;
    facts.tokens[telemetry::TokenKind::output] = output;
    facts.tokens.seen = true;
    facts.usage_quality = telemetry::UsageQuality::complete;
    return *this;
  }
  ExampleRecord& fails(std::uint16_t status) {
    facts.status = status;
    facts.failed = true;
    facts.tokens = {};
    facts.usage_quality = telemetry::UsageQuality::none;
    return *this;
  }
  ExampleRecord& at_us(std::uint64_t end) {
    facts.start_unix_us = end - facts.duration_us;
    return *this;
  }

  /// Valid until the example changes.
  telemetry::Record record() {
    bytes_.clear();
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      facts.texts[i] = {static_cast<std::uint16_t>(bytes_.size()),
                        static_cast<std::uint16_t>(texts_[i].size())};
      bytes_ += texts_[i];
    }
    return {facts, bytes_};
  }

  telemetry::RecordFacts facts;

 private:
  std::array<std::string, telemetry::text_count> texts_;
  std::string bytes_;
};

inline constexpr std::string_view example_route = "/v1/";
inline constexpr std::string_view example_endpoint = "http://127.0.0.1:8317";

}  // namespace portico::test
