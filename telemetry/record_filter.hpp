#pragma once
// Which records somebody wants to see.
//
// owns:    its texts
// threads: any; pure

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// A status that is asked for: `429`, a class such as `4xx`, or `failed`, which is a record's own word.
struct StatusFilter {
  std::uint16_t lowest = 0;
  std::uint16_t highest = 0;
  bool failed = false;
};
std::optional<StatusFilter> parse_status_filter(std::string_view text) noexcept;

/// What is set must fit.
struct RecordFilter {
  std::optional<std::string> model;  ///< as asked for; `unknown` fits records that ask for none
  std::optional<std::string> key;    ///< see key_fits()
  std::optional<std::string> dialect;
  std::optional<std::string> route;
  std::optional<StatusFilter> status;  ///< the final status, or the one that an error inside a 200 stands for

  [[nodiscard]] bool fits(const Record& record, const RecordLabels& labels) const noexcept;
};

/// True if `wanted` is the key's mask, or at least 8 hexadecimal digits that its fingerprint begins with.
bool key_fits(std::string_view wanted, std::string_view mask, const KeyFingerprint& key) noexcept;
/// True if any key was presented.
bool has_key(const KeyFingerprint& key) noexcept;
/// 32 hexadecimal digits.
std::string key_hex(const KeyFingerprint& key);

}  // namespace portico::telemetry
