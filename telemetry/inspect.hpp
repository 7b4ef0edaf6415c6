#pragma once
// What `portico inspect` prints of a captured exchange.
//
// owns:    a RecordCollection owns copies of what was pushed into it
// threads: one

#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// A record that keeps its own bytes.
struct KeptRecord {
  RecordFacts facts;
  std::string texts;
  [[nodiscard]] Record record() const noexcept { return {facts, texts}; }
};

/// A sink that keeps everything.
class RecordCollection final : public RecordSink {
 public:
  void push(const Record& record) noexcept override;
  [[nodiscard]] const std::vector<KeptRecord>& records() const noexcept { return records_; }

 private:
  std::vector<KeptRecord> records_;
};

/// What is known of the captured bytes besides the records.
struct CapturedBodies {
  std::uint64_t request_bytes = 0;   ///< after the request's head, as sent
  std::uint64_t response_bytes = 0;  ///< after the transfer coding, before the content coding
  std::string response_sha256;       ///< of those, hexadecimal
};

/// Indented JSON, a newline at the end: the exchange's or connection's record with its turns. Error messages
/// are shown as they were: the capture is the operator's own.
std::string render_inspection(const RecordCollection& collection, const CapturedBodies& bodies);

}  // namespace portico::telemetry
