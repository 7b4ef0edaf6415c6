#pragma once
// Records by hand: facts set one by one, texts given by name.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "telemetry/tap/record.hpp"

namespace portico::telemetry::test {

/// Owns what its record() views; each text is given once.
class MadeRecord {
 public:
  using Texts = std::initializer_list<std::pair<Text, std::string_view>>;

  MadeRecord() = default;
  MadeRecord(const RecordFacts& facts, Texts texts) : facts_(facts) {
    for (const auto& [which, text] : texts) put(which, text);
  }
  MadeRecord& put(Text which, std::string_view text) {
    facts_.texts[static_cast<std::size_t>(which)] = {static_cast<std::uint16_t>(texts_.size()),
                                                     static_cast<std::uint16_t>(text.size())};
    texts_ += text;
    return *this;
  }
  [[nodiscard]] RecordFacts& facts() { return facts_; }
  [[nodiscard]] Record record() const { return {facts_, texts_}; }

 private:
  RecordFacts facts_;
  std::string texts_;
};

}  // namespace portico::telemetry::test
