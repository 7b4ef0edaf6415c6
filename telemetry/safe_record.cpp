#include "telemetry/safe_record.hpp"

#include <algorithm>

#include "telemetry/failures/sanitise.hpp"

namespace portico::telemetry {

namespace {

std::string safe(Text which, std::string_view text) {
  switch (which) {
    case Text::error_message:
      return sanitise(text);
    case Text::path:
    case Text::user_agent:
    case Text::session_id:
      return sanitise(text, text_limit(which));
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
