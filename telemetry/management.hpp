#pragma once
// The management endpoint: metrics, health and status over HTTP, on the telemetry thread, never on a
// worker.
//
// owns:    its listening socket, its io_context and its thread, from start() to stop()
// threads: start, stop, publish, reload_tls and the questions are called by the control thread; everything
//          else runs on the telemetry thread

#include <memory>
#include <string>
#include <vector>

#include "conf/settings.hpp"
#include "telemetry/cells.hpp"
#include "telemetry/http_server.hpp"
#include "telemetry/process_state.hpp"
#include "telemetry/reference.hpp"
#include "telemetry/stores.hpp"

namespace portico::telemetry {

class ManagementServer {
 public:
  /// Both must outlive the server. The stores are used on its thread only; without them their pages are
  /// not there.
  explicit ManagementServer(Registry& registry, Stores* stores = nullptr);
  ~ManagementServer();
  ManagementServer(const ManagementServer&) = delete;
  ManagementServer& operator=(const ManagementServer&) = delete;

  /// Binds and starts the thread. Throws std::runtime_error naming the address and the cause, or the setting,
  /// the file and the cause where admin.tls_certificate, admin.tls_key or admin.client_ca are unfit. An
  /// address that is neither loopback nor a unix socket needs a token. May be called again after stop().
  /// Before the first publish() the process counts as starting: `/readyz` says 503. `hooks` run on the
  /// thread.
  void start(const conf::AdminSettings& settings, ThreadHooks hooks = {});
  /// The address as bound (a port of 0 is resolved); empty when not started.
  [[nodiscard]] std::string address() const;
  /// Whether clients have to speak TLS; false when not started.
  [[nodiscard]] bool speaks_tls() const;
  /// Reads the files of `settings` anew, for the connections that come from now on; streams go on under what
  /// they began with. Throws std::runtime_error naming setting, file and cause, and changes nothing then.
  /// Whether TLS is spoken at all is start()'s matter: where that would change, and when not started, nothing
  /// is done.
  void reload_tls(const conf::AdminSettings& settings);
  /// Replaces what the endpoint shows. Never waits for a request in progress.
  void publish(ProcessState state);
  /// The paths it answers, and what is there.
  static std::vector<FieldRow> pages();
  /// Ends the thread; open requests are cut. Does nothing when not started.
  void stop() noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
