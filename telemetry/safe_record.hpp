#pragma once
// A copy of a record in which nothing is left that may not be stored, shown or logged.
//
// owns:    its texts
// threads: any
// Error texts quote whatever a provider likes: keys, e-mails, prompts. They are sanitised here, once, before
// anything is kept. Names that a client chose are made safe too, where the record failed and so nothing
// vouches for them.

#include <string>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

class SafeRecord {
 public:
  explicit SafeRecord(const Record& record);
  [[nodiscard]] Record record() const noexcept { return {facts_, texts_}; }

  /// Whether a record must be copied before it is kept: it failed, or somebody wrote into it what looks
  /// like a secret.
  static bool needed_for(const Record& record) noexcept;

 private:
  RecordFacts facts_;
  std::string texts_;
};

}  // namespace portico::telemetry
