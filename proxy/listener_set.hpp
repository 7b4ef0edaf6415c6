#pragma once
// The listening sockets of the process: which are open, and what a reload opens and closes.
//
// owns:    what is known of each open socket, and the files of unix sockets; the sockets themselves go to the
// workers threads: the control thread errors:  std::runtime_error naming the address and the cause

#include <cstdint>
#include <string>
#include <vector>

#include "conf/settings.hpp"
#include "proxy/listener.hpp"
#include "telemetry/cells.hpp"

namespace portico::proxy {

class ListenerSet {
 public:
  /// One socket of each address for each worker.
  using Sockets = std::vector<std::vector<ListenerSocket>>;

  struct OpenListener {
    ListenerKind kind = ListenerKind::plain;
    conf::ListenAddress written;  ///< as in the settings, port 0 kept
    conf::ListenAddress bound;
    telemetry::ListenerLabel label{};
    bool passed = false;      ///< a service manager's: stays whatever the settings say
    std::uint64_t inode = 0;  ///< of a unix socket's file, so that only our own is removed
  };

  /// What would be open under other settings. The sockets of `opened` are bound already; they close with it.
  struct Change {
    Sockets opened;
    std::vector<telemetry::ListenerLabel> closed;
    std::vector<OpenListener> open;  ///< all, the ones that stay first
  };

  explicit ListenerSet(telemetry::Registry& registry) : registry_(registry) {}

  /// The sockets that a service manager passed, instead of those in the settings; if there are none, those.
  Change first(const conf::Settings& settings);
  /// Opens what `settings` ask for beyond what is open. Until commit() nothing else has changed.
  Change prepare(const conf::Settings& settings);
  /// From now on this is what is open.
  void commit(const Change& change);

  [[nodiscard]] const std::vector<OpenListener>& open() const noexcept { return open_; }
  /// For people: one line each.
  [[nodiscard]] std::string announcement() const;
  /// Removes the files of unix sockets, unless another process has taken over their paths.
  void remove_files() const;

 private:
  Sockets open_all(const std::vector<OpenListener>& wanted, std::vector<OpenListener>& opened);

  telemetry::Registry& registry_;
  std::vector<OpenListener> open_;
};

/// Whether one of them demands a certificate.
bool speaks_tls(const std::vector<ListenerSet::OpenListener>& open) noexcept;

/// The port that a redirect to https:// names: that of the first TLS listener with one, else 443.
std::uint16_t redirect_port(const std::vector<ListenerSet::OpenListener>& open) noexcept;

}  // namespace portico::proxy
