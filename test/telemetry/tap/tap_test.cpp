#include "telemetry/tap/tap.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/watch.hpp"

using namespace portico::telemetry;

namespace {

std::string chat_chunk(std::string_view content, std::string_view finish = "null") {
  return R"(data: {"model":"m-1","choices":[{"index":0,"delta":{"content":")" + std::string(content) +
         R"("},"finish_reason":)" + std::string(finish) + "}]}\n\n";
}
const std::string chat_usage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n";

}  // namespace

TEST_CASE("a client that goes right after the final event has its whole answer") {
  Watch watch("/v1/chat/completions");
  watch.end.how = Ended::client_gone;
  const Watched& record = watch.events({chat_chunk("a"), chat_chunk("", "\"stop\""), chat_usage});
  CHECK(record.facts.ended == Ended::complete);
  CHECK(record.facts.usage_quality == UsageQuality::complete);
  CHECK_FALSE(record.facts.failed);
}

TEST_CASE("a client that goes before it keeps what was announced, as partial, and is no failure") {
  Watch watch("/v1/messages");
  watch.end.how = Ended::client_gone;
  const Watched& record = watch.events(
      {"data: "
       "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"});
  CHECK(record.facts.ended == Ended::client_gone);
  CHECK(record.facts.usage_quality == UsageQuality::partial);
  CHECK(record.facts.tokens[TokenKind::input] == 9);
  CHECK_FALSE(record.facts.failed);
}

TEST_CASE("a backend that breaks off after the final event did break off") {
  Watch watch("/v1/chat/completions");
  watch.end.how = Ended::backend_broke_off;
  const Watched& record = watch.events({chat_chunk("", "\"stop\"")});
  CHECK(record.facts.ended == Ended::backend_broke_off);
  CHECK(record.facts.failed);
}

TEST_CASE("a stream that ends cleanly without its final event failed") {
  Watch watch("/v1/responses");
  const Watched& record = watch.events(
      {"data: {\"type\":\"response.created\",\"response\":{\"error\":null,\"usage\":null}}\n\n"});
  CHECK(record.facts.ended == Ended::complete);
  CHECK(record.facts.failed);
  CHECK_FALSE(record.facts.has_error);
  CHECK(record.facts.usage_quality == UsageQuality::none);
}

TEST_CASE("the estimate of a start event is all there is where no delta counted") {
  Watch watch("/v1/messages");
  const Watched& record = watch.events(
      {"data: "
       "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
       "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}\n\n",
       "data: {\"type\":\"message_stop\"}\n\n"});
  CHECK(record.facts.usage_quality == UsageQuality::estimated);
  CHECK(record.facts.tokens[TokenKind::input] == 9);
}

TEST_CASE("a null in a delta replaces nothing, a zero does") {
  Watch watch("/v1/messages");
  const Watched& record = watch.events(
      {"data: "
       "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":4,"
       "\"output_tokens\":1}}}\n\n",
       "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":null,\"cache_read_input_tokens\":0,"
       "\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n"});
  CHECK(record.facts.tokens[TokenKind::input] == 9);
  CHECK(record.facts.tokens[TokenKind::cache_read] == 0);
  CHECK(record.facts.tokens[TokenKind::output] == 5);
  CHECK(record.text(Text::usage_raw) ==
        R"({"input_tokens":9,"cache_read_input_tokens":0,"output_tokens":5})");
}

TEST_CASE("the last usage of a chat stream counts, however often it is repeated") {
  Watch watch("/v1/chat/completions");
  const Watched& record = watch.events(
      {"data: "
       "{\"choices\":[{\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n",
       "data: "
       "{\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}"
       "\n\n"});
  CHECK(record.facts.tokens[TokenKind::output] == 2);
  CHECK(record.facts.usage_quality == UsageQuality::complete);
  CHECK(record.text(Text::finish) == "stop");
}

TEST_CASE("the reason of the choice with index 0 counts, wherever it and its index stand") {
  Watch watch("/v1/chat/completions");
  const Watched& record = watch.answer({R"({"choices":[{"finish_reason":"length","index":1},)"
                                        R"({"finish_reason":"stop","index":0}]})"});
  CHECK(record.text(Text::finish) == "stop");
}

TEST_CASE("a document that is cut off keeps its numbers as partial") {
  Watch watch("/v1/chat/completions");
  watch.end.how = Ended::backend_broke_off;
  const Watched& record =
      watch.answer({R"({"model":"m-1","usage":{"prompt_tokens":3,"completion_tokens":4},"choi)"});
  CHECK(record.facts.usage_quality == UsageQuality::partial);
  CHECK(record.facts.tokens[TokenKind::output] == 4);
  CHECK(record.text(Text::response_model) == "m-1");
}

TEST_CASE("a count of tokens is no use of them, whatever it is called") {
  Watch watch("/v1beta/models/gemini-3:countTokens");
  const Watched& record = watch.answer({R"({"totalTokens":7,"usageMetadata":{"totalTokenCount":7}})"});
  CHECK(record.facts.operation == Operation::count_tokens);
  CHECK_FALSE(record.facts.tokens.seen);
}

TEST_CASE("objects that follow one another without a list are a stream too") {
  Watch watch("/v1beta/models/gemini-3:streamGenerateContent?alt=json");
  const std::string begun =
      R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"totalTokenCount":3}})";
  const Watched& cut = watch.answer({begun, begun});
  CHECK(cut.facts.failed);
  CHECK(watch.first_token);
  const Watched& whole =
      watch.answer({begun, R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":)"
                           R"({"promptTokenCount":1,"candidatesTokenCount":4,"totalTokenCount":5}})"});
  CHECK_FALSE(whole.facts.failed);
  CHECK(whole.facts.tokens.total() == 5);
}

