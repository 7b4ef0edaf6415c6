#pragma once
// A backend that does for each exchange what its plan says, checks what it is sent byte by byte, and
// remembers what it saw of each. Unlike Origin it forgets connections that have ended, so that it can run for
// hours.
//
// owns:    its listening socket, its threads and its connections, until it goes out of scope
// threads: questions may come from any thread
// errors:  what the proxy should not have sent is told in what was seen, or in errors() where no exchange can
//          be made out

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "test/support/chaos_plan.hpp"
#include "test/support/wire.hpp"

namespace portico::test {

/// What arrived of one exchange.
struct Seen {
  std::size_t heads = 0;             ///< how often its head was read
  std::size_t begun = 0;             ///< how often bytes of its body were, or that it has none
  std::vector<std::uint16_t> ports;  ///< of the connections that it came on, as this end sees them
  std::vector<std::string> problems;
};

class ChaosOrigin {
 public:
  /// In plain text, or under TLS.
  explicit ChaosOrigin(const PlanOptions& plans, const std::optional<TlsServerOptions>& tls = {});
  ~ChaosOrigin();
  ChaosOrigin(const ChaosOrigin&) = delete;
  ChaosOrigin& operator=(const ChaosOrigin&) = delete;

  [[nodiscard]] Address address() const { return listener_.address(); }
  [[nodiscard]] Seen seen(ExchangeNumber exchange) const;
  /// Of an exchange about which nobody will ask any more.
  void forget(ExchangeNumber exchange);
  /// What came on no exchange's behalf.
  [[nodiscard]] std::vector<std::string> errors() const;
  /// Connections that are open now.
  [[nodiscard]] std::size_t open_connections() const { return open_; }

 private:
  /// One connection.
  struct Served {
    std::thread thread;
    std::atomic<bool> over{false};
  };

  void accept_loop();
  void run(Fd fd);
  bool serve_one(Wire& wire, std::uint16_t port);
  bool read_body(Wire& wire, Message& request, const Plan& plan);
  static bool respond(Wire& wire, const Plan& plan);
  void tunnel(Wire& wire, const Message& request, const Plan& plan);
  void object(ExchangeNumber exchange, std::string problem);

  PlanOptions plans_;
  std::optional<TlsServer> tls_;
  Fd stop_;
  Listener listener_;
  mutable std::mutex mutex_;
  std::map<ExchangeNumber, Seen> seen_;
  std::vector<std::string> errors_;
  std::atomic<std::size_t> open_{0};
  std::list<Served> served_;  // the acceptor's, until it has ended
  std::thread acceptor_;
};

}  // namespace portico::test
