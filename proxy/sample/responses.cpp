// Responses, over HTTP and WebSocket, and the realtime relative: named events; the last one repeats the
// whole answer with its usage.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/dialects.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

json::object responses_usage(const Tokens& tokens) {
  const auto input = tokens.input + tokens.cache_read + tokens.cache_creation;
  const auto output = tokens.output + tokens.reasoning;
  return {{"input_tokens", input},
          {"input_tokens_details", {{"cached_tokens", tokens.cache_read}, {"cache_write_tokens", 0}}},
          {"output_tokens", output},
          {"output_tokens_details", {{"reasoning_tokens", tokens.reasoning}}},
          {"total_tokens", input + output}};
}

class ResponsesWriter final : public Writer {
 public:
  explicit ResponsesWriter(Answer answer) : answer_(std::move(answer)), item_id_("msg_" + answer_.id) {}

  std::vector<Event> opening() override {
    std::vector<Event> events;
    events.push_back(event("response.created", {{"response", in_progress()}}));
    events.push_back(event("response.in_progress", {{"response", in_progress()}}));
    events.push_back(
        event("response.output_item.added", {{"output_index", 0}, {"item", item("in_progress", nullptr)}}));
    events.push_back(
        event("response.content_part.added",
              {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}, {"part", part("")}}));
    return events;
  }
  Event text(std::string_view piece) override {
    text_ += piece;
    return event("response.output_text.delta", {{"item_id", item_id_},
                                                {"output_index", 0},
                                                {"content_index", 0},
                                                {"delta", piece},
                                                {"logprobs", json::array{}}});
  }
  std::vector<Event> closing() override {
    const json::object place{{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
    json::object done = place;
    done["text"] = text_;
    done["logprobs"] = json::array{};
    json::object part_done = place;
    part_done["part"] = part(text_);
    const json::value full = part(text_);
    std::vector<Event> events;
    events.push_back(event("response.output_text.done", done));
    events.push_back(event("response.content_part.done", part_done));
    events.push_back(
        event("response.output_item.done", {{"output_index", 0}, {"item", item("completed", &full)}}));
    events.push_back(event("response.completed", {{"response", completed(text_)}}));
    if (answer_.usage) events.back().usage = answer_.tokens;
    return events;
  }
  std::string whole(std::string_view full_text) override { return json::serialize(completed(full_text)); }

 private:
  [[nodiscard]] Event event(std::string_view type, const json::object& fields) {
    json::object out{{"type", type}, {"sequence_number", sequence_++}};
    out.insert(fields.begin(), fields.end());
    return {std::string(type), json::serialize(out)};
  }
  [[nodiscard]] static json::object part(std::string_view text) {
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", json::array{}}, {"logprobs", json::array{}}};
  }
  [[nodiscard]] json::object item(std::string_view status, const json::value* content) const {
    json::object out{{"id", item_id_}, {"type", "message"}, {"status", status}, {"role", "assistant"}};
    json::array parts;
    if (content != nullptr) parts.push_back(*content);
    out["content"] = std::move(parts);
    return out;
  }
  [[nodiscard]] json::object base(std::string_view status) const {
    return {{"id", "resp_" + answer_.id},    {"object", "response"},
            {"created_at", answer_.created}, {"status", status},
            {"background", false},           {"error", nullptr},
            {"incomplete_details", nullptr}, {"model", answer_.model}};
  }
  [[nodiscard]] json::object in_progress() const {
    json::object out = base("in_progress");
    out["output"] = json::array{};
    out["usage"] = nullptr;
    return out;
  }
  [[nodiscard]] json::object completed(std::string_view full_text) const {
    const json::value full = part(full_text);
    json::object out = base("completed");
    out["output"] = json::array{item("completed", &full)};
    out["usage"] = nullptr;
    if (answer_.usage) out["usage"] = responses_usage(answer_.tokens);
    out["service_tier"] = "default";
    return out;
  }

  Answer answer_;
  std::string item_id_;
  std::string text_;
  int sequence_ = 0;
};

class RealtimeWriter final : public Writer {
 public:
  explicit RealtimeWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override {
    json::object response = base("in_progress");
    response["usage"] = nullptr;
    return {event("response.created", {{"response", std::move(response)}})};
  }
  Event text(std::string_view piece) override {
    return event("response.output_audio_transcript.delta",
                 {{"response_id", "resp_" + answer_.id}, {"delta", piece}});
  }
  std::vector<Event> closing() override {
    std::vector<Event> events{event("response.done", {{"response", done()}})};
    if (answer_.usage) events.back().usage = answer_.tokens;
    return events;
  }
  std::string whole(std::string_view) override { return json::serialize(done()); }

 private:
  [[nodiscard]] json::object base(std::string_view status) const {
    return {{"id", "resp_" + answer_.id}, {"object", "realtime.response"}, {"status", status}};
  }
  [[nodiscard]] json::object done() const {
    json::object response = base("completed");
    const Tokens& tokens = answer_.tokens;
    const auto input = tokens.input + tokens.cache_read + tokens.cache_creation;
    const auto output = tokens.output + tokens.reasoning;
    // Realtime says token_details where Responses says tokens_details.
    response["usage"] = nullptr;
    if (answer_.usage) {
      response["usage"] = {
          {"total_tokens", input + output},
          {"input_tokens", input},
          {"output_tokens", output},
          {"input_token_details",
           {{"text_tokens", input}, {"audio_tokens", 0}, {"cached_tokens", tokens.cache_read}}},
          {"output_token_details",
           {{"text_tokens", output}, {"audio_tokens", 0}, {"reasoning_tokens", tokens.reasoning}}}};
    }
    return response;
  }
  [[nodiscard]] Event event(std::string_view type, const json::object& fields) {
    json::object out{{"type", type}, {"event_id", fmt::format("ev_{}_{}", answer_.id, ++sequence_)}};
    out.insert(fields.begin(), fields.end());
    return {std::string(type), json::serialize(out)};
  }

  Answer answer_;
  int sequence_ = 0;
};

}  // namespace

std::unique_ptr<Writer> make_responses_writer(Answer answer) {
  return std::make_unique<ResponsesWriter>(std::move(answer));
}
std::unique_ptr<Writer> make_realtime_writer(Answer answer) {
  return std::make_unique<RealtimeWriter>(std::move(answer));
}

}  // namespace portico::sample
