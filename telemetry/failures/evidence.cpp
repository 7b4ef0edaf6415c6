#include "telemetry/failures/evidence.hpp"

#include <algorithm>

#include "telemetry/failures/characters.hpp"
#include "telemetry/failures/wording.hpp"
#include "telemetry/usage/account.hpp"

namespace portico::telemetry {
namespace {

constexpr std::uint64_t second = 1'000'000;
constexpr std::uint64_t minute = 60 * second;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t day = 24 * hour;

using enum Category;
using enum Confidence;

bool within(std::uint64_t then, std::uint64_t now, std::uint64_t length) noexcept {
  return then != 0 && then + length >= now;
}

std::string_view model_of(const Record& record) noexcept {
  const std::string_view model = record.text(Text::model);
  return model.empty() ? History::no_model : model;
}

std::string_view key_of(const Record& record) noexcept {
  return {reinterpret_cast<const char*>(record->key.data()), record->key.size()};
}

int status_of(const Record& record) noexcept {
  return record->error_status != 0 ? record->error_status : record->status;
}

}  // namespace

std::string_view host_in(std::string_view message) noexcept {
  static constexpr std::array<std::string_view, 3> leads{"://", "lookup ", "dial tcp "};
  for (const std::string_view lead : leads) {
    const std::size_t found = message.find(lead);
    if (found == std::string_view::npos) continue;
    const std::size_t begin = found + lead.size();
    std::size_t end = begin;
    while (end < message.size() && (is_word(message[end]) || message[end] == '.')) ++end;
    if (end > begin) return message.substr(begin, end - begin);
  }
  return {};
}

void History::note_success(const Record& record) {
  const std::uint64_t now = end_unix_us(record.facts());
  count_request(record, now);
  if (!vouches(record)) return;
  last_success_us_ = std::max(last_success_us_, now);
  empty_503s_ = 0;
  const auto succeed = [now](auto& one) { one.last_success_us = std::max(one.last_success_us, now); };
  if (const std::string_view index = record.text(Text::auth_index); !index.empty())
    succeed(accounts_.at(index, now));
  if (!record.text(Text::model).empty()) succeed(models_.at(record.text(Text::model), now));
  if (record->key != KeyFingerprint{}) succeed(keys_.at(key_of(record), now));
}

Sharpened History::note_failure(const Record& record, const Verdict& verdict) {
  const std::uint64_t now = end_unix_us(record.facts());
  count_request(record, now);
  const Sharpened sharpened = sharpen(record, verdict, now);
  remember(record, verdict, now);
  return sharpened;
}

void History::count_request(const Record& record, std::uint64_t now_us) {
  if (account_of(record.facts()) != Account::request || record->dialect == Dialect::management) return;
  models_.at(model_of(record), now_us).requests.add(now_us);
}

void History::remember(const Record& record, const Verdict& verdict, std::uint64_t now_us) {
  if (const std::string_view index = record.text(Text::auth_index); !index.empty()) {
    accounts_.at(index, now_us).last_failure_us = now_us;
  }
  if (!record->has_trace) return;
  ModelPast& model = models_.at(model_of(record), now_us);
  if (verdict.category == quota) model.last_quota_us = now_us;
  if (verdict.category == auth_binding || verdict.category == auth_method) model.last_auth_us = now_us;
  if (verdict.category == upstream_outage || verdict.category == network || verdict.category == timeout) {
    model.last_outage_us = now_us;
  }
}

Sharpened History::sharpen(const Record& record, const Verdict& verdict, std::uint64_t now_us) {
  const RecordFacts& facts = record.facts();
  const LoweredText text(record.text(Text::error_message));
  const AccountPast* const account = accounts_.find(record.text(Text::auth_index));
  const bool account_worked = facts.has_trace && account != nullptr && account->last_success_us != 0;
  const ModelPast* const model = models_.find(record.text(Text::model));

  const bool empty_503 =
      status_of(record) == 503 && facts.response_kind == ResponseKind::empty && !facts.own_answer;
  empty_503s_ = empty_503 ? empty_503s_ + 1 : empty_503s_;
  if (empty_503 && empty_503s_ >= 3) {
    return {{upstream_outage, FaultField::none, medium}, Clue::all_are_refused};
  }

  if (verdict.category == auth_method && account_worked) {
    return {{auth_binding, FaultField::auth_binding, medium}, Clue::account_worked};
  }
  if (verdict.category == model_name && text.has("unknown provider") && model != nullptr &&
      within(model->last_success_us, now_us, day)) {
    return {{auth_binding, FaultField::auth_binding, high}, Clue::model_worked};
  }
  if (text.has("auth_unavailable") && model != nullptr && within(model->last_outage_us, now_us, 2 * minute) &&
      model->last_outage_us > model->last_auth_us) {
    return {{upstream_outage, FaultField::none, medium}, Clue::outage_emptied_pool};
  }
  if (text.has("no such host")) {
    if (several_hosts(unresolved_, record.text(Text::error_message), now_us)) {
      return {{network, FaultField::none, high}, Clue::no_name_resolves};
    }
    // The index of an account with a key is made from its base URL: the name had been right.
    if (account_worked) return {{network, FaultField::none, medium}, Clue::provider_worked};
  }
  if (verdict.category == network && verdict.field == FaultField::base_url && text.has("refused") &&
      account_worked) {
    return {{network, FaultField::none, medium}, Clue::provider_worked};
  }
  if (verdict.category == network && facts.has_trace &&
      several_hosts(unreached_, record.text(Text::error_message), now_us)) {
    return {{network, FaultField::none, high}, Clue::several_hosts_fail};
  }
  if (facts.ended == Ended::backend_broke_off) {
    const bool together = cut_us_ != 0 && now_us + 2 * second >= cut_us_ && now_us <= cut_us_ + 2 * second;
    if (!together) cut_us_ = now_us;
    cuts_ = together ? cuts_ + 1 : 1;
    if (cuts_ >= 3) return {{verdict.category, verdict.field, medium}, Clue::cut_together, cuts_};
  }
  const std::string_view code = record.text(Text::error_code);
  if (code == "previous_response_not_found" || code == "thinking_signature_invalid") {
    std::rotate(moved_us_.begin(), moved_us_.begin() + 1, moved_us_.end());
    moved_us_.back() = now_us;
    if (within(moved_us_.front(), now_us, hour)) return {verdict, Clue::sessions_move};
  }
  return {verdict, std::nullopt};
}

// Notes the message's host; true if another one had the same trouble within the last minutes.
bool History::several_hosts(HostFaults& faults, std::string_view message, std::uint64_t now_us) {
  const std::string_view host = host_in(message);
  if (host.empty()) return false;
  const bool others = std::any_of(faults.begin(), faults.end(), [&](const HostFault& fault) {
    return fault.host != host && within(fault.at_us, now_us, 5 * minute);
  });
  auto* place =
      std::find_if(faults.begin(), faults.end(), [&](const HostFault& fault) { return fault.host == host; });
  if (place == faults.end()) {
    place = std::min_element(faults.begin(), faults.end(),
                             [](const HostFault& a, const HostFault& b) { return a.at_us < b.at_us; });
  }
  place->host = host;
  place->at_us = now_us;
  return others;
}

}  // namespace portico::telemetry
