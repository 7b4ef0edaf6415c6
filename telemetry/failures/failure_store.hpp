#pragma once
// The failures of the last month, grouped so that equal ones are one.
//
// A group is what one fault looks like: verdict, status, code, who spoke, and the shape of the message. The
// same fault of several accounts, models or keys is one group that lists them; only the verdict differs where
// other records make it mean something else.
//
// owns:    the groups and the history that sharpens verdicts
// threads: the telemetry thread
// memory:  at most `groups` groups; the one not seen for longest goes, and is counted

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "telemetry/failures/evidence.hpp"
#include "telemetry/failures/failure_group.hpp"
#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

class FailureStore {
 public:
  static constexpr std::size_t default_groups = 500;

  explicit FailureStore(std::size_t groups = default_groups) : bound_(groups) {}

  /// Takes a failure: a safe record and classify()'s verdict on it. Returns the verdict in the light of other
  /// records. It counts at its end. The record of a WebSocket that had turns is no account: its turns are.
  Verdict take(const Record& record, const Verdict& verdict, const RecordLabels& labels);
  /// Takes a record that has no verdict: what worked is evidence.
  void note_success(const Record& record);

  [[nodiscard]] std::vector<const FailureGroup*> groups() const;
  [[nodiscard]] const History& history() const noexcept { return history_; }
  /// Groups forgotten for want of room since the start.
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }

 private:
  FailureGroup& group_of(const std::string& name);

  std::size_t bound_;
  std::unordered_map<std::string, std::unique_ptr<FailureGroup>> groups_;
  History history_;
  std::uint64_t forgotten_ = 0;
};

}  // namespace portico::telemetry
