#include "proxy/control.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>

#include "conf/describe.hpp"
#include "proxy/resolver.hpp"
#include "routing/explain.hpp"
#include "telemetry/key_secret.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

using telemetry::Level;
using telemetry::log;

namespace {

/// Processors this process may run on.
std::size_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t worker_count(const conf::Settings& settings) {
  return settings.workers > 0 ? settings.workers : usable_processors();
}

std::uint64_t random_secret() {
  std::uint64_t secret = 0;
  if (::getrandom(&secret, sizeof secret, 0) != static_cast<ssize_t>(sizeof secret)) {
    throw std::runtime_error("the system has no randomness to give");
  }
  return secret;
}

Level log_level(conf::LogLevel level) {
  switch (level) {
    case conf::LogLevel::debug:
      return Level::debug;
    case conf::LogLevel::info:
      return Level::info;
    case conf::LogLevel::warn:
      return Level::warn;
    case conf::LogLevel::error:
      return Level::error;
  }
  return Level::info;
}

/// Several lines in one, as the log takes them.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) line += c == '\n' ? std::string("; ") : std::string(1, c);
  while (line.ends_with("; ")) line.resize(line.size() - 2);
  return line;
}

/// A listener of TLS is of no use without a certificate.
void demand_certificate(const std::vector<ListenerSet::OpenListener>& listeners, const LoadedTls& tls) {
  if (speaks_tls(listeners) && tls.certificates.empty())
    throw tls::CertificateError(
        "tls.certificates: expected at least one, because there is a listener of TLS");
}

std::vector<std::string> upstream_names(const conf::Settings& settings) {
  std::vector<std::string> names;
  names.reserve(settings.upstreams.size());
  for (const conf::UpstreamSettings& upstream : settings.upstreams) names.push_back(upstream.name);
  return names;
}

bool same_resolution(const std::vector<Resolution>& a, const std::vector<Resolution>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Resolution& x, const Resolution& y) {
    return x.url == y.url &&
           std::equal(
               x.addresses.begin(), x.addresses.end(), y.addresses.begin(), y.addresses.end(),
               [](const SocketAddress& p, const SocketAddress& q) { return text_of(p) == text_of(q); });
  });
}

std::vector<Resolution> resolve_all(const std::vector<conf::Url>& urls) {
  std::vector<Resolution> resolutions;
  resolutions.reserve(urls.size());
  for (const conf::Url& url : urls) resolutions.push_back({url, resolve(url)});
  return resolutions;
}

std::vector<conf::Url> endpoint_urls(const conf::Settings& settings) {
  std::vector<conf::Url> urls;
  for (const conf::UpstreamSettings& upstream : settings.upstreams) {
    urls.insert(urls.end(), upstream.endpoints.begin(), upstream.endpoints.end());
  }
  return urls;
}

}  // namespace

Control::Control(conf::Sources sources, conf::Loaded loaded)
    : sources_(std::move(sources)),
      loaded_(std::move(loaded)),
      signals_(context_),
      drain_timer_(context_),
      resolve_timer_(context_),
      brakes_(random_secret()),
      registry_(worker_count(loaded_.settings)),
      collector_(loaded_.settings, registry_),
      management_(registry_, &collector_.stores()),
      limits_(random_secret()),
      listeners_(registry_),
      tls_(
          context_, [this] { reload_certificates(); },
          [this](const TlsControl::TicketsPtr& tickets) {
            for (const std::unique_ptr<Worker>& worker : workers_) worker->set_tickets(tickets);
          },
          {}) {
  registry_.set_braked([this](std::size_t most) { return brakes_.braked(most); });
}

Control::~Control() = default;

int Control::run() {
  telemetry::set_log_level(log_level(loaded_.settings.log_level));
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) signals_.add(signal);
  raise_descriptor_limit();
  start();
  announce();
  wait_for_signal();
  schedule_resolution();
  context_.run();
  for (const std::unique_ptr<Worker>& worker : workers_) worker->join();
  management_.stop();
  log(Level::info, "ended");
  return 0;
}

