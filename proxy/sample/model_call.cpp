#include "proxy/sample/model_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/errors.hpp"
#include "proxy/sample/probe.hpp"
#include "proxy/sample/script.hpp"
#include "proxy/sample/zstd.hpp"

namespace portico::sample {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::size_t max_body = std::size_t{64} * 1024 * 1024;
constexpr std::chrono::hours for_ever{24 * 365};

/// One call while it is answered. The coroutines below are parts of one life, in order.
class Call {
 public:
  Call(Exchange& exchange, Context& context, ModelCall call)
      : exchange_(exchange), context_(context), call_(std::move(call)) {}

  asio::awaitable<void> run() {
    const auto key = presented_key(exchange_);
    caller_ = {std::string(name_of(call_.dialect)), call_.model, key.key};
    auto body = co_await exchange_.read_body(max_body);
    if (body) {
      Stats::OpenStream open(context_.stats);
      co_await exchange_.unless_client_leaves(answer(std::move(*body)));
    } else {
      outcome_ = Outcome::failure;  // too large, and already told so
    }
    if (exchange_.client_lost()) {
      outcome_ = Outcome::client_gone;
      context_.stats.abort(caller_, exchange_.last_heard_ms());
    }
    context_.stats.count(caller_, outcome_, usage_sent_);
  }

 private:
  asio::awaitable<void> answer(std::string body) {
    // CPA decodes zstd on some paths only, and nothing else anywhere.
    const std::string coding(exchange_.field("Content-Encoding"));
    if (call_.decodes_zstd && !coding.empty() && coding != "identity") {
      const bool plain = read_json(body).is_object();
      auto decoded = coding == "zstd" ? decode_zstd(body, max_body) : std::nullopt;
      if (decoded) {
        body = std::move(*decoded);
      } else if (!plain) {
        const auto reason = coding == "zstd"
                                ? std::string("failed to decode zstd request body")
                                : fmt::format("unsupported request content encoding: {}", coding);
        co_await fail(invalid_request(call_.dialect, reason));
        co_return;
      }
    }
    const json::value request = read_json(body);
    if (!request.is_object()) {
      co_await fail(invalid_request(call_.dialect, "body is not a JSON object"));
      co_return;
    }
    if (call_.model.empty()) call_.model = text_member(request, "model");
    if (call_.model.empty() && call_.dialect == Dialect::openai_images) call_.model = "gpt-image-2";
    caller_.model = call_.model;
    if (call_.model.empty()) {
      co_await fail(invalid_request(call_.dialect, "model is required"));
      co_return;
    }
    script_ = read_script(call_.model);
    if (call_.dialect == Dialect::openai_images && script_.events > 2) script_.events = 2;
    request_bytes_ = body.size();
    const auto stream = wants_stream(request.get_object());
    if (!stream) {
      co_await fail(invalid_request(call_.dialect, "stream is required"));
      co_return;
    }
    if (script_.slow_first_byte && !co_await exchange_.pause(std::chrono::seconds(2))) co_return;
    if (script_.echo) {
      co_await exchange_.respond(200, "application/json", echo_json(exchange_, body.size()));
      co_return;
    }
    // Blanks go out before CPA knows that it fails, but only where it does not stream.
    const bool blanks_first = script_.blanks && !*stream;
    if (script_.fail_status != 0 && !blanks_first) {
      co_await fail(failure_for(call_.dialect, script_.fail_status, script_.html_page, call_.model));
      co_return;
    }
    prepare(request.get_object());
    if (call_.operation == Operation::count_tokens) {
      co_await count_tokens();
    } else if (*stream) {
      co_await stream_answer();
    } else {
      co_await whole_answer();
    }
  }

  /// nullopt when the API demands the field and it is missing.
  [[nodiscard]] std::optional<bool> wants_stream(const json::object& request) const {
    if (call_.operation == Operation::stream) return true;
    if (call_.operation != Operation::generate || call_.dialect == Dialect::gemini_generate) return false;
    const json::value* value = request.if_contains("stream");
    switch (call_.dialect) {
      case Dialect::anthropic_messages:
        return value != nullptr && *value != false;
      case Dialect::gemini_interactions:
        if (value == nullptr) return std::nullopt;
        return *value == true;
      default:
        return value != nullptr && *value == true;
    }
  }

  void prepare(const json::object& request) {
    const json::value* options = request.if_contains("stream_options");
    Answer answer;
    answer.id = fmt::format("sample{:06}", context_.next_number());
    answer.model = call_.model;
    answer.created = unix_seconds();
    answer.tokens = tokens_for(call_.dialect, request_bytes_, script_.events);
    answer.usage = script_.usage;
    answer.include_usage = options != nullptr && options->is_object() &&
                           options->get_object().contains("include_usage") &&
                           options->get_object().at("include_usage") == true;
    tokens_ = answer.tokens;
    writer_ = make_writer(call_.dialect, std::move(answer));
  }

  asio::awaitable<void> fail(Failure failure) {
    outcome_ = Outcome::failure;
    Fields fields;
    if (failure.traced) fields.emplace_back("X-Cpa-Trace-Id", trace_id(call_.dialect, context_));
    co_await exchange_.respond(failure.status, "application/json", std::move(failure.body),
                               std::move(fields));
  }

  asio::awaitable<void> count_tokens() {
    const auto count = request_bytes_ / 4 + 8;
    const char* name = call_.dialect == Dialect::gemini_generate ? "totalTokens" : "input_tokens";
    co_await exchange_.respond(200, "application/json", fmt::format(R"({{"{}":{}}})", name, count), traced());
  }

