#pragma once
// What all exchanges of a running sample share.
//
// owns:    the accounts and a counter
// threads: the sample's thread

#include <cstdint>
#include <string>

#include "proxy/sample/stats.hpp"
#include "proxy/sample/wire.hpp"

namespace portico::sample {

struct Context {
  Stats stats;
  std::int64_t started = unix_seconds();
  int models_status = 428;

  /// A number that was not given before.
  std::uint64_t next_number() noexcept { return ++last_number_; }

 private:
  std::uint64_t last_number_ = 0;
};

}  // namespace portico::sample
