#include "proxy/sample/probe.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace portico::sample {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

// A multiple of the period, so that every piece continues the pattern.
constexpr std::size_t period = 251;
constexpr std::size_t piece_size = period * 261;

constexpr std::size_t read_size = 131072;

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const std::string& pattern() {
  static const std::string bytes = [] {
    std::string out(piece_size, '\0');
    for (std::size_t i = 0; i < piece_size; ++i) out[i] = static_cast<char>(i % period);
    return out;
  }();
  return bytes;
}

}  // namespace

std::string echo_json(const Exchange& exchange, std::size_t body_bytes) {
  json::array fields;
  for (const auto& [name, value] : exchange.raw_fields()) fields.push_back(json::array{name, value});
  return json::serialize(json::object{{"method", exchange.method()},
                                      {"target", exchange.target()},
                                      {"headers", std::move(fields)},
                                      {"body_bytes", body_bytes}});
}

asio::awaitable<void> answer_echo(Exchange& exchange) {
  std::vector<char> piece(read_size);
  std::size_t total = 0;
  while (true) {
    const auto size = co_await exchange.read_some(piece);
    if (!size) co_return;
    if (*size == 0) break;
    total += *size;
  }
  co_await exchange.respond(200, "application/json", echo_json(exchange, total));
}

asio::awaitable<void> answer_sink(Exchange& exchange) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  std::vector<char> piece(read_size);
  std::uint64_t total = 0;
  while (true) {
    const auto size = co_await exchange.read_some(piece);
    if (!size) co_return;
    if (*size == 0) break;
    EVP_DigestUpdate(digest.get(), piece.data(), *size);
    total += *size;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  EVP_DigestFinal_ex(digest.get(), bytes.data(), &size);
  co_await exchange.respond(200, "application/json",
                            fmt::format(R"({{"bytes":{},"sha256":"{}"}})", total,
                                        hex({reinterpret_cast<const char*>(bytes.data()), size})));
}

asio::awaitable<void> answer_bytes(Exchange& exchange, Context& context) {
  const auto size = parse_size(query_value(exchange.query(), "size").value_or(""));
  if (!size) {
    co_await exchange.respond(400, "application/json", R"({"error":"size must be a number"})");
    co_return;
  }
  const bool chunked = query_value(exchange.query(), "chunked").value_or("0") == "1";
  const auto length = chunked ? std::nullopt : size;
  bool sent = co_await exchange.begin(200, "application/octet-stream", {}, length);
  for (std::uint64_t left = *size; sent && left != 0;) {
    const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_size));
    sent = co_await exchange.send(std::string_view(pattern()).substr(0, now));
    left -= now;
  }
  if (sent) sent = co_await exchange.finish();
  if (!sent) context.stats.abort({"bytes", "", ""}, exchange.last_heard_ms());
}

asio::awaitable<void> answer_stats(Exchange& exchange, Context& context) {
  if (exchange.method() == "DELETE") {
    context.stats.reset();
    co_await exchange.respond(204, "", "");
    co_return;
  }
  co_await exchange.respond(200, "application/json", json::serialize(context.stats.json()));
}

}  // namespace portico::sample
