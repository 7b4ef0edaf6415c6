#include "proxy/tls_control.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "conf/findings.hpp"
#include "conf/schema.hpp"
#include "proxy/tls/client_context.hpp"
#include "proxy/tls/credentials.hpp"
#include "proxy/tls/server_contexts.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

namespace {

bool has_https(const conf::UpstreamSettings& upstream) {
  return std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(),
                     [](const conf::Url& url) { return url.scheme == conf::Url::Scheme::https; });
}

std::vector<std::string> files_of(const conf::Settings& settings) {
  std::vector<std::string> files = settings.tls.certificates;
  files.insert(files.end(), settings.tls.keys.begin(), settings.tls.keys.end());
  for (const conf::UpstreamSettings& upstream : settings.upstreams) {
    if (has_https(upstream) && !upstream.ca_file.empty()) files.push_back(upstream.ca_file);
  }
  for (const std::string* file :
       {&settings.admin.tls_certificate, &settings.admin.tls_key, &settings.admin.client_ca}) {
    if (!file->empty()) files.push_back(*file);
  }
  return files;
}

/// By upstream. Authorities take memory, so upstreams with the same ones share a context.
std::vector<std::shared_ptr<const tls::ClientContext>> client_contexts(const conf::Settings& settings) {
  std::map<std::string, std::shared_ptr<const tls::ClientContext>> by_file;
  std::vector<std::shared_ptr<const tls::ClientContext>> contexts;
  for (const conf::UpstreamSettings& upstream : settings.upstreams) {
    std::shared_ptr<const tls::ClientContext> context;
    if (has_https(upstream)) {
      std::shared_ptr<const tls::ClientContext>& known = by_file[upstream.ca_file];
      const std::string setting =
          conf::child_path(conf::child_path(conf::upstreams_key, upstream.name), "ca_file");
      if (!known) known = std::make_shared<const tls::ClientContext>(upstream.ca_file, setting);
      context = known;
    }
    contexts.push_back(std::move(context));
  }
  return contexts;
}

telemetry::CertificateState shown(const tls::CertificateFacts& facts) {
  return {facts.file, facts.names, std::chrono::sys_seconds(std::chrono::seconds(facts.not_after)),
          facts.key_type};
}

}  // namespace

LoadedTls load_tls(const conf::Settings& settings, std::size_t workers,
                   const std::shared_ptr<const tls::TicketKeys>& tickets) {
  LoadedTls loaded;
  loaded.watch = tls::FileWatch(files_of(settings));
  const tls::Credentials credentials(settings.tls);
  loaded.warnings = credentials.warnings();
  for (const tls::Credential& credential : credentials.items())
    loaded.certificates.push_back(shown(credential.facts));
  const tls::Protocols protocols =
      settings.http2.tls == conf::Switch::on ? tls::Protocols::h2_and_http1 : tls::Protocols::http1;
  for (std::size_t i = 0; i < workers; ++i) {
    WorkerTls& worker = loaded.workers.emplace_back();
    if (!credentials.items().empty())
      worker.server = std::make_shared<tls::ServerContexts>(credentials, protocols, tickets);
    worker.clients = client_contexts(settings);
  }
  return loaded;
}

TlsControl::TlsControl(boost::asio::io_context& context, std::function<void()> on_change,
                       std::function<void(const TicketsPtr&)> on_rotation, Pace pace)
    : timer_(context),
      on_change_(std::move(on_change)),
      on_rotation_(std::move(on_rotation)),
      pace_(pace),
      rotate_at_(Clock::now() + pace.rotate) {}

void TlsControl::adopt(LoadedTls loaded) {
  for (const std::string& warning : loaded.warnings) telemetry::log(telemetry::Level::warn, "{}", warning);
  certificates_ = std::move(loaded.certificates);
  watch_ = std::move(loaded.watch);
  wait();
}

void TlsControl::stop() {
  stopped_ = true;
  timer_.cancel();
}

void TlsControl::wait() {
  // A process without TLS is not woken for it. A wait that was under way ends with an error.
  if (stopped_ || watch_.empty()) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(pace_.look);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void TlsControl::tick() {
  if (Clock::now() >= rotate_at_) {
    rotate_at_ = Clock::now() + pace_.rotate;
    tickets_ = tickets_->rotated();
    on_rotation_(tickets_);
  }
  if (watch_.changed()) on_change_();
  wait();
}

}  // namespace portico::proxy
