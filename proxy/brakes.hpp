#pragma once
// What keeps one client address from asking too much of the backends: the rate of its requests, and the brake
// on guessing keys. Both are asked once for each request, when its head has been read and its client is
// known.
//
// owns:    the tables of both, for the life of the process; all workers share them
// threads: any; lock-free
// Clients that nobody can name and trusted proxies stand for many clients, so they have no limit.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "conf/settings.hpp"
#include "proxy/client_table.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/client_address.hpp"
#include "proxy/key_guard.hpp"
#include "proxy/moment.hpp"
#include "proxy/request_rate.hpp"
#include "telemetry/braked_addresses.hpp"
#include "telemetry/cells.hpp"

namespace portico::proxy {

class Brakes {
 public:
  /// `secret` keys the tables, so that a client can't choose addresses that collide.
  explicit Brakes(std::uint64_t secret) : rate_(secret), keys_(secret) {}

  /// Why a request is turned away, and for how long.
  struct Refusal {
    http::AnswerCode code;
    std::chrono::seconds retry_after;
  };

  /// Whether a request of the believed client `address` may go on; counts it, and what is turned away in
  /// `cells`. `failing` is set to whom failed() is to be told about, nobody for an exempt client.
  std::optional<Refusal> admit(const conf::IpAddress& address, const http::TrustedProxies& trusted,
                               const conf::Settings& settings, Moment now, telemetry::WorkerCells& cells,
                               ClientNetwork& failing) noexcept;

  /// A backend answered 401 for the client's key. Gives the line for the log where that closes the brake,
  /// else nothing.
  std::string failed(ClientNetwork client, const conf::KeyGuardSettings& settings, Moment now);

  /// Who is braked now, for the management endpoint: at most `most`, those first who pause longest.
  [[nodiscard]] telemetry::BrakedAddresses braked(std::size_t most) const;

 private:
  RequestRate rate_;
  KeyGuard keys_;
};

}  // namespace portico::proxy
