#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

std::optional<double> seconds_per_output_token(const RecordFacts& facts) noexcept {
  const std::uint64_t tokens = facts.tokens[TokenKind::output] + facts.tokens[TokenKind::reasoning];
  if (!facts.stream || !facts.tokens.seen || tokens < 2) return std::nullopt;
  if (facts.first_token_us == no_time || facts.duration_us < facts.first_token_us) return std::nullopt;
  return static_cast<double>(facts.duration_us - facts.first_token_us) / 1e6 /
         static_cast<double>(tokens - 1);
}

}  // namespace portico::telemetry
