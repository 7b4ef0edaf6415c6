#pragma once
// Listening sockets: opening them on the control thread, accepting on a worker.
//
// owns:    ListenerSocket and Listener own their descriptor
// threads: open_listeners on the control thread; a Listener belongs to one worker

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "conf/address.hpp"
#include "proxy/http/client_address.hpp"
#include "proxy/reactor.hpp"
#include "telemetry/cells.hpp"

namespace portico::proxy {

class Worker;

/// A descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();
  [[nodiscard]] int get() const noexcept { return fd_; }
  int release() noexcept;

 private:
  int fd_ = -1;
};

/// What is spoken on the connections of a listener.
enum class ListenerKind : std::uint8_t {
  plain,     ///< HTTP without TLS
  tls,       ///< TLS, and in it what ALPN chose
  redirect,  ///< HTTP without TLS, of which everything but ACME's challenges is sent to https://
};

/// A bound, listening socket on its way to a worker.
struct ListenerSocket {
  UniqueFd fd;
  telemetry::ListenerLabel label{};
  bool is_unix = false;
  ListenerKind kind = ListenerKind::plain;
};

/// Opens `address` once for each of `workers` (SO_REUSEPORT; a unix socket is opened once and duplicated).
/// Sets `address.port` when it was 0. Throws std::runtime_error naming the address and the cause.
std::vector<UniqueFd> open_listeners(conf::ListenAddress& address, std::size_t workers);

/// The sockets that a service manager passed (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), with their addresses;
/// empty when none. Reads the environment once and takes the variables out of it.
struct PassedSocket {
  UniqueFd fd;
  conf::ListenAddress address;
  std::string name;  ///< as the service manager calls it; may be empty
};
std::vector<PassedSocket> take_passed_sockets();

/// Accepts on a worker.
class Listener {
 public:
  /// Takes over the socket.
  Listener(Worker& worker, ListenerSocket socket);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  [[nodiscard]] telemetry::ListenerLabel label() const noexcept { return label_; }
  [[nodiscard]] telemetry::ListenerCells& cells() const noexcept { return cells_; }
  [[nodiscard]] bool is_unix() const noexcept { return unix_; }
  [[nodiscard]] ListenerKind kind() const noexcept { return kind_; }

  void start() noexcept;
  /// Accepts what has already connected, then closes the socket, so that nobody who got through is refused.
  /// The object must stay until closed().
  void stop() noexcept;
  [[nodiscard]] bool closed() const noexcept { return stopped_ && !posted_ && !readiness_.armed(); }

 private:
  void on_ready(bool cancelled) noexcept;
  enum class Accepted : std::uint8_t { all, some, out_of_descriptors };
  Accepted accept_some(std::size_t most) noexcept;
  [[nodiscard]] bool short_of_descriptors() const noexcept;
  void admit(int fd, const http::Peer& peer) noexcept;

  Worker& worker_;
  UniqueFd fd_;
  telemetry::ListenerLabel label_;
  telemetry::ListenerCells& cells_;
  bool unix_;
  ListenerKind kind_;
  bool stopped_ = false;
  bool posted_ = false;
  bool paused_ = false;
  Reactor::Descriptor descriptor_ = nullptr;
  Readiness readiness_;
  Timer retry_;
  int last_descriptor_;  // from this one on, descriptors are kept for backends and the management endpoint
};

}  // namespace portico::proxy
