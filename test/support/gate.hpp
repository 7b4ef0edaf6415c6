#pragma once
// A TCP gate on loopback between two parties, a client and the proxy or the proxy and a backend. It passes
// bytes both ways as a bad network does, and breaks some connections, all as its seed says. Each connection
// has dice of its own; only when bytes come is left to time.
//
// What arrives late, in small pieces or in large ones is still the same message: no party may object. A
// connection that was cut, or on which bytes came twice, is harmed, and the gate knows it before either party
// can: so a test may ask it which outcome is allowed.
//
// owns:    its listening socket, its connections and its thread, until it goes out of scope
// threads: questions may come from any thread
// errors:  std::system_error when it cannot listen

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "test/support/address.hpp"
#include "test/support/deadline.hpp"

namespace portico::test {

/// Probabilities from 0 to 1. At most one of the first five befalls a connection, so they are 1 at most
/// together.
struct GateOptions {
  double fin = 0;             ///< both sides get a FIN after a random byte
  double reset = 0;           ///< both sides get a RST
  double stall = 0;           ///< silence for up to longest_stall, then one of the two
  double duplicate_up = 0;    ///< a piece from who connected comes twice
  double duplicate_down = 0;  ///< a piece to who connected comes twice
  double delay = 0;           ///< of each piece: it waits for up to longest_delay
  double split = 0;           ///< of each piece: it goes on in many small ones
  double join = 0;            ///< of each piece: it waits for what follows, at most as long
  std::size_t within =
      50'000;  ///< harm comes before this many bytes of one direction; early ones are likelier
  milliseconds longest_delay{8};
  milliseconds longest_stall{300};
};

/// What befell a connection.
enum class Harm : std::uint8_t {
  none,
  cut,         ///< with a RST on both sides
  ended,       ///< with a FIN on both sides: what ends with the connection looks whole
  duplicated,  ///< bytes came twice, and a little later it was cut
};
const char* name_of(Harm harm);

class Gate {
 public:
  /// Connections go on to `target`.
  Gate(const Address& target, const GateOptions& options, std::uint64_t seed);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Where it listens: a port of its own on 127.0.0.1.
  [[nodiscard]] Address address() const { return listener_.address(); }
  /// Of the newest connection that came from this address of 127.0.0.0/8.
  [[nodiscard]] Harm harm_from(const std::string& source) const;
  /// Of the newest connection that went on from this port.
  [[nodiscard]] Harm harm_at(std::uint16_t port) const;
  [[nodiscard]] std::size_t connections() const;
  /// How many connections were harmed so far, and how many in this way.
  [[nodiscard]] std::size_t harmed() const;
  [[nodiscard]] std::size_t harmed(Harm how) const;

 private:
  class Link;
  /// What is known of the newest connection of a place.
  struct Known {
    std::uint64_t number = 0;
    Harm harm = Harm::none;
  };

  void run();
  void accept();

  Address target_;
  GateOptions options_;
  std::uint64_t seed_;
  Fd stop_;
  Listener listener_;
  std::vector<std::unique_ptr<Link>> links_;  // the thread's own
  mutable std::mutex mutex_;
  std::map<std::uint32_t, Known> by_source_;
  std::map<std::uint16_t, Known> by_port_;
  std::size_t connections_ = 0;
  std::map<Harm, std::size_t> harmed_;
  std::thread thread_;
};

}  // namespace portico::test
