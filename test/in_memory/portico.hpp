#pragma once
// One worker of Portico on the calling thread, its clients and its backends on socket pairs, and a clock that
// moves when it is told to: a whole connection in a millisecond, the same each time.
//
// Both backends of the built-in routes are in the hands of the test: CPA without TLS, CPAMP with TLS where
// Options say so. Limits and time-outs are small, so that short inputs reach them: a head
// may take 15 s, a body may stand still for 60 s, a backend for 20 s.
//
// owns:    the worker, what it counts and records, all ends of connections
// threads: one
// errors:  a broken promise ends the process, as a fuzzer wants it: see demand()

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/worker.hpp"
#include "test/in_memory/link.hpp"
#include "test/support/address.hpp"

namespace portico::in_memory {

/// Ends the process with a message unless `holds`.
void demand(bool holds, std::string_view promise);

struct Options {
  bool tls = false;  ///< a certificate for clients, and CPAMP at an https:// URL
};

/// The PEM files and the certificate that both sides of TLS use here.
struct Identity {
  std::string certificate;
  std::string key;
};

class Portico {
 public:
  /// Called for a connection to a backend when it is new and whenever something has arrived or ended.
  using Script = std::function<void(Link& link)>;

  explicit Portico(Options options = {});
  Portico(const Portico&) = delete;
  Portico& operator=(const Portico&) = delete;
  ~Portico();

  /// What is in the file `secret` beside the folder of ACME's challenges, where a `token` may be asked for.
  /// No head can hold it.
  static constexpr std::string_view secret = "nobody is\nserved this";
  /// Address of a client that is a stranger.
  static constexpr std::string_view stranger_address = "198.51.100.7";
  enum class From : std::uint8_t {
    stranger,
    trusted_proxy,
    announced,  ///< a proxy whose connections begin with a PROXY header
    witness,    ///< a stranger with an address of its own
  };
  /// A new client.
  Link& connect(proxy::ListenerKind kind = proxy::ListenerKind::plain, From from = From::stranger);
  /// What the backends do.
  void set_backend(Script script) { backend_ = std::move(script); }

  /// Sends `bytes` in pieces of a size that `cut` tells, and lets what comes of each happen.
  void deliver(Link& link, std::string_view bytes, std::uint8_t cut);
  /// Lets everything happen that can happen without time passing.
  void settle();
  /// Lets time pass, and what comes of it happen.
  void advance(std::chrono::milliseconds time);

  /// As the process does before it ends: no new requests, those under way are finished.
  void drain();
  /// As the process does when it ends: nothing is finished.
  void cut();
  [[nodiscard]] bool draining() const noexcept { return worker_->draining(); }
  [[nodiscard]] bool cutting() const noexcept { return worker_->cutting(); }

  /// Closes all ends, and demands that nothing is left of any exchange and that each has left its record.
  /// After that everything is as at the beginning.
  void finish();

  /// The PEM chain and key of the TLS listener and of CPAMP.
  [[nodiscard]] const Identity& identity() const noexcept { return identity_; }
  /// All connections to backends of this run.
  [[nodiscard]] const std::vector<std::unique_ptr<Link>>& backends() const noexcept { return backends_; }

 private:
  struct Records;
  struct Listening;
  bool turn();
  bool accept();
  [[nodiscard]] std::string_view left_over() const;
  proxy::Blueprint make_blueprint(const Options& options);
  void start();

  Identity identity_;
  telemetry::Registry registry_{1};
  proxy::ConnectionLimits limits_{0};
  proxy::Brakes brakes_{0};
  std::unique_ptr<Records> records_;
  std::unique_ptr<Listening> listening_;
  std::unique_ptr<test::TemporaryFolder> folder_;
  proxy::Blueprint blueprint_;
  bool drained_ = false;
  std::unique_ptr<proxy::Worker> worker_;
  std::unique_ptr<boost::asio::steady_timer> nudge_;
  telemetry::ListenerLabel listener_{};
  Script backend_;
  std::vector<std::unique_ptr<Link>> clients_;
  std::vector<std::unique_ptr<Link>> backends_;
};

/// Two exchanges of a client that does nothing wrong, one under way while others are served and one after
/// them. They must come out as if it were alone, and nobody else may see a byte of them. A worker that drains
/// finishes the first and does not take the second.
class Witness {
 public:
  explicit Witness(Portico& portico);
  /// Ends both, and demands that they are whole.
  void end();
  /// Demands that `seen` holds nothing that is the witness's.
  void stays_private(std::string_view seen) const;
  /// For a backend's script, first: answers a request of a witness. True when the connection carries one.
  static bool serve(Link& link);

 private:
  Portico& portico_;
  std::string name_;
  std::string body_;
  Link& link_;
};

}  // namespace portico::in_memory
