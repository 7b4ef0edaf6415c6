#include "telemetry/safe_record.hpp"

#include <algorithm>
#include <array>

#include "telemetry/failures/sanitise.hpp"
#include "telemetry/failures/secret_words.hpp"

namespace portico::telemetry {

namespace {

// What a client or a backend may write as it likes, and what is kept of requests that went well, too.
constexpr std::array free_texts{Text::path,         Text::user_agent,       Text::model,
                                Text::service_tier, Text::reasoning_effort, Text::session_id,
                                Text::request_id,   Text::response_model,   Text::response_service_tier,
                                Text::finish,       Text::usage_raw};

bool is_word(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Whether a key may begin with this letter; most words are told apart by it.
bool may_begin_key(char c) noexcept {
  constexpr std::string_view firsts = "sSpPrRgGaAhHxXeEcCnNtTwWyYfFdD";
  return firsts.find(c) != std::string_view::npos;
}

/// Whether the text holds what a name, a path or an agent never does: an address with `@`, or a key's
/// beginning.
bool may_hold_secret(std::string_view text) noexcept {
  if (text.find('@') != std::string_view::npos || text.find("%40") != std::string_view::npos) return true;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool word = is_word(text[i]);
    if (word && !inside && may_begin_key(text[i]) && key_prefix(text.substr(i)) > 0) return true;
    inside = word;
  }
  return false;
}

/// Whether it is one word by nature, so that blanks, quotes or assignments make it something else.
bool is_one_word(Text which) noexcept { return which != Text::path && which != Text::user_agent; }

bool is_suspect(Text which, std::string_view text) noexcept {
  if (may_hold_secret(text)) return true;
  // A usage object's names and words never need an escape.
  if (which == Text::usage_raw) return text.find_first_of("\\=") != std::string_view::npos;
  return is_one_word(which) && text.find_first_of(" \"'={") != std::string_view::npos;
}

std::string safe(Text which, std::string_view text) {
  switch (which) {
    case Text::error_message:
      return sanitise(text);
    case Text::path:
      return sanitise_path(text, text_limit(which));
    case Text::user_agent:
      return sanitise(text, text_limit(which));
    // Random by nature, and what people search by: masked only where they are something else.
    case Text::session_id:
    case Text::request_id:
      return is_suspect(which, text) ? sanitise(text, text_limit(which)) : std::string(text);
    // JSON that is to stay JSON: it can't be masked in parts.
    case Text::usage_raw:
      return is_suspect(which, text) ? std::string() : std::string(text);
    case Text::model:
    case Text::response_model:
    case Text::service_tier:
    case Text::reasoning_effort:
    case Text::response_service_tier:
    case Text::finish:
    case Text::error_type:
    case Text::error_code:
    case Text::error_param:
      return sanitise_name(text);
    default:
      return std::string(text);
  }
}

}  // namespace

bool SafeRecord::needed_for(const Record& record) noexcept {
  if (record->failed || record->has_error || record->ended != Ended::complete) return true;
  return std::any_of(free_texts.begin(), free_texts.end(),
                     [&](Text which) { return is_suspect(which, record.text(which)); });
}

SafeRecord::SafeRecord(const Record& record) : facts_(record.facts()) {
  texts_.reserve(record.texts().size());
  for (std::size_t i = 0; i < text_count; ++i) {
    const auto which = static_cast<Text>(i);
    const std::string text = safe(which, record.text(which));
    facts_.texts[i] = {static_cast<std::uint16_t>(texts_.size()), static_cast<std::uint16_t>(text.size())};
    texts_ += text;
  }
}

}  // namespace portico::telemetry
