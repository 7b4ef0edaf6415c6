#include "proxy/http/answer.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "heads.hpp"

using namespace portico::proxy;
using namespace portico::proxy::http;
using test::Seen;
namespace json = boost::json;

namespace {

AnswerFacts facts_of(AnswerShape shape) {
  AnswerFacts facts;
  facts.shape = shape;
  facts.request_id = "id-1";
  return facts;
}

json::value body_of(AnswerCode code, const AnswerFacts& facts) {
  const Seen seen(format_answer(code, facts));
  REQUIRE(seen.one("content-type") == "application/json; charset=utf-8");
  return json::parse(seen.body);
}

std::string text_at(const json::value& value, const char* pointer) {
  return std::string(value.at_pointer(pointer).as_string());
}

constexpr AnswerShape all_shapes[] = {AnswerShape::openai, AnswerShape::anthropic, AnswerShape::google,
                                      AnswerShape::html, AnswerShape::json};

}  // namespace

TEST_CASE("the path that was called decides the shape of an answer") {
  const auto shape = [](std::string_view path) { return shape_for(path, false, "text/html"); };
  CHECK(shape("/v1/messages") == AnswerShape::anthropic);
  CHECK(shape("/v1/messages/count_tokens") == AnswerShape::anthropic);
  CHECK(shape("/v1/chat/completions") == AnswerShape::openai);
  CHECK(shape("/v1/models") == AnswerShape::openai);
  CHECK(shape("/v1/messagesfoo") == AnswerShape::openai);
  CHECK(shape("/backend-api/codex/responses") == AnswerShape::openai);
  CHECK(shape("/openai/v1/videos") == AnswerShape::openai);
  CHECK(shape("/v1beta/models/gemini:generateContent") == AnswerShape::google);
  CHECK(shape("/v1beta") == AnswerShape::html);
  CHECK(shape("/management.html") == AnswerShape::html);
  CHECK(shape("") == AnswerShape::html);
}

TEST_CASE("anthropic-version makes it Anthropic's shape wherever it is sent") {
  CHECK(shape_for("/v1/models", true, "") == AnswerShape::anthropic);
  CHECK(shape_for("/", true, "text/html") == AnswerShape::anthropic);
  CHECK(shape_for("", true, "") == AnswerShape::anthropic);
}

TEST_CASE("a browser gets HTML elsewhere, everybody else JSON") {
  const auto shape = [](std::string_view accept) { return shape_for("/x", false, accept); };
  for (const auto accept :
       {"text/html", "TEXT/Html", "application/xhtml+xml, text/html;q=0.9, */*;q=0.8", " text/html ; level=1",
        "text/html;q=0.001", "text/html;q=0,text/html", "text/html; q=1.0"}) {
    CAPTURE(accept);
    CHECK(shape(accept) == AnswerShape::html);
  }
  for (const auto accept :
       {"", "*/*", "application/json", "text/html;q=0", "text/html; Q=0.000", "text/html;q=0.", "text/htmlx",
        "xtext/html", "application/json;x=text/html", "text/*", ",;,"}) {
    CAPTURE(accept);
    CHECK(shape(accept) == AnswerShape::json);
  }
}

TEST_CASE("every answer of every shape has its status, code, sentence and request id") {
  std::set<std::string_view> sentences;
  for (std::size_t i = 0; i < answer_count; ++i) {
    const auto code = static_cast<AnswerCode>(i);
    const auto& words = words_of(code);
    CAPTURE(words.code);
    CHECK(words.answer == code);
    CHECK(words.sentence.ends_with('.'));
    CHECK(sentences.insert(words.sentence).second);
    for (const auto shape : all_shapes) {
      const auto whole = format_answer(code, facts_of(shape));
      const Seen seen(whole);
      CHECK(seen.start.starts_with("HTTP/1.1 " + std::to_string(words.status) + " "));
      CHECK(seen.start.size() > 13);
      CHECK(seen.one("x-request-id") == "id-1");
      CHECK(seen.one("cache-control") == "no-store");
      CHECK(seen.one("content-length") == std::to_string(seen.body.size()));
      CHECK(seen.one("retry-after") == (words.status == 503 ? "5" : words.status == 429 ? "1" : "(0 lines)"));
      CHECK(seen.has("allow") == (words.status == 405));
      CHECK(seen.body.find("id-1") != std::string::npos);
      CHECK(seen.body.find(words.code) != std::string::npos);
      if (shape != AnswerShape::html) {
        CHECK_NOTHROW(json::parse(seen.body));
        CHECK(seen.body.find(words.sentence) != std::string::npos);
      }
      CHECK(whole.find(PORTICO_VERSION) == std::string::npos);
    }
  }
}

