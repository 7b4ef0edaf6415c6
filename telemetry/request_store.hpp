#pragma once
// The newest records, one by one, for `/api/v1/requests`.
//
// owns:    a copy of each record's bytes and labels, in a ring of a fixed number of places
// threads: the telemetry thread
// memory:  a place holds one record, typically 1 KiB, at most the sum of the bounds of a record's texts

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/record_filter.hpp"
#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

inline constexpr std::size_t default_requests_limit = 100;
inline constexpr std::size_t max_requests_limit = 1'000;

class RequestStore {
 public:
  /// `capacity` may be 0: nothing is kept.
  explicit RequestStore(std::size_t capacity);

  /// Copies a safe record; the oldest goes.
  void take(const Record& record, const std::optional<Verdict>& verdict, const RecordLabels& labels);
  /// `{"requests":[record]}`, newest first, at most `limit`.
  [[nodiscard]] std::string render(const RecordFilter& filter, std::size_t limit) const;
  [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }

 private:
  struct Place {
    RecordFacts facts;
    std::optional<Verdict> verdict;
    std::size_t texts = 0;  // bytes of `bytes` that are texts; the labels follow
    std::size_t listener = 0;
    std::size_t route = 0;
    std::size_t upstream = 0;
    std::size_t endpoint = 0;
    std::string bytes;
  };

  std::size_t capacity_;
  std::vector<Place> places_;  // grows up to capacity_
  std::size_t next_ = 0;       // the place of the next record
};

}  // namespace portico::telemetry
