#pragma once
// Mixed traffic to a sample CPA behind the proxy: every API, streams, WebSocket turns, compressed bodies,
// every fault of the sample, and clients that leave. What each exchange does depends on the seed and its
// number alone.
//
// owns:    its threads and connections while run() lasts
// threads: run() uses as many threads as connections
// In run_traffic a client leaves only at a point that both ends agree on: when it was told that it was heard,
// when the backend has said all that it will say, or right after the final event. Anywhere else nobody could
// tell how much of what the backend sent had passed the proxy by then.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "test/support/address.hpp"

namespace portico::test {

/// API keys that the traffic uses; the last one is refused. Their begin and end tell them apart.
const std::vector<std::string>& traffic_keys();

struct TrafficResult {
  std::size_t accounts = 0;           ///< exchanges and turns that must be accounted, warm-ups too
  std::size_t websockets = 0;         ///< connections that were upgraded; each had at least one of the former
  std::vector<std::string> problems;  ///< exchanges that did not go as the plan says
};

/// `exchanges`: HTTP exchanges and WebSockets together. Returns when all have ended at this end.
TrafficResult run_traffic(const Address& proxy, std::size_t exchanges, std::size_t connections,
                          std::uint64_t seed);

/// Streams whose clients leave after a random number of bytes, or stay. What the backend had sent beyond what
/// passed the proxy by then is nobody's to tell, so less can be said of these accounts.
TrafficResult run_leavers(const Address& proxy, std::size_t exchanges, std::size_t connections,
                          std::uint64_t seed);

}  // namespace portico::test