TEST_CASE("of objects that follow one another one that is cut off replaces no numbers") {
  Watch watch("/v1beta/models/gemini-3:streamGenerateContent?alt=json");
  watch.end.how = Ended::backend_broke_off;
  const Watched& record = watch.answer(
      {R"({"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9}})",
       R"({"usageMetadata":{"promptTokenCount":7,)"});
  CHECK(record.facts.tokens.total() == 9);
  CHECK(record.facts.usage_quality == UsageQuality::partial);
}

TEST_CASE("an event without content says nothing, least of all what the one before it said") {
  Watch watch("/v1/responses");
  const Watched& named = watch.events(
      {"data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\nevent: error\ndata:\n\n"});
  CHECK(named.facts.has_error);

  // The block of texts grows for an error that is then left out, and shrinks under what was once staged.
  Watch shrinking("/v1/messages");
  std::string stream = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n";
  for (int i = 0; i < 3; ++i)
    stream += "data: {\"type\":\"message_stop\",\"delta\":{\"stop_reason\":\"a\"},\"usage\":{\"x\":\"" +
              std::string(1900, 'x') + "\"}}\n\n";
  stream += "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2}}\n\n";
  for (int i = 0; i < 400; ++i) stream += "data:\n\n";
  const Watched& record = shrinking.events({stream});
  CHECK(record.text(Text::usage_raw) == R"({"input_tokens":1,"output_tokens":2})");
}

TEST_CASE("numbers of an object that never closes count without its bytes") {
  Watch watch("/v1/messages");
  std::string stream =
      "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n"
      "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2,\"stale\":1}}\n\n"
      "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3,\n\n";
  const Watched& record = watch.events({stream});
  CHECK(record.facts.tokens[TokenKind::output] == 3);
  CHECK(record.text(Text::usage_raw).empty());
}

TEST_CASE("only a numbers of unfinished chunks are known: partial, though the stream ended well") {
  Watch watch("/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
  const Watched& record = watch.events(
      {"data: "
       "{\"candidates\":[{\"finishReason\":\"STOP\"}],\"cpaUsageMetadata\":{\"promptTokenCount\":4}}\n\n"});
  CHECK(record.facts.usage_quality == UsageQuality::partial);
  CHECK_FALSE(record.facts.failed);
}

TEST_CASE("a refused prompt is finished, not failed") {
  Watch watch("/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
  const Watched& record = watch.events({"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n"});
  CHECK_FALSE(record.facts.failed);
  CHECK(record.text(Text::finish).empty());
}

TEST_CASE("an empty 200 to a POST failed; an empty answer to a GET did not") {
  Watch watch("/v1beta/models/gemini-3:embedContent");
  CHECK(watch.answer({}).facts.failed);
  Watch other("/v1/videos/v1", "GET");
  CHECK_FALSE(other.answer({}).facts.failed);
}

TEST_CASE("status failed in a 200 is a failure without an error") {
  Watch watch("/v1/responses");
  const Watched& record = watch.answer({R"({"object":"response","status":"failed","error":null})"});
  CHECK(record.facts.failed);
  CHECK_FALSE(record.facts.has_error);
  CHECK(record.text(Text::finish) == "failed");
}

TEST_CASE("an error may be of any shape") {
  struct Shape {
    std::string_view target;
    int status;
    std::string_view body;
    std::string_view type;
    std::string_view code;
    std::string_view message;
    std::uint16_t stands_for;
  };
  const Shape shapes[] = {
      {"/v1/chat/completions", 401, R"({"error":"Missing API key"})", "", "", "Missing API key", 0},
      {"/v0/management/config", 403, R"({"error":"banned","code":"ip_banned"})", "", "ip_banned", "banned",
       0},
      {"/v1/messages", 429, R"({"type":"error","error":{"type":"rate_limit_error","message":"slow"}})",
       "rate_limit_error", "", "slow", 0},
      {"/v1beta/models/g:generateContent", 200,
       R"({"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}})", "", "503", "busy", 503},
      {"/v1beta/models/g:streamGenerateContent", 400, R"([{"error":{"code":400,"message":"bad"}}])", "",
       "400", "bad", 0},
      {"/v1/chat/completions", 422, R"({"detail":"Field required"})", "", "", "Field required", 0},
      {"/v1/chat/completions", 404, "404 page not found", "", "", "404 page not found", 0},
      {"/v1/chat/completions", 200, "<!doctype html><p>Welcome", "", "", "<!doctype html><p>Welcome", 0},
      {"/v1/responses", 400, R"({"error":{"message":null,"type":7,"code":null}})", "", "", "", 0},
  };
  for (const Shape& shape : shapes) {
    INFO(shape.body);
    Watch watch(shape.target);
    watch.response.status = shape.status;
    const Watched& record = watch.answer({std::string(shape.body)});
    CHECK(record.facts.failed);
    CHECK(record.facts.has_error);
    CHECK(record.text(Text::error_type) == shape.type);
    CHECK(record.text(Text::error_code) == shape.code);
    CHECK(record.text(Text::error_message) == shape.message);
    CHECK(record.facts.error_status == shape.stands_for);
  }
}

