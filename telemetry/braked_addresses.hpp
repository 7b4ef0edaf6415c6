#pragma once
// Client addresses that are braked for guessing keys, as the management endpoint shows them.
//
// owns:    plain values
// threads: any

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace portico::telemetry {

struct BrakedAddress {
  std::string address;                ///< or the IPv6 /64 that counts as one
  std::chrono::milliseconds left{0};  ///< until it may ask again
  std::size_t failures = 0;           ///< requests refused for their key that count for this pause
};

struct BrakedAddresses {
  std::size_t count = 0;               ///< all that are braked
  std::vector<BrakedAddress> longest;  ///< those of them with the longest pauses, the longest first
};

}  // namespace portico::telemetry
