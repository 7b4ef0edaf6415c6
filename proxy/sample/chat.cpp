// Chat completions and the older text completions: events without a name, `[DONE]` at the end, usage in a
// chunk of its own with empty choices, and only when the client asked for it.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/dialects.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

json::object usage_of(const Tokens& tokens) {
  const auto prompt = tokens.input + tokens.cache_read + tokens.cache_creation;
  const auto completion = tokens.output + tokens.reasoning;
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_tokens_details", {{"cached_tokens", tokens.cache_read}}},
          {"completion_tokens_details", {{"reasoning_tokens", tokens.reasoning}}}};
}

class ChatWriter final : public Writer {
 public:
  explicit ChatWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override { return {chunk({{"role", "assistant"}, {"content", ""}}, nullptr)}; }
  Event text(std::string_view piece) override { return chunk({{"content", piece}}, nullptr); }
  std::vector<Event> closing() override {
    std::vector<Event> events{chunk({}, "stop")};
    if (streams_usage()) {
      json::object last = base("chat.completion.chunk");
      last["choices"] = json::array{};
      last["usage"] = usage_of(answer_.tokens);
      events.push_back({"", json::serialize(last), answer_.tokens});
    }
    events.push_back({"", "[DONE]"});
    return events;
  }
  std::string whole(std::string_view full_text) override {
    json::object out = base("chat.completion");
    out["choices"] = {{{"index", 0},
                       {"message",
                        {{"role", "assistant"},
                         {"content", full_text},
                         {"reasoning_content", nullptr},
                         {"tool_calls", nullptr}}},
                       {"finish_reason", "stop"},
                       {"native_finish_reason", "stop"}}};
    if (answer_.usage) out["usage"] = usage_of(answer_.tokens);
    return json::serialize(out);
  }

 private:
  [[nodiscard]] bool streams_usage() const { return answer_.usage && answer_.include_usage; }
  [[nodiscard]] json::object base(std::string_view object) const {
    return {{"id", "chatcmpl-" + answer_.id},
            {"object", object},
            {"created", answer_.created},
            {"model", answer_.model}};
  }
  [[nodiscard]] Event chunk(json::object delta, const json::value& finish) const {
    json::object out = base("chat.completion.chunk");
    json::object choice{{"index", 0}, {"delta", std::move(delta)}};
    choice["finish_reason"] = finish;
    choice["native_finish_reason"] = finish;
    out["choices"] = json::array{std::move(choice)};
    return {"", json::serialize(out)};
  }

  Answer answer_;
};

class CompletionsWriter final : public Writer {
 public:
  explicit CompletionsWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override { return {}; }
  Event text(std::string_view piece) override { return {"", json::serialize(with_choice(piece, nullptr))}; }
  std::vector<Event> closing() override {
    std::vector<Event> events{{"", json::serialize(with_choice("", "stop"))}};
    if (streams_usage()) {
      json::object last = base();
      last["choices"] = json::array{};
      last["usage"] = usage_of(answer_.tokens);
      events.push_back({"", json::serialize(last), answer_.tokens});
    }
    events.push_back({"", "[DONE]"});
    return events;
  }
  std::string whole(std::string_view full_text) override {
    json::object out = with_choice(full_text, "stop");
    if (answer_.usage) out["usage"] = usage_of(answer_.tokens);
    return json::serialize(out);
  }

 private:
  [[nodiscard]] bool streams_usage() const { return answer_.usage && answer_.include_usage; }
  [[nodiscard]] json::object base() const {
    return {{"id", "cmpl-" + answer_.id},
            {"object", "text_completion"},
            {"created", answer_.created},
            {"model", answer_.model}};
  }
  [[nodiscard]] json::object with_choice(std::string_view text, const json::value& finish) const {
    json::object choice{{"index", 0}, {"text", text}};
    choice["finish_reason"] = finish;
    json::object out = base();
    out["choices"] = json::array{std::move(choice)};
    return out;
  }

  Answer answer_;
};

}  // namespace

std::unique_ptr<Writer> make_chat_writer(Answer answer) {
  return std::make_unique<ChatWriter>(std::move(answer));
}
std::unique_ptr<Writer> make_completions_writer(Answer answer) {
  return std::make_unique<CompletionsWriter>(std::move(answer));
}

}  // namespace portico::sample