void Control::raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  // Each exchange holds two descriptors: one for the client, one for the backend.
  const std::size_t wanted = 2 * loaded_.settings.limits.connections;
  if (limit.rlim_max < wanted) {
    log(Level::warn,
        "this process may open {} file descriptors, too few for limits.connections = {}: accepting will "
        "pause when they "
        "run out; raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower limits.connections",
        limit.rlim_max, loaded_.settings.limits.connections);
  }
}

// ---- start
// -------------------------------------------------------------------------------------------------------

void Control::start() {
  const conf::Settings& settings = loaded_.settings;
  const std::size_t count = registry_.workers();
  LoadedTls tls = load_tls(settings, count, tls_.tickets());
  ListenerSet::Change listening = listeners_.first(settings);
  demand_certificate(listening.open, tls);
  listeners_.commit(listening);
  const telemetry::LoadedSecret secret = telemetry::load_key_secret(settings.telemetry.key_file);
  if (!secret.warning.empty()) log(Level::warn, "{}", secret.warning);
  admin_ = settings.admin;
  management_.start(admin_, collector_.hooks());

  resolutions_ = std::make_shared<const std::vector<Resolution>>(resolve_all(endpoint_urls(settings)));
  for (const Resolution& resolution : *resolutions_) {
    if (resolution.addresses.empty()) {
      log(Level::warn, "{} does not resolve; it is tried again every {} s", resolution.url.text(),
          settings.upstreams.front().resolve_interval.count() / 1000);
    }
  }
  const std::shared_ptr<const Blueprint> plan =
      blueprint(settings, std::move(tls.workers), listeners_.open());
  tls_.adopt(std::move(tls));
  for (std::size_t i = 0; i < count; ++i) {
    workers_.push_back(
        std::make_unique<Worker>(i, registry_.worker(i), collector_.sink(i), secret.secret, limits_, brakes_,
                                 [this] { boost::asio::post(context_, [this] { on_worker_drained(); }); }));
    workers_.back()->start(*plan, std::move(listening.opened[i]));
  }
  state_.ready = true;
  state_.started = state_.loaded = std::chrono::system_clock::now();
  publish();
}

std::shared_ptr<const Blueprint> Control::blueprint(const conf::Settings& settings,
                                                    std::vector<WorkerTls> tls,
                                                    const std::vector<ListenerSet::OpenListener>& listeners) {
  auto plan = std::make_shared<Blueprint>();
  plan->settings = settings;
  plan->no_route = registry_.route("none");
  plan->resolutions = resolutions_;
  plan->tls = std::move(tls);
  plan->redirect_port = redirect_port(listeners);
  const routing::RouteTable table(settings.routes, upstream_names(settings));
  for (const routing::Route& route : table.routes())
    plan->route_labels.push_back(registry_.route(route.label));
  for (const conf::UpstreamSettings& upstream : settings.upstreams) {
    std::vector<telemetry::EndpointLabel>& labels = plan->endpoint_labels.emplace_back();
    for (const conf::Url& url : upstream.endpoints)
      labels.push_back(registry_.endpoint(upstream.name, url.text()));
  }
  return plan;
}