  // ---- an answer in one piece

  asio::awaitable<void> whole_answer() {
    std::string text;
    for (std::uint64_t i = 0; i < script_.events; ++i) text += word(i);
    std::string body = writer_->whole(text);
    if (call_.operation == Operation::compact) body = as_compaction(body);
    if (script_.delay_given && !script_.blanks && !co_await exchange_.pause(script_.delay)) co_return;
    if (script_.blanks || script_.ending == Ending::error_event) {
      co_await after_blanks(std::move(body));
      co_return;
    }
    if (script_.ending == Ending::complete) {
      const bool sent = co_await exchange_.respond(200, "application/json", std::move(body), traced());
      if (sent && script_.usage) usage_sent_ = tokens_;
      co_return;
    }
    if (!co_await exchange_.begin(200, "application/json", traced(), body.size())) co_return;
    if (!co_await exchange_.send(std::string_view(body).substr(0, body.size() / 2))) co_return;
    co_await end_badly();
  }

  /// Blanks commit the status 200 before anything is known; a failure then hides in the body.
  asio::awaitable<void> after_blanks(std::string body) {
    if (!co_await exchange_.begin(200, "application/json", traced())) co_return;
    for (int i = 0; i < 3; ++i) {
      if (!co_await exchange_.send("\n")) co_return;
      if (!co_await exchange_.pause(script_.delay)) co_return;
    }
    const bool fails = script_.fail_status != 0 || script_.ending == Ending::error_event;
    if (fails) {
      outcome_ = Outcome::failure;
      const int status = script_.fail_status != 0 ? script_.fail_status : 500;
      body = failure_for(call_.dialect, status, script_.html_page, call_.model).body;
    } else if (script_.ending != Ending::complete) {
      if (!co_await exchange_.send(std::string_view(body).substr(0, body.size() / 2))) co_return;
      co_await end_badly();
      co_return;
    }
    if (!co_await exchange_.send(body)) co_return;
    if (!fails && script_.usage) usage_sent_ = tokens_;
    co_await exchange_.finish();
  }

  static std::string as_compaction(const std::string& body) {
    json::value value = read_json(body);
    value.as_object()["object"] = "response.compaction";
    return json::serialize(value);
  }

  // ---- a stream

  asio::awaitable<void> stream_answer() {
    const auto alt = query_value(exchange_.query(), "alt");
    bare_ = call_.dialect == Dialect::gemini_generate && alt && *alt != "sse";
    Fields fields = traced();
    fields.emplace_back("Cache-Control", "no-cache");
    fields.emplace_back("Connection", "keep-alive");
    const std::string_view type = bare_ ? "application/json" : "text/event-stream";
    if (!co_await exchange_.begin(200, type, fields)) co_return;
    for (const Event& event : writer_->opening()) {
      if (!co_await send(event)) co_return;
    }
    const bool whole = script_.ending == Ending::complete;
    // A stream that will not end well stalls after its first text and breaks in the middle of the others.
    const std::uint64_t middle = std::max<std::uint64_t>(1, script_.events / 2);
    const std::uint64_t count = whole ? script_.events : script_.ending == Ending::stall ? 1 : middle;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!co_await send(writer_->text(word(i)))) co_return;
      if (!co_await exchange_.pause(script_.delay)) co_return;
    }
    if (!whole) {
      co_await end_badly();
      co_return;
    }
    for (const Event& event : writer_->closing()) {
      if (!co_await send(event)) co_return;
    }
    if (writer_->streams_usage()) usage_sent_ = tokens_;
    // CPA ends Responses streams with one blank line more.
    if (is_responses() && !co_await exchange_.send("\n")) co_return;
    co_await exchange_.finish();
  }

  asio::awaitable<bool> send(Event event) {
    std::string text = std::move(event.data);
    if (!bare_) text = fmt::format("data: {}\n\n", text);
    if (!bare_ && !event.name.empty()) text = fmt::format("event: {}\n{}", event.name, text);
    co_return co_await exchange_.send(text);
  }

  asio::awaitable<void> end_badly() {
    outcome_ = Outcome::failure;
    switch (script_.ending) {
      case Ending::error_event: {
        const bool codex = exchange_.field("Originator").starts_with("codex") ||
                           exchange_.field("User-Agent").starts_with("codex");
        if (is_responses() && !co_await exchange_.send("\n")) co_return;
        if (co_await send(error_event(call_.dialect, codex))) co_await exchange_.finish();
        break;
      }
      case Ending::stall:
        co_await exchange_.pause(for_ever);
        break;
      default:
        exchange_.cut(script_.ending == Ending::reset);
    }
  }

  [[nodiscard]] bool is_responses() const {
    return call_.dialect == Dialect::openai_responses || call_.dialect == Dialect::codex_responses;
  }
  [[nodiscard]] Fields traced() const { return {{"X-Cpa-Trace-Id", trace_id(call_.dialect, context_)}}; }

  Exchange& exchange_;
  Context& context_;
  ModelCall call_;
  Caller caller_;
  Script script_;
  std::size_t request_bytes_ = 0;
  Tokens tokens_;
  std::unique_ptr<Writer> writer_;
  bool bare_ = false;
  Outcome outcome_ = Outcome::success;
  std::optional<Tokens> usage_sent_;
};

}  // namespace

asio::awaitable<void> call_model(Exchange& exchange, Context& context, ModelCall model_call) {
  Call call(exchange, context, std::move(model_call));
  co_await call.run();
}

}  // namespace portico::sample
