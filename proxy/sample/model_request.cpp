// The request side of a model call: keys, body, and what is derived from them.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <boost/beast/core/string.hpp>
#include <boost/json/parse.hpp>

#include "proxy/sample/model_call.hpp"
#include "proxy/sample/wire.hpp"
#include "proxy/sample/zstd.hpp"

namespace portico::sample {
namespace json = boost::json;

PresentedKey presented_key(const Exchange& exchange) {
  std::string_view authorization = exchange.field("Authorization");
  static constexpr std::string_view scheme = "bearer ";
  if (authorization.size() > scheme.size() &&
      boost::beast::iequals({authorization.data(), scheme.size()}, {scheme.data(), scheme.size()})) {
    authorization.remove_prefix(scheme.size());
  }
  const auto in_query = [&](std::string_view name) {
    return query_value(exchange.query(), name).value_or(std::string{});
  };
  const std::array<std::string, 5> places{
      std::string(authorization), std::string(exchange.field("X-Goog-Api-Key")),
      std::string(exchange.field("X-Api-Key")), in_query("key"), in_query("auth_token")};
  PresentedKey out;
  for (const std::string& key : places) {
    if (key.empty()) continue;
    if (!key.starts_with("wrong-key")) return {key, false};
    out = {key, true};
  }
  return out;
}

json::value read_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 512;  // tool schemas nest deeper than the default of 32
  boost::system::error_code error;
  auto value = json::parse({text.data(), text.size()}, error, {}, options);
  return error ? json::value{} : value;
}

std::string text_member(const json::value& object, std::string_view name) {
  if (!object.is_object()) return {};
  const json::value* value = object.get_object().if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

Tokens tokens_for(Dialect dialect, std::size_t request_bytes, std::uint64_t events) {
  const std::uint64_t prompt = request_bytes / 4 + 8;
  if (dialect == Dialect::openai_images) return {prompt, 0, 0, events, 0};
  Tokens tokens;
  tokens.cache_read = prompt / 2;
  tokens.cache_creation = dialect == Dialect::anthropic_messages ? prompt / 8 : 0;
  tokens.input = prompt - tokens.cache_read - tokens.cache_creation;
  tokens.output = events;
  tokens.reasoning = events / 4;
  return tokens;
}

std::string model_in(std::string_view body) {
  constexpr std::size_t limit = std::size_t{1} << 20U;
  const json::value plain = read_json(body);
  if (plain.is_object()) return text_member(plain, "model");
  const auto decoded = decode_zstd(body, limit);
  return decoded ? text_member(read_json(*decoded), "model") : std::string();
}

std::string trace_id(Dialect dialect, Context& context, std::string_view fault) {
  // One made-up credential for each family of providers.
  std::string auth_index = "3f9a1c0b77d2e845";
  if (dialect == Dialect::anthropic_messages) auth_index = "91e2d4c8a05b6f37";
  if (dialect == Dialect::gemini_generate || dialect == Dialect::gemini_interactions) {
    auth_index = "c47a80f2361d9be5";
  }
  if (!fault.empty())
    auth_index = sha256(fmt::format("{} {}", auth_index, fault)).substr(0, auth_index.size());
  // Multiplying by an odd number keeps the ids apart and makes them look like ids.
  const auto request = static_cast<std::uint32_t>(context.next_number() * 2654435761U);
  return fmt::format("{}-{}-{:08x}", trace_time(unix_seconds()), auth_index, request);
}

}  // namespace portico::sample
