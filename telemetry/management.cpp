#include "telemetry/management.hpp"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/access.hpp"
#include "telemetry/http_server.hpp"
#include "telemetry/management_pages.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/server_tls.hpp"
#include "telemetry/status_json.hpp"

namespace portico::telemetry {
class ManagementServer::Impl {
 public:
  Impl(Registry& registry, Stores* stores) : registry_(registry), stores_(stores) {}

  void start(const conf::AdminSettings& settings, ThreadHooks hooks) {
    // The rule comes first: what must not be reachable is never bound.
    const AccessRule access(settings);
    http_ = std::make_unique<HttpServer>(
        settings.listen, [this, access](const HttpRequest& request) { return answer(access, request); },
        HttpBounds{}, std::move(hooks), make_server_tls(settings));
  }

  [[nodiscard]] bool speaks_tls() const { return http_ && http_->speaks_tls(); }

  void reload_tls(const conf::AdminSettings& settings) {
    if (!speaks_tls() || settings.tls_certificate.empty()) return;
    http_->replace_tls(make_server_tls(settings));
  }

  [[nodiscard]] std::string address() const { return http_ ? http_->address().text() : std::string(); }

  void publish(ProcessState state) {
    auto fresh = std::make_shared<const ProcessState>(std::move(state));
    {
      const std::lock_guard lock(mutex_);
      state_.swap(fresh);
    }
    // The old one is freed here, outside the lock, unless a request still reads it.
  }

  void stop() noexcept { http_.reset(); }

  static std::vector<FieldRow> page_rows() {
    std::vector<FieldRow> rows;
    rows.reserve(pages.size());
    for (const Entry& entry : pages) rows.push_back(entry.row);
    return rows;
  }

 private:
  using Page = HttpReply (Impl::*)(const HttpRequest&) const;
  using StorePage = HttpReply (*)(Stores&, const HttpRequest&);
  struct Entry {
    FieldRow row;  ///< path and what is there
    bool open;     ///< answered without token and whatever the Host: tells nothing worth hiding
    Page page;
  };
  static const std::array<Entry, 11> pages;

  [[nodiscard]] std::shared_ptr<const ProcessState> state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  [[nodiscard]] HttpReply answer(const AccessRule& access, const HttpRequest& request) const;
  [[nodiscard]] HttpReply index(const HttpRequest& request) const;
  [[nodiscard]] HttpReply metrics(const HttpRequest& request) const;
  [[nodiscard]] HttpReply healthz(const HttpRequest& request) const;
  [[nodiscard]] HttpReply readyz(const HttpRequest& request) const;
  [[nodiscard]] HttpReply status(const HttpRequest& request) const;
  [[nodiscard]] HttpReply routes(const HttpRequest& request) const;
  [[nodiscard]] HttpReply config(const HttpRequest& request) const;
  template <StorePage Render>
  [[nodiscard]] HttpReply store_page(const HttpRequest& request) const {
    if (stores_ == nullptr) return error_reply(404, "not_found", "Nothing is kept of requests here.");
    return Render(*stores_, request);
  }

