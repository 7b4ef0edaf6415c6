#pragma once
// TLS's part of the control thread: reads certificates and authorities for the workers, notices when their
// files change, and rotates the keys of the session tickets.
//
// owns:    the ticket keys, what is known of the files, a timer
// threads: the control thread; what it makes for a worker is that worker's from then on
// errors:  tls::CertificateError from load_tls(), with all that is wrong

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "conf/settings.hpp"
#include "proxy/tls/file_watch.hpp"
#include "proxy/tls/ticket_keys.hpp"
#include "proxy/worker.hpp"
#include "telemetry/process_state.hpp"

namespace portico::proxy {

/// What the settings and the files they name give.
struct LoadedTls {
  std::vector<WorkerTls> workers;  ///< by worker
  std::vector<telemetry::CertificateState> certificates;
  std::vector<std::string> warnings;  ///< one sentence each
  tls::FileWatch watch;               ///< of all the files, made before they were read
};

/// Reads everything and changes nothing. Throws tls::CertificateError.
LoadedTls load_tls(const conf::Settings& settings, std::size_t workers,
                   const std::shared_ptr<const tls::TicketKeys>& tickets);

class TlsControl {
 public:
  using TicketsPtr = std::shared_ptr<const tls::TicketKeys>;

  struct Pace {
    std::chrono::milliseconds look{2'000};  ///< how often the files are looked at
    std::chrono::milliseconds rotate{tls::TicketKeys::rotation};
  };

  /// `on_change`: some file has changed, so that everything should be loaded anew. `on_rotation`: every
  /// worker should make and read tickets with these keys from now on.
  TlsControl(boost::asio::io_context& context, std::function<void()> on_change,
             std::function<void(const TicketsPtr&)> on_rotation, Pace pace);

  [[nodiscard]] const TicketsPtr& tickets() const noexcept { return tickets_; }
  /// These are in force now: logs their warnings and watches their files. Precondition: the contexts of
  /// workers have been handed on.
  void adopt(LoadedTls loaded);
  /// What adopt() was told last.
  [[nodiscard]] const std::vector<telemetry::CertificateState>& certificates() const noexcept {
    return certificates_;
  }
  /// Looks and rotates no more.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  void wait();
  void tick();

  boost::asio::steady_timer timer_;
  std::function<void()> on_change_;
  std::function<void(const TicketsPtr&)> on_rotation_;
  Pace pace_;
  TicketsPtr tickets_ = std::make_shared<tls::TicketKeys>();
  Clock::time_point rotate_at_;
  std::vector<telemetry::CertificateState> certificates_;
  tls::FileWatch watch_;
  bool stopped_ = false;
};

}  // namespace portico::proxy
