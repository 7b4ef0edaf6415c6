#include "proxy/sample/turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/errors.hpp"
#include "proxy/sample/model_call.hpp"
#include "proxy/sample/script.hpp"
#include "proxy/sample/websocket.hpp"

namespace portico::sample {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t queued_messages = 16;
constexpr std::chrono::hours for_ever{24 * 365};

using Inbox = asio::experimental::channel<void(boost::system::error_code, std::string)>;

/// A connection that carries turns: one coroutine reads messages, so that a client that leaves in the middle
/// of a turn is noticed at once; the other answers them in order.
class Session {
 public:
  Session(Exchange& exchange, Context& context, Dialect dialect)
      : context_(context), dialect_(dialect), inbox_(exchange.executor(), queued_messages) {
    const auto key = presented_key(exchange);
    caller_ = {std::string(name_of(dialect)), query_value(exchange.query(), "model").value_or(""), key.key};
    codex_ = exchange.field("Originator").starts_with("codex") ||
             exchange.field("User-Agent").starts_with("codex");
    if (const auto state = exchange.field("x-codex-turn-state"); !state.empty()) {
      accept_fields_.emplace_back("X-Codex-Turn-State", std::string(state));
    }
    // The socket goes last: everything above still reads the exchange.
    socket_ = std::make_unique<WebSocket>(exchange);
  }

  asio::awaitable<void> run() {
    using namespace asio::experimental::awaitable_operators;
    if (!co_await socket_->accept(accept_fields_)) co_return;
    Stats::OpenStream open(context_.stats);
    auto either = answer() || receive();
    co_await std::move(either);
    note_if_client_left();
    socket_->drop();
  }

 private:
  asio::awaitable<void> receive() {
    while (true) {
      auto message = co_await socket_->read();
      if (!message) co_return;
      const auto [error] =
          co_await inbox_.async_send(boost::system::error_code{}, std::move(message->payload), as_result);
      if (error) co_return;
    }
  }

  asio::awaitable<void> answer() {
    if (dialect_ == Dialect::realtime) {
      if (caller_.model.empty()) caller_.model = "gpt-realtime";
      if (!co_await send(session_event("session.created"))) co_return;
    }
    bool go_on = true;
    while (go_on) {
      auto [error, payload] = co_await inbox_.async_receive(as_result);
      if (error) co_return;
      go_on = co_await on_message(std::move(payload));
    }
    note_if_client_left();
    socket_->drop(reset_);
  }

  asio::awaitable<bool> on_message(std::string payload) {
    const json::value message = read_json(payload);
    const std::string type = text_member(message, "type");
    if (dialect_ == Dialect::realtime) {
      if (type == "session.update") co_return co_await send(session_event("session.updated"));
      if (type == "response.create") co_return co_await turn(message, payload.size());
      if (!type.empty()) co_return true;
      co_return co_await send(
          R"({"type":"error","event_id":"ev_0","error":{"type":"invalid_request_error","code":"invalid_event","message":"not an event","param":null,"event_id":null}})");
    }
    if (type != "response.create" && type != "response.append") {
      co_return co_await refuse(400, "invalid_value", "unknown message type", "type");
    }
    if (const auto model = text_member(message, "model"); !model.empty()) caller_.model = model;
    if (caller_.model.empty()) co_return co_await refuse(400, "invalid_value", "model is required", "model");
    const auto previous = text_member(message, "previous_response_id");
    if (!previous.empty() && std::find(given_.begin(), given_.end(), previous) == given_.end()) {
      co_return co_await refuse(409, "previous_response_not_found",
                                fmt::format("Previous response with id '{}' not found.", previous),
                                "previous_response_id");
    }
    const json::value* generate = message.get_object().if_contains("generate");
    if (generate != nullptr && *generate == false) co_return co_await warm_up();
    co_return co_await turn(message, payload.size());
  }

  /// CPA answers a warm-up itself: no model, no tokens.
  asio::awaitable<bool> warm_up() {
    const auto id =
        fmt::format("resp_prewarm_{:08x}-0000-4000-8000-{:012x}", context_.started, context_.next_number());
    remember(id);
    json::object response{{"id", id},
                          {"object", "response"},
                          {"created_at", unix_seconds()},
                          {"status", "in_progress"},
                          {"background", false},
                          {"error", nullptr},
                          {"output", json::array{}},
                          {"model", caller_.model}};
    const std::string created = json::serialize(
        json::object{{"type", "response.created"}, {"sequence_number", 0}, {"response", response}});
    response["status"] = "completed";
    response["usage"] = {{"input_tokens", 0},
                         {"input_tokens_details", {{"cached_tokens", 0}}},
                         {"output_tokens", 0},
                         {"output_tokens_details", {{"reasoning_tokens", 0}}},
                         {"total_tokens", 0}};
    const std::string completed = json::serialize(
        json::object{{"type", "response.completed"}, {"sequence_number", 1}, {"response", response}});
    if (!co_await send(created) || !co_await send(completed)) co_return false;
    context_.stats.count_warmup(caller_);
    co_return true;
  }

