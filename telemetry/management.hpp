#pragma once
// The management endpoint: metrics, health and status over HTTP, on the telemetry thread, never on a worker.
//
// owns:    its listening socket, its io_context and its thread, from start() to stop()
// threads: start, stop and publish are called by the control thread; everything else runs on the telemetry
// thread

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "conf/settings.hpp"
#include "telemetry/cells.hpp"

namespace portico::telemetry {

/// One rule of the route table as the endpoint shows it.
struct RouteState {
  std::string label;  ///< `= /health` or `/v1/`
  std::string match;  ///< `exact` or `prefix`
  std::string path;
  std::string action;  ///< `upstream`, `redirect` or `respond`
  std::string target;  ///< the upstream's name, the Location, or the status of a fixed answer
};

struct EndpointState {
  std::string upstream;
  std::string endpoint;                ///< URL
  std::vector<std::string> addresses;  ///< what its host name resolves to at present; empty: does not resolve
};

/// What the control thread knows and the endpoint shows. Replaced whole.
struct ProcessState {
  bool ready = false;  ///< all listeners accept
  bool draining = false;
  bool last_reload_ok = true;
  std::chrono::system_clock::time_point started{};
  std::chrono::system_clock::time_point loaded{};  ///< when the settings in force were read
  std::uint64_t reloads = 0;
  std::string config_file;  ///< empty: built-in defaults
  std::size_t workers = 0;
  std::vector<std::string> listeners;  ///< addresses as bound
  std::vector<RouteState> routes;
  std::vector<EndpointState> endpoints;
};

class ManagementServer {
 public:
  /// `registry` must outlive the server.
  explicit ManagementServer(Registry& registry);
  ~ManagementServer();
  ManagementServer(const ManagementServer&) = delete;
  ManagementServer& operator=(const ManagementServer&) = delete;

  /// Binds and starts the thread. Throws std::runtime_error naming the address and the cause. An address that
  /// is neither loopback nor a unix socket needs a token.
  void start(const conf::AdminSettings& settings);
  /// The address as bound (a port of 0 is resolved).
  [[nodiscard]] std::string address() const;
  void publish(ProcessState state);
  /// Ends the thread; open requests are cut.
  void stop() noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