TEST_CASE("the machine codes and their statuses are stable") {
  const std::pair<std::string_view, int> expected[] = {
      {"bad_request", 400},           {"ambiguous_path", 400},        {"method_not_allowed", 405},
      {"request_timeout", 408},       {"body_too_large", 413},        {"uri_too_long", 414},
      {"too_many_connections", 429},  {"too_many_requests", 429},     {"too_many_failed_keys", 429},
      {"header_too_large", 431},      {"upstream_bad_response", 502}, {"upstream_unreachable", 502},
      {"upstream_timeout", 504},      {"too_many_connections", 503},  {"shutting_down", 503},
      {"version_not_supported", 505}, {"internal_error", 500}};
  for (std::size_t i = 0; i < answer_count; ++i) {
    const auto& words = words_of(static_cast<AnswerCode>(i));
    CHECK(words.code == expected[i].first);
    CHECK(words.status == expected[i].second);
  }
}

TEST_CASE("OpenAI's shape has message, type, param and code") {
  const auto body = body_of(AnswerCode::upstream_unreachable, facts_of(AnswerShape::openai));
  CHECK(text_at(body, "/error/message") == words_of(AnswerCode::upstream_unreachable).sentence);
  CHECK(text_at(body, "/error/type") == "server_error");
  CHECK(text_at(body, "/error/code") == "upstream_unreachable");
  CHECK(body.at_pointer("/error/param").is_null());
  CHECK(text_at(body, "/request_id") == "id-1");
  const auto type = [](AnswerCode code) {
    return text_at(body_of(code, facts_of(AnswerShape::openai)), "/error/type");
  };
  CHECK(type(AnswerCode::bad_request) == "invalid_request_error");
  CHECK(type(AnswerCode::too_many_connections_from_client) == "rate_limit_error");
}

TEST_CASE("Anthropic's shape has its type words by status, and the code beside them") {
  const auto body = body_of(AnswerCode::upstream_timeout, facts_of(AnswerShape::anthropic));
  CHECK(text_at(body, "/type") == "error");
  CHECK(text_at(body, "/error/type") == "timeout_error");
  CHECK(text_at(body, "/error/message") == words_of(AnswerCode::upstream_timeout).sentence);
  CHECK(text_at(body, "/error/code") == "upstream_timeout");
  CHECK(text_at(body, "/request_id") == "id-1");
  const auto type = [](AnswerCode code) {
    return text_at(body_of(code, facts_of(AnswerShape::anthropic)), "/error/type");
  };
  CHECK(type(AnswerCode::bad_request) == "invalid_request_error");
  CHECK(type(AnswerCode::body_too_large) == "request_too_large");
  CHECK(type(AnswerCode::too_many_connections_from_client) == "rate_limit_error");
  CHECK(type(AnswerCode::upstream_unreachable) == "api_error");
  CHECK(type(AnswerCode::shutting_down) == "api_error");
}

TEST_CASE("Google's shape has a numeric code, a status word and an ErrorInfo") {
  const auto body = body_of(AnswerCode::upstream_unreachable, facts_of(AnswerShape::google));
  CHECK(body.at_pointer("/error/code").as_int64() == 502);
  CHECK(text_at(body, "/error/status") == "UNAVAILABLE");
  CHECK(text_at(body, "/error/message") == words_of(AnswerCode::upstream_unreachable).sentence);
  CHECK(text_at(body, "/error/details/0/@type") == "type.googleapis.com/google.rpc.ErrorInfo");
  CHECK(text_at(body, "/error/details/0/reason") == "UPSTREAM_UNREACHABLE");
  CHECK(text_at(body, "/error/details/0/domain") == "portico");
  CHECK(text_at(body, "/error/details/0/metadata/code") == "upstream_unreachable");
  CHECK(text_at(body, "/error/details/0/metadata/request_id") == "id-1");
  const auto status = [](AnswerCode code) {
    return text_at(body_of(code, facts_of(AnswerShape::google)), "/error/status");
  };
  CHECK(status(AnswerCode::bad_request) == "INVALID_ARGUMENT");
  CHECK(status(AnswerCode::too_many_connections_from_client) == "RESOURCE_EXHAUSTED");
  CHECK(status(AnswerCode::upstream_timeout) == "DEADLINE_EXCEEDED");
  CHECK(status(AnswerCode::internal_error) == "INTERNAL");
}

TEST_CASE("plain JSON has error, code and request_id") {
  const auto body = body_of(AnswerCode::ambiguous_path, facts_of(AnswerShape::json));
  CHECK(text_at(body, "/error") == words_of(AnswerCode::ambiguous_path).sentence);
  CHECK(text_at(body, "/code") == "ambiguous_path");
  CHECK(text_at(body, "/request_id") == "id-1");
}

