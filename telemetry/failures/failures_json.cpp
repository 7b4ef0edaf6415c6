#include "telemetry/failures/failures_json.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include <boost/json.hpp>

#include "telemetry/failures/evidence_text.hpp"
#include "telemetry/failures/next_step.hpp"
#include "telemetry/time_text.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

namespace json = boost::json;
using Moment = std::chrono::system_clock::time_point;

std::string moment_text(std::uint64_t unix_us) { return rfc3339(Moment(std::chrono::microseconds(unix_us))); }

json::value or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(utf8(text));
}

json::array names_of(const std::vector<const SeenList::Seen*>& names) {
  json::array out;
  for (const SeenList::Seen* one : names) out.emplace_back(utf8(one->shown));
  return out;
}

// Two keys may look alike behind their masks.
json::array masks_of(const std::vector<const SeenList::Seen*>& keys) {
  json::array out;
  for (const SeenList::Seen* one : keys) {
    json::value mask(utf8(one->shown));
    if (std::find(out.begin(), out.end(), mask) == out.end()) out.push_back(std::move(mask));
  }
  return out;
}

// Of the requests for the group's models, those that name none being one; null where none was counted.
json::value share_of(const GroupView& view, const History& history, const WindowBuckets& window) {
  std::uint64_t requests = 0;
  const auto add = [&](std::string_view name) {
    if (const History::ModelPast* model = history.models().find(name))
      requests += model->requests.count(window);
  };
  if (view.group.models.full()) {
    // Which other models it was is not known.
    for (const auto& [name, past] : history.models()) requests += past.requests.count(window);
  } else {
    for (const SeenList::Seen* one : view.models) add(one->id);
    if (view.group.nameless_us >= std::max<std::uint64_t>(view.from_us, 1)) add(History::no_model);
  }
  if (requests == 0) return nullptr;
  const double share = static_cast<double>(view.count) / static_cast<double>(requests);
  return std::min(1.0, std::round(share * 10'000) / 10'000);
}

std::string_view speaker_of(const FailureGroup& group) noexcept {
  return group.speaker == Speaker::portico ? std::string_view("portico") : std::string_view(group.owner);
}

json::object verdict_json(const Verdict& verdict) {
  const auto word = [](std::string_view text) { return json::string(text.data(), text.size()); };
  return {{"category", word(name_of(verdict.category))},
          {"field", word(name_of(verdict.field))},
          {"confidence", word(name_of(verdict.confidence))}};
}

json::object failure_json(const GroupView& view, const History& history, const WindowBuckets& window) {
  const FailureGroup& group = view.group;
  Evidence evidence = evidence_of(view, history);
  json::object out = verdict_json({group.verdict.category, group.verdict.field, evidence.confidence});
  out["confidence_reason"] = utf8(evidence.reason);
  out["message"] = utf8(group.message);
  out["status"] = group.status == 0 ? json::value(nullptr) : json::value(group.status);
  out["code"] = or_null(group.code);
  out["speaker"] = or_null(speaker_of(group));
  out["timer"] = or_null(name_of(group.timer));
  json::array sentences;
  for (const std::string& sentence : evidence.sentences) sentences.emplace_back(utf8(sentence));
  out["evidence"] = std::move(sentences);
  out["next_step"] = utf8(next_step_for(view));
  out["from_one_alone"] = verdict_json(group.alone);
  out["count"] = view.count;
  out["share"] = share_of(view, history, window);
  out["first_seen"] = moment_text(group.first_us);
  out["last_seen"] = moment_text(group.last_us);
  out["models"] = names_of(view.models);
  out["keys"] = masks_of(view.keys);
  out["auth_indexes"] = names_of(view.auth_indexes);
  out["request_field"] = or_null(group.request_field);
  json::array samples;
  for (const FailureGroup::Sample& sample : group.samples) {
    if (!sample.request_id.empty() && sample.at_us >= view.from_us)
      samples.emplace_back(utf8(sample.request_id));
  }
  out["sample_request_ids"] = std::move(samples);
  return out;
}

}  // namespace

std::string render_failures(const FailureStore& store, const Window& window, Moment now) {
  const WindowBuckets buckets = buckets_of(window, now);
  const auto from_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(buckets.from.time_since_epoch()).count());
  std::vector<GroupView> views;
  for (const FailureGroup* group : store.groups()) {
    const std::uint64_t count = group->tally.count(buckets);
    if (count == 0) continue;
    views.push_back({*group, count, from_us, group->models.since(from_us), group->keys.since(from_us),
                     group->auth_indexes.since(from_us)});
  }
  // Two groups that are equal in everything else keep one order whatever the map's is.
  const auto rank = [](const GroupView& view) {
    return std::tuple(~view.count, ~view.group.last_us, ~view.group.first_us,
                      std::string_view(view.group.message));
  };
  std::vector<const GroupView*> order;
  order.reserve(views.size());
  for (const GroupView& view : views) order.push_back(&view);
  std::sort(order.begin(), order.end(),
            [&](const GroupView* a, const GroupView* b) { return rank(*a) < rank(*b); });

  json::array failures;
  for (const GroupView* view : order) failures.push_back(failure_json(*view, store.history(), buckets));
  return json::serialize(json::object{{"window", window.text},
                                      {"from", rfc3339(buckets.from)},
                                      {"to", rfc3339(now)},
                                      {"failures", std::move(failures)}});
}

}  // namespace portico::telemetry
