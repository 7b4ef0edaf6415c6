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
      failed("client_request");  // too large, and already told so
    }
    // A client may leave as soon as it has the final event: what follows that says nothing.
    if (exchange_.client_lost() && !answered_) {
      served_.outcome = Outcome::client_gone;
      context_.stats.abort(caller_, exchange_.last_heard_ms());
    }
    context_.stats.count(caller_, served_);
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
    compressor_ = make_compressor(script_.coding);
    if (script_.mute) {
      if (co_await exchange_.send_interim(102)) co_await exchange_.pause(for_ever);
      co_return;
    }
    if (script_.slow_first_byte && !co_await exchange_.pause(std::chrono::seconds(2))) co_return;
    if (script_.echo) {
      co_await exchange_.respond(200, "application/json", echo_json(exchange_, body.size()));
      co_return;
    }
    // Blanks go out before CPA knows that it fails, but only where it does not stream.
    const bool blanks_first = script_.blanks && !*stream;
    if (script_.fails() && !blanks_first) {
      co_await fail(scripted_failure());
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

  void failed(std::string_view category) {
    served_.outcome = Outcome::failure;
    served_.category = category;
  }

  [[nodiscard]] Failure scripted_failure() const {
    return failure_for(call_.dialect,
                       fault_of(script_.fault, script_.fail_status, call_.dialect, call_.model), call_.model);
  }

  asio::awaitable<void> fail(Failure failure) {
    failed(failure.category);
    Fields fields;
    if (failure.traced) {
      fields.emplace_back("X-Cpa-Trace-Id", trace_id(call_.dialect, context_, caller_.model));
    }
    co_await respond(failure.status, failure.content_type, std::move(failure.body), std::move(fields));
  }

  asio::awaitable<bool> respond(int status, std::string_view content_type, std::string body, Fields fields) {
    add_coding(fields);
    body = compressed(script_.coding, std::move(body));
    answered_ = co_await exchange_.respond(status, content_type, std::move(body), std::move(fields));
    co_return answered_;
  }

  void add_coding(Fields& fields) const {
    if (compressor_ != nullptr) fields.emplace_back("Content-Encoding", name_of(script_.coding));
  }

  asio::awaitable<void> count_tokens() {
    const auto count = request_bytes_ / 4 + 8;
    const char* name = call_.dialect == Dialect::gemini_generate ? "totalTokens" : "input_tokens";
    co_await respond(200, "application/json", fmt::format(R"({{"{}":{}}})", name, count), traced());
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
      const bool sent = co_await respond(200, "application/json", std::move(body), traced());
      if (sent && script_.usage) served_.usage = tokens_;
      co_return;
    }
    if (script_.ending == Ending::silent) {
      failed("client_request");  // what CPA answers to a verb that it does not know
      co_await respond(200, "application/json", "", traced());
      co_return;
    }
    Fields fields = traced();
    add_coding(fields);
    body = compressed(script_.coding, std::move(body));
    if (!co_await exchange_.begin(200, "application/json", fields, body.size())) co_return;
    if (!co_await exchange_.send(std::string_view(body).substr(0, body.size() / 2))) co_return;
    co_await end_badly();
  }

  /// Blanks commit the status 200 before anything is known; a failure then hides in the body.
  asio::awaitable<void> after_blanks(std::string body) {
    Fields fields = traced();
    add_coding(fields);
    if (!co_await exchange_.begin(200, "application/json", fields)) co_return;
    for (int i = 0; i < 3; ++i) {
      if (!co_await send("\n")) co_return;
      if (!co_await exchange_.pause(script_.delay)) co_return;
    }
    if (script_.ending == Ending::error_event) {
      script_.fault = FaultName::status;
      script_.fail_status = 500;
    }
    const bool fails = script_.fails();
    if (fails) {
      Failure failure = scripted_failure();
      failed(failure.category);
      body = std::move(failure.body);
    } else if (script_.ending != Ending::complete) {
      if (!co_await send(std::string_view(body).substr(0, body.size() / 2))) co_return;
      co_await end_badly();
      co_return;
    }
    if (!co_await send(body)) co_return;
    answered_ = true;
    if (!fails && script_.usage) served_.usage = tokens_;
    co_await finish();
  }

  /// Body bytes of a response that was begun, and its end.
  asio::awaitable<bool> send(std::string_view bytes) {
    if (compressor_ == nullptr) co_return co_await exchange_.send(bytes);
    const std::string piece = compressor_->add(bytes);
    co_return co_await exchange_.send(piece);
  }
  asio::awaitable<bool> finish() {
    if (compressor_ != nullptr) {
      const std::string piece = compressor_->finish();
      if (!co_await exchange_.send(piece)) co_return false;
    }
    co_return co_await exchange_.finish();
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
    add_coding(fields);
    const std::string_view type = bare_ ? "application/json" : "text/event-stream";
    if (!co_await exchange_.begin(200, type, fields)) co_return;
    for (const Event& event : writer_->opening()) {
      if (!co_await send_event(event)) co_return;
    }
    const std::uint64_t count = script_.events_before_end();
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!co_await send_event(writer_->text(word(i)))) co_return;
      if (!co_await exchange_.pause(script_.delay)) co_return;
    }
    if (script_.ending != Ending::complete) {
      co_await end_badly();
      co_return;
    }
    for (const Event& event : writer_->closing()) {
      if (!co_await send_event(event)) co_return;
    }
    answered_ = true;
    // CPA ends Responses streams with one blank line more.
    if (is_responses() && !co_await send("\n")) co_return;
    co_await finish();
  }

  asio::awaitable<bool> send_event(Event event) {
    std::string text = std::move(event.data);
    if (!bare_) text = fmt::format("data: {}\n\n", text);
    if (!bare_ && !event.name.empty()) text = fmt::format("event: {}\n{}", event.name, text);
    if (!co_await send(text)) co_return false;
    if (event.usage) served_.usage = event.usage;
    co_return true;
  }

  asio::awaitable<void> end_badly() {
    switch (script_.ending) {
      case Ending::error_event: {
        failed("upstream_outage");
        const bool codex = exchange_.field("Originator").starts_with("codex") ||
                           exchange_.field("User-Agent").starts_with("codex");
        if (is_responses() && !co_await send("\n")) co_return;
        answered_ = co_await send_event(error_event(call_.dialect, codex));
        if (answered_) co_await finish();
        break;
      }
      case Ending::silent:
        failed("upstream_outage");
        answered_ = co_await finish();
        break;
      case Ending::stall:
        co_await exchange_.pause(for_ever);
        break;
      default:
        failed("network");
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
  std::unique_ptr<Compressor> compressor_;
  bool bare_ = false;
  bool answered_ = false;  ///< the client has what it came for
  Served served_;
};

}  // namespace

asio::awaitable<void> call_model(Exchange& exchange, Context& context, ModelCall model_call) {
  Call call(exchange, context, std::move(model_call));
  co_await call.run();
}

}  // namespace portico::sample
