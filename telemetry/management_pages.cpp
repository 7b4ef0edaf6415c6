#include "telemetry/management_pages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "telemetry/query.hpp"
#include "telemetry/record_filter.hpp"
#include "telemetry/status_json.hpp"
#include "telemetry/usage/usage_json.hpp"

namespace portico::telemetry {
namespace {

constexpr std::string_view default_window = "1h";

HttpReply bad_query(std::string_view message) { return error_reply(400, "bad_request", message); }

std::optional<Window> window_of(const Query& query) {
  const std::optional<std::string> text = query.value("window");
  return parse_window(text ? std::string_view(*text) : default_window);
}

// Fills `out`; false for a name that is none, or one that comes twice.
bool parse_group_by(std::string_view text, std::vector<Dimension>& out) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::optional<Dimension> dimension = dimension_named(text.substr(0, end));
    if (!dimension || std::find(out.begin(), out.end(), *dimension) != out.end()) return false;
    out.push_back(*dimension);
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
    if (text.empty()) return false;
  }
  return true;
}

constexpr std::string_view status_rule = "status must be a code such as 429, a class such as 4xx, or failed.";

// Nothing where the status is none; the rest fits whatever it says.
std::optional<RecordFilter> filter_of(const Query& query) {
  RecordFilter filter;
  filter.model = query.value("model");
  filter.key = query.value("key");
  filter.dialect = query.value("dialect");
  filter.route = query.value("route");
  if (const std::optional<std::string> status = query.value("status")) {
    filter.status = parse_status_filter(*status);
    if (!filter.status) return std::nullopt;
  }
  return filter;
}

std::optional<std::size_t> limit_of(const Query& query) {
  const std::optional<std::string> text = query.value("limit");
  if (!text) return default_requests_limit;
  std::size_t limit = 0;
  const char* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, limit);
  if (error != std::errc{} || end != last || limit == 0 || limit > max_requests_limit) return std::nullopt;
  return limit;
}

}  // namespace

HttpReply json_reply(int status, std::string body) {
  return {status, "application/json; charset=utf-8", std::move(body), {}};
}

HttpReply error_reply(int status, std::string_view code, std::string_view message) {
  return json_reply(status, render_error(code, message));
}

HttpReply usage_page(Stores& stores, const HttpRequest& request) {
  static constexpr std::array<std::string_view, 7> known{"window",  "group_by", "model",   "key",
                                                         "dialect", "route",    "endpoint"};
  const Query query(request.target, known);
  if (!query.error().empty()) return bad_query(query.error());
  std::optional<Window> window = window_of(query);
  if (!window) return bad_query(window_rule);
  UsageQuery usage;
  usage.window = std::move(*window);
  if (!parse_group_by(query.value("group_by").value_or(""), usage.group_by)) {
    return bad_query(
        "group_by must be some of model, key, dialect, route and endpoint, each once, with commas between.");
  }
  usage.model = query.value("model");
  usage.key = query.value("key");
  usage.dialect = query.value("dialect");
  usage.route = query.value("route");
  usage.endpoint = query.value("endpoint");
  return json_reply(200, render_usage(stores.usage, usage, std::chrono::system_clock::now()));
}

HttpReply failures_page(Stores& stores, const HttpRequest& request) {
  static constexpr std::array<std::string_view, 1> known{"window"};
  const Query query(request.target, known);
  if (!query.error().empty()) return bad_query(query.error());
  const std::optional<Window> window = window_of(query);
  if (!window) return bad_query(window_rule);
  return json_reply(200, stores.failures(*window, std::chrono::system_clock::now()));
}

HttpReply requests_page(Stores& stores, const HttpRequest& request) {
  static constexpr std::array<std::string_view, 6> known{"limit", "model",   "status",
                                                         "key",   "dialect", "route"};
  const Query query(request.target, known);
  if (!query.error().empty()) return bad_query(query.error());
  const std::optional<std::size_t> limit = limit_of(query);
  if (!limit) return bad_query(fmt::format("limit must be a number from 1 to {}.", max_requests_limit));
  const std::optional<RecordFilter> filter = filter_of(query);
  if (!filter) return bad_query(status_rule);
  return json_reply(200, stores.requests.render(*filter, *limit));
}

HttpReply events_page(Stores& stores, const HttpRequest& request) {
  static constexpr std::array<std::string_view, 5> known{"model", "status", "key", "dialect", "route"};
  const Query query(request.target, known);
  if (!query.error().empty()) return bad_query(query.error());
  std::optional<RecordFilter> filter = filter_of(query);
  if (!filter) return bad_query(status_rule);
  HttpReply reply{200, "text/event-stream; charset=utf-8", ": watching\n\n", {}};
  reply.stream = stores.events.subscribe(std::move(*filter));
  if (!reply.stream) {
    return error_reply(503, "too_many_subscribers",
                       fmt::format("{} clients watch events already; try again when one has left.",
                                   EventFeed::max_subscribers));
  }
  return reply;
}

}  // namespace portico::telemetry