void Control::announce() const {
  std::string text = listeners_.announcement();
  for (const conf::UpstreamSettings& upstream : loaded_.settings.upstreams) {
    for (const conf::Url& url : upstream.endpoints)
      text += fmt::format("forwarding to {} at {}\n", upstream.name, url.text());
  }
  const std::string admin = management_.address();
  const std::string_view scheme = management_.speaks_tls() ? "https://" : "http://";
  text += fmt::format("management on {}{}\n", admin.starts_with("unix:") ? "" : scheme, admin);
  text += "ready\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Control::publish() {
  const conf::Settings& settings = loaded_.settings;
  state_.draining = draining_;
  state_.config_file = loaded_.file;
  state_.settings = conf::describe(settings);
  state_.workers = registry_.workers();
  state_.listeners.clear();
  for (const ListenerSet::OpenListener& listener : listeners_.open())
    state_.listeners.push_back(listener.bound.text());
  state_.certificates = tls_.certificates();
  state_.routes.clear();
  const routing::RouteTable table(settings.routes, upstream_names(settings));
  for (const routing::Route& route : table.routes()) {
    const conf::RouteSettings& rule = route.settings;
    telemetry::RouteState shown{
        route.label, rule.match == conf::RouteSettings::Match::exact ? "exact" : "prefix", rule.path, {}, {}};
    switch (rule.action) {
      case conf::RouteSettings::Action::upstream:
        shown.action = "upstream";
        shown.target = table.upstream_name(*route.upstream);
        break;
      case conf::RouteSettings::Action::redirect:
        shown.action = "redirect";
        shown.target = rule.location;
        break;
      case conf::RouteSettings::Action::respond:
        shown.action = "respond";
        shown.target = std::to_string(rule.status);
        break;
    }
    state_.routes.push_back(std::move(shown));
  }
  state_.endpoints.clear();
  std::size_t index = 0;
  for (const conf::UpstreamSettings& upstream : settings.upstreams) {
    for (const conf::Url& url : upstream.endpoints) {
      telemetry::EndpointState shown{upstream.name, url.text(), {}};
      if (index < resolutions_->size()) {
        for (const SocketAddress& address : (*resolutions_)[index].addresses)
          shown.addresses.push_back(text_of(address));
      }
      ++index;
      state_.endpoints.push_back(std::move(shown));
    }
  }
  management_.publish(state_);
}

// ---- signals
// -----------------------------------------------------------------------------------------------------

void Control::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    // One that came together with the end finds nobody left to tell, and must not be waited for anew.
    if (error || ended_) return;
    on_signal(signal);
    wait_for_signal();
  });
}

void Control::on_signal(int signal) {
  switch (signal) {
    case SIGHUP:
      reload();
      return;
    case SIGUSR1:
      collector_.reopen_logs();
      return;
    default:
      break;
  }
  if (draining_) {
    log(Level::warn, "second signal: ending at once");
    cut();
  } else {
    drain();
  }
}

void Control::reload() {
  if (draining_) return;
  ++state_.reloads;
  conf::Loaded fresh = conf::load(sources_);
  std::string problems = fresh.problem_text();
  if (fresh.ok()) {
    try {
      replace_settings(std::move(fresh));
      state_.loaded = std::chrono::system_clock::now();
      report_reload(true, true);
      log(Level::info, "settings reloaded{}{}", loaded_.file.empty() ? "" : " from ", loaded_.file);
      return;
    } catch (const std::exception& error) {
      problems = error.what();
    }
  }
  report_reload(false, certificates_ok_);
  log(Level::error, "settings not reloaded, the old ones stay in force: {}", one_line(problems));
}

/// The files of certificates have changed; the settings are as they were.
void Control::reload_certificates() {
  ++state_.reloads;
  try {
    LoadedTls tls = load_tls(loaded_.settings, registry_.workers(), tls_.tickets());
    management_.reload_tls(admin_);
    const std::shared_ptr<const Blueprint> plan =
        blueprint(loaded_.settings, std::move(tls.workers), listeners_.open());
    tls_.adopt(std::move(tls));
    for (const std::unique_ptr<Worker>& worker : workers_) worker->reload(plan, {}, {});
    report_reload(settings_ok_, true);
    log(Level::info, "certificates read anew, because their files have changed");
  } catch (const std::exception& error) {
    report_reload(settings_ok_, false);
    log(Level::error, "certificates not read anew, the old ones stay in force: {}", one_line(error.what()));
  }
}

void Control::report_reload(bool settings_ok, bool certificates_ok) {
  settings_ok_ = settings_ok;
  certificates_ok_ = certificates_ok;
  state_.last_reload_ok = settings_ok && certificates_ok;
  publish();
}

