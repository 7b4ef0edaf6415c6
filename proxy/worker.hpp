#pragma once
// One event loop on one thread: its listeners, sessions, upstream pools, settings and counters. Workers share
// nothing but the connection limits and the brakes.
//
// owns:    its io_context, reactor, sessions (by their coroutines), endpoints and listening sockets
// threads: start(), post() and join() are the control thread's; everything else runs on the worker's own
// thread The life of a connection, in order: Listener (listener.cpp) -> serve (session.cpp) -> Exchange
// (exchange.cpp, exchange_request.cpp, exchange_response.cpp, tunnel.cpp).

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "conf/settings.hpp"
#include "proxy/brakes.hpp"
#include "proxy/connection_limits.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/http/client_address.hpp"
#include "proxy/http/request_id.hpp"
#include "proxy/listener.hpp"
#include "proxy/moment.hpp"
#include "proxy/reactor.hpp"
#include "proxy/tls/client_context.hpp"
#include "proxy/tls/server_contexts.hpp"
#include "proxy/tls/ticket_keys.hpp"
#include "proxy/upstream.hpp"
#include "routing/table.hpp"
#include "telemetry/cells.hpp"
#include "telemetry/tap/key.hpp"
#include "telemetry/tap/tap.hpp"

namespace portico::proxy {

class Session;

/// What lets a Session stand in its worker's list.
struct SessionLink : boost::intrusive::list_base_hook<> {};

/// Addresses that an endpoint's name resolves to now.
struct Resolution {
  conf::Url url;
  std::vector<SocketAddress> addresses;
};
using Resolutions = std::shared_ptr<const std::vector<Resolution>>;

/// TLS of one worker, which shares no OpenSSL object with another one.
struct WorkerTls {
  std::shared_ptr<tls::ServerContexts> server;  ///< null when there is no certificate
  std::vector<std::shared_ptr<const tls::ClientContext>>
      clients;  ///< by upstream; null without https:// endpoints
};

/// Settings as the control thread hands them to each worker, with the counters' labels looked up.
struct Blueprint {
  conf::Settings settings;
  std::vector<telemetry::RouteLabel> route_labels;  ///< by RouteId
  telemetry::RouteLabel no_route{};                 ///< for requests that never got a route
  std::vector<std::vector<telemetry::EndpointLabel>> endpoint_labels;  ///< by upstream, by endpoint
  Resolutions resolutions;                                             ///< of all endpoints
  std::vector<WorkerTls> tls;                                          ///< by worker
  std::uint16_t redirect_port = 443;                                   ///< that a redirect to https:// names
};

/// Settings in force on one worker. Exchanges hold the ones they began under, so a reload never changes a
/// running stream. The count is not atomic: it never leaves its worker.
struct WorkerConfig : boost::intrusive_ref_counter<WorkerConfig, boost::thread_unsafe_counter> {
  WorkerConfig(const Blueprint& blueprint, std::size_t worker, std::vector<Upstream> owners);

  conf::Settings settings;
  routing::RouteTable table;
  http::TrustedProxies trusted;
  http::TrustedProxies proxy_protocol_from;
  std::vector<telemetry::RouteLabel> route_labels;
  telemetry::RouteLabel no_route;
  std::vector<Upstream> upstreams;           ///< by UpstreamId
  std::shared_ptr<tls::ServerContexts> tls;  ///< this worker's own; null without certificates
  std::uint16_t redirect_port;               ///< that a redirect to https:// names

