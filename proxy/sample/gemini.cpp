// Gemini's generateContent and its younger sister, interactions: thoughts stand beside the output, cached
// tokens inside the prompt.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/dialects.hpp"
#include "proxy/sample/wire.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

class GeminiWriter final : public Writer {
 public:
  explicit GeminiWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override { return {}; }
  Event text(std::string_view piece) override {
    ++written_;
    json::object out = with_candidate(piece, nullptr);
    std::optional<Tokens> told;
    if (answer_.usage) {
      // CPA renames the interim numbers, so that nobody takes them for the final ones.
      const auto prompt = answer_.tokens.input + answer_.tokens.cache_read;
      out["cpaUsageMetadata"] = {{"promptTokenCount", prompt},
                                 {"candidatesTokenCount", written_},
                                 {"totalTokenCount", prompt + written_}};
      told = Tokens{.input = prompt, .output = written_};
    }
    return {"", json::serialize(out), told};
  }
  std::vector<Event> closing() override {
    json::object out = with_candidate("", "STOP");
    if (answer_.usage) out["usageMetadata"] = usage();
    return {{"", json::serialize(out), answer_.usage ? std::optional(answer_.tokens) : std::nullopt}};
  }
  std::string whole(std::string_view full_text) override {
    json::object out = with_candidate(full_text, "STOP");
    if (answer_.usage) out["usageMetadata"] = usage();
    return json::serialize(out);
  }

 private:
  [[nodiscard]] json::object usage() const {
    const Tokens& tokens = answer_.tokens;
    const auto prompt = tokens.input + tokens.cache_read;
    return {{"promptTokenCount", prompt},
            {"cachedContentTokenCount", tokens.cache_read},
            {"candidatesTokenCount", tokens.output},
            {"thoughtsTokenCount", tokens.reasoning},
            {"totalTokenCount", prompt + tokens.output + tokens.reasoning},
            {"promptTokensDetails", {{{"modality", "TEXT"}, {"tokenCount", prompt}}}}};
  }
  [[nodiscard]] json::object with_candidate(std::string_view text, const json::value& finish) const {
    json::object candidate{{"content", {{"role", "model"}, {"parts", {{{"text", text}}}}}}, {"index", 0}};
    if (!finish.is_null()) candidate["finishReason"] = finish;
    json::object out;
    out["candidates"] = json::array{std::move(candidate)};
    out["modelVersion"] = answer_.model;
    out["responseId"] = answer_.id;
    return out;
  }

  Answer answer_;
  std::uint64_t written_ = 0;
};

class InteractionsWriter final : public Writer {
 public:
  explicit InteractionsWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override {
    std::vector<Event> events;
    events.push_back(event({{"event_type", "interaction.created"}, {"interaction", base("in_progress")}}));
    events.push_back(
        event({{"event_type", "step.start"}, {"index", 0}, {"step", {{"type", "model_output"}}}}));
    return events;
  }
  Event text(std::string_view piece) override {
    return event(
        {{"event_type", "step.delta"}, {"index", 0}, {"delta", {{"type", "text"}, {"text", piece}}}});
  }
  std::vector<Event> closing() override {
    json::object interaction = base("completed");
    interaction["service_tier"] = "standard";
    if (answer_.usage) interaction["usage"] = usage();
    std::vector<Event> events;
    events.push_back(event({{"event_type", "step.stop"}, {"index", 0}}));
    events.push_back(
        event({{"event_type", "interaction.completed"}, {"interaction", std::move(interaction)}}));
    if (answer_.usage) events.back().usage = answer_.tokens;
    events.push_back({"done", "[DONE]"});
    return events;
  }
  std::string whole(std::string_view full_text) override {
    json::object out = base("completed");
    out["steps"] = {{{"type", "model_output"}, {"content", {{{"type", "text"}, {"text", full_text}}}}}};
    out["service_tier"] = "standard";
    if (answer_.usage) out["usage"] = usage();
    return json::serialize(out);
  }

 private:
  static Event event(json::object fields) {
    std::string name(fields.at("event_type").as_string());
    return {std::move(name), json::serialize(fields)};
  }
  [[nodiscard]] json::object base(std::string_view status) const {
    return {{"id", "int_" + answer_.id},
            {"object", "interaction"},
            {"model", answer_.model},
            {"created", rfc3339(answer_.created)},
            {"status", status}};
  }
  [[nodiscard]] json::object usage() const {
    const Tokens& tokens = answer_.tokens;
    const auto input = tokens.input + tokens.cache_read;
    return {
        {"total_input_tokens", input},          {"total_cached_tokens", tokens.cache_read},
        {"total_output_tokens", tokens.output}, {"total_thought_tokens", tokens.reasoning},
        {"total_tool_use_tokens", 0},           {"total_tokens", input + tokens.output + tokens.reasoning}};
  }

  Answer answer_;
};

}  // namespace

std::unique_ptr<Writer> make_gemini_writer(Answer answer) {
  return std::make_unique<GeminiWriter>(std::move(answer));
}
std::unique_ptr<Writer> make_interactions_writer(Answer answer) {
  return std::make_unique<InteractionsWriter>(std::move(answer));
}

}  // namespace portico::sample
