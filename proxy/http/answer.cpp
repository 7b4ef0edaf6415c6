#include "proxy/http/answer.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

namespace json = boost::json;

constexpr std::array<AnswerWords, answer_count> table{{
    {AnswerCode::bad_request, 400, "bad_request",
     "Portico could not read this request as HTTP and did not forward it; check the client, or the proxy in "
     "front of Portico, that sent it."},
    {AnswerCode::ambiguous_path, 400, "ambiguous_path",
     "Portico did not forward this request because two servers could read its path differently; send the "
     "path "
     "in its plain form, without dot segments, doubled slashes or needless percent-encoding."},
    {AnswerCode::method_not_allowed, 405, "method_not_allowed",
     "Portico does not forward this method; use the method that the API's documentation gives for this "
     "path."},
    {AnswerCode::request_timeout, 408, "request_timeout",
     "The request did not arrive in time; send it again, and if this goes on look at the network between the "
     "client and Portico, or raise timeouts.request_head and timeouts.request_body in Portico's settings."},
    {AnswerCode::body_too_large, 413, "body_too_large",
     "The request body is larger than Portico accepts on this path; send less, or raise limits.request_body "
     "or "
     "the route's own request_body in Portico's settings."},
    {AnswerCode::uri_too_long, 414, "uri_too_long",
     "The request's URL is longer than Portico accepts; shorten it, or raise limits.request_target in "
     "Portico's settings."},
    {AnswerCode::too_many_connections_from_client, 429, "too_many_connections",
     "Too many connections are open from this address; close or reuse some and try again, or raise "
     "limits.connections_per_client in Portico's settings."},
    {AnswerCode::too_many_requests, 429, "too_many_requests",
     "Requests come from this address faster than Portico lets one client send them; wait as long as "
     "Retry-After says, or raise limits.request_rate or limits.request_burst in Portico's settings."},
    {AnswerCode::too_many_failed_keys, 429, "too_many_failed_keys",
     "Too many requests from this address were refused for their API key; correct the key and wait as long "
     "as "
     "Retry-After says, or exempt the address with key_guard.exempt in Portico's settings."},
    {AnswerCode::header_too_large, 431, "header_too_large",
     "The request's headers are larger or more than Portico accepts; send fewer (cookies are often the "
     "cause), "
     "or raise limits.request_head or limits.request_fields in Portico's settings."},
    {AnswerCode::upstream_bad_response, 502, "upstream_bad_response",
     "The backend that owns this path answered with something that is not valid HTTP, or broke off; look "
     "into "
     "its log, and check that its URL in Portico's settings names its HTTP port."},
    {AnswerCode::upstream_unreachable, 502, "upstream_unreachable",
     "Portico could not reach the backend that owns this path; check that it is running and that its URL in "
     "Portico's settings is right."},
    {AnswerCode::upstream_timeout, 504, "upstream_timeout",
     "The backend that owns this path did not answer in time; check whether it is overloaded or stuck, or "
     "raise "
     "timeouts.connect or timeouts.response_head in Portico's settings."},
    {AnswerCode::too_many_connections, 503, "too_many_connections",
     "Portico has as many connections open as it may; try again in a few seconds, or raise "
     "limits.connections "
     "in Portico's settings."},
    {AnswerCode::shutting_down, 503, "shutting_down",
     "Portico is shutting down or restarting; send the request again in a few seconds."},
    {AnswerCode::version_not_supported, 505, "version_not_supported",
     "Portico speaks HTTP/1.0 and HTTP/1.1 on this connection; send the request in one of these versions."},
    {AnswerCode::internal_error, 500, "internal_error",
     "Portico failed while it handled this request; try again, and if this goes on look for the request id "
     "in "
     "Portico's log."},
}};

constexpr bool table_is_in_order() noexcept {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].answer) != i) return false;
  }
  return true;
}
static_assert(table_is_in_order(), "words_of() indexes the table by the code");

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";  // RFC 9112 section 4: the phrase may be empty
  }
}

/// Takes what stands before `separator` off the front of `text`.
std::string_view cut(std::string_view& text, char separator) noexcept {
  const auto end = text.find(separator);
  const auto piece = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return h1::trim(piece);
}

/// RFC 9110 section 12.4.2: `q=0`, `q=0.`, `q=0.0` ... mean `not acceptable`.
bool is_weight_of_zero(std::string_view parameter) noexcept {
  const auto name = cut(parameter, '=');
  const auto value = h1::trim(parameter);
  return h1::equal_folded(name, "q") && value.starts_with('0') &&
         value.find_first_not_of("0.") == std::string_view::npos;
}

bool accepts_html(std::string_view accept) noexcept {
  while (!accept.empty()) {
    auto range = cut(accept, ',');
    if (!h1::equal_folded(cut(range, ';'), "text/html")) continue;
    bool refused = false;
    while (!range.empty()) refused |= is_weight_of_zero(cut(range, ';'));
    if (!refused) return true;
  }
  return false;
}