  /// Do connections of `peer` begin with a PROXY header?
  [[nodiscard]] bool announces(const http::Peer& peer) const noexcept {
    return peer.is_unix ? proxy_protocol_from.trusts_unix() : proxy_protocol_from.trusts(peer.ip);
  }
};
using ConfigPtr = boost::intrusive_ptr<WorkerConfig>;

class Worker {
 public:
  /// `on_drained` is called on the worker's thread when it has no more sessions after drain().
  /// Its exchanges leave their records in `records`.
  Worker(std::size_t index, telemetry::WorkerCells& cells, telemetry::RecordSink& records,
         const telemetry::KeySecret& secret, ConnectionLimits& limits, Brakes& brakes,
         std::function<void()> on_drained);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // ---- control thread ----
  void start(const Blueprint& blueprint, std::vector<ListenerSocket> listeners);
  /// What start() does before there is a thread: for a caller that runs `context` on its own thread instead.
  void prepare(const Blueprint& blueprint, std::vector<ListenerSocket> listeners);
  /// Takes effect soon. Exchanges in progress keep the old settings. `listeners` are added, `closed` (labels)
  /// go.
  void reload(std::shared_ptr<const Blueprint> blueprint, std::vector<ListenerSocket> listeners,
              std::vector<telemetry::ListenerLabel> closed);
  void resolve(Resolutions resolutions);
  /// Session tickets are made and read with these keys from now on.
  void set_tickets(std::shared_ptr<const tls::TicketKeys> tickets);
  /// Stops accepting, closes idle connections, lets exchanges finish.
  void drain();
  /// Ends every session at once.
  void cut();
  void join();

  // ---- the worker's own thread ----
  [[nodiscard]] const ConfigPtr& config() const noexcept { return config_; }
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  [[nodiscard]] bool cutting() const noexcept { return cutting_; }
  void add(Session& session) noexcept;
  void remove(Session& session) noexcept;
  /// A connection over a limit may be told so; false when enough are being told already.
  bool enter_turned_away() noexcept;
  void leave_turned_away() noexcept;
  /// A line in the log about something that may happen very often: at most one a second, with the number left
  /// out.
  void complain(std::string_view message);
  /// Microseconds since 1970 of a moment of this second or so.
  std::uint64_t unix_time_us(Moment moment) noexcept;
  /// The current time as an HTTP date, made at most once a second.
  std::string_view http_date();

  boost::asio::io_context context;
  Reactor reactor;
  telemetry::WorkerCells& cells;
  ConnectionLimits& limits;
  Brakes& brakes;
  telemetry::TapContext tap;
  http::RequestIds request_ids;

  // Scratch of the exchange whose head is being looked at. Nothing here survives a suspension.
  h1::HeadFields fields;
  routing::PathScratch path_scratch;
  http::ForwardedChain chain;

 private:
  using Command = std::function<void()>;
  using SessionList = boost::intrusive::list<SessionLink, boost::intrusive::constant_time_size<false>>;

  void post(Command command);
  void on_mail(bool cancelled) noexcept;
  void run_commands();
  void apply(const Blueprint& blueprint);
  void set_addresses(const std::vector<Resolution>& resolutions);
  void listen(std::vector<ListenerSocket> sockets);
  Endpoint& endpoint_for(const conf::Url& url, telemetry::EndpointLabel label);
  void check_drained();
  void run();

  std::size_t index_;
  telemetry::KeyMarker keys_;
  std::function<void()> on_drained_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  ConfigPtr config_;
  struct NamedEndpoint {
    telemetry::EndpointLabel label;
    std::unique_ptr<Endpoint> endpoint;
  };
  std::vector<NamedEndpoint> endpoints_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  SessionList sessions_;
  std::size_t turned_away_ = 0;
  bool draining_ = false;
  bool cutting_ = false;
  bool drained_ = false;
  std::int64_t complained_second_ = 0;
  std::size_t complaints_left_out_ = 0;
  Moment clock_asked_ = 0;
  std::uint64_t clock_offset_ns_ = 0;  // from the monotonic clock to the time of day
  std::string date_;
  std::int64_t date_second_ = 0;

  // The mailbox: the control thread's only way in.
  int mail_fd_ = -1;
  Reactor::Descriptor mail_descriptor_ = nullptr;
  Readiness mail_;
  std::mutex mail_mutex_;
  std::vector<Command> mailbox_;

  std::thread thread_;
};

}  // namespace portico::proxy
