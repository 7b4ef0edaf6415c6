#pragma once
// The few names that were seen with a group of failures, and when each was last.
//
// owns:    at most `bound` names; a new one takes the place of the one not seen for longest
// threads: one

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace portico::telemetry {

class SeenList {
 public:
  static constexpr std::size_t bound = 20;

  /// What tells two names apart may be more than what is shown of them.
  struct Seen {
    std::string id;
    std::string shown;
    std::uint64_t last_us = 0;
  };

  /// Nothing is noted of an empty name.
  void note(std::string_view name, std::uint64_t now_us) { note(name, name, now_us); }
  void note(std::string_view id, std::string_view shown, std::uint64_t now_us) {
    if (shown.empty()) return;
    auto found = std::find_if(seen_.begin(), seen_.end(), [&](const Seen& one) { return one.id == id; });
    if (found == seen_.end()) {
      if (seen_.size() < bound) {
        found = seen_.insert(seen_.end(), Seen{});
      } else {
        found = std::min_element(seen_.begin(), seen_.end(),
                                 [](const Seen& a, const Seen& b) { return a.last_us < b.last_us; });
      }
      found->id = id;
      found->shown = shown;
      found->last_us = 0;
    }
    found->last_us = std::max(found->last_us, now_us);
  }
  /// Whether names may have had to leave.
  [[nodiscard]] bool full() const noexcept { return seen_.size() >= bound; }
  /// Those seen since `from_us`, in the order in which they were first seen.
  [[nodiscard]] std::vector<const Seen*> since(std::uint64_t from_us) const {
    std::vector<const Seen*> out;
    for (const Seen& one : seen_) {
      if (one.last_us >= from_us) out.push_back(&one);
    }
    return out;
  }

 private:
  std::vector<Seen> seen_;
};

}  // namespace portico::telemetry
