#pragma once
// One exchange shown to a tap, for tests: every part may be set before run().

#include <string>
#include <string_view>
#include <vector>

#include "telemetry/tap/tap.hpp"

namespace portico::telemetry {

struct Watched {
  RecordFacts facts;
  std::string texts;
  [[nodiscard]] std::string_view text(Text which) const { return Record(facts, texts).text(which); }
};

class Watch final : public RecordSink {
 public:
  explicit Watch(std::string_view target, std::string_view method = "POST") {
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    request.dialect = dialect_of(request.path);
    request.owner = "cpa";
    request.has_body = true;
    response.status = 200;
    end.status = 200;
  }
  void push(const Record& record) noexcept override {
    records.push_back({record.facts(), std::string(record.texts())});
  }

  void run() {
    Tap tap;
    tap.request_head(context, request);
    tap.request_body(asked);
    if (request_whole) tap.request_end();
    if (response.status != 0) {
      tap.response_head(response);
      for (const std::string& part : answered) tap.response_body(part);
    }
    first_token = tap.first_token_seen();
    end.how = tap.settled(end.how);
    tap.end(end);
  }
  /// The record of an exchange that was answered like this.
  const Watched& answer(std::vector<std::string> parts) {
    answered = std::move(parts);
    run();
    return records.back();
  }
  const Watched& events(std::vector<std::string> parts) {
    response.content_type = "text/event-stream";
    asked = R"({"model":"m","stream":true})";
    return answer(std::move(parts));
  }

  RequestFacts request;
  ResponseFacts response;
  EndFacts end;
  std::string asked = R"({"model":"m"})";
  std::vector<std::string> answered;
  bool request_whole = true;
  bool first_token = false;
  std::vector<Watched> records;
  KeyMarker keys{KeySecret{}};
  TapContext context{*this, keys};
};

}  // namespace portico::telemetry
