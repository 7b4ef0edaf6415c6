#pragma once
// The sentences that speak for a group's verdict, and how sure it is because of them.
//
// owns:    plain values
// threads: the telemetry thread

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/failures/evidence.hpp"
#include "telemetry/failures/failure_group.hpp"

namespace portico::telemetry {

/// What a group has of a window.
struct GroupView {
  const FailureGroup& group;
  std::uint64_t count = 0;
  std::uint64_t from_us = 0;
  std::vector<const SeenList::Seen*> models;
  std::vector<const SeenList::Seen*> keys;
  std::vector<const SeenList::Seen*> auth_indexes;
};

struct Evidence {
  std::vector<std::string> sentences;
  Confidence confidence = Confidence::low;
  std::string reason;  ///< of the confidence
};

/// Strongest sentence first.
Evidence evidence_of(const GroupView& view, const History& history);

/// `a, b and 3 more`: at most `most` names.
std::string list_of(const std::vector<const SeenList::Seen*>& names, std::size_t most = 3);

}  // namespace portico::telemetry
