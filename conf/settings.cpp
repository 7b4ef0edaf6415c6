#include "conf/settings.hpp"

#include <string_view>

namespace portico::conf {
namespace {

RouteSettings to_upstream(RouteSettings::Match match, std::string_view path, std::string_view upstream) {
  RouteSettings route;
  route.match = match;
  route.path = path;
  route.upstream = upstream;
  return route;
}

/// Who owns what on a domain shared by CPA and CPAMP.
std::vector<RouteSettings> default_routes() {
  using enum RouteSettings::Match;
  std::vector<RouteSettings> routes;

  RouteSettings panel;
  panel.match = exact;
  panel.path = "/";
  panel.action = RouteSettings::Action::redirect;
  panel.location = "/management.html";
  panel.status = 302;
  routes.push_back(panel);

  for (const std::string_view path : {"/management.html", "/health", "/status", "/setup", "/models"})
    routes.push_back(to_upstream(exact, path, "cpamp"));
  routes.push_back(to_upstream(prefix, "/usage-service/", "cpamp"));
  routes.push_back(to_upstream(exact, "/v0/management", "cpamp"));
  for (const std::string_view path : {"/v0/management/", "/v0/resource/plugins/"})
    routes.push_back(to_upstream(prefix, path, "cpamp"));

  for (const std::string_view path : {"/v1/", "/v1beta/", "/backend-api/codex/", "/openai/v1/", "/api/"})
    routes.push_back(to_upstream(prefix, path, "cpa"));
  for (const std::string_view path : {"/v1internal:method", "/healthz", "/anthropic/callback",
                                      "/codex/callback", "/google/callback", "/antigravity/callback"})
    routes.push_back(to_upstream(exact, path, "cpa"));
  routes.push_back(to_upstream(prefix, "/", "cpa"));
  return routes;
}

UpstreamSettings local_upstream(std::string_view name, std::uint16_t port) {
  UpstreamSettings upstream;
  upstream.name = name;
  Url endpoint;
  endpoint.host = "127.0.0.1";
  endpoint.port = port;
  upstream.endpoints.push_back(endpoint);
  return upstream;
}

ListenAddress listen_on(std::uint32_t host_order, std::uint16_t port) {
  ListenAddress address;
  address.ip = IpAddress::v4(host_order);
  address.port = port;
  return address;
}

}  // namespace

Settings Settings::defaults() {
  Settings settings;
  settings.listen.push_back(listen_on(0, 8080));
  settings.admin.listen = listen_on(0x7f000001, 9180);
  // CPA first: the first upstream owns what no rule names.
  settings.upstreams.push_back(local_upstream("cpa", 8317));
  settings.upstreams.push_back(local_upstream("cpamp", 18317));
  settings.routes = default_routes();
  return settings;
}

}  // namespace portico::conf
