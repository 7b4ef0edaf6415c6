#pragma once
// Which records are accounts, and of what: the one rule by which usage, metrics and access log agree.
//
// owns:    nothing
// threads: any; pure
// A request is an exchange, a turn of a WebSocket, or a WebSocket that had no turn. A warm-up is a turn
// that runs no model: it is counted by itself and is no request. The record of a WebSocket that had turns
// is no account: its turns are.

#include <cstdint>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

enum class Account : std::uint8_t { request, warmup, none };

[[nodiscard]] inline Account account_of(const RecordFacts& facts) noexcept {
  if (facts.kind == RecordKind::connection && facts.turns != 0) return Account::none;
  return facts.warmup ? Account::warmup : Account::request;
}

/// When the exchange ended, in microseconds since the epoch: the moment at which it counts.
[[nodiscard]] inline std::uint64_t end_unix_us(const RecordFacts& facts) noexcept {
  return facts.start_unix_us + facts.duration_us;
}

/// True for what CPA answered as a model's answer to a key that it knows. Only such a record proves that
/// its model and its key are more than something a client made up: names that nothing vouches for may
/// fill only a part of a bounded table.
[[nodiscard]] inline bool vouches(const Record& record) noexcept {
  const RecordFacts& facts = record.facts();
  const bool api = facts.dialect != Dialect::other && facts.dialect != Dialect::management;
  const bool answered = facts.status == 200 || facts.status == 101;
  return api && answered && !facts.failed && !facts.own_answer && record.text(Text::method) != "OPTIONS";
}

}  // namespace portico::telemetry
