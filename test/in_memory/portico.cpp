#include "test/in_memory/portico.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <utility>

#include "proxy/session.hpp"
#include "proxy/tls_control.hpp"
#include "telemetry/log.hpp"
#include "test/in_memory/clock.hpp"
#include "test/support/certificate.hpp"

namespace portico::in_memory {

using namespace std::chrono_literals;

void demand(bool holds, std::string_view promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

/// Counts what the worker recorded.
struct Portico::Records final : telemetry::RecordSink {
  void push(const telemetry::Record& record) noexcept override {
    if (record->kind != telemetry::RecordKind::turn) ++exchanges;
  }
  std::uint64_t exchanges = 0;
};

/// Where the worker connects to: a socket without a file.
struct Portico::Listening {
  proxy::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  proxy::SocketAddress address;

  Listening() {
    // A name of the kernel's choice (unix(7), autobind).
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    address.length = sizeof address.storage;
    demand(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name.sun_family) == 0 &&
               ::listen(fd.get(), 128) == 0 &&
               ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) == 0,
           "backends can listen");
  }
};

namespace {

conf::Settings settings_for(bool tls, const test::TemporaryFolder& folder, Identity& identity) {
  conf::Settings settings = conf::Settings::defaults();
  settings.http2.cleartext = conf::Switch::on;
  settings.http2.streams = 8;
  settings.trusted_proxies = {*conf::Network::parse("10.0.0.0/8")};
  settings.proxy_protocol_from = {*conf::Network::parse("10.1.2.4/32")};
  settings.key_guard.failures = 3;
  settings.key_guard.pause = 1s;
  settings.limits.request_rate = 50;
  settings.limits.request_burst = 20;
  settings.via = "portico";
  settings.limits.request_head = 2'048;
  settings.limits.request_target = 512;
  settings.limits.request_fields = 24;
  settings.limits.request_body = 4'096;
  settings.limits.response_head = 2'048;
  settings.timeouts.response_head = 20s;
  settings.timeouts.response_body = 20s;
  settings.timeouts.websocket_idle = 20s;
  settings.timeouts.client_write = 20s;
  const std::filesystem::path challenges = folder.path() / "webroot/.well-known/acme-challenge";
  std::filesystem::create_directories(challenges);
  test::replace_file((challenges / "token").string(), "token.thumbprint");
  test::replace_file(folder.file("secret"), std::string(Portico::secret));
  settings.tls.acme_webroot = folder.file("webroot");
  if (!tls) return settings;
  const test::Authority authority;
  const test::Certificate certificate = authority.issue({.names = {"portico.test", "cpamp.test"}});
  const test::CertificateFiles files = certificate.write(folder.path().string(), "leaf");
  identity = {certificate.pem(), certificate.key_pem()};
  settings.tls.certificates = {files.certificate};
  settings.tls.keys = {files.key};
  for (conf::UpstreamSettings& upstream : settings.upstreams) {
    if (upstream.name != "cpamp") continue;
    upstream.endpoints = {*conf::Url::parse("https://cpamp.test")};
    upstream.ca_file = authority.write(folder.path().string(), "authority");
  }
  return settings;
}

}  // namespace

proxy::Blueprint Portico::make_blueprint(const Options& options) {
  proxy::Blueprint plan;
  plan.settings = settings_for(options.tls, *folder_, identity_);
  plan.no_route = registry_.route("none");
  plan.tls = proxy::load_tls(plan.settings, 1, std::make_shared<proxy::tls::TicketKeys>()).workers;
  std::vector<std::string> names;
  std::vector<proxy::Resolution> resolutions;
  for (const conf::UpstreamSettings& upstream : plan.settings.upstreams) {
    names.push_back(upstream.name);
    std::vector<telemetry::EndpointLabel>& labels = plan.endpoint_labels.emplace_back();
    for (const conf::Url& url : upstream.endpoints) {
      labels.push_back(registry_.endpoint(upstream.name, url.text()));
      resolutions.push_back({url, {listening_->address}});
    }
  }
  const routing::RouteTable table(plan.settings.routes, names);
  for (const routing::Route& route : table.routes())
    plan.route_labels.push_back(registry_.route(route.label));
  plan.resolutions = std::make_shared<const std::vector<proxy::Resolution>>(std::move(resolutions));
  return plan;
}

