#include "telemetry/record_filter.hpp"

#include <algorithm>
#include <cstddef>

namespace portico::telemetry {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t least_hex = 8;

char hex_at(const KeyFingerprint& key, std::size_t digit) noexcept {
  const unsigned byte = key[digit / 2];
  return hex_digits[digit % 2 == 0 ? byte >> 4U : byte & 15U];
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<StatusFilter> parse_status_filter(std::string_view text) noexcept {
  if (text == "failed") return StatusFilter{0, 0, true};
  if (text.size() != 3 || text[0] < '1' || text[0] > '5') return std::nullopt;
  const auto hundreds = static_cast<std::uint16_t>((text[0] - '0') * 100);
  if (text.substr(1) == "xx") return StatusFilter{hundreds, static_cast<std::uint16_t>(hundreds + 99), false};
  if (!is_digit(text[1]) || !is_digit(text[2])) return std::nullopt;
  const auto status = static_cast<std::uint16_t>(hundreds + (text[1] - '0') * 10 + (text[2] - '0'));
  return StatusFilter{status, status, false};
}

bool has_key(const KeyFingerprint& key) noexcept { return key != KeyFingerprint{}; }

std::string key_hex(const KeyFingerprint& key) {
  std::string out;
  out.reserve(key.size() * 2);
  for (std::size_t digit = 0; digit < key.size() * 2; ++digit) out += hex_at(key, digit);
  return out;
}

bool key_fits(std::string_view wanted, std::string_view mask, const KeyFingerprint& key) noexcept {
  if (!has_key(key)) return false;
  if (wanted == mask) return true;
  if (wanted.size() < least_hex || wanted.size() > key.size() * 2) return false;
  for (std::size_t digit = 0; digit < wanted.size(); ++digit) {
    if (wanted[digit] != hex_at(key, digit)) return false;
  }
  return true;
}

bool RecordFilter::fits(const Record& record, const RecordLabels& labels) const noexcept {
  const RecordFacts& facts = record.facts();
  if (model) {
    const std::string_view asked = record.text(Text::model);
    if (*model != asked && !(asked.empty() && *model == "unknown")) return false;
  }
  if (key && !key_fits(*key, record.text(Text::key_mask), facts.key)) return false;
  if (dialect && *dialect != name_of(facts.dialect)) return false;
  if (route && *route != labels.route) return false;
  if (status) {
    if (status->failed) return facts.failed;
    const auto within = [this](std::uint16_t code) {
      return code >= status->lowest && code <= status->highest;
    };
    return within(facts.status) || within(facts.error_status);
  }
  return true;
}

}  // namespace portico::telemetry
