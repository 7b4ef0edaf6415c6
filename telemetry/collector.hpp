#pragma once
// From the workers' rings to the accounts: drains them on the telemetry thread and gives each record to the
// stores.
//
// The thread works in rounds. A round takes what is there, up to a bound for each ring, so that requests of
// the management endpoint get their turn. After a round that found something the thread naps for a moment: a
// busy worker then pays for no wake-up. After a nap in which nothing came it sleeps until a worker wakes it.
//
// owns:    the rings, the stores, the failure groups
// threads: constructed by the control thread; sink() is for the worker of that index; configure() and
// reopen_logs()
//          for the control thread; everything else happens on the thread whose hooks() these are

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "conf/settings.hpp"
#include "telemetry/cells.hpp"
#include "telemetry/failures/failure_store.hpp"
#include "telemetry/http_server.hpp"
#include "telemetry/ring.hpp"
#include "telemetry/stores.hpp"
#include "telemetry/waker.hpp"

namespace portico::telemetry {

class Collector {
 public:
  /// `registry` must outlive it. One ring for each of its workers.
  Collector(const conf::Settings& settings, const Registry& registry);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  /// Where the worker's records go.
  [[nodiscard]] RecordSink& sink(std::size_t worker) noexcept { return *rings_[worker]; }
  [[nodiscard]] Stores& stores() noexcept { return stores_; }
  /// For the thread that is to be the telemetry thread. Its stop hook takes what is left in the rings.
  [[nodiscard]] ThreadHooks hooks();

  /// Puts a reload's settings in force soon.
  void configure(const conf::AccessLogSettings& settings);
  /// Opens log files anew, soon.
  void reopen_logs();

 private:
  class Loop;

  void post(std::function<void()> command);
  bool run_commands();
  std::size_t round();
  void take(const Record& record);
  void keep(const Record& record, const std::optional<Verdict>& verdict);
  [[nodiscard]] RecordLabels labels_of(const RecordFacts& facts);
  [[nodiscard]] RingTotals totals() const;
  [[nodiscard]] bool idle();

  const Registry& registry_;
  Waker waker_;
  std::vector<std::unique_ptr<Ring>> rings_;
  Stores stores_;
  FailureStore failures_;

  // The registry's words, read again when a record has a number beyond them.
  std::vector<std::string> routes_;
  std::vector<EndpointName> endpoints_;
  std::vector<std::string> listeners_;

  std::mutex mutex_;  // of commands_ alone
  std::vector<std::function<void()>> commands_;
  std::atomic<bool> commanded_{false};
  std::unique_ptr<Loop> loop_;
};

}  // namespace portico::telemetry