TEST_CASE("what is no error is none") {
  Watch watch("/v1/chat/completions");
  CHECK_FALSE(watch.answer({R"({"error":null,"message":"hello","code":"x","choices":[]})"}).facts.has_error);
  Watch panel("/v0/management/logs", "GET");
  CHECK_FALSE(panel.answer({R"({"error":"of yesterday"})"}).facts.has_error);
}

TEST_CASE("the first error is the one that is kept") {
  Watch watch("/v1/chat/completions");
  const Watched& record = watch.events({"data: {\"error\":{\"message\":\"first\"}}\n\n",
                                        "data: {\"error\":{\"message\":\"second\",\"code\":\"c\"}}\n\n"});
  CHECK(record.text(Text::error_message) == "first");
  CHECK(record.text(Text::error_code).empty());
}

TEST_CASE("a wait is taken from the header, else from the error") {
  Watch watch("/v1/chat/completions");
  watch.response.status = 429;
  const std::string body = R"({"error":{"resets_in_seconds":50,"reset_seconds":40,"message":"m"}})";
  CHECK(watch.answer({body}).facts.retry_after_s == 40);
  watch.response.retry_after = "30";
  CHECK(watch.answer({body}).facts.retry_after_s == 30);
  watch.response.retry_after = "Wed, 21 Oct 2026 07:28:00 GMT";
  CHECK(watch.answer({body}).facts.retry_after_s == 40);
}

TEST_CASE("a text is cut at a character's border") {
  Watch watch("/v1/chat/completions");
  std::string model(255, 'x');
  watch.asked = R"({"model":")" + model + "\u00e4tail\"}";
  CHECK(watch.answer({"{}"}).text(Text::model) == model);
}

TEST_CASE("a usage object that is too long to keep is left out, its numbers are not") {
  Watch watch("/v1/chat/completions");
  const std::string body =
      R"({"usage":{"prompt_tokens":3,"x":")" + std::string(3000, 'y') + R"(","completion_tokens":4}})";
  const Watched& record = watch.answer({body.substr(0, 100), body.substr(100)});
  CHECK(record.facts.tokens.total() == 7);
  CHECK(record.text(Text::usage_raw).empty());
}

TEST_CASE("a first token is told once there is one, not at a role or a keep-alive") {
  Watch watch("/v1/chat/completions");
  watch.events({": keep-alive\n\n",
                "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"});
  CHECK_FALSE(watch.first_token);
  watch.events({chat_chunk("a")});
  CHECK(watch.first_token);
  Watch tools("/v1/chat/completions");
  tools.events({"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n"});
  CHECK(tools.first_token);
  Watch whole("/v1/chat/completions");
  whole.answer({"\n \n"});
  CHECK_FALSE(whole.first_token);
  whole.answer({"\n {"});
  CHECK(whole.first_token);
}

TEST_CASE("Portico's own answers are told by end() alone") {
  Watch watch("/v1/chat/completions");
  watch.response.status = 0;
  watch.end.how = Ended::timeout;
  watch.end.timer = Timer::response_head;
  watch.end.status = 504;
  watch.end.own_answer = true;
  watch.end.own_code = "upstream_timeout";
  const Watched& late = watch.answer({});
  CHECK(late.facts.failed);
  CHECK(late.facts.status == 504);
  CHECK(late.text(Text::own_code) == "upstream_timeout");
  watch.end.how = Ended::complete;
  watch.end.status = 302;
  CHECK_FALSE(watch.answer({}).facts.failed);
}

TEST_CASE("a tap that was told of no request ignores everything") {
  Tap tap;
  tap.request_body("{");
  tap.response_head({});
  tap.response_body("x");
  tap.tunnel(true, "x", 1);
  CHECK(tap.settled(Ended::timeout) == Ended::timeout);
  CHECK_FALSE(tap.first_token_seen());
  tap.end({});
}

TEST_CASE("an API key is nowhere in a record") {
  Watch watch("/v1beta/models/gemini-3:generateContent?key=sk-secret-in-the-query-0001");
  watch.request.authorization = "Bearer sk-secret-in-a-header-0002";
  const Watched& record = watch.answer({"{}"});
  CHECK(record.texts.find("secret") == std::string::npos);
  CHECK(record.text(Text::path) == "/v1beta/models/gemini-3:generateContent");
  CHECK(record.facts.key != KeyFingerprint{});
}
