#pragma once
// What the control thread knows about the process and the management endpoint shows.
//
// owns:    plain values
// threads: filled by the control thread, then immutable and read by the telemetry thread

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace portico::telemetry {

/// One rule of the route table as the endpoint shows it.
struct RouteState {
  std::string label;  ///< `= /health` or `/v1/`
  std::string match;  ///< `exact` or `prefix`
  std::string path;
  std::string action;  ///< `upstream`, `redirect` or `respond`
  std::string target;  ///< the upstream's name, the Location, or the status of a fixed answer
};

/// One endpoint of the settings in force. Names are those that Registry::endpoint() was given: they join the
/// two.
struct EndpointState {
  std::string upstream;
  std::string endpoint;                ///< URL
  std::vector<std::string> addresses;  ///< what its host name resolves to at present; empty: does not resolve
};

/// A certificate that clients are shown.
struct CertificateState {
  std::string file;                ///< of the chain, as in the settings
  std::vector<std::string> names;  ///< host names, then addresses
  std::chrono::sys_seconds not_after{};
  std::string key_type;  ///< `EC P-256`, `RSA 2048`
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
  std::string settings;     ///< those in force as JSON, secrets masked: conf::describe()
  std::size_t workers = 0;
  std::vector<std::string> listeners;  ///< addresses as bound, named as Registry::listener() was told
  std::vector<RouteState> routes;
  std::vector<EndpointState> endpoints;
  std::vector<CertificateState> certificates;
};

}  // namespace portico::telemetry