  Registry& registry_;
  Stores* stores_;
  mutable std::mutex mutex_;  // of state_ alone
  std::shared_ptr<const ProcessState> state_ = std::make_shared<const ProcessState>();
  std::unique_ptr<HttpServer> http_;  // last: its thread uses all of the above
};

const std::array<ManagementServer::Impl::Entry, 11> ManagementServer::Impl::pages{{
    {{"/", "this list, as plain text"}, false, &Impl::index},
    {{"/metrics", "Prometheus text 0.0.4, or OpenMetrics 1.0 by Accept; METRICS.md"}, false, &Impl::metrics},
    {{"/healthz", "200 while the process lives"}, true, &Impl::healthz},
    {{"/readyz", "200 while it accepts requests, else 503 and whether it is starting or draining"},
     true,
     &Impl::readyz},
    {{"/api/v1/status", "version, listeners, upstreams (JSON)"}, false, &Impl::status},
    {{"/api/v1/routes", "the route table in the order of matching (JSON)"}, false, &Impl::routes},
    {{"/api/v1/config", "the settings in force, secrets masked (JSON)"}, false, &Impl::config},
    {{"/api/v1/usage", "who used which model, how much and how fast (JSON)"},
     false,
     &Impl::store_page<usage_page>},
    {{"/api/v1/failures", "what fails, why, and what to do about it (JSON)"},
     false,
     &Impl::store_page<failures_page>},
    {{"/api/v1/requests", "the newest requests one by one (JSON)"}, false, &Impl::store_page<requests_page>},
    {{"/api/v1/events", "requests as they end (server-sent events)"}, false, &Impl::store_page<events_page>},
}};

HttpReply ManagementServer::Impl::answer(const AccessRule& access, const HttpRequest& request) const {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  const Entry* entry = nullptr;
  for (const Entry& candidate : pages) {
    if (candidate.row.name == path) entry = &candidate;
  }
  if (entry == nullptr || !entry->open) {
    const AccessVerdict verdict = access.check(request.authorization, request.has_host, request.host);
    if (verdict == AccessVerdict::host_not_local) {
      return error_reply(403, "forbidden_host",
                         "The Host header does not name this machine. Use localhost, or set admin.token to "
                         "allow other names.");
    }
    if (verdict != AccessVerdict::allowed) {
      const bool wrong = verdict == AccessVerdict::token_wrong;
      HttpReply reply = error_reply(401, wrong ? "invalid_token" : "token_required",
                                    "Send the header Authorization: Bearer with the value of admin.token.");
      reply.fields.emplace_back("WWW-Authenticate", wrong ? R"(Bearer realm="portico", error="invalid_token")"
                                                          : R"(Bearer realm="portico")");
      return reply;
    }
  }
  if (entry == nullptr) return error_reply(404, "not_found", "There is no such page; / lists them.");
  if (request.method != "GET" && request.method != "HEAD") {
    HttpReply reply = error_reply(405, "method_not_allowed", "Only GET and HEAD are understood here.");
    reply.fields.emplace_back("Allow", "GET, HEAD");
    return reply;
  }
  return (this->*entry->page)(request);
}

HttpReply ManagementServer::Impl::index(const HttpRequest&) const {
  std::string body = "Portico management endpoint\n\n";
  for (const Entry& entry : pages) body += fmt::format("{:<18}{}\n", entry.row.name, entry.row.meaning);
  return {200, "text/plain; charset=utf-8", std::move(body), {}};
}

HttpReply ManagementServer::Impl::metrics(const HttpRequest& request) const {
  const MetricsFormat format = negotiate_metrics(request.accept);
  const auto current = state();
  const ProcessUsage usage = read_process_usage();
  HttpReply reply{
      200, content_type_of(format), render_metrics({registry_, *current, usage, stores_}, format), {}};
  reply.fields.emplace_back("Vary", "Accept");
  return reply;
}

HttpReply ManagementServer::Impl::healthz(const HttpRequest&) const {
  return json_reply(200, R"({"status":"ok"})");
}

HttpReply ManagementServer::Impl::readyz(const HttpRequest&) const {
  const auto current = state();
  if (current->draining) return json_reply(503, R"({"status":"not_ready","reason":"draining"})");
  if (!current->ready) return json_reply(503, R"({"status":"not_ready","reason":"starting"})");
  return json_reply(200, R"({"status":"ready"})");
}

HttpReply ManagementServer::Impl::status(const HttpRequest&) const {
  return json_reply(200, render_status(registry_, *state(), std::chrono::system_clock::now()));
}

HttpReply ManagementServer::Impl::routes(const HttpRequest&) const {
  return json_reply(200, render_routes(*state()));
}

HttpReply ManagementServer::Impl::config(const HttpRequest&) const {
  const auto current = state();
  return json_reply(200, current->settings.empty() ? "{}\n" : current->settings);
}

ManagementServer::ManagementServer(Registry& registry, Stores* stores)
    : impl_(std::make_unique<Impl>(registry, stores)) {}

ManagementServer::~ManagementServer() = default;

void ManagementServer::start(const conf::AdminSettings& settings, ThreadHooks hooks) {
  impl_->start(settings, std::move(hooks));
}

std::string ManagementServer::address() const { return impl_->address(); }

bool ManagementServer::speaks_tls() const { return impl_->speaks_tls(); }

void ManagementServer::reload_tls(const conf::AdminSettings& settings) { impl_->reload_tls(settings); }

std::vector<FieldRow> ManagementServer::pages() { return Impl::page_rows(); }

void ManagementServer::publish(ProcessState state) { impl_->publish(std::move(state)); }

void ManagementServer::stop() noexcept { impl_->stop(); }

}  // namespace portico::telemetry