Portico::Portico(Options options)
    : records_(std::make_unique<Records>()),
      listening_(std::make_unique<Listening>()),
      folder_(std::make_unique<test::TemporaryFolder>()),
      blueprint_(make_blueprint(options)),
      listener_(registry_.listener("in memory")),
      backend_([](Link&) {}) {
  telemetry::set_log_level(telemetry::Level::error);
  start();
}

void Portico::start() {
  drained_ = false;
  nudge_.reset();
  worker_ = std::make_unique<proxy::Worker>(0, registry_.worker(0), *records_, telemetry::KeySecret{},
                                            limits_, brakes_, [this] { drained_ = true; });
  worker_->prepare(blueprint_, {});
  nudge_ = std::make_unique<boost::asio::steady_timer>(worker_->context);
}

Portico::~Portico() { finish(); }

Link& Portico::connect(proxy::ListenerKind kind, From from) {
  int ends[2] = {-1, -1};
  demand(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
         "there are sockets");
  proxy::http::Peer peer;
  constexpr std::array<std::string_view, 4> addresses{stranger_address, "10.1.2.3", "10.1.2.4",
                                                      "198.51.100.8"};
  peer.ip = *conf::IpAddress::parse(addresses[static_cast<std::size_t>(from)]);
  proxy::ConnectionLimits::Place place;
  limits_.enter(nullptr, SIZE_MAX, SIZE_MAX, place);
  proxy::serve(*worker_, listener_, kind, ends[0], peer, place);
  return *clients_.emplace_back(std::make_unique<Link>(proxy::UniqueFd(ends[1])));
}

