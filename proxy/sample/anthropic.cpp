// Anthropic messages: the input side of the usage stands in message_start, the output side, cumulative, in
// message_delta; cached tokens stand beside the input, not inside.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/dialects.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

class AnthropicWriter final : public Writer {
 public:
  explicit AnthropicWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override {
    json::object message = base();
    message["content"] = json::array{};
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    if (answer_.usage) {
      json::object usage = input_usage();
      usage["output_tokens"] = 1;  // a placeholder, as the real API has it
      usage["service_tier"] = "standard";
      message["usage"] = std::move(usage);
    }
    std::vector<Event> events;
    events.push_back(event({{"type", "message_start"}, {"message", std::move(message)}}));
    if (answer_.usage) {
      events.back().usage = answer_.tokens;
      events.back().usage->output = 1;
      events.back().usage->reasoning = 0;
    }
    events.push_back(event({{"type", "ping"}}));
    events.push_back(event({{"type", "content_block_start"},
                            {"index", 0},
                            {"content_block", {{"type", "text"}, {"text", ""}}}}));
    return events;
  }
  Event text(std::string_view piece) override {
    return event({{"type", "content_block_delta"},
                  {"index", 0},
                  {"delta", {{"type", "text_delta"}, {"text", piece}}}});
  }
  std::vector<Event> closing() override {
    json::object delta{{"type", "message_delta"},
                       {"delta", {{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}}}};
    delta["usage"] = answer_.usage ? output_usage() : json::object{};
    std::vector<Event> events;
    events.push_back(event({{"type", "content_block_stop"}, {"index", 0}}));
    events.push_back(event(std::move(delta)));
    if (answer_.usage) events.back().usage = answer_.tokens;
    events.push_back(event({{"type", "message_stop"}}));
    return events;
  }
  std::string whole(std::string_view full_text) override {
    json::object message = base();
    message["content"] = {{{"type", "text"}, {"text", full_text}}};
    message["stop_reason"] = "end_turn";
    message["stop_sequence"] = nullptr;
    if (answer_.usage) {
      json::object usage = input_usage();
      for (auto& [name, value] : output_usage()) usage[name] = value;
      usage["service_tier"] = "standard";
      message["usage"] = std::move(usage);
    }
    return json::serialize(message);
  }

 private:
  static Event event(json::object fields) {
    std::string name(fields.at("type").as_string());
    return {std::move(name), json::serialize(fields)};
  }
  [[nodiscard]] json::object base() const {
    return {
        {"id", "msg_" + answer_.id}, {"type", "message"}, {"role", "assistant"}, {"model", answer_.model}};
  }
  [[nodiscard]] json::object input_usage() const {
    const Tokens& tokens = answer_.tokens;
    return {{"input_tokens", tokens.input},
            {"cache_creation_input_tokens", tokens.cache_creation},
            {"cache_read_input_tokens", tokens.cache_read},
            {"cache_creation",
             {{"ephemeral_5m_input_tokens", tokens.cache_creation}, {"ephemeral_1h_input_tokens", 0}}}};
  }
  [[nodiscard]] json::object output_usage() const {
    const Tokens& tokens = answer_.tokens;
    return {{"output_tokens", tokens.output + tokens.reasoning},
            {"output_tokens_details", {{"thinking_tokens", tokens.reasoning}}}};
  }

  Answer answer_;
};

}  // namespace

std::unique_ptr<Writer> make_anthropic_writer(Answer answer) {
  return std::make_unique<AnthropicWriter>(std::move(answer));
}

}  // namespace portico::sample
