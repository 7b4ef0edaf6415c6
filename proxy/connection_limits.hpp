#pragma once
// How many connections there are, in all and from each client address, over all workers.
//
// The counts are atomics in a table of fixed size, asked once when a connection comes and once when it goes,
// so workers need no lock and share nothing else.
//
// owns:    the table, for the life of the process
// threads: any; each function is lock-free
// memory:  all operations are relaxed: a count orders nothing but itself
// accuracy: the total is exact. An address is counted in one slot of a window of 16; if two workers meet a
// new address
//           at the same moment it may get two slots and so, for that long, up to twice its limit. If a
//           window is full of other addresses, the newcomer is not limited by address.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "conf/address.hpp"
#include "proxy/client_table.hpp"

namespace portico::proxy {

class ConnectionLimits {
 public:
  /// `secret` keys the table, so that a client can't choose addresses that collide.
  explicit ConnectionLimits(std::uint64_t secret) : table_(secret) {}
  ConnectionLimits(const ConnectionLimits&) = delete;
  ConnectionLimits& operator=(const ConnectionLimits&) = delete;

  enum class Verdict : std::uint8_t { admitted, too_many, too_many_from_client };

  /// What an admitted connection must give back.
  class Place {
   public:
    Place() = default;

   private:
    friend class ConnectionLimits;
    static constexpr std::uint32_t none = UINT32_MAX;
    bool total_ = false;
    std::uint32_t slot_ = none;
  };

  /// Counts a connection from `client` (null: not limited by address). IPv6 clients are counted by /64. On
  /// anything but `admitted` nothing stays counted.
  Verdict enter(const conf::IpAddress* client, std::size_t limit, std::size_t limit_per_client,
                Place& place) noexcept;
  void leave(Place& place) noexcept;

  [[nodiscard]] std::size_t total() const noexcept { return total_.load(std::memory_order_relaxed); }

 private:
  // A slot holds 40 bits of the client's hash above a count of 24 bits; 0 is free.
  using Table = ClientTable<std::atomic<std::uint64_t>, std::size_t{1} << 17>;

  std::atomic<std::size_t> total_{0};
  Table table_;
};

}  // namespace portico::proxy
