#pragma once
// From the numbers of a usage object, named differently by each API, to buckets that never share a token.
//
// owns:    plain values
// threads: any; pure
// What a number includes differs as well: cache reads and writes are parts of the input for OpenAI and
// Gemini, but not for Anthropic; reasoning is a part of the output for OpenAI and Anthropic, but not for
// Gemini.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// A number of a usage object by what it counts.
enum class Count : std::uint8_t { input, output, total, cache_read, cache_write, reasoning, tool_use };
inline constexpr std::size_t count_kinds = 7;

/// The numbers of one usage object; those it lacks are absent, which is not zero.
class UsageNumbers {
 public:
  [[nodiscard]] bool has(Count count) const noexcept { return (seen_ & bit(count)) != 0; }
  [[nodiscard]] bool any() const noexcept { return seen_ != 0; }
  /// True when each number that is there is zero.
  [[nodiscard]] bool all_zero() const noexcept;
  /// Zero where absent.
  [[nodiscard]] std::uint64_t operator[](Count count) const noexcept { return values_[index(count)]; }
  void set(Count count, std::uint64_t value) noexcept {
    values_[index(count)] = value;
    seen_ = static_cast<std::uint8_t>(seen_ | bit(count));
  }
  /// For a number that goes by several names: the largest.
  void raise(Count count, std::uint64_t value) noexcept {
    if (!has(count) || value > values_[index(count)]) set(count, value);
  }
  /// Each number that `newer` has replaces this one's.
  void merge(const UsageNumbers& newer) noexcept;

 private:
  static constexpr std::size_t index(Count count) noexcept { return static_cast<std::size_t>(count); }
  static constexpr unsigned bit(Count count) noexcept { return 1U << static_cast<unsigned>(count); }
  std::array<std::uint64_t, count_kinds> values_{};
  std::uint8_t seen_ = 0;
};

/// A JSON number that can be a count: an integer or a whole float from 0 to 2^53. Nothing for any other
/// token.
std::optional<std::uint64_t> read_count(std::string_view token) noexcept;

/// Which of an API's numbers include which.
enum class Inclusion : std::uint8_t {
  openai,       ///< input includes cache, output includes reasoning
  openai_chat,  ///< the same, but a translated Gemini answer has its reasoning outside
  anthropic,    ///< input excludes cache, output includes reasoning
  gemini,       ///< input includes cache but not tool use, output excludes reasoning
};
Inclusion inclusion_of(Dialect dialect) noexcept;

struct NormalUsage {
  TokenCounts tokens;
  UsageQuality quality = UsageQuality::none;  ///< complete, inconsistent, unclassified; none without numbers
};
/// The normal form of final numbers. Parts that exceed their whole, or a total that is not the sum, make it
/// inconsistent; then the buckets are kept as they are.
NormalUsage normalise(const UsageNumbers& numbers, Inclusion inclusion) noexcept;

}  // namespace portico::telemetry