TEST_CASE("whatever stands in the sentence or the request id is escaped") {
  for (const auto shape : all_shapes) {
    auto facts = facts_of(shape);
    facts.sentence = "a \"quote\", a \\ and <script>alert('&')</script>\n.";
    facts.request_id = "\"<b>&'\\";
    const Seen seen(format_answer(AnswerCode::bad_request, facts));
    if (shape == AnswerShape::html) {
      CHECK(seen.body.find("<script>") == std::string::npos);
      CHECK(seen.body.find("<b>") == std::string::npos);
      CHECK(seen.body.find("&lt;script&gt;alert(&#39;&amp;&#39;)") != std::string::npos);
      CHECK(seen.body.find("&quot;&lt;b&gt;&amp;&#39;\\") != std::string::npos);
    } else {
      CHECK_NOTHROW(json::parse(seen.body));
    }
  }
  auto facts = facts_of(AnswerShape::json);
  facts.sentence = "a \"b\" \\ \n";
  facts.request_id = "\"";
  const auto body = body_of(AnswerCode::bad_request, facts);
  CHECK(text_at(body, "/error") == facts.sentence);
  CHECK(text_at(body, "/request_id") == "\"");
}

TEST_CASE("a sentence of the caller's stands instead of the table's") {
  auto facts = facts_of(AnswerShape::json);
  facts.sentence = "Host is missing.";
  CHECK(text_at(body_of(AnswerCode::bad_request, facts), "/error") == "Host is missing.");
}

TEST_CASE("the answer to HEAD has the length of the body and no body") {
  for (const auto shape : all_shapes) {
    auto facts = facts_of(shape);
    const Seen with(format_answer(AnswerCode::upstream_timeout, facts));
    facts.head_request = true;
    const Seen without(format_answer(AnswerCode::upstream_timeout, facts));
    CHECK(without.ends_well);
    CHECK(without.body.empty());
    CHECK(without.fields == with.fields);
  }
}

TEST_CASE("an answer says what becomes of the connection, and when it was made") {
  auto facts = facts_of(AnswerShape::json);
  CHECK_FALSE(Seen(format_answer(AnswerCode::bad_request, facts)).has("connection"));
  CHECK_FALSE(Seen(format_answer(AnswerCode::bad_request, facts)).has("date"));
  facts.client_minor = 0;
  CHECK(Seen(format_answer(AnswerCode::bad_request, facts)).one("connection") == "keep-alive");
  facts.close = true;
  facts.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  const Seen closing(format_answer(AnswerCode::bad_request, facts));
  CHECK(closing.one("connection") == "close");
  CHECK(closing.one("date") == "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST_CASE("Retry-After is the number that is given, on a 429 or 503 and nowhere else") {
  AnswerFacts facts = facts_of(AnswerShape::openai);
  facts.retry_after = std::chrono::seconds{37};
  CHECK(Seen(format_answer(AnswerCode::too_many_failed_keys, facts)).one("retry-after") == "37");
  CHECK(Seen(format_answer(AnswerCode::too_many_requests, facts)).one("retry-after") == "37");
  CHECK(Seen(format_answer(AnswerCode::shutting_down, facts)).one("retry-after") == "37");
  CHECK_FALSE(Seen(format_answer(AnswerCode::bad_request, facts)).has("retry-after"));
}

TEST_CASE("an answer before any head was read has no request id line") {
  AnswerFacts facts;
  CHECK_FALSE(Seen(format_answer(AnswerCode::too_many_connections, facts)).has("x-request-id"));
}

TEST_CASE("a redirect names only the location it was given") {
  const Seen seen(format_redirect(302, "/management.html", facts_of(AnswerShape::html)));
  CHECK(seen.start == "HTTP/1.1 302 Found");
  CHECK(seen.one("location") == "/management.html");
  CHECK(seen.one("x-request-id") == "id-1");
  CHECK(seen.one("content-length") == std::to_string(seen.body.size()));
  CHECK(seen.body == "See /management.html\n");
  auto facts = facts_of(AnswerShape::html);
  facts.head_request = true;
  CHECK(Seen(format_redirect(308, "/x", facts)).body.empty());
}

TEST_CASE("a fixed answer is what the route says") {
  const Seen seen(format_fixed(200, "text/plain", "User-agent: *\n", facts_of(AnswerShape::json)));
  CHECK(seen.start == "HTTP/1.1 200 OK");
  CHECK(seen.one("content-type") == "text/plain");
  CHECK(seen.one("content-length") == "14");
  CHECK(seen.body == "User-agent: *\n");
  CHECK(Seen(format_fixed(299, "", "x", facts_of(AnswerShape::json))).start == "HTTP/1.1 299 ");
}

TEST_CASE("a 204 has neither body nor length") {
  const Seen seen(format_fixed(204, "text/plain", "ignored", facts_of(AnswerShape::json)));
  CHECK(seen.start == "HTTP/1.1 204 No Content");
  CHECK(seen.ends_well);
  CHECK(seen.body.empty());
  CHECK_FALSE(seen.has("content-length"));
  CHECK_FALSE(seen.has("content-type"));
}

TEST_CASE("a page on any origin may read an API's error, as it may read CPA's own") {
  for (const AnswerShape shape : all_shapes) {
    const Seen seen(format_answer(AnswerCode::upstream_unreachable, facts_of(shape)));
    const bool api = shape != AnswerShape::html && shape != AnswerShape::json;
    CHECK(seen.all("access-control-allow-origin").size() == (api ? 1 : 0));
  }
}
