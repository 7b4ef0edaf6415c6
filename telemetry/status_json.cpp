#include "telemetry/status_json.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <boost/json.hpp>

#include "telemetry/time_text.hpp"
#include "telemetry/totals.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

namespace json = boost::json;
using Moment = std::chrono::system_clock::time_point;

// The epoch stands for a moment that has not been; null says so, 1970 would not.
json::value moment_json(Moment moment) {
  return moment == Moment{} ? json::value(nullptr) : json::value(rfc3339(moment));
}

json::array listeners_json(const Registry& registry, const ProcessState& state) {
  const std::vector<std::string> labels = registry.listeners();
  json::array out;
  for (const std::string& address : state.listeners) {
    const auto found = std::find(labels.begin(), labels.end(), address);
    ListenerTotals totals;
    if (found != labels.end()) {
      totals = totals_of(registry, static_cast<ListenerLabel>(found - labels.begin()));
    }
    out.push_back({{"address", utf8(address)},
                   {"connections", totals.connections},
                   {"accepted", totals.accepted},
                   {"refused", totals.refused}});
  }
  return out;
}

json::object endpoint_json(const Registry& registry, const std::vector<EndpointName>& labels,
                           const EndpointState& state) {
  const auto found = std::find_if(labels.begin(), labels.end(), [&](const EndpointName& name) {
    return name.upstream == state.upstream && name.endpoint == state.endpoint;
  });
  EndpointTotals totals;
  if (found != labels.end()) totals = totals_of(registry, static_cast<EndpointLabel>(found - labels.begin()));
  json::array addresses;
  for (const std::string& address : state.addresses) addresses.emplace_back(utf8(address));
  return {
      {"endpoint", utf8(state.endpoint)},
      {"addresses", std::move(addresses)},
      {"up", totals.up},
      {"connections", {{"active", totals.active}, {"idle", totals.idle}, {"connecting", totals.connecting}}},
      {"connects", totals.connects},
      {"connect_failures", totals.connect_failures},
      {"reused", totals.reused},
      {"retries", totals.retries}};
}

// Endpoints of one upstream together, upstreams in the order of their first endpoint.
json::array upstreams_json(const Registry& registry, const ProcessState& state) {
  const std::vector<EndpointName> labels = registry.endpoints();
  std::vector<std::string> names;
  for (const EndpointState& endpoint : state.endpoints) {
    if (std::find(names.begin(), names.end(), endpoint.upstream) == names.end()) {
      names.push_back(endpoint.upstream);
    }
  }
  json::array out;
  for (const std::string& name : names) {
    json::array endpoints;
    for (const EndpointState& endpoint : state.endpoints) {
      if (endpoint.upstream == name) endpoints.push_back(endpoint_json(registry, labels, endpoint));
    }
    out.push_back({{"name", utf8(name)}, {"endpoints", std::move(endpoints)}});
  }
  return out;
}

json::array certificates_json(const ProcessState& state) {
  json::array out;
  for (const CertificateState& certificate : state.certificates) {
    json::array names;
    for (const std::string& name : certificate.names) names.emplace_back(utf8(name));
    out.push_back({{"file", utf8(certificate.file)},
                   {"names", std::move(names)},
                   {"not_after", rfc3339(certificate.not_after)},
                   {"key_type", utf8(certificate.key_type)}});
  }
  return out;
}

json::object key_guard_json(const BrakedAddresses& braked, Moment now) {
  json::array addresses;
  for (const BrakedAddress& one : braked.longest) {
    addresses.push_back(
        {{"address", one.address}, {"until", rfc3339(now + one.left)}, {"failures", one.failures}});
  }
  return {{"braked", braked.count}, {"addresses", std::move(addresses)}};
}

}  // namespace

std::string render_status(const Registry& registry, const ProcessState& state, Moment now) {
  // The clock may have been set back since the start.
  const std::int64_t uptime =
      state.started == Moment{}
          ? 0
          : std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(now - state.started).count());
  const json::object out{
      {"version", PORTICO_VERSION},
      {"pid", ::getpid()},
      {"started", moment_json(state.started)},
      {"uptime_seconds", uptime},
      {"ready", state.ready && !state.draining},
      {"draining", state.draining},
      {"workers", state.workers},
      {"streams", streams_of(registry)},
      {"config",
       {{"file", state.config_file.empty() ? json::value(nullptr) : json::value(utf8(state.config_file))},
        {"loaded", moment_json(state.loaded)},
        {"reloads", state.reloads},
        {"last_reload_ok", state.last_reload_ok}}},
      {"listeners", listeners_json(registry, state)},
      {"upstreams", upstreams_json(registry, state)},
      {"certificates", certificates_json(state)},
      {"key_guard", key_guard_json(registry.braked(max_braked_shown), now)}};
  return json::serialize(out);
}

std::string render_routes(const ProcessState& state) {
  std::vector<const RouteState*> order;
  order.reserve(state.routes.size());
  for (const RouteState& route : state.routes) order.push_back(&route);
  std::stable_sort(order.begin(), order.end(), [](const RouteState* a, const RouteState* b) {
    const bool a_exact = a->match == "exact";
    const bool b_exact = b->match == "exact";
    if (a_exact != b_exact) return a_exact;
    return !a_exact && a->path.size() > b->path.size();
  });
  json::array routes;
  for (const RouteState* route : order) {
    routes.push_back({{"label", utf8(route->label)},
                      {"match", utf8(route->match)},
                      {"path", utf8(route->path)},
                      {"action", utf8(route->action)},
                      {"target", utf8(route->target)}});
  }
  return json::serialize(json::object{{"routes", std::move(routes)}});
}

std::string render_error(std::string_view code, std::string_view message) {
  return json::serialize(json::object{{"error",
                                       {{"code", json::string_view(code.data(), code.size())},
                                        {"message", json::string_view(message.data(), message.size())}}}});
}

}  // namespace portico::telemetry
