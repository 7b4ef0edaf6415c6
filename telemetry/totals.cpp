#include "telemetry/totals.hpp"

#include <cstddef>

namespace portico::telemetry {

EndpointTotals totals_of(const Registry& registry, EndpointLabel label) {
  EndpointTotals totals;
  bool used = false;
  bool someone_succeeded = false;
  for (std::size_t w = 0; w < registry.workers(); ++w) {
    const EndpointCells* cells = registry.worker(w).endpoint_block(label);
    if (cells == nullptr) continue;
    // Each worker has the block from the start; one that never tried knows nothing.
    if (cells->connects.value() != 0 || cells->connect_failures.value() != 0 || cells->up.value() == 0) {
      used = true;
      someone_succeeded = someone_succeeded || cells->up.value() != 0;
    }
    totals.active += cells->active.value();
    totals.idle += cells->idle.value();
    totals.connecting += cells->connecting.value();
    totals.connects += cells->connects.value();
    totals.connect_failures += cells->connect_failures.value();
    totals.reused += cells->reused.value();
    totals.retries += cells->retries.value();
    for (std::size_t i = 0; i < totals.connect_time.buckets.size(); ++i) {
      totals.connect_time.buckets[i] += cells->connect_time.bucket(i);
    }
    totals.connect_time.sum_us += cells->connect_time.sum_us();
  }
  totals.up = !used || someone_succeeded;
  return totals;
}

ListenerTotals totals_of(const Registry& registry, ListenerLabel label) {
  ListenerTotals totals;
  for (std::size_t w = 0; w < registry.workers(); ++w) {
    const ListenerCells* cells = registry.worker(w).listener_block(label);
    if (cells == nullptr) continue;
    totals.connections += cells->connections.value();
    totals.accepted += cells->accepted.value();
    totals.refused += cells->refused.value();
    totals.handshake_failures += cells->handshake_failures.value();
  }
  return totals;
}

std::int64_t streams_of(const Registry& registry) {
  std::int64_t streams = 0;
  for (std::size_t w = 0; w < registry.workers(); ++w) streams += registry.worker(w).streams.value();
  return streams;
}

}  // namespace portico::telemetry
