#include "telemetry/request_store.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "telemetry/json_writer.hpp"

namespace portico::telemetry {
namespace {

// A place that once held a very long record does not keep its memory for short ones.
constexpr std::size_t waste_allowed = 4'096;

}  // namespace

RequestStore::RequestStore(std::size_t capacity) : capacity_(capacity) {}

void RequestStore::take(const Record& record, const std::optional<Verdict>& verdict,
                        const RecordLabels& labels) {
  if (capacity_ == 0) return;
  if (places_.size() < capacity_ && next_ == places_.size()) places_.emplace_back();
  Place& place = places_[next_];
  const std::size_t needed = record.texts().size() + labels.listener.size() + labels.route.size() +
                             labels.upstream.size() + labels.endpoint.size();
  if (place.bytes.capacity() > needed + waste_allowed) place.bytes = std::string();
  place.bytes.clear();
  place.bytes.reserve(needed);
  const auto put = [&](std::string_view text) {
    place.bytes += text;
    return text.size();
  };
  place.facts = record.facts();
  place.verdict = verdict;
  place.texts = put(record.texts());
  place.listener = put(labels.listener);
  place.route = put(labels.route);
  place.upstream = put(labels.upstream);
  place.endpoint = put(labels.endpoint);
  next_ = (next_ + 1) % capacity_;
}

std::string RequestStore::render(const RecordFilter& filter, std::size_t limit) const {
  std::string text;
  JsonWriter out(text);
  out.open_object().key("requests").open_array();
  std::string json;
  for (std::size_t back = 0; back < places_.size() && limit > 0; ++back) {
    const Place& place = places_[(next_ + places_.size() - 1 - back) % places_.size()];
    std::string_view rest = place.bytes;
    const auto cut = [&rest](std::size_t size) {
      const std::string_view part = rest.substr(0, size);
      rest.remove_prefix(size);
      return part;
    };
    const Record record(place.facts, cut(place.texts));
    RecordLabels labels;
    labels.listener = cut(place.listener);
    labels.route = cut(place.route);
    labels.upstream = cut(place.upstream);
    labels.endpoint = cut(place.endpoint);
    if (!filter.fits(record, labels)) continue;
    json.clear();
    append_record_json(json, record, place.verdict, labels);
    out.raw(json);
    --limit;
  }
  out.close_array().close_object();
  return text;
}

}  // namespace portico::telemetry
