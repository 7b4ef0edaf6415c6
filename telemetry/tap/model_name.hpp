#pragma once
// What a model's name says: CPA's prefix and suffix taken off, its cloak undone, and whose model it may be.
//
// owns:    nothing but an undone cloak
// threads: any; pure. For readers of records, not for workers

#include <string>
#include <string_view>

namespace portico::telemetry {

/// The parts of a name as it was asked for. Prefix and suffix are empty where there is none.
struct ModelName {
  std::string base;
  std::string
      prefix;  ///< before the first `/`; a slash may also be a part of an id, which the name does not tell
  std::string suffix;  ///< in parentheses at the very end, without them
};

/// `team/gpt-5.4(high)` is team, gpt-5.4, high. A name under the cloak that CPA shows other makers' models by
/// to Anthropic clients (`claude-fable-5-dd-` and the name reversed) is turned round.
ModelName read_model_name(std::string_view name);

/// The maker, by how the base begins; empty where that tells nothing. A guess, not CPA's choice.
std::string_view provider_family(std::string_view base) noexcept;

}  // namespace portico::telemetry
