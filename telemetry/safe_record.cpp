#include "telemetry/safe_record.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "telemetry/failures/sanitise.hpp"
#include "telemetry/failures/secret_words.hpp"

namespace portico::telemetry {

namespace {

// What a client or a backend may write as it likes, and what is kept of requests that went well, too.
constexpr std::array free_texts{Text::path,         Text::user_agent,       Text::model,
                                Text::service_tier, Text::reasoning_effort, Text::session_id,
                                Text::request_id,   Text::response_model,   Text::response_service_tier,
                                Text::finish,       Text::usage_raw};

/// What a character may mean for a secret.
enum Class : std::uint8_t { plain = 0, word = 1, mark = 2, escape = 4, at = 8 };

constexpr auto classes = [] {
  std::array<std::uint8_t, 256> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = word;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = word;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = word;
  for (const char c : {' ', '"', '\'', '{'}) table[static_cast<unsigned char>(c)] = mark;
  table['='] = mark | escape;
  table['\\'] = escape;
  table['@'] = at;
  table['%'] = at;
  return table;
}();

/// What makes a text suspect besides an address and a key's beginning.
std::uint8_t suspect_classes(Text which) noexcept {
  // Blanks and the like stand in an agent, and may in a path; anything else is one word by nature.
  if (which == Text::path || which == Text::user_agent) return plain;
  // A usage object's names and words never need an escape.
  return which == Text::usage_raw ? escape : mark;
}

/// Whether the text holds what it never does by nature: an address with `@`, a key's beginning, or a
/// character that makes more than a name of it.
bool is_suspect(Text which, std::string_view text) noexcept {
  const std::uint8_t wrong = suspect_classes(which);
  std::uint8_t before = plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t now = classes[static_cast<unsigned char>(text[i])];
    if ((now & wrong) != 0) return true;
    if (now == at && (text[i] == '@' || text.substr(i, 3) == "%40")) return true;
    if (now == word && before != word && key_prefix(text.substr(i)) > 0) return true;
    before = now;
  }
  return false;
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
