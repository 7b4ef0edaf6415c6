#include "telemetry/tap/socket_tap.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/watch.hpp"

using namespace portico::telemetry;

namespace {

/// A frame of a short or middling text; a client's is masked with zeros, which leave it readable.
std::string frame(std::string_view text, bool client, char opcode = 1) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  const char mask = client ? static_cast<char>(0x80) : '\0';
  if (text.size() < 126) {
    out += static_cast<char>(mask | static_cast<char>(text.size()));
  } else {
    out += static_cast<char>(mask | 126);
    out += static_cast<char>(text.size() >> 8U);
    out += static_cast<char>(text.size() & 0xFFU);
  }
  if (client) out += std::string(4, '\0');
  return out + std::string(text);
}

class Socket {
 public:
  explicit Socket(std::string_view target) : watch(target, "GET") {
    watch.request.websocket = true;
    watch.request.has_body = false;
    watch.response.status = 101;
    tap.request_head(watch.context, watch.request);
    tap.response_head(watch.response);
  }
  void asks(std::string_view text, std::uint64_t now = 0) { tap.tunnel(true, frame(text, true), now); }
  void answers(std::string_view text, std::uint64_t now = 0) { tap.tunnel(false, frame(text, false), now); }
  const std::vector<Watched>& ends(Ended how, std::uint64_t now = 0) {
    EndFacts end;
    end.status = 101;
    end.how = tap.settled(how);
    end.duration_us = now;
    tap.end(end);
    return watch.records;
  }

  Watch watch;
  Tap tap;
};

constexpr std::string_view created = R"({"type":"response.created","response":{"model":"m-1","error":null}})";
constexpr std::string_view completed =
    R"({"type":"response.completed","response":{"status":"completed","model":"m-1","usage":{"input_tokens":3,"output_tokens":4}}})";

}  // namespace

