#include "telemetry/tap/request_reader.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/watch.hpp"

using namespace portico::telemetry;

namespace {

const Watched& asked(Watch& watch, std::string body) {
  watch.asked = std::move(body);
  return watch.answer({"{}"});
}

std::string effort(std::string_view target, std::string body) {
  Watch watch(target);
  return std::string(asked(watch, std::move(body)).text(Text::reasoning_effort));
}

bool streams(std::string_view target, std::string body) {
  Watch watch(target);
  return asked(watch, std::move(body)).facts.stream;
}

}  // namespace

TEST_CASE("only members at the top count, and of two with one name the first") {
  Watch watch("/v1/chat/completions");
  const Watched& record =
      asked(watch, R"({"tools":[{"model":"no","stream":true}],"m\u006fdel":"first","model":"second",)"
                   R"("metadata":{"model":"no"},"service_tier":"flex","service_tier":null})");
  CHECK(record.text(Text::model) == "first");
  CHECK(record.text(Text::service_tier) == "flex");
  CHECK_FALSE(record.facts.stream);
}

TEST_CASE("a first member of another type hides the second") {
  Watch watch("/v1/chat/completions");
  CHECK(asked(watch, R"({"model":null,"model":"second"})").text(Text::model).empty());
}

TEST_CASE("stream means what CPA takes it for") {
  CHECK(streams("/v1/chat/completions", R"({"stream":true})"));
  CHECK_FALSE(streams("/v1/chat/completions", R"({"stream":1})"));
  CHECK_FALSE(streams("/v1/chat/completions", R"({"stream":"true"})"));
  CHECK(streams("/v1/messages", R"({"stream":null})"));
  CHECK(streams("/v1/messages", R"({"stream":1})"));
  CHECK(streams("/v1/messages", R"({"stream":"false"})"));
  CHECK_FALSE(streams("/v1/messages", R"({"stream":false})"));
  CHECK_FALSE(streams("/v1/messages", R"({})"));
  CHECK_FALSE(streams("/v1/responses/compact", R"({"stream":true})"));
  CHECK_FALSE(streams("/v1/messages/count_tokens", R"({"stream":true})"));
  CHECK_FALSE(streams("/v1beta/models/g:generateContent", R"({"stream":true})"));
  CHECK(streams("/v1beta/models/g:streamGenerateContent", R"({})"));
}

TEST_CASE("an effort is found where each API has it, in lower case") {
  CHECK(effort("/v1/chat/completions", R"({"reasoning_effort":"High"})") == "high");
  CHECK(effort("/v1/responses", R"({"reasoning":{"effort":"xhigh"}})") == "xhigh");
  CHECK(effort("/v1/messages", R"({"thinking":{"type":"enabled","budget_tokens":2048}})") == "2048");
  CHECK(effort("/v1/messages", R"({"output_config":{"effort":"low"},"thinking":{"type":"adaptive"}})") ==
        "low");
  CHECK(effort("/v1/messages", R"({"output_config":{"effort":"low"},"thinking":{"type":"disabled"}})") ==
        "none");
  CHECK(effort("/v1beta/models/g:generateContent",
               R"({"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}})") == "-1");
  CHECK(effort("/v1beta/models/g:generateContent",
               R"({"generation_config":{"thinking_config":{"thinking_budget":5,"thinking_level":"LOW"}}})") ==
        "low");
  CHECK(effort("/v1beta/interactions", R"({"generation_config":{"thinking_level":"low"}})") == "low");
  CHECK(effort("/v1/realtime/client_secrets", R"({"session":{"reasoning":{"effort":"low"}}})") == "low");
}

TEST_CASE("an agent stands for a model where there is none") {
  Watch watch("/v1beta/interactions");
  CHECK(asked(watch, R"({"agent":"a","stream":true})").text(Text::model) == "a");
  CHECK(asked(watch, R"({"agent":"a","model":"m"})").text(Text::model) == "m");
  CHECK(asked(watch, R"({"model":"m","agent":"a"})").text(Text::model) == "m");
}

TEST_CASE("a tier beats a speed, whichever stands first") {
  Watch watch("/v1/messages");
  CHECK(asked(watch, R"({"speed":"fast"})").text(Text::service_tier) == "fast");
  CHECK(asked(watch, R"({"speed":"fast","service_tier":"auto"})").text(Text::service_tier) == "auto");
  CHECK(asked(watch, R"({"service_tier":"auto","speed":"fast"})").text(Text::service_tier) == "auto");
}

