#include "telemetry/failures/failure_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "telemetry/failures/classify.hpp"
#include "telemetry/failures/request_field.hpp"
#include "telemetry/failures/sanitise.hpp"
#include "telemetry/failures/symptom.hpp"
#include "telemetry/usage/account.hpp"

namespace portico::telemetry {
namespace {

constexpr std::size_t most_durations = 32;

std::uint16_t status_of(const RecordFacts& facts) noexcept {
  return facts.error_status != 0 ? facts.error_status : facts.status;
}

std::string_view code_of(const Record& record) noexcept {
  return record->own_answer ? record.text(Text::own_code) : record.text(Text::error_code);
}

// Everything that tells one fault from another. Numbers and names that differ each time are not in it.
std::string name_of_group(const Record& record, const Verdict& alone, const Verdict& verdict) {
  const RecordFacts& facts = record.facts();
  return fmt::format("{}/{}/{}/{}/{}/{}/{}/{}/{}/{}/{}/{}", name_of(alone.category), name_of(alone.field),
                     name_of(verdict.category), name_of(verdict.field), status_of(facts),
                     name_of(facts.ended), name_of(facts.timer), facts.own_answer, facts.has_trace,
                     record.text(Text::owner), code_of(record),
                     fault_shape(record.text(Text::error_message)));
}

std::string_view field_of(const Record& record, const Verdict& verdict) noexcept {
  if (verdict.category != Category::client_request) return {};
  const std::string_view param = record.text(Text::error_param);
  return param.empty() ? request_field_in(record.text(Text::error_message)) : param;
}

void fill(FailureGroup& group, const Record& record, const Verdict& alone) {
  const RecordFacts& facts = record.facts();
  group.alone = alone;
  group.status = status_of(facts);
  group.timer = facts.timer;
  group.ended = facts.ended;
  group.own_answer = facts.own_answer;
  group.traced = facts.has_trace;
  group.websocket = facts.websocket;
  group.owner = sanitise_name(record.text(Text::owner));
  group.code = sanitise_name(code_of(record));
  const Symptom symptom = symptom_of(record);
  group.speaker = symptom.speaker;
}

}  // namespace

Verdict FailureStore::take(const Record& record, const Verdict& verdict, const RecordLabels& labels) {
  if (account_of(record.facts()) == Account::none) return verdict;
  const std::uint64_t now = end_unix_us(record.facts());
  const Sharpened sharpened = history_.note_failure(record, verdict);
  FailureGroup& group = group_of(name_of_group(record, verdict, sharpened.verdict));
  if (group.first_us == 0) {
    fill(group, record, verdict);
    group.first_us = now;
  }
  group.verdict = sharpened.verdict;
  if (sharpened.clue) group.clues[static_cast<std::size_t>(*sharpened.clue)] = now;
  group.most_together = std::max(group.most_together, sharpened.together);
  // The verdict's texts come from a record that was made safe, but names among them only for labels: once
  // more costs little, and nothing unsafe can get in by a change elsewhere.
  const Symptom symptom = symptom_of(record);
  group.message = sanitise(symptom.message);
  group.spoken = symptom.spoken;
  if (const std::string_view field = field_of(record, sharpened.verdict); !field.empty()) {
    group.request_field = sanitise_name(field);
  }
  group.tally.add(now);
  group.first_us = std::min(group.first_us, now);
  group.last_us = std::max(group.last_us, now);
  if (record.text(Text::model).empty()) group.nameless_us = now;
  group.models.note(sanitise_name(record.text(Text::model)), now);
  group.keys.note({reinterpret_cast<const char*>(record->key.data()), record->key.size()},
                  record.text(Text::key_mask), now);
  group.auth_indexes.note(record.text(Text::auth_index), now);
  group.paths.note(sanitise_path(record.text(Text::path)), now);
  group.endpoints.note(sanitise_name(labels.endpoint), now);
  std::rotate(group.samples.begin(), group.samples.end() - 1, group.samples.end());
  group.samples.front() = {std::string(record.text(Text::request_id)), now};
  if (verdict.category == Category::client_cancelled) {
    const auto ms =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(record->duration_us / 1000, UINT32_MAX));
    if (group.durations_ms.size() < most_durations) {
      group.durations_ms.push_back(ms);
    } else {
      group.durations_ms[group.next_duration++ % most_durations] = ms;
    }
  }
  return sharpened.verdict;
}

void FailureStore::note_success(const Record& record) {
  if (!record->failed && !is_cpamp(record)) history_.note_success(record);
}

std::vector<const FailureGroup*> FailureStore::groups() const {
  std::vector<const FailureGroup*> out;
  out.reserve(groups_.size());
  for (const auto& [name, group] : groups_) out.push_back(group.get());
  return out;
}

FailureGroup& FailureStore::group_of(const std::string& name) {
  if (const auto found = groups_.find(name); found != groups_.end()) return *found->second;
  if (groups_.size() >= bound_) {
    const auto oldest = std::min_element(groups_.begin(), groups_.end(), [](const auto& a, const auto& b) {
      return a.second->last_us < b.second->last_us;
    });
    groups_.erase(oldest);
    ++forgotten_;
  }
  return *groups_.emplace(name, std::make_unique<FailureGroup>()).first->second;
}

}  // namespace portico::telemetry