bool Portico::accept() {
  bool any = false;
  for (;;) {
    proxy::UniqueFd fd(::accept4(listening_->fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() < 0) return any;
    any = true;
    backend_(*backends_.emplace_back(std::make_unique<Link>(std::move(fd))));
  }
}

bool Portico::turn() {
  bool moved = worker_->context.poll() > 0;
  moved |= accept();
  for (const std::unique_ptr<Link>& link : clients_) moved |= link->pump();
  for (const std::unique_ptr<Link>& link : backends_) {
    if (!link->pump()) continue;
    moved = true;
    backend_(*link);
  }
  return moved;
}

void Portico::deliver(Link& link, std::string_view bytes, std::uint8_t cut) {
  // Few enough pieces that an input stays cheap.
  constexpr std::size_t most_pieces = 96;
  const std::size_t size = cut == 0 ? bytes.size() : std::max<std::size_t>(cut, bytes.size() / most_pieces);
  while (!bytes.empty() && link.open()) {
    link.send(bytes.substr(0, size));
    settle();
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
}

void Portico::settle() {
  // No input is so long that it keeps everybody busy for this many.
  constexpr unsigned most_turns = 20'000;
  unsigned turns = 0;
  while (turn()) demand(++turns < most_turns, "a finite input ends in quiet");
}

void Portico::advance(std::chrono::milliseconds time) {
  settle();
  pass(time);
  // Asio asks the clock when its timer descriptor fires, which follows the real one: a timer of long ago.
  nudge_->expires_at(boost::asio::steady_timer::time_point());
  nudge_->async_wait([](const boost::system::error_code&) {});
  settle();
}

void Portico::drain() {
  worker_->drain();
  settle();
}

void Portico::cut() {
  worker_->cut();
  settle();
}

/// What is there although everybody has left; empty: nothing.
std::string_view Portico::left_over() const {
  const telemetry::WorkerCells& cells = registry_.worker(0);
  const telemetry::ListenerCells* listener = cells.listener_block(listener_);
  if (listener != nullptr && listener->connections.value() != 0) return "a session is left";
  if (limits_.total() != 0) return "a connection is still counted";
  if (cells.streams.value() != 0) return "an exchange is left";
  for (std::size_t i = 0; i < registry_.endpoints().size(); ++i) {
    const telemetry::EndpointCells* endpoint = cells.endpoint_block(static_cast<telemetry::EndpointLabel>(i));
    if (endpoint == nullptr) continue;
    if (endpoint->active.value() != 0) return "a lease is left";
    if (endpoint->connecting.value() != 0) return "a connection is still being made";
    if (endpoint->idle.value() != 0) return "a connection whose backend has closed is still pooled";
  }
  if (worker_->reactor.buffers.borrowed() != 0) return "a block is still borrowed";
  return {};
}

void Portico::finish() {
  for (const std::unique_ptr<Link>& link : clients_) link->close();
  settle();
  for (const std::unique_ptr<Link>& link : backends_) link->close();
  settle();
  // Ends that came together with bytes are found at the ticks, and what lingers does so for some seconds.
  for (unsigned ticks = 0; ticks < 400 && !left_over().empty(); ++ticks) advance(50ms);
  const std::string_view left = left_over();
  demand(left.empty(), left);
  const telemetry::WorkerCells& cells = registry_.worker(0);
  const std::uint64_t ended = std::accumulate(
      cells.ended.begin(), cells.ended.end(), std::uint64_t{0},
      [](std::uint64_t sum, const telemetry::Counter& counter) { return sum + counter.value(); });
  demand(ended == records_->exchanges, "each exchange that is counted has left one record");
  demand(cells.internal_errors.value() == 0, "nothing goes wrong inside");
  clients_.clear();
  backends_.clear();
  demand(drained_ == draining(), "a worker that drains says when it has");
  if (draining() || cutting()) start();
  // Longer than the window of the brake and than 60 of its pauses, and than an endpoint is set aside.
  advance(62s);
}

// ---- the witness
// -------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view names_begin = "/v1/witness-";

std::string next_name() {
  static std::uint64_t count = 0;
  // Nothing that an input could know.
  return fmt::format("{}{:016x}", names_begin, ++count * 0x9e3779b97f4a7c15U);
}

}  // namespace

Witness::Witness(Portico& portico)
    : portico_(portico),
      name_(next_name()),
      body_(name_ + " and more"),
      link_(portico.connect(proxy::ListenerKind::plain, Portico::From::witness)) {
  link_.send(fmt::format("POST {} HTTP/1.1\r\nHost: witness\r\nContent-Length: {}\r\n\r\n{}", name_,
                         body_.size(), body_.substr(0, body_.size() / 2)));
  portico_.settle();
}

bool Witness::serve(Link& link) {
  const std::string_view bytes = link.received();
  const bool get = bytes.starts_with("GET ");
  const std::size_t target = get ? 4 : 5;
  if (!get && !bytes.starts_with("POST ")) return false;
  if (!bytes.substr(target).starts_with(names_begin)) return false;
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return true;
  const std::string_view name = bytes.substr(target, bytes.find(' ', target) - target);
  const std::string_view body = bytes.substr(head + 4);
  // A GET has none; a POST's is its name and a little more.
  if (!get && !body.ends_with(" and more")) return true;
  const std::string answer = fmt::format("{} got {}", name, body);
  const std::string head_text =
      fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Name: {}\r\n\r\n", answer.size(), name);
  link.consume(bytes.size());
  link.send(head_text + answer);
  return true;
}

void Witness::end() {
  const auto whole = [](std::string_view seen, const std::string& body) {
    return seen.starts_with("HTTP/1.1 200 OK\r\n") && seen.ends_with("\r\n\r\n" + body) &&
           seen.find("HTTP/1.", 1) == std::string_view::npos;
  };
  if (portico_.cutting()) return;
  if (!portico_.draining()) {
    // May be given a connection to the backend that others have used.
    Link& second = portico_.connect(proxy::ListenerKind::plain, Portico::From::witness);
    second.send(fmt::format("GET {} HTTP/1.1\r\nHost: witness\r\n\r\n", name_));
    portico_.settle();
    demand(whole(second.received(), name_ + " got "), "a request after others gets its answer");
  }
  link_.send(body_.substr(body_.size() / 2));
  portico_.settle();
  demand(whole(link_.received(), name_ + " got " + body_), "a request beside others gets its answer");
}

void Witness::stays_private(std::string_view seen) const {
  demand(seen.find(name_) == std::string_view::npos, "an exchange is its client's alone");
}

}  // namespace portico::in_memory
