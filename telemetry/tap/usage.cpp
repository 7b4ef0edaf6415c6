#include "telemetry/tap/usage.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace portico::telemetry {
namespace {

// Above this a double can't tell neighbours apart, and nobody has used as many tokens.
constexpr std::uint64_t largest_count = std::uint64_t{1} << 53U;

/// `whole` without its part; what the part exceeds makes `consistent` false.
std::uint64_t without(std::uint64_t whole, std::uint64_t part, bool& consistent) noexcept {
  if (part <= whole) return whole - part;
  consistent = false;
  return 0;
}

}  // namespace

bool UsageNumbers::all_zero() const noexcept {
  return std::ranges::all_of(values_, [](std::uint64_t value) { return value == 0; });
}

void UsageNumbers::merge(const UsageNumbers& newer) noexcept {
  for (std::size_t i = 0; i < count_kinds; ++i)
    if ((newer.seen_ & 1U << i) != 0) values_[i] = newer.values_[i];
  seen_ = static_cast<std::uint8_t>(seen_ | newer.seen_);
}

std::optional<std::uint64_t> read_count(std::string_view token) noexcept {
  if (token.empty()) return std::nullopt;
  const char* const end = token.data() + token.size();
  std::uint64_t integer = 0;
  const char* at = token.data();
  // Nineteen digits can't overflow.
  const char* const limit = token.size() > 19 ? at + 19 : end;
  while (at != limit && *at >= '0' && *at <= '9')
    integer = integer * 10 + static_cast<std::uint64_t>(*at++ - '0');
  if (at == end) {
    if (integer > largest_count) return std::nullopt;
    return integer;
  }
  const char first = token.front();
  // JSON has no other beginnings; from_chars knows `inf` and `nan` too.
  if (first != '-' && (first < '0' || first > '9')) return std::nullopt;
  double real = 0;
  const auto [real_stop, real_error] = std::from_chars(token.data(), end, real);
  if (real_error != std::errc() || real_stop != end) return std::nullopt;
  if (!(real >= 0) || real > static_cast<double>(largest_count) || std::trunc(real) != real)
    return std::nullopt;
  return static_cast<std::uint64_t>(real);
}

Inclusion inclusion_of(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::openai_chat:
    case Dialect::openai_completions:
      return Inclusion::openai_chat;
    case Dialect::anthropic_messages:
      return Inclusion::anthropic;
    case Dialect::gemini_generate:
    case Dialect::gemini_interactions:
      return Inclusion::gemini;
    default:
      return Inclusion::openai;
  }
}

NormalUsage normalise(const UsageNumbers& numbers, Inclusion inclusion) noexcept {
  NormalUsage result;
  if (!numbers.any()) return result;
  TokenCounts& tokens = result.tokens;
  tokens.seen = true;
  bool only_total = numbers.has(Count::total);
  for (std::size_t i = 0; i < count_kinds; ++i)
    if (static_cast<Count>(i) != Count::total && numbers.has(static_cast<Count>(i))) only_total = false;
  if (only_total) {
    tokens[TokenKind::unclassified] = numbers[Count::total];
    result.quality = UsageQuality::unclassified;
    return result;
  }

  const std::uint64_t input = numbers[Count::input] + numbers[Count::tool_use];
  const std::uint64_t output = numbers[Count::output];
  const std::uint64_t read = numbers[Count::cache_read];
  const std::uint64_t write = numbers[Count::cache_write];
  const std::uint64_t reasoning = numbers[Count::reasoning];
  bool consistent = true;
  tokens[TokenKind::cache_read] = read;
  tokens[TokenKind::cache_creation] = write;
  tokens[TokenKind::reasoning] = reasoning;
  tokens[TokenKind::input] =
      inclusion == Inclusion::anthropic ? input : without(input, read + write, consistent);
  // The only way to tell whose numbers came through the chat dialect is to add them up.
  const bool outside =
      inclusion == Inclusion::gemini || (inclusion == Inclusion::openai_chat && reasoning > 0 &&
                                         numbers[Count::total] == input + output + reasoning);
  tokens[TokenKind::output] = outside ? output : without(output, reasoning, consistent);
  if (numbers.has(Count::total) && numbers[Count::total] != tokens.total()) consistent = false;
  result.quality = consistent ? UsageQuality::complete : UsageQuality::inconsistent;
  return result;
}

}  // namespace portico::telemetry
