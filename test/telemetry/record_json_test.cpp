#include "telemetry/record_json.hpp"

#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

namespace json = boost::json;

/// A record whose texts are put together one by one.
class Made {
 public:
  Made& text(Text which, std::string_view value) {
    facts.texts[static_cast<std::size_t>(which)] = {static_cast<std::uint16_t>(texts_.size()),
                                                    static_cast<std::uint16_t>(value.size())};
    texts_ += value;
    return *this;
  }
  [[nodiscard]] std::string text_of(const std::optional<Verdict>& verdict = {},
                                    const RecordLabels& labels = {}) const {
    std::string out;
    append_record_json(out, Record(facts, texts_), verdict, labels);
    return out;
  }
  [[nodiscard]] json::object object(const std::optional<Verdict>& verdict = {},
                                    const RecordLabels& labels = {}) const {
    return json::parse(text_of(verdict, labels)).as_object();
  }

  RecordFacts facts;

 private:
  std::string texts_;
};

}  // namespace

TEST_CASE("what a record does not know is null, in every name") {
  const json::object object = Made().object();
  CHECK(object.size() == 52);
  for (const char* name : {"id", "listener", "client", "route", "upstream", "endpoint", "key", "user_agent",
                           "owner", "model", "session", "events", "error", "failure", "tokens", "usage_raw",
                           "turns", "time_to_first_byte_seconds", "time_per_output_token_seconds"}) {
    INFO(name);
    CHECK(object.at(name).is_null());
  }
  CHECK(object.at("usage_complete") == false);
  CHECK(object.at("time") == "1970-01-01T00:00:00.000Z");
}

TEST_CASE("a record's facts are printed under their documented names") {
  Made made;
  made.text(Text::request_id, "id-1").text(Text::model, "team/gpt-5.4(High)").text(Text::key_mask, "sk...01");
  made.text(Text::reasoning_effort, "low")
      .text(Text::user_agent, "curl/8")
      .text(Text::usage_raw, R"({ "a" : 1 })");
  made.text(Text::session_source, "header:session_id").text(Text::session_id, "s");
  made.text(Text::error_code, "c");
  made.facts.key[0] = 0xAB;
  made.facts.start_unix_us = 1'787'380'215'123'456;
  made.facts.duration_us = 2'500'000;
  made.facts.first_token_us = 500'000;
  made.facts.stream = true;
  made.facts.has_error = true;
  made.facts.tokens.seen = true;
  made.facts.tokens[TokenKind::output] = 4;
  made.facts.tokens[TokenKind::reasoning] = 1;
  made.facts.usage_quality = UsageQuality::inconsistent;
  const json::object object =
      made.object(Verdict{Category::quota, FaultField::none, Confidence::high},
                  {.listener = ":80", .route = "/v1/", .upstream = "cpa", .endpoint = "http://a"});
  CHECK(object.at("time") == "2026-08-22T06:30:15.123Z");
  CHECK(object.at("model_prefix") == "team");
  CHECK(object.at("model_base") == "gpt-5.4");
  CHECK(object.at("model_suffix") == "High");
  CHECK(object.at("provider_family") == "openai");
  CHECK(object.at("reasoning_effort") == "high");
  CHECK(object.at("user_agent") == "curl");
  CHECK(object.at("key") ==
        json::parse(R"({"fingerprint":"ab000000000000000000000000000000","mask":"sk...01"})"));
  CHECK(object.at("session") == json::parse(R"({"source":"header:session_id","id":"s"})"));
  CHECK(object.at("error") == json::parse(R"({"type":null,"code":"c","message":null})"));
  CHECK(object.at("failure") == json::parse(R"({"category":"quota","field":"none","confidence":"high"})"));
  CHECK(object.at("tokens").as_object().at("total") == 5);
  CHECK(object.at("usage_complete") == true);
  CHECK(object.at("usage_raw") == json::parse(R"({"a":1})"));
  CHECK(object.at("time_per_output_token_seconds") == 0.5);
  CHECK(object.at("duration_seconds") == 2.5);
  CHECK(object.at("listener") == ":80");
  CHECK(object.at("upstream") == "cpa");
}

TEST_CASE("no bytes of a record make its JSON invalid") {
  Made made;
  made.text(Text::model, "\xff\"\\\x01\n").text(Text::error_message, "\xc3");
  made.text(Text::usage_raw, "{\"a\":\"\xff\"}").text(Text::path, std::string_view("\0", 1));
  made.facts.has_error = true;
  const json::object object = made.object();
  CHECK(object.at("usage_raw").is_null());
  CHECK(object.at("error").as_object().at("message") == "?");
}
