#include "conf/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
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

/// A list of addresses, and the path of the field that holds it.
struct AddressList {
  std::string_view path;
  std::span<const ListenAddress> addresses;
};

/// An address that was met, and in which list.
struct Met {
  std::string_view list;
  const ListenAddress* address;
};

/// Port 0 is a new port each time.
bool same_socket(const ListenAddress& a, const ListenAddress& b) {
  return a == b && (a.is_unix || a.port != 0);
}

/// Whether `:80` stands beside `0.0.0.0:80` or `[::]:80`, which it includes. The kernel lets both be bound,
/// and then it depends on the client's address family which of them it meets.
bool overlaps(const ListenAddress& a, const ListenAddress& b) {
  if (a.is_unix || b.is_unix || a.port == 0 || a.port != b.port || a.any == b.any) return false;
  const IpAddress& ip = a.any ? b.ip : a.ip;
  return ip == IpAddress::v4(0) || ip == IpAddress();
}

std::string shown_with(const ListenAddress& address, const ListenAddress& twin) {
  return address == twin ? address.text() : fmt::format("{} (with {})", address.text(), twin.text());
}

void check_listeners(const Settings& settings, Findings& findings) {
  const std::array<AddressList, 3> lists{{{"listen", settings.listen},
                                          {"tls.listen", settings.tls.listen},
                                          {"tls.redirect_listen", settings.tls.redirect_listen}}};
  std::vector<Met> met;
  const auto twin_of = [&](const ListenAddress& address, std::string_view list) -> const Met* {
    const auto it = std::find_if(met.begin(), met.end(), [&](const Met& m) {
      return same_socket(*m.address, address) || (m.list != list && overlaps(*m.address, address));
    });
    return it == met.end() ? nullptr : &*it;
  };
  for (const AddressList& list : lists) {
    if (findings.spoiled_within(list.path)) continue;
    for (std::size_t i = 0; i < list.addresses.size(); ++i) {
      const ListenAddress& address = list.addresses[i];
      if (const Met* twin = twin_of(address, list.path))
        report_once(
            findings, item_path(list.path, i),
            twin->list == list.path
                ? fmt::format("{} stands twice", address.text())
                : fmt::format("{} is also an address of \"{}\"; one address takes one kind of connection",
                              shown_with(address, *twin->address), twin->list));
      met.push_back({list.path, &address});
    }
    if (met.size() > max_listeners && met.size() - list.addresses.size() <= max_listeners)
      report_once(findings, std::string(list.path),
                  fmt::format("expected at most {} addresses in listen, tls.listen and tls.redirect_listen "
                              "together, found {}",
                              max_listeners, met.size()));
  }
  if (settings.listen.empty() && settings.tls.listen.empty() && !findings.spoiled_within("listen") &&
      !findings.spoiled_within("tls.listen"))
    findings.report("listen", "expected at least one address here or in tls.listen");

  const ListenAddress& admin = settings.admin.listen;
  if (const Met* twin = twin_of(admin, "admin.listen"))
    report_once(findings, "admin.listen",
                fmt::format("{} is also an address of \"{}\"; the management endpoint needs its own",
                            shown_with(admin, *twin->address), twin->list));
  if (!admin.is_loopback() && settings.admin.token.empty() && !findings.spoiled("admin.token"))
    report_once(findings, "admin.listen",
                fmt::format("others can reach {}: set admin.token (or PORTICO_ADMIN_TOKEN), or listen on "
                            "127.0.0.1, [::1] or unix:/path",
                            admin.text()));
}

void check_tls(const TlsSettings& tls, Findings& findings) {
  if (!findings.spoiled_within("tls.certificates") && !findings.spoiled_within("tls.keys")) {
    if (tls.certificates.size() != tls.keys.size())
      report_once(
          findings, findings.placed("tls.keys") ? "tls.keys" : "tls.certificates",
          fmt::format("each certificate needs its key, in the same order: found {} in tls.certificates and "
                      "{} in tls.keys",
                      tls.certificates.size(), tls.keys.size()));
    else if (tls.certificates.empty() && !tls.listen.empty())
      report_once(findings, "tls.listen",
                  "TLS needs a certificate and its key: set tls.certificates and tls.keys (or --tls-cert and "
                  "--tls-key)");
  }
  if (!tls.redirect_listen.empty() && tls.listen.empty() && !findings.spoiled_within("tls.listen"))
    report_once(findings, "tls.redirect_listen",
                "redirects to https://, but nothing listens there: set tls.listen");
  if (!tls.acme_webroot.empty() && tls.redirect_listen.empty() &&
      !findings.spoiled_within("tls.redirect_listen"))
    report_once(findings, "tls.acme_webroot",
                "is served on the addresses of tls.redirect_listen, and there are none");
}

void check_admin_tls(const AdminSettings& admin, Findings& findings) {
  constexpr std::string_view certificate = "admin.tls_certificate";
  constexpr std::string_view key = "admin.tls_key";
  if (findings.spoiled(certificate) || findings.spoiled(key)) return;
  if (admin.tls_certificate.empty() != admin.tls_key.empty()) {
    const bool lacks_key = admin.tls_key.empty();
    report_once(findings, std::string(lacks_key ? certificate : key),
                fmt::format("needs {} beside it", lacks_key ? key : certificate));
  } else if (!admin.client_ca.empty() && admin.tls_certificate.empty()) {
    report_once(findings, "admin.client_ca",
                fmt::format("clients show certificates only over TLS: set {} and {}", certificate, key));
  }
}

/// What only https:// endpoints make use of stands beside one of them.
void check_upstream_tls(const UpstreamSettings& upstream, const std::string& path, Findings& findings) {
  if (findings.spoiled_within(child_path(path, "endpoints")) ||
      std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(),
                  [](const Url& url) { return url.scheme == Url::Scheme::https; }))
    return;
  constexpr std::string_view message = "holds for https:// endpoints, and this upstream has none";
  if (!upstream.ca_file.empty()) report_once(findings, child_path(path, "ca_file"), std::string(message));
  if (!upstream.tls_name.empty()) report_once(findings, child_path(path, "tls_name"), std::string(message));
}

void check_upstreams(const Settings& settings, Findings& findings) {
  if (settings.upstreams.empty()) report_once(findings, "upstreams", "expected at least one upstream");
  std::size_t endpoints = 0;
  for (const UpstreamSettings& upstream : settings.upstreams) {
    const std::string path = child_path(upstreams_key, upstream.name);
    if (upstream.endpoints.empty())
      report_once(findings, child_path(path, "endpoints"), "expected at least one URL");
    check_upstream_tls(upstream, path, findings);
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
  check_tls(settings.tls, findings);
  check_admin_tls(settings.admin, findings);
  check_upstreams(settings, findings);
  check_routes(settings, findings);
}

}  // namespace portico::conf
