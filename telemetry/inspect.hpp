#pragma once
// What the tap made of one recorded exchange, as one JSON object for people and tests.
//
// owns:    RecordCollector owns copies of the records pushed into it
// threads: one

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// A record that stays.
struct KeptRecord {
  RecordFacts facts;
  std::string texts;
  [[nodiscard]] Record record() const noexcept { return {facts, texts}; }
};

/// Takes records into memory, in order.
class RecordCollector final : public RecordSink {
 public:
  void push(const Record& record) noexcept override {
    records_.push_back({record.facts(), std::string(record.texts())});
  }
  [[nodiscard]] const std::vector<KeptRecord>& records() const noexcept { return records_; }

 private:
  std::vector<KeptRecord> records_;
};

/// What is known of the bytes besides the records.
struct InspectedBytes {
  std::uint64_t request_body = 0;    ///< after the request's head, as sent
  std::uint64_t response_body = 0;   ///< after the transfer coding, before the content coding
  std::string response_body_sha256;  ///< of the same, in hexadecimal
};

/// The last record's facts, with the verdict on it if it failed; a WebSocket's earlier ones as `turns`.
/// Indented for people, ends in a newline. Texts are as they were on the wire: this shows what the user's own
/// files hold. Precondition: there is a record.
std::string render_inspection(const std::vector<KeptRecord>& records, const InspectedBytes& bytes);

}  // namespace portico::telemetry