/// Puts new settings in force, or throws and changes nothing.
void Control::replace_settings(conf::Loaded fresh) {
  const conf::Settings& settings = fresh.settings;
  LoadedTls tls = load_tls(settings, registry_.workers(), tls_.tickets());
  ListenerSet::Change listening = listeners_.prepare(settings);
  demand_certificate(listening.open, tls);
  management_.reload_tls(admin_);

  if (settings.admin != loaded_.settings.admin)
    log(Level::warn, "a change of admin.* takes effect at the next start");
  if (worker_count(settings) != registry_.workers())
    log(Level::warn, "a change of workers takes effect at the next start");
  if (settings.telemetry != loaded_.settings.telemetry)
    log(Level::warn, "a change of telemetry.* takes effect at the next start");
  if (settings.access_log != loaded_.settings.access_log) collector_.configure(settings.access_log);
  telemetry::set_log_level(log_level(settings.log_level));
  if (endpoint_urls(settings) != endpoint_urls(loaded_.settings)) {
    resolutions_ = std::make_shared<const std::vector<Resolution>>(resolve_all(endpoint_urls(settings)));
  }
  const std::shared_ptr<const Blueprint> plan = blueprint(settings, std::move(tls.workers), listening.open);
  listeners_.commit(listening);
  tls_.adopt(std::move(tls));
  loaded_ = std::move(fresh);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->reload(plan, std::move(listening.opened[i]), listening.closed);
  }
  schedule_resolution();
}

void Control::drain() {
  draining_ = true;
  const auto limit = loaded_.settings.timeouts.drain;
  log(Level::info, "draining: no new connections, running exchanges have {} s; a second signal ends at once",
      static_cast<double>(limit.count()) / 1000);
  publish();
  resolve_timer_.cancel();
  tls_.stop();
  for (const std::unique_ptr<Worker>& worker : workers_) worker->drain();
  drain_timer_.expires_after(limit);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log(Level::warn, "drain time is over: {} connections are cut", limits_.total());
    cut();
  });
}

void Control::cut() {
  for (const std::unique_ptr<Worker>& worker : workers_) worker->cut();
}

void Control::on_worker_drained() {
  if (++drained_workers_ < workers_.size()) return;
  ended_ = true;
  drain_timer_.cancel();
  signals_.cancel();
  listeners_.remove_files();
}

// ---- names
// -------------------------------------------------------------------------------------------------------

void Control::schedule_resolution() {
  const std::vector<conf::Url> urls = endpoint_urls(loaded_.settings);
  if (std::none_of(urls.begin(), urls.end(), is_named)) {
    resolve_timer_.cancel();
    return;
  }
  auto interval = loaded_.settings.upstreams.front().resolve_interval;
  for (const conf::UpstreamSettings& upstream : loaded_.settings.upstreams) {
    interval = std::min(interval, upstream.resolve_interval);
  }
  resolve_timer_.expires_after(interval);
  resolve_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) resolve_now();
  });
}

/// The resolver may take its time, so it is asked on a thread of its own; signals are answered meanwhile.
void Control::resolve_now() {
  resolving_ = std::jthread([this, urls = endpoint_urls(loaded_.settings)] {
    auto found = std::make_shared<std::vector<Resolution>>(resolve_all(urls));
    boost::asio::post(context_, [this, found = std::move(found)] {
      if (draining_) return;
      // A reload may have changed the endpoints while the resolver was being asked.
      const bool current =
          std::equal(found->begin(), found->end(), resolutions_->begin(), resolutions_->end(),
                     [](const Resolution& a, const Resolution& b) { return a.url == b.url; });
      // A resolver that fails for a while must not take away what worked.
      for (std::size_t i = 0; current && i < found->size(); ++i) {
        if ((*found)[i].addresses.empty()) (*found)[i].addresses = (*resolutions_)[i].addresses;
      }
      if (current && !same_resolution(*found, *resolutions_)) {
        resolutions_ = found;
        for (const std::unique_ptr<Worker>& worker : workers_) worker->resolve(resolutions_);
        publish();
      }
      schedule_resolution();
    });
  });
}

}  // namespace portico::proxy
