#pragma once
// Records as they come, for those who watch `/api/v1/events` (server-sent events).
//
// owns:    the backlog of each subscriber
// threads: the telemetry thread
// memory:  at most 16 subscribers; each may be 1 MiB behind, then it loses the oldest and is told how
//          many
// Costs nothing while nobody watches.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/http_server.hpp"
#include "telemetry/record_filter.hpp"
#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

class EventFeed {
 public:
  static constexpr std::size_t max_subscribers = 16;
  static constexpr std::size_t max_backlog_bytes = 1'048'576;

  EventFeed();
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  /// Shows a safe record to whoever wants it.
  void take(const Record& record, const std::optional<Verdict>& verdict, const RecordLabels& labels);
  /// The answer's body: `event: exchange` for each record that fits, `event: dropped` where some were
  /// lost. Null when there are subscribers enough. The feed must outlive it.
  [[nodiscard]] std::unique_ptr<ReplyStream> subscribe(RecordFilter filter);
  [[nodiscard]] std::size_t subscribers() const noexcept { return subscribers_.size(); }

 private:
  class Subscriber;
  std::vector<Subscriber*> subscribers_;  // each leaves when it is destroyed
  std::uint64_t next_id_ = 1;
};

}  // namespace portico::telemetry
