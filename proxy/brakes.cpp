#include "proxy/brakes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

namespace portico::proxy {
namespace {

bool is_exempt(const conf::IpAddress& address, std::span<const conf::Network> networks) noexcept {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const conf::Network& network) { return network.contains(address); });
}

}  // namespace

std::optional<Brakes::Refusal> Brakes::admit(const conf::IpAddress& address,
                                             const http::TrustedProxies& trusted,
                                             const conf::Settings& settings, Moment now,
                                             telemetry::WorkerCells& cells, ClientNetwork& failing) noexcept {
  const bool many = address == conf::IpAddress::v4(0) || trusted.trusts(address);
  const ClientNetwork client = many ? ClientNetwork() : ClientNetwork(address);
  failing = is_exempt(address, settings.key_guard.exempt) ? ClientNetwork() : client;
  // First the brake: while it is closed, requests don't use up the rate of the time after.
  if (settings.key_guard.failures > 0) {
    if (const std::chrono::seconds pause = keys_.pause_of(failing, now); pause.count() > 0) {
      cells.key_guard_blocked.add();
      return Refusal{http::AnswerCode::too_many_failed_keys, pause};
    }
  }
  const RequestRate::Rate rate{settings.limits.request_rate, settings.limits.request_burst};
  if (const std::chrono::seconds wait = rate_.take(client, rate, now); wait.count() > 0) {
    cells.rate_limited.add();
    return Refusal{http::AnswerCode::too_many_requests, wait};
  }
  return std::nullopt;
}

std::string Brakes::failed(ClientNetwork client, const conf::KeyGuardSettings& settings, Moment now) {
  if (!keys_.failed(client, settings, now)) return {};
  return fmt::format(
      "{}: {} requests within {} s were refused for their key; the address is answered 429 for {} s "
      "(key_guard)",
      client.text(), settings.failures, static_cast<double>(settings.window.count()) / 1000,
      static_cast<double>(settings.pause.count()) / 1000);
}

telemetry::BrakedAddresses Brakes::braked(std::size_t most) const {
  std::vector<KeyGuard::Braked> all = keys_.braked(proxy::now());
  telemetry::BrakedAddresses out;
  out.count = all.size();
  const std::size_t shown = std::min(most, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end(),
                    [](const KeyGuard::Braked& a, const KeyGuard::Braked& b) { return a.left > b.left; });
  for (std::size_t i = 0; i < shown; ++i)
    out.longest.push_back({all[i].client.text(), all[i].left, all[i].failures});
  return out;
}

}  // namespace portico::proxy