TEST_CASE("a session is the first hit in CPA's order") {
  const std::string body = R"({"prompt_cache_key":"p","sessionId":"c","session_id":"s",)"
                           R"("metadata":{"user_id":"user_x_account__session_u"}})";
  const auto session = [](const Watched& record) {
    return std::string(record.text(Text::session_source)) + "=" + std::string(record.text(Text::session_id));
  };
  Watch watch("/v1/responses");
  CHECK(session(asked(watch, body)) == "body:metadata.user_id=u");
  watch.request.sessions[2] = "h";
  CHECK(session(asked(watch, body)) == "body:metadata.user_id=u");
  CHECK(session(asked(watch, R"({"prompt_cache_key":"p"})")) == "header:session_id=h");
  watch.request.sessions[0] = "first";
  CHECK(session(asked(watch, body)) == "header:x-claude-code-session-id=first");
  watch.request.sessions = {};
  CHECK(session(asked(watch, R"({"prompt_cache_key":"p","sessionId":"c","session_id":""})")) ==
        "body:sessionId=c");
  CHECK(session(asked(watch, R"({"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"j\"}"}})")) ==
        "body:metadata.user_id=j");
  CHECK(session(asked(watch, R"({"metadata":{"user_id":"plain"}})")) == "=");
}

TEST_CASE("a form names its model among its files") {
  Watch watch("/v1/images/edits");
  watch.request.content_type = "multipart/form-data; boundary=\"=-x\"";
  const Watched& record =
      asked(watch,
            "--=-x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"model\"\r\n"
            "Content-Type: image/png\r\n\r\n\x89PNG\r\n\n--=-y\nmodel\r\n--=-x\r\n"
            "content-disposition: form-data; name=\"model\"\r\n\r\ngpt-image-3\r\n--=-x\r\n"
            "Content-Disposition: form-data; name=stream\r\n\r\ntrue\r\n--=-x--\r\n");
  CHECK(record.text(Text::model) == "gpt-image-3");
  CHECK(record.facts.stream);
}

TEST_CASE("a form's fields are named with blanks between the parameters or without, in any order") {
  Watch watch("/v1/images/edits");
  watch.request.content_type = "multipart/form-data; boundary=x";
  const auto model = [&](const std::string& head) {
    return std::string(asked(watch, "--x\r\n" + head + "\r\n\r\nm-1\r\n--x--\r\n").text(Text::model));
  };
  CHECK(model("Content-Disposition: form-data;name=\"model\"") == "m-1");
  CHECK(model("Content-Disposition:form-data;name=model") == "m-1");
  CHECK(model("Content-Disposition: form-data; filename=model; name=\"model\"") == "m-1");
  CHECK(model("Content-Disposition: form-data; filename=\"model\"") == "gpt-image-2");
  CHECK(model("Content-Disposition: form-data; filename=model;name=image") == "gpt-image-2");
}

TEST_CASE("pictures and films without a model get CPA's") {
  Watch images("/v1/images/generations");
  CHECK(asked(images, R"({"prompt":"p"})").text(Text::model) == "gpt-image-2");
  Watch videos("/openai/v1/videos");
  CHECK(asked(videos, R"({"prompt":"p"})").text(Text::model) == "grok-imagine-video");
}

TEST_CASE("a path and a query name models, decoded once") {
  Watch gemini("/v1beta/models/team/gemini-3:countTokens");
  CHECK(asked(gemini, "{}").text(Text::model) == "team/gemini-3");
  Watch realtime("/v1/realtime?x=1&model=gpt%2Frealtime%252F&model=other");
  CHECK(asked(realtime, "{}").text(Text::model) == "gpt/realtime%2F");
}

TEST_CASE("an operation goes by method and path") {
  CHECK(operation_of(Dialect::other, "GET", "/v1/models", false) == Operation::list_models);
  CHECK(operation_of(Dialect::other, "GET", "/v1/models/x", false) == Operation::other);
  CHECK(operation_of(Dialect::openai_responses, "GET", "/v1/responses/r", false) == Operation::other);
  CHECK(operation_of(Dialect::openai_responses, "GET", "/v1/responses", true) == Operation::generate);
  CHECK(operation_of(Dialect::gemini_generate, "POST", "/v1beta/models/g:batchEmbedContents", false) ==
        Operation::embed);
}

TEST_CASE("a prompt leaves nothing behind") {
  Watch watch("/v1/chat/completions");
  const Watched& record =
      asked(watch, R"({"messages":[{"role":"user","content":"PRIVATE"}],"model":"m","user":"PRIVATE"})");
  CHECK(record.texts.find("PRIVATE") == std::string::npos);
}
