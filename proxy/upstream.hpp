#pragma once
// Backends as one worker sees them: endpoints with their addresses, a keep-alive pool each, and the choice
// between several.
//
// owns:    an Upstreams owns its endpoints, an Endpoint its idle connections; a Lease owns the connection of
// one exchange threads: one worker; the control thread hands in addresses by message lifetime: an endpoint
// lives as long as the worker, because reloads may bring it back and counters refer to it

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "conf/settings.hpp"
#include "proxy/stream.hpp"
#include "proxy/task.hpp"
#include "proxy/tls/client_context.hpp"
#include "telemetry/cells.hpp"

namespace portico::proxy {

class Endpoint;

/// A socket address with its length.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

/// Errors that say something about this machine, not about the endpoint: no descriptors, no memory.
bool is_local_shortage(int error) noexcept;

/// A connection to a backend: idle in its endpoint's pool, or leased by one exchange.
class UpstreamConnection : public boost::intrusive::list_base_hook<> {
 public:
  UpstreamConnection(Reactor& reactor, Endpoint& endpoint) noexcept : stream(reactor), endpoint_(endpoint) {}

  Stream stream;

 private:
  friend class Endpoint;
  Endpoint& endpoint_;
};

/// The hold of one exchange on a connection. Unless it is returned, the connection is closed.
class Lease {
 public:
  Lease() = default;
  Lease(Endpoint& endpoint, UpstreamConnection& connection, bool reused) noexcept
      : endpoint_(&endpoint), connection_(&connection), reused_(reused) {}
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { drop(); }

  explicit operator bool() const noexcept { return connection_ != nullptr; }
  [[nodiscard]] Stream& stream() const noexcept { return connection_->stream; }
  [[nodiscard]] Endpoint& endpoint() const noexcept { return *endpoint_; }
  /// Taken from the pool, so that it may have died unnoticed.
  [[nodiscard]] bool reused() const noexcept { return reused_; }

  /// Back to the pool. Precondition: the response was read to its end and nothing follows it.
  void give_back() noexcept;
  /// Closes it.
  void drop() noexcept;

 private:
  Endpoint* endpoint_ = nullptr;
  UpstreamConnection* connection_ = nullptr;
  bool reused_ = false;
};

class Endpoint {
 public:
  Endpoint(Reactor& reactor, const conf::Url& url, telemetry::EndpointLabel label,
           telemetry::EndpointCells& cells) noexcept;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  ~Endpoint();

  /// What its name resolves to now; empty when it does not resolve.
  void set_addresses(std::vector<SocketAddress> addresses) noexcept { addresses_ = std::move(addresses); }
  /// Idle connections beyond the new limit are closed; 0 closes all.
  void configure(std::size_t keep_alive_connections, std::chrono::milliseconds keep_alive_timeout) noexcept;
  /// How connections of an https:// endpoint are secured. `name`: what its certificate must be for; empty:
  /// the URL's host.
  void secure_with(std::shared_ptr<const tls::ClientContext> context, const std::string& name);

  /// The pooled connection that was used last, or an empty lease. `surely_open`: for a request that may not
  /// be sent twice, a connection whose end may have come together with its last response is looked at once
  /// more.
  Lease take_idle(bool surely_open) noexcept;

  struct Connected {
    Lease lease;
    Io result = Io::failed;
    int error = 0;          ///< errno for the log, or 0 when no address is known
    bool insecure = false;  ///< TLS could not be set up: see objection()
  };
  /// A fresh connection, trying the addresses in turn. `canceller` is set to the stream under way, so that it
  /// can be closed from outside, and to null when done.
  Task<Connected> connect(Deadline deadline, Stream** canceller);

  /// What was wrong with the TLS of the last connection that was insecure, in words for the operator.
  [[nodiscard]] const std::string& objection() const noexcept { return objection_; }

  /// A refused or silent endpoint is set aside for 0.5 s, doubling to 30 s, until it works again.
  void report_failure(bool insecure = false) noexcept;
  void report_success() noexcept;
  [[nodiscard]] bool set_aside() noexcept;
  [[nodiscard]] std::uint64_t aside_until() const noexcept {
    return static_cast<std::uint64_t>(aside_until_);
  }

  [[nodiscard]] std::size_t outstanding() const noexcept { return leased_; }
  [[nodiscard]] const conf::Url& url() const noexcept { return url_; }
  [[nodiscard]] std::string_view authority() const noexcept { return authority_; }
  [[nodiscard]] telemetry::EndpointLabel label() const noexcept { return label_; }
  [[nodiscard]] telemetry::EndpointCells& cells() noexcept { return cells_; }
  void close_idle() noexcept;

 private:
  friend class Lease;
  using IdleList = boost::intrusive::list<UpstreamConnection>;
  Task<void> secure(Stream& stream, Deadline deadline, Connected& outcome);
  void put_idle(UpstreamConnection& connection) noexcept;
  void on_idle_event(UpstreamConnection& connection) noexcept;
  static void retire(UpstreamConnection& connection) noexcept;

  Reactor& reactor_;
  conf::Url url_;
  std::string authority_;
  telemetry::EndpointLabel label_;
  telemetry::EndpointCells& cells_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  std::shared_ptr<const tls::ClientContext> tls_;
  std::string tls_name_;
  std::string objection_;
  IdleList idle_;
  std::size_t leased_ = 0;
  std::size_t max_idle_ = 0;
  std::chrono::milliseconds idle_timeout_{0};
  std::uint32_t failures_ = 0;
  Deadline aside_until_{};
};

/// One backend by name: its endpoints, and which of them gets the next exchange.
class Upstream {
 public:
  explicit Upstream(std::vector<Endpoint*> endpoints) noexcept : endpoints_(std::move(endpoints)) {}
  /// The endpoint with the fewest exchanges in progress among those not set aside and not in `tried`; when
  /// all are set aside, the one whose time comes first. Null when all have been tried.
  [[nodiscard]] Endpoint* choose(std::span<Endpoint* const> tried) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return endpoints_.size(); }

 private:
  std::vector<Endpoint*> endpoints_;
  std::size_t turn_ = 0;  // among equals, each in turn
};

}  // namespace portico::proxy
