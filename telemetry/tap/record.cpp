#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

std::size_t text_limit(Text text) noexcept {
  switch (text) {
    case Text::request_id:
      return 128;
    case Text::method:
    case Text::key_mask:
      return 16;
    case Text::path:
    case Text::user_agent:
      return 512;
    case Text::owner:
    case Text::client:
    case Text::own_code:
      return 64;
    case Text::service_tier:
    case Text::reasoning_effort:
    case Text::session_source:
    case Text::response_service_tier:
    case Text::finish:
    case Text::auth_index:
    case Text::cpa_request_id:
      return 64;
    case Text::model:
    case Text::session_id:
    case Text::response_model:
    case Text::error_type:
    case Text::error_code:
    case Text::error_param:
      return 256;
    case Text::error_message:
      return 1024;
    case Text::usage_raw:
      return 2048;
  }
  return 0;
}

std::optional<double> seconds_per_output_token(const RecordFacts& facts) noexcept {
  const std::uint64_t tokens = facts.tokens[TokenKind::output] + facts.tokens[TokenKind::reasoning];
  if (!facts.stream || !facts.tokens.seen || tokens < 2) return std::nullopt;
  if (facts.first_token_us == no_time || facts.duration_us < facts.first_token_us) return std::nullopt;
  return static_cast<double>(facts.duration_us - facts.first_token_us) / 1e6 /
         static_cast<double>(tokens - 1);
}

}  // namespace portico::telemetry
