#include "conf/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/nearest.hpp"
#include "conf/schema.hpp"

namespace portico::conf {
namespace {

void report_once(Findings& findings, const std::string& path, std::string message) {
  if (!findings.spoiled(path)) findings.report(path, std::move(message));
}

void check_listeners(const Settings& settings, Findings& findings) {
  const auto& listen = settings.listen;
  // Port 0 is a new port each time.
  const auto same = [](const ListenAddress& a, const ListenAddress& b) {
    return a == b && (a.is_unix || a.port != 0);
  };
  for (std::size_t i = 0; i < listen.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (same(listen[i], listen[j])) {
        report_once(findings, item_path("listen", i), fmt::format("{} stands twice", listen[i].text()));
        break;
      }
  const ListenAddress& admin = settings.admin.listen;
  if (std::any_of(listen.begin(), listen.end(), [&](const ListenAddress& l) { return same(l, admin); }))
    report_once(findings, "admin.listen",
                fmt::format("{} is also an address of \"listen\"; the management endpoint needs its own",
                            admin.text()));
  if (!admin.is_loopback() && settings.admin.token.empty() && !findings.spoiled("admin.token"))
    report_once(findings, "admin.listen",
                fmt::format("others can reach {}: set admin.token (or PORTICO_ADMIN_TOKEN), or listen on "
                            "127.0.0.1, [::1] or unix:/path",
                            admin.text()));
}

void check_upstreams(const Settings& settings, Findings& findings) {
  if (settings.upstreams.empty()) report_once(findings, "upstreams", "expected at least one upstream");
  std::size_t endpoints = 0;
  for (const UpstreamSettings& upstream : settings.upstreams) {
    const std::string path = child_path(child_path(upstreams_key, upstream.name), "endpoints");
    if (upstream.endpoints.empty()) report_once(findings, path, "expected at least one URL");
    for (std::size_t i = 0; i < upstream.endpoints.size(); ++i)
      if (upstream.endpoints[i].scheme == Url::Scheme::https)
        report_once(findings, item_path(path, i),
                    "https:// to a backend is not available in this version; use http:// or unix:/path");
    endpoints += upstream.endpoints.size();
  }
  if (endpoints > max_endpoints)
    report_once(findings, "upstreams",
                fmt::format("expected at most {} endpoints in all, found {}", max_endpoints, endpoints));
}

void check_route_target(const RouteSettings& route, const std::string& path,
                        std::span<const std::string_view> upstreams, Findings& findings) {
  if (route.action == RouteSettings::Action::upstream && !findings.spoiled(upstreams_key) &&
      std::find(upstreams.begin(), upstreams.end(), route.upstream) == upstreams.end()) {
    const auto meant = nearest(route.upstream, upstreams);
    report_once(
        findings, child_path(path, "upstream"),
        meant ? fmt::format("there is no upstream {}; did you mean \"{}\"?", shown(route.upstream), *meant)
              : fmt::format("there is no upstream {}; there are: {}", shown(route.upstream),
                            fmt::join(upstreams, ", ")));
  }
  // RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
  const bool bodiless = route.status == 204 || route.status == 205 || route.status == 304;
  if (route.action == RouteSettings::Action::respond && bodiless && !route.body.empty())
    report_once(findings, path + ".respond.body",
                fmt::format("an answer with status {} has no body", route.status));
}

void check_routes(const Settings& settings, Findings& findings) {
  std::vector<std::string_view> upstreams;
  upstreams.reserve(settings.upstreams.size());
  for (const UpstreamSettings& upstream : settings.upstreams) upstreams.push_back(upstream.name);

  std::map<std::pair<RouteSettings::Match, std::string_view>, std::size_t> seen;
  for (std::size_t i = 0; i < settings.routes.size(); ++i) {
    const RouteSettings& route = settings.routes[i];
    const std::string path = item_path(routes_key, i);
    const std::string rule_path =
        child_path(path, route.match == RouteSettings::Match::exact ? "exact" : "prefix");
    check_route_target(route, path, upstreams, findings);
    if (findings.spoiled(rule_path)) continue;
    const auto [first, fresh] = seen.try_emplace({route.match, route.path}, i);
    if (!fresh)
      report_once(findings, rule_path,
                  fmt::format("the same rule stands in {}", item_path(routes_key, first->second)));
  }
}

}  // namespace

void check(const Settings& settings, Findings& findings) {
  check_listeners(settings, findings);
  check_upstreams(settings, findings);
  check_routes(settings, findings);
}

}  // namespace portico::conf