TEST_CASE("a turn is timed from its question") {
  Socket socket("/v1/responses");
  socket.asks(R"({"type":"response.create","model":"m"})", 1'000);
  socket.answers(created, 1'500);
  socket.answers(R"({"type":"response.output_text.delta","delta":"x"})", 1'700);
  socket.answers(completed, 2'500);
  const auto& records = socket.ends(Ended::complete, 3'000);
  REQUIRE(records.size() == 2);
  const RecordFacts& turn = records[0].facts;
  CHECK(turn.kind == RecordKind::turn);
  CHECK(turn.first_byte_us == 500);
  CHECK(turn.first_token_us == 700);
  CHECK(turn.duration_us == 1'500);
  CHECK(turn.start_unix_us == 1'000);
  CHECK(turn.events == 3);
  CHECK(turn.request_bytes == 38);
  CHECK(records[1].facts.kind == RecordKind::connection);
  CHECK(records[1].facts.turns == 1);
  CHECK(records[1].facts.events == 3);
}

TEST_CASE("later turns inherit the model, an append everything") {
  Socket socket("/v1/responses");
  socket.asks(R"({"type":"response.create","model":"m","service_tier":"flex","reasoning":{"effort":"low"}})");
  socket.asks(R"({"type":"response.append","input":[{"model":"no"}]})");
  socket.asks(R"({"type":"response.create"})");
  for (int i = 0; i < 3; ++i) socket.answers(completed);
  const auto& records = socket.ends(Ended::complete);
  REQUIRE(records.size() == 4);
  CHECK(records[1].text(Text::model) == "m");
  CHECK(records[1].text(Text::service_tier) == "flex");
  CHECK(records[1].text(Text::reasoning_effort) == "low");
  CHECK(records[2].text(Text::model) == "m");
  CHECK(records[2].text(Text::service_tier).empty());
  CHECK(records[3].facts.tokens[TokenKind::output] == 12);
}

TEST_CASE("a connection that dies in a turn broke off, whoever asks") {
  for (const Ended how : {Ended::complete, Ended::backend_broke_off}) {
    Socket socket("/v1/responses");
    socket.asks(R"({"type":"response.create","model":"m"})");
    socket.answers(created);
    const auto& records = socket.ends(how);
    REQUIRE(records.size() == 2);
    for (const Watched& record : records) {
      CHECK(record.facts.ended == Ended::backend_broke_off);
      CHECK(record.facts.failed);
    }
  }
}

TEST_CASE("a client that leaves in a turn is gone; between turns it is done") {
  Socket during("/v1/responses");
  during.asks(R"({"type":"response.create","model":"m"})");
  CHECK(during.ends(Ended::client_gone)[0].facts.ended == Ended::client_gone);
  CHECK_FALSE(during.watch.records[0].facts.failed);
  Socket between("/v1/responses");
  between.asks(R"({"type":"response.create","model":"m"})");
  between.answers(completed);
  CHECK(between.ends(Ended::client_gone).back().facts.ended == Ended::complete);
  Socket closing("/v1/responses");
  closing.asks(R"({"type":"response.create","model":"m"})");
  closing.tap.tunnel(true, frame("", true, 8), 0);
  CHECK(closing.ends(Ended::complete).back().facts.ended == Ended::client_gone);
}

TEST_CASE("more questions than are kept in mind are noticed by their answers") {
  Socket socket("/v1/responses");
  for (int i = 0; i < 12; ++i) socket.asks(R"({"type":"response.create","model":"m"})");
  for (int i = 0; i < 12; ++i) {
    socket.answers(created);
    socket.answers(completed);
  }
  const auto& records = socket.ends(Ended::complete);
  REQUIRE(records.size() == 13);
  CHECK(records[11].text(Text::model) == "m");
  CHECK(records[12].facts.turns == 12);
}

TEST_CASE("an error ends a turn, and the connection is remembered by the first") {
  Socket socket("/v1/responses");
  socket.asks(R"({"type":"response.create","model":"m"})");
  socket.answers(
      R"({"type":"error","status":409,"error":{"code":"previous_response_not_found","message":"gone"}})");
  socket.asks(R"({"type":"response.create"})");
  socket.answers(completed);
  const auto& records = socket.ends(Ended::complete);
  REQUIRE(records.size() == 3);
  CHECK(records[0].facts.failed);
  CHECK(records[0].facts.error_status == 409);
  CHECK_FALSE(records[1].facts.failed);
  CHECK(records[1].text(Text::error_code).empty());
  CHECK(records[2].facts.failed);
  CHECK(records[2].text(Text::error_code) == "previous_response_not_found");
}

TEST_CASE("a realtime session goes on after an error, and may speak unasked") {
  Socket socket("/v1/realtime?model=gpt-realtime");
  socket.answers(R"({"type":"session.created","session":{"model":"gpt-realtime-1"}})");
  socket.answers(created);
  socket.answers(R"({"type":"error","error":{"message":"bad item"}})");
  socket.answers(
      R"({"type":"response.done","response":{"status":"completed","usage":{"input_tokens":1,"output_tokens":2}}})");
  const auto& records = socket.ends(Ended::complete);
  REQUIRE(records.size() == 2);
  CHECK_FALSE(records[0].facts.failed);
  CHECK(records[0].text(Text::model) == "gpt-realtime");
  CHECK(records[0].facts.tokens.total() == 3);
  CHECK(records[1].text(Text::error_message) == "bad item");
}

TEST_CASE("the model of a session is its turns' where they name none") {
  Socket socket("/v1/realtime");
  socket.answers(R"({"type":"session.created","session":{"model":"gpt-realtime-1"}})");
  socket.asks(R"({"type":"session.update","session":{"model":"asked","reasoning":{"effort":"low"}}})");
  socket.asks(R"({"type":"response.create"})");
  socket.answers(R"({"type":"response.done","response":{"status":"failed"}})");
  const auto& records = socket.ends(Ended::complete);
  REQUIRE(records.size() == 2);
  CHECK(records[0].text(Text::model) == "asked");
  CHECK(records[0].text(Text::reasoning_effort) == "low");
  CHECK(records[0].text(Text::response_model) == "gpt-realtime-1");
  CHECK(records[0].facts.failed);
}

TEST_CASE("a WebSocket of another API is counted in bytes alone") {
  Socket socket("/v0/management/live");
  socket.asks("hello");
  socket.answers("hi");
  const auto& records = socket.ends(Ended::client_gone);
  REQUIRE(records.size() == 1);
  CHECK(records[0].facts.request_bytes == 11);
  CHECK(records[0].facts.response_bytes == 4);
}

TEST_CASE("an upgrade that is refused is an exchange like any other") {
  Watch watch("/v1/responses", "GET");
  watch.request.websocket = true;
  watch.request.has_body = false;
  watch.response.status = 401;
  const Watched& record = watch.answer({R"({"error":"Invalid API key"})"});
  CHECK(record.facts.kind == RecordKind::exchange);
  CHECK(record.facts.stream);
  CHECK(record.text(Text::error_message) == "Invalid API key");
}
