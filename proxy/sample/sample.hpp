#pragma once
// Stand-ins for the two backends, so that Portico can be tried, shown and tested without them: a CPA that
// streams believable answers in every API's form and fails on demand, and a CPAMP with a panel page.
// Every response carries X-Portico-Sample, so that nobody takes them for the real programs.
//
// owns:    Sample owns its sockets and everything on them
// threads: start() and run() on one thread; stop() on any
// Not for production: answers are made up and keys are not checked.

#include <memory>
#include <string>

#include "conf/address.hpp"

namespace portico::sample {

/// The loopback address with this port.
conf::ListenAddress loopback(std::uint16_t port);

struct Options {
  conf::ListenAddress cpa_listen = loopback(8317);
  conf::ListenAddress cpamp_listen = loopback(18317);
  /// What the sample CPAMP, which was never set up, answers to /models: 428 as its code has it or 412 as its
  /// documentation has it.
  int models_status = 428;
};

class Sample {
 public:
  explicit Sample(Options options);
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;
  ~Sample();

  /// Binds both addresses and raises the limit of open descriptors to the hard limit. Throws
  /// std::runtime_error, which names the address and the cause.
  void start();
  /// Serves on the calling thread until stop().
  void run();
  /// As run(), and SIGINT and SIGTERM end it too.
  void run_until_signal();
  /// Ends run(); open connections are cut. Any thread, and before run() too.
  void stop();

  /// As bound, so a port 0 has become a real one; `host:port` or `unix:/path`. After start().
  [[nodiscard]] std::string cpa_address() const;
  [[nodiscard]] std::string cpamp_address() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The command `portico sample`: prints where the samples listen and serves until SIGINT or SIGTERM. Returns
/// the exit code: 0 after a signal, 1 when an address cannot be bound. The environment variable
/// PORTICO_SAMPLE_MODELS_STATUS (412 or 428) overrides Options::models_status.
int run_sample(const Options& options);

}  // namespace portico::sample