std::string_view openai_type(int status) noexcept {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view anthropic_type(int status) noexcept {
  switch (status) {
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

/// The word of google.rpc.Code that Google's HTTP mapping gives for a status, or the nearest one.
std::string_view google_status(int status) noexcept {
  switch (status) {
    case 405:
    case 505:
      return "UNIMPLEMENTED";
    case 408:
    case 504:
      return "DEADLINE_EXCEEDED";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 500:
      return "INTERNAL";
    case 502:
    case 503:
      return "UNAVAILABLE";
    default:
      return "INVALID_ARGUMENT";
  }
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string body_of(const AnswerWords& words, std::string_view sentence, const AnswerFacts& facts) {
  const json::string_view message(sentence.data(), sentence.size());
  const json::string_view code(words.code.data(), words.code.size());
  const json::string_view id(facts.request_id.data(), facts.request_id.size());
  const auto word = [](std::string_view text) { return json::string_view(text.data(), text.size()); };
  json::object body;
  switch (facts.shape) {
    case AnswerShape::openai:
      body["error"] = {{"message", message},
                       {"type", word(openai_type(words.status))},
                       {"param", nullptr},
                       {"code", code}};
      body["request_id"] = id;
      break;
    case AnswerShape::anthropic:
      body["type"] = "error";
      body["error"] = {{"type", word(anthropic_type(words.status))}, {"message", message}, {"code", code}};
      body["request_id"] = id;
      break;
    case AnswerShape::google: {
      json::object info;
      info["@type"] = "type.googleapis.com/google.rpc.ErrorInfo";
      info["reason"] = upper(words.code);
      info["domain"] = "portico";
      info["metadata"] = {{"code", code}, {"request_id", id}};
      json::object error;
      error["code"] = words.status;
      error["message"] = message;
      error["status"] = word(google_status(words.status));
      error["details"] = json::array{std::move(info)};
      body["error"] = std::move(error);
      break;
    }
    case AnswerShape::json:
      body["error"] = message;
      body["code"] = code;
      body["request_id"] = id;
      break;
    case AnswerShape::html:
      return fmt::format(
          "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{0} {1}</title></head>\n"
          "<body>\n<h1>{0} {1}</h1>\n<p>{2}</p>\n<p>Code: <code>{3}</code><br>Request: <code>{4}</code></p>\n"
          "</body>\n</html>\n",
          words.status, reason_of(words.status), escape_html(sentence), words.code,
          escape_html(facts.request_id));
  }
  return json::serialize(body);
}

void add_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.append(name).append(": ").append(value).append("\r\n");
}

/// Status line and the fields that every answer has; the caller adds its own and then the end.
std::string begin_head(int status, const AnswerFacts& facts) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_of(status));
  add_field(out, "Date", facts.date);
  add_field(out, "X-Request-Id", facts.request_id);
  if (facts.close) {
    add_field(out, "Connection", "close");
  } else if (facts.client_minor == 0) {
    add_field(out, "Connection", "keep-alive");
  }
  return out;
}

void end_with_body(std::string& out, std::string_view content_type, std::string_view body,
                   const AnswerFacts& facts) {
  add_field(out, "Content-Type", content_type);
  out += fmt::format("Content-Length: {}\r\n\r\n", body.size());
  if (!facts.head_request) out += body;
}

}  // namespace

AnswerShape shape_for(std::string_view path, bool has_anthropic_version, std::string_view accept) noexcept {
  if (has_anthropic_version || path == "/v1/messages" || path.starts_with("/v1/messages/")) {
    return AnswerShape::anthropic;
  }
  if (path.starts_with("/v1beta/")) return AnswerShape::google;
  for (const std::string_view tree : {"/v1/", "/backend-api/codex/", "/openai/v1/"}) {
    if (path.starts_with(tree)) return AnswerShape::openai;
  }
  return accepts_html(accept) ? AnswerShape::html : AnswerShape::json;
}

const AnswerWords& words_of(AnswerCode code) noexcept { return table[static_cast<std::size_t>(code)]; }

std::string format_answer(AnswerCode code, const AnswerFacts& facts) {
  const AnswerWords& words = words_of(code);
  const auto body = body_of(words, facts.sentence.empty() ? words.sentence : facts.sentence, facts);
  std::string out = begin_head(words.status, facts);
  if (words.status == 429 || words.status == 503) {
    const std::chrono::seconds otherwise{words.status == 503 ? 5 : 1};
    const std::chrono::seconds wait = facts.retry_after.count() > 0 ? facts.retry_after : otherwise;
    add_field(out, "Retry-After", fmt::format("{}", wait.count()));
  }
  if (words.status == 405) add_field(out, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  add_field(out, "Cache-Control", "no-store");
  // CPA lets a browser on any page read what its API says; an error of Portico's on the same path must be as
  // readable, or the page only learns that something failed.
  if (facts.shape != AnswerShape::html && facts.shape != AnswerShape::json) {
    add_field(out, "Access-Control-Allow-Origin", "*");
    add_field(out, "Access-Control-Expose-Headers", "Retry-After, X-Request-Id");
  }
  end_with_body(
      out, facts.shape == AnswerShape::html ? "text/html; charset=utf-8" : "application/json; charset=utf-8",
      body, facts);
  return out;
}

int status_of(std::string_view response) noexcept {
  constexpr std::size_t at = std::string_view("HTTP/1.1 ").size();
  int status = 0;
  for (const char digit : response.substr(at, 3)) status = status * 10 + (digit - '0');
  return status;
}

std::string format_redirect(int status, std::string_view location, const AnswerFacts& facts) {
  std::string out = begin_head(status, facts);
  add_field(out, "Location", location);
  end_with_body(out, "text/plain; charset=utf-8", fmt::format("See {}\n", location), facts);
  return out;
}

std::string format_fixed(int status, std::string_view content_type, std::string_view body,
                         const AnswerFacts& facts) {
  std::string out = begin_head(status, facts);
  // RFC 9110 sections 15.3.5 and 8.6: no content, and in a 204 no Content-Length either.
  if (status == 204 || status == 304) {
    out += "\r\n";
  } else {
    end_with_body(out, content_type, body, facts);
  }
  return out;
}

}  // namespace portico::proxy::http
