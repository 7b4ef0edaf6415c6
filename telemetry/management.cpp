#include "telemetry/management.hpp"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <string_view>
#include <utility>

#include "telemetry/access.hpp"
#include "telemetry/http_server.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/status_json.hpp"

namespace portico::telemetry {
namespace {

constexpr std::string_view json_type = "application/json; charset=utf-8";

HttpReply json_reply(int status, std::string body) { return {status, json_type, std::move(body), {}}; }

HttpReply error_reply(int status, std::string_view code, std::string_view message) {
  return json_reply(status, render_error(code, message));
}

}  // namespace

class ManagementServer::Impl {
 public:
  Impl(Registry& registry, Stores* stores) : registry_(registry), stores_(stores) {}

  void start(const conf::AdminSettings& settings, ThreadHooks hooks) {
    // The rule comes first: what must not be reachable is never bound.
    const AccessRule access(settings);
    http_ = std::make_unique<HttpServer>(
        settings.listen, [this, access](const HttpRequest& request) { return answer(access, request); },
        HttpBounds{}, std::move(hooks));
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

 private:
  using Page = HttpReply (Impl::*)(const HttpRequest&) const;
  struct Entry {
    std::string_view path;
    std::string_view about;
    bool open;  ///< answered without token and whatever the Host: tells nothing worth hiding
    Page page;
  };
  static const std::array<Entry, 6> pages;

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

  Registry& registry_;
  Stores* stores_;
  mutable std::mutex mutex_;  // of state_ alone
  std::shared_ptr<const ProcessState> state_ = std::make_shared<const ProcessState>();
  std::unique_ptr<HttpServer> http_;  // last: its thread uses all of the above
};

const std::array<ManagementServer::Impl::Entry, 6> ManagementServer::Impl::pages{{
    {"/", "this list", false, &Impl::index},
    {"/metrics", "Prometheus text, or OpenMetrics by Accept", false, &Impl::metrics},
    {"/healthz", "200 while the process lives", true, &Impl::healthz},
    {"/readyz", "200 while it accepts requests, else 503", true, &Impl::readyz},
    {"/api/v1/status", "version, listeners, upstreams, settings (JSON)", false, &Impl::status},
    {"/api/v1/routes", "the route table in the order of matching (JSON)", false, &Impl::routes},
}};

HttpReply ManagementServer::Impl::answer(const AccessRule& access, const HttpRequest& request) const {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  const Entry* entry = nullptr;
  for (const Entry& candidate : pages) {
    if (candidate.path == path) entry = &candidate;
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
  for (const Entry& entry : pages) body += fmt::format("{:<16} {}\n", entry.path, entry.about);
  return {200, "text/plain; charset=utf-8", std::move(body), {}};
}

HttpReply ManagementServer::Impl::metrics(const HttpRequest& request) const {
  const MetricsFormat format = negotiate_metrics(request.accept);
  const auto current = state();
  const ProcessUsage usage = read_process_usage();
  HttpReply reply{200, content_type_of(format), render_metrics({registry_, *current, usage}, format), {}};
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

ManagementServer::ManagementServer(Registry& registry, Stores* stores)
    : impl_(std::make_unique<Impl>(registry, stores)) {}

ManagementServer::~ManagementServer() = default;

void ManagementServer::start(const conf::AdminSettings& settings, ThreadHooks hooks) {
  impl_->start(settings, std::move(hooks));
}

std::string ManagementServer::address() const { return impl_->address(); }

void ManagementServer::publish(ProcessState state) { impl_->publish(std::move(state)); }

void ManagementServer::stop() noexcept { impl_->stop(); }

}  // namespace portico::telemetry
