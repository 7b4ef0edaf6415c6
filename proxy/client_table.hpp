#pragma once
// What is counted for each client address by all workers together: who counts as one client, and a table of
// fixed size from clients to slots that needs no lock.
//
// A client may only be found in a window of slots that begins where its keyed hash says. What is in a slot,
// how it is claimed and when it is free again is its owner's matter: ConnectionLimits, RequestRate, KeyGuard.
//
// owns:    the slots, for the life of the process; the table never grows
// threads: any; a slot is made of atomics
// Not for exact accounts: where a window is full, somebody is left out or pushed out, as its owner says.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "conf/address.hpp"

namespace portico::proxy {

/// What counts as one client: an IPv4 address, or an IPv6 /64, the smallest network that one customer is
/// given. Or nobody, who is never counted.
class ClientNetwork {
 public:
  ClientNetwork() = default;
  explicit ClientNetwork(const conf::IpAddress& address) noexcept;

  [[nodiscard]] bool is_nobody() const noexcept { return word_ == 0; }
  /// One word that no other network has; 0 is nobody's.
  [[nodiscard]] std::uint64_t word() const noexcept { return word_; }
  static ClientNetwork from_word(std::uint64_t word) noexcept;
  /// `192.0.2.1` or `2001:db8::/64`.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const ClientNetwork&, const ClientNetwork&) = default;

 private:
  std::uint64_t word_ = 0;
};

/// The hash of a client. `secret` keys it, so that nobody can choose addresses that collide.
std::uint64_t keyed_hash(ClientNetwork client, std::uint64_t secret) noexcept;

template <class Slot, std::size_t size>
class ClientTable {
  static_assert((size & (size - 1)) == 0 && size <= (std::size_t{1} << 32));

 public:
  /// How many slots are looked at for one client.
  static constexpr std::size_t window = 16;

  explicit ClientTable(std::uint64_t secret) : secret_(secret), slots_(size) {}

  [[nodiscard]] std::uint64_t hash(ClientNetwork client) const noexcept {
    return keyed_hash(client, secret_);
  }
  /// Where the slot number `i` of the window of `hash` is. Only the low bits of a hash choose the window: the
  /// high ones are left to tell clients apart.
  [[nodiscard]] static std::uint32_t index(std::uint64_t hash, std::size_t i) noexcept {
    return static_cast<std::uint32_t>((hash + i) % size);
  }
  [[nodiscard]] Slot& operator[](std::uint32_t index) noexcept { return slots_[index]; }
  [[nodiscard]] const Slot& operator[](std::uint32_t index) const noexcept { return slots_[index]; }
  [[nodiscard]] const std::vector<Slot>& all() const noexcept { return slots_; }

 private:
  std::uint64_t secret_;
  std::vector<Slot> slots_;
};

}  // namespace portico::proxy
