#pragma once
// The process as a whole, on its control thread: start, reload, drain, end.
//
// Shutdown in three visible steps: stop accepting, finish, cut.
//
// owns:    workers, listening sockets on their way, the management endpoint, the registry of counters, the
//          connection limits, the brakes
// threads: the thread that calls run(); workers report back by posting to its io_context

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "conf/load.hpp"
#include "proxy/brakes.hpp"
#include "proxy/connection_limits.hpp"
#include "proxy/listener_set.hpp"
#include "proxy/tls_control.hpp"
#include "proxy/worker.hpp"
#include "telemetry/cells.hpp"
#include "telemetry/collector.hpp"
#include "telemetry/management.hpp"

namespace portico::proxy {

class Control {
 public:
  /// `loaded` is what load(sources) gave; a reload asks the same sources again.
  Control(conf::Sources sources, conf::Loaded loaded);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control();

  /// Runs until a signal has ended it. Returns the exit code. Throws std::runtime_error when it can't start.
  int run();

 private:
  void raise_descriptor_limit();
  void start();
  std::shared_ptr<const Blueprint> blueprint(const conf::Settings& settings, std::vector<WorkerTls> tls,
                                             const std::vector<ListenerSet::OpenListener>& listeners);
  void announce() const;
  void wait_for_signal();
  void on_signal(int signal);
  void reload();
  void replace_settings(conf::Loaded fresh);
  void reload_certificates();
  void report_reload(bool settings_ok, bool certificates_ok);
  void drain();
  void cut();
  void on_worker_drained();
  void schedule_resolution();
  void resolve_now();
  void publish();

  conf::Sources sources_;
  conf::Loaded loaded_;
  boost::asio::io_context context_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_;
  boost::asio::steady_timer resolve_timer_;
  Brakes brakes_;  // asked by the management endpoint, so it goes after it
  telemetry::Registry registry_;
  telemetry::Collector collector_;
  telemetry::ManagementServer management_;
  telemetry::ProcessState state_;
  ConnectionLimits limits_;
  std::vector<std::unique_ptr<Worker>> workers_;
  conf::AdminSettings admin_;  // of the start, which stay in force; the files that they name may change
  ListenerSet listeners_;
  TlsControl tls_;
  Resolutions resolutions_;
  std::jthread resolving_;
  std::size_t drained_workers_ = 0;
  bool settings_ok_ = true;      // as read last
  bool certificates_ok_ = true;  // as read last, with the settings or because a file changed
  bool draining_ = false;
  bool ended_ = false;  // no worker has a session any more
};

}  // namespace portico::proxy
