#include "telemetry/safe_record.hpp"

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace portico::telemetry {
namespace {

/// A record with these texts.
class Made {
 public:
  explicit Made(const std::vector<std::pair<Text, std::string>>& texts) {
    for (const auto& [which, text] : texts) {
      facts.texts[static_cast<std::size_t>(which)] = {static_cast<std::uint16_t>(bytes_.size()),
                                                      static_cast<std::uint16_t>(text.size())};
      bytes_ += text;
    }
  }
  [[nodiscard]] Record record() const { return {facts, bytes_}; }

  RecordFacts facts;

 private:
  std::string bytes_;
};

constexpr std::string_view key = "sk-proj-abcdefghij0123456789";

TEST_CASE("an ordinary record that went well is kept as it is") {
  const Made made({{Text::path, "/v1beta/models/vendor%2Fgemini-3-pro:generateContent"},
                   {Text::user_agent, "OpenAI/Python 2.1.0 (x86_64; python 3.12)"},
                   {Text::model, "gpt-5.4-codex(high)"},
                   {Text::session_id, "0199f3c2-aaaa-7c40-8d5e-2b6f9a1e0c77"},
                   {Text::request_id, "req-17"}});
  CHECK_FALSE(SafeRecord::needed_for(made.record()));
}

TEST_CASE("what a client wrote into a request that went well is made safe where it looks like a secret") {
  for (const Text where : {Text::path, Text::user_agent, Text::model, Text::service_tier,
                           Text::reasoning_effort, Text::session_id, Text::request_id}) {
    for (const std::string& secret : {std::string(key), std::string("jane.doe@example.com"),
                                      std::string("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl")}) {
      const Made made({{where, (where == Text::path ? "/v1/x/" : "x ") + secret}});
      INFO(static_cast<int>(where) << " " << secret);
      REQUIRE(SafeRecord::needed_for(made.record()));
      const SafeRecord safe(made.record());
      CHECK(safe.record().texts().find(secret) == std::string_view::npos);
      CHECK_FALSE(safe.record().text(where).empty());
    }
  }
}

TEST_CASE("what a backend wrote into an answer that went well is made safe where it looks like a secret") {
  for (const Text where :
       {Text::response_model, Text::response_service_tier, Text::finish, Text::usage_raw}) {
    for (const std::string& secret : {std::string(key), std::string("jane.doe@example.com"),
                                      std::string("GOCSPX-abcdEFGH1234ijklMNOP5678")}) {
      const Made made(
          {{where, where == Text::usage_raw ? R"({"total_tokens":7,"note":")" + secret + "\"}" : secret}});
      INFO(static_cast<int>(where) << " " << secret);
      REQUIRE(SafeRecord::needed_for(made.record()));
      CHECK(SafeRecord(made.record()).record().texts().find(secret) == std::string_view::npos);
    }
  }
  const Made made(
      {{Text::response_model, "gpt-5.4-2026-03-05"},
       {Text::response_service_tier, "default"},
       {Text::finish, "max_output_tokens"},
       {Text::usage_raw,
        R"({"input_tokens":1,"service_tier":"standard","server_tool_use":{"web_search_requests":0}})"}});
  CHECK_FALSE(SafeRecord::needed_for(made.record()));
}

TEST_CASE("a usage object that quotes something is not kept") {
  const Made made({{Text::usage_raw, R"({"total_tokens":7,"note":"\"content\":\"my secret plan\""})"}});
  REQUIRE(SafeRecord::needed_for(made.record()));
  CHECK(SafeRecord(made.record()).record().text(Text::usage_raw).empty());
}

TEST_CASE("a name that is no single word is made safe") {
  for (const std::string& name :
       {std::string("Bearer abcdefgh12345678"), std::string("password=hunter2hunter2"),
        std::string(R"({"role":"user","content":"my secret plan"})")}) {
    for (const Text where : {Text::model, Text::session_id, Text::response_model}) {
      const Made made({{where, name}});
      INFO(static_cast<int>(where) << " " << name);
      REQUIRE(SafeRecord::needed_for(made.record()));
      CHECK(SafeRecord(made.record()).record().texts().find(name) == std::string_view::npos);
    }
  }
}

TEST_CASE("a failed record keeps its path, its ids and every other fact") {
  Made made({{Text::path, "/v1/chat/completions"},
             {Text::session_id, "0199f3c2-aaaa-7c40-8d5e-2b6f9a1e0c77"},
             {Text::request_id, "b7d3f0a1c2e4d5f6a7b8c9d0e1f2a3b4"},
             {Text::auth_index, "b06d5527e1fa3c98"},
             {Text::error_message, "bad key " + std::string(key)},
             {Text::error_code, "429"}});
  made.facts.failed = true;
  made.facts.status = 401;
  REQUIRE(SafeRecord::needed_for(made.record()));
  const SafeRecord safe(made.record());
  const Record record = safe.record();
  CHECK(record->status == 401);
  CHECK(record.text(Text::path) == "/v1/chat/completions");
  CHECK(record.text(Text::session_id) == "0199f3c2-aaaa-7c40-8d5e-2b6f9a1e0c77");
  CHECK(record.text(Text::request_id) == "b7d3f0a1c2e4d5f6a7b8c9d0e1f2a3b4");
  CHECK(record.text(Text::auth_index) == "b06d5527e1fa3c98");
  CHECK(record.text(Text::error_code) == "429");
  CHECK(record.text(Text::error_message).find("abcdefghij") == std::string_view::npos);
}

}  // namespace
}  // namespace portico::telemetry