  /// Answers one request; false when the connection is to end.
  asio::awaitable<bool> turn(const json::value& message, std::size_t request_bytes) {
    const json::value* inner = message.get_object().if_contains("response");
    if (dialect_ == Dialect::realtime && inner != nullptr) {
      if (const auto model = text_member(*inner, "model"); !model.empty()) caller_.model = model;
    }
    const Script script = read_script(caller_.model);
    in_turn_ = true;
    if (script.slow_first_byte && !co_await pause(std::chrono::seconds(2))) co_return false;
    if (script.fails()) {
      const Fault asked = fault_of(FaultName::context_length, 0, dialect_, caller_.model);
      if (script.fault == FaultName::context_length || script.fail_status == asked.status) {
        co_return co_await refuse(asked.status, asked.code, asked.message, asked.param);
      }
      // Without a word: all that can be seen is a connection that broke.
      end_turn({.outcome = Outcome::failure, .category = "network"});
      co_return false;
    }
    Answer about;
    about.id = fmt::format("sample{:06}", context_.next_number());
    about.model = caller_.model;
    about.created = unix_seconds();
    about.tokens = tokens_for(dialect_, request_bytes, script.events);
    about.usage = script.usage;
    remember("resp_" + about.id);
    const auto writer = make_writer(dialect_, std::move(about));
    std::optional<Tokens> usage;
    for (const Event& event : writer->opening()) {
      if (!co_await send(event.data)) co_return false;
    }
    const std::uint64_t count = script.events_before_end();
    for (std::uint64_t i = 0; i < count; ++i) {
      const Event event = writer->text(word(i));
      if (!co_await send(event.data)) co_return false;
      if (!co_await pause(script.delay)) co_return false;
    }
    if (script.ending != Ending::complete) co_return co_await end_badly(script.ending);
    for (const Event& event : writer->closing()) {
      if (!co_await send(event.data)) co_return false;
      if (event.usage) usage = event.usage;
    }
    end_turn({.usage = usage});
    co_return true;
  }

  asio::awaitable<bool> end_badly(Ending ending) {
    if (ending == Ending::stall) {
      co_await pause(for_ever);
      co_return false;
    }
    const bool told = ending == Ending::error_event;
    end_turn({.outcome = Outcome::failure, .category = told ? "upstream_outage" : "network"});
    if (told) {
      const Event event = error_event(dialect_, codex_);
      const bool sent = co_await send(event.data);
      // A realtime session survives an error.
      co_return sent&& dialect_ == Dialect::realtime;
    }
    reset_ = ending == Ending::reset;
    co_return false;
  }

  asio::awaitable<bool> refuse(int status, std::string_view code, std::string_view text,
                               std::string_view param) {
    end_turn({.outcome = Outcome::failure, .category = "client_request"});
    const std::string frame = error_frame(status, code, text, param);
    co_await send(frame);
    co_return false;
  }

  asio::awaitable<bool> send(std::string_view json_text) { return socket_->write(json_text); }

  static asio::awaitable<bool> pause(std::chrono::milliseconds time) {
    if (time.count() == 0) co_return true;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, time);
    const auto [error] = co_await timer.async_wait(as_result);
    co_return !error;
  }

  [[nodiscard]] std::string session_event(std::string_view type) {
    return json::serialize(json::object{{"type", type},
                                        {"event_id", fmt::format("ev_{}", context_.next_number())},
                                        {"session", {{"type", "realtime"}, {"model", caller_.model}}}});
  }

  void end_turn(Served served) {
    in_turn_ = false;
    served.turn = true;
    context_.stats.count(caller_, served);
  }

  /// A turn that is still open when the connection ends is one that the client left.
  void note_if_client_left() {
    if (!in_turn_) return;
    context_.stats.abort(caller_, socket_->last_heard_ms());
    end_turn({.outcome = Outcome::client_gone});
  }

  void remember(std::string id) {
    given_.push_back(std::move(id));
    if (given_.size() > queued_messages) given_.erase(given_.begin());
  }

  Context& context_;
  Dialect dialect_;
  Inbox inbox_;
  Caller caller_;
  Fields accept_fields_;
  std::unique_ptr<WebSocket> socket_;
  std::vector<std::string> given_;  // ids that a next turn may refer to
  bool codex_ = false;
  bool in_turn_ = false;
  bool reset_ = false;
};

}  // namespace

asio::awaitable<void> serve_responses_turns(Exchange& exchange, Context& context, Dialect dialect) {
  if (!co_await may_upgrade(exchange)) co_return;
  Session session(exchange, context, dialect);
  co_await session.run();
}

asio::awaitable<void> serve_realtime(Exchange& exchange, Context& context) {
  if (!co_await may_upgrade(exchange)) co_return;
  Session session(exchange, context, Dialect::realtime);
  co_await session.run();
}

asio::awaitable<void> serve_ws_echo(Exchange& exchange) {
  if (!co_await may_upgrade(exchange)) co_return;
  WebSocket socket(exchange);
  if (!co_await socket.accept({})) co_return;
  while (true) {
    const auto message = co_await socket.read();
    if (!message) break;
    if (!co_await socket.write(message->payload, message->text)) break;
  }
}

}  // namespace portico::sample
