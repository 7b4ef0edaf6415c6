#include "proxy/worker.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "proxy/session.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

namespace {

// A backend's head is bounded by its size; this only bounds the table of its fields.
constexpr std::size_t response_fields = 1'024;

std::array<std::uint64_t, 4> random_seed() {
  std::array<std::uint64_t, 4> seed{};
  if (::getrandom(seed.data(), sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    throw std::runtime_error("the system has no randomness to give");
  }
  return seed;
}

std::vector<std::string> names_of(const std::vector<conf::UpstreamSettings>& upstreams) {
  std::vector<std::string> names;
  names.reserve(upstreams.size());
  for (const conf::UpstreamSettings& upstream : upstreams) names.push_back(upstream.name);
  return names;
}

}  // namespace

WorkerConfig::WorkerConfig(const Blueprint& blueprint, std::size_t worker, std::vector<Upstream> owners)
    : settings(blueprint.settings),
      table(settings.routes, names_of(settings.upstreams)),
      trusted(settings.trusted_proxies),
      proxy_protocol_from(settings.proxy_protocol_from),
      route_labels(blueprint.route_labels),
      no_route(blueprint.no_route),
      upstreams(std::move(owners)),
      tls(blueprint.tls[worker].server),
      redirect_port(blueprint.redirect_port) {}

// The hint lets Asio leave out its locks: everything on this context happens on one thread. The mailbox is
// the way in.
Worker::Worker(std::size_t index, telemetry::WorkerCells& worker_cells, telemetry::RecordSink& records,
               const telemetry::KeySecret& secret, ConnectionLimits& connection_limits, Brakes& client_brakes,
               std::function<void()> on_drained)
    : context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE),
      reactor(context),
      cells(worker_cells),
      limits(connection_limits),
      brakes(client_brakes),
      tap{records, keys_},
      request_ids(random_seed()),
      fields(conf::Limits{}.request_fields),
      index_(index),
      keys_(secret),
      on_drained_(std::move(on_drained)),
      work_(context.get_executor()),
      mail_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      mail_(
          Direction::read, [](void* self, bool cancelled) { static_cast<Worker*>(self)->on_mail(cancelled); },
          this) {
  if (mail_fd_ < 0) throw std::runtime_error("cannot make an event descriptor for a worker");
}

Worker::~Worker() {
  join();
  if (mail_descriptor_ != nullptr) reactor.remove(mail_fd_, mail_descriptor_);
  ::close(mail_fd_);
}

// ---- control thread
// ----------------------------------------------------------------------------------------------

void Worker::prepare(const Blueprint& blueprint, std::vector<ListenerSocket> listeners) {
  apply(blueprint);
  if (reactor.add(mail_fd_, mail_descriptor_) != 0)
    throw std::runtime_error("cannot watch a worker's mailbox");
  mail_.arm(reactor, mail_fd_, mail_descriptor_, false);
  listen(std::move(listeners));
}

void Worker::start(const Blueprint& blueprint, std::vector<ListenerSocket> listeners) {
  prepare(blueprint, std::move(listeners));
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), fmt::format("portico-w{}", index_).c_str());
}

void Worker::post(Command command) {
  {
    const std::lock_guard lock(mail_mutex_);
    mailbox_.push_back(std::move(command));
  }
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the worker has been woken already.
  static_cast<void>(!::write(mail_fd_, &one, sizeof one));
}

void Worker::reload(std::shared_ptr<const Blueprint> blueprint, std::vector<ListenerSocket> listeners,
                    std::vector<telemetry::ListenerLabel> closed) {
  // std::function wants something that can be copied.
  auto sockets = std::make_shared<std::vector<ListenerSocket>>(std::move(listeners));
  post([this, blueprint = std::move(blueprint), sockets, closed = std::move(closed)] {
    apply(*blueprint);
    for (const std::unique_ptr<Listener>& listener : listeners_) {
      if (std::find(closed.begin(), closed.end(), listener->label()) != closed.end()) listener->stop();
    }
    std::erase_if(listeners_, [](const std::unique_ptr<Listener>& listener) { return listener->closed(); });
    listen(std::move(*sockets));
  });
}

void Worker::resolve(Resolutions resolutions) {
  post([this, resolutions = std::move(resolutions)] { set_addresses(*resolutions); });
}

void Worker::set_tickets(std::shared_ptr<const tls::TicketKeys> tickets) {
  post([this, tickets = std::move(tickets)] {
    if (config_->tls) config_->tls->set_tickets(tickets);
  });
}

void Worker::drain() {
  post([this] {
    if (draining_) return;
    draining_ = true;
    for (const std::unique_ptr<Listener>& listener : listeners_) listener->stop();
    for (SessionLink& link : sessions_) static_cast<Session&>(link).on_drain();
    check_drained();
  });
}

void Worker::cut() {
  post([this] {
    cutting_ = true;
    for (SessionLink& link : sessions_) static_cast<Session&>(link).on_cut();
    check_drained();
  });
}

