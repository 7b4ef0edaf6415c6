#pragma once
// How fast requests of one client address come, over all workers: a bucket for each client that lets a burst
// pass and then as many a second as the rate says (the generic cell rate algorithm).
//
// A bucket is one number, the moment at which it is full again; a request moves that moment one interval
// away. So a bucket is one atomic word beside the client's tag, it needs nobody to refill it, and one that is
// full again is a free slot.
//
// owns:    the table, for the life of the process
// threads: any; each function is lock-free. Time is passed in
// memory:  all operations are relaxed: a slot orders nothing but itself
// accuracy: to an eighth of a microsecond an interval. Two workers that meet a new client at the same moment
//           may give it two buckets, of which the first is used from then on: one burst more, once. A
//           newcomer to a window that is full of others takes the slot of the bucket that is nearest to full,
//           whose client then begins with a full one. Two clients of one window have the same tag, and so
//           share a bucket, once in a million.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "proxy/client_table.hpp"
#include "proxy/moment.hpp"

namespace portico::proxy {

class RequestRate {
 public:
  struct Rate {
    std::size_t per_second = 0;  ///< 0: as many as they like
    std::size_t burst = 1;       ///< how many may come at once
  };

  /// `secret` keys the table, so that a client can't choose addresses that collide.
  explicit RequestRate(std::uint64_t secret) : table_(secret) {}
  RequestRate(const RequestRate&) = delete;
  RequestRate& operator=(const RequestRate&) = delete;

  /// Takes one request out of the client's bucket: 0, or, where it is empty and nothing was taken, in how
  /// many seconds (rounded up) there is one again. A bucket that another rate has emptied further than this
  /// one could counts as just empty.
  std::chrono::seconds take(ClientNetwork client, const Rate& rate, Moment now) noexcept;

 private:
  // A slot holds a tag of 20 bits above the moment of 44 bits, counted in eighths of a microsecond and so
  // modulo 25 days. 0 is free.
  using Table = ClientTable<std::atomic<std::uint64_t>, std::size_t{1} << 16>;
  Table table_;
};

}  // namespace portico::proxy
