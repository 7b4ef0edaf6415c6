#include "proxy/sample/stats.hpp"

#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>

#include "proxy/sample/wire.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

json::object to_json(const Tokens& tokens) {
  return {
      {"input", tokens.input},   {"cache_read", tokens.cache_read}, {"cache_creation", tokens.cache_creation},
      {"output", tokens.output}, {"reasoning", tokens.reasoning},   {"total", tokens.total()}};
}

void add(Tokens& sum, const Tokens& more) {
  sum.input += more.input;
  sum.cache_read += more.cache_read;
  sum.cache_creation += more.cache_creation;
  sum.output += more.output;
  sum.reasoning += more.reasoning;
}

}  // namespace

Stats::Series& Stats::series_of(const Caller& caller) {
  auto key = std::make_tuple(caller.dialect, caller.model, caller.key);
  if (series_.size() >= max_series && !series_.contains(key)) key = {caller.dialect, "other", "other"};
  return series_[std::move(key)];
}

void Stats::count(const Caller& caller, const Served& served) {
  Series& series = series_of(caller);
  ++series.requests;
  if (served.turn) ++series.turns;
  if (served.outcome == Outcome::failure) ++series.failures;
  if (served.outcome == Outcome::client_gone) ++series.client_gone;
  if (served.outcome != Outcome::success) {
    const bool gone = served.outcome == Outcome::client_gone;
    ++series.categories[std::string(gone ? "client_cancelled" : served.category)];
  }
  if (served.usage) {
    ++series.with_usage;
    add(series.tokens, *served.usage);
  }
}

void Stats::count_warmup(const Caller& caller) { ++series_of(caller).warmups; }

void Stats::abort(const Caller& caller, std::optional<std::uint32_t> noticed_after_ms) {
  ++aborts_seen_;
  aborts_.push_back({caller, unix_milliseconds(), noticed_after_ms});
  if (aborts_.size() > max_aborts) aborts_.pop_front();
}

void Stats::reset() {
  series_.clear();
  aborts_.clear();
  aborts_seen_ = 0;
  connections_ = open_connections_;
}

json::value Stats::json() const {
  Series sum;
  json::array served;
  for (const auto& [key, series] : series_) {
    sum.requests += series.requests;
    sum.failures += series.failures;
    sum.client_gone += series.client_gone;
    sum.with_usage += series.with_usage;
    add(sum.tokens, series.tokens);
    const auto digest = std::get<2>(key).empty() ? std::string{} : sha256(std::get<2>(key));
    served.push_back({{"dialect", std::get<0>(key)},
                      {"model", std::get<1>(key)},
                      {"key", mask_key(std::get<2>(key))},
                      {"key_sha256", digest},
                      {"requests", series.requests},
                      {"failures", series.failures},
                      {"client_gone", series.client_gone},
                      {"with_usage", series.with_usage},
                      {"turns", series.turns},
                      {"warmups", series.warmups},
                      {"categories", json::value_from(series.categories)},
                      {"tokens", to_json(series.tokens)}});
  }
  json::array aborts;
  for (const Abort& abort : aborts_) {
    json::value after = nullptr;
    if (abort.noticed_after_ms) after = *abort.noticed_after_ms;
    aborts.push_back({{"dialect", abort.caller.dialect},
                      {"model", abort.caller.model},
                      {"noticed_unix_ms", abort.noticed_unix_ms},
                      {"noticed_after_ms", after}});
  }
  return {{"open_streams", open_streams_}, {"open_connections", open_connections_},
          {"connections", connections_},   {"requests", sum.requests},
          {"failures", sum.failures},      {"client_gone", sum.client_gone},
          {"with_usage", sum.with_usage},  {"tokens", to_json(sum.tokens)},
          {"served", std::move(served)},   {"aborts_seen", aborts_seen_},
          {"aborts", std::move(aborts)}};
}

}  // namespace portico::sample