void Worker::join() {
  if (!thread_.joinable()) return;
  post([this] {
    for (const std::unique_ptr<Listener>& listener : listeners_) listener->stop();
    for (const NamedEndpoint& named : endpoints_) named.endpoint->close_idle();
    reactor.wheel.stop();
    work_.reset();
    mail_.cancel(reactor, mail_fd_, mail_descriptor_);
  });
  thread_.join();
}

// ---- the worker's own thread
// -------------------------------------------------------------------------------------

void Worker::run() {
  try {
    context.run();
  } catch (const std::exception& error) {
    telemetry::log(telemetry::Level::error, "worker {} ended: {}", index_, error.what());
    std::terminate();
  }
}

void Worker::on_mail(bool cancelled) noexcept {
  if (cancelled) return;
  std::uint64_t count = 0;
  while (::read(mail_fd_, &count, sizeof count) > 0) {
  }
  mail_.arm(reactor, mail_fd_, mail_descriptor_, true);
  run_commands();
}

void Worker::run_commands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mail_mutex_);
    commands.swap(mailbox_);
  }
  for (const Command& command : commands) command();
}

Endpoint& Worker::endpoint_for(const conf::Url& url, telemetry::EndpointLabel label) {
  for (const NamedEndpoint& named : endpoints_) {
    if (named.label == label && named.endpoint->url() == url) return *named.endpoint;
  }
  endpoints_.push_back({label, std::make_unique<Endpoint>(reactor, url, label, cells.endpoint(label))});
  return *endpoints_.back().endpoint;
}

void Worker::apply(const Blueprint& blueprint) {
  std::vector<Upstream> upstreams;
  std::vector<Endpoint*> in_use;
  for (std::size_t i = 0; i < blueprint.settings.upstreams.size(); ++i) {
    const conf::UpstreamSettings& settings = blueprint.settings.upstreams[i];
    std::vector<Endpoint*> endpoints;
    for (std::size_t j = 0; j < settings.endpoints.size(); ++j) {
      Endpoint& endpoint = endpoint_for(settings.endpoints[j], blueprint.endpoint_labels[i][j]);
      endpoint.configure(settings.keep_alive_connections, settings.keep_alive_timeout);
      endpoint.secure_with(blueprint.tls[index_].clients[i], settings.tls_name);
      endpoints.push_back(&endpoint);
      in_use.push_back(&endpoint);
    }
    upstreams.emplace_back(std::move(endpoints));
  }
  for (const NamedEndpoint& named : endpoints_) {
    if (std::find(in_use.begin(), in_use.end(), named.endpoint.get()) == in_use.end())
      named.endpoint->configure(0, {});
  }
  set_addresses(*blueprint.resolutions);
  config_ = ConfigPtr(new WorkerConfig(blueprint, index_, std::move(upstreams)));
  fields = h1::HeadFields(std::max(config_->settings.limits.request_fields, response_fields));
}

void Worker::set_addresses(const std::vector<Resolution>& resolutions) {
  for (const NamedEndpoint& named : endpoints_) {
    for (const Resolution& resolution : resolutions) {
      if (resolution.url == named.endpoint->url()) named.endpoint->set_addresses(resolution.addresses);
    }
  }
}

void Worker::listen(std::vector<ListenerSocket> sockets) {
  for (ListenerSocket& socket : sockets) {
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(socket)));
    listeners_.back()->start();
  }
}

void Worker::add(Session& session) noexcept { sessions_.push_back(session); }

void Worker::remove(Session& session) noexcept {
  sessions_.erase(SessionList::s_iterator_to(session));
  check_drained();
}

bool Worker::enter_turned_away() noexcept {
  // These are over a limit already, so few of them may wait for their clients to read.
  constexpr std::size_t most = 256;
  if (turned_away_ >= most) return false;
  ++turned_away_;
  return true;
}

void Worker::leave_turned_away() noexcept {
  --turned_away_;
  check_drained();
}

void Worker::check_drained() {
  if (!draining_ || drained_ || !sessions_.empty() || turned_away_ > 0) return;
  drained_ = true;
  on_drained_();
}

void Worker::complain(std::string_view message) {
  const std::time_t now = std::time(nullptr);
  if (now == complained_second_) {
    ++complaints_left_out_;
    return;
  }
  complained_second_ = now;
  const std::size_t left_out = std::exchange(complaints_left_out_, 0);
  if (left_out > 0) {
    telemetry::log(telemetry::Level::warn, "{} ({} more such lines left out)", message, left_out);
  } else {
    telemetry::log(telemetry::Level::warn, "{}", message);
  }
}

// One clock serves both: the time of day is asked once a second, so that a step of it is followed soon.
std::uint64_t Worker::unix_time_us(Moment moment) noexcept {
  constexpr Moment second = 1'000'000'000;
  if (moment - clock_asked_ >= second || clock_asked_ == 0) {
    clock_asked_ = moment;
    const auto day = std::chrono::system_clock::now().time_since_epoch();
    clock_offset_ns_ =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(day).count()) - now();
  }
  return (moment + clock_offset_ns_) / 1000;
}

std::string_view Worker::http_date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[32];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

}  // namespace portico::proxy
