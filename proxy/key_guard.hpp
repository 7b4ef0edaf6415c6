#pragma once
// The brake on guessing keys: a client address that backends refuse for its key again and again within a
// while has to pause. CPA and CPAMP set no limit on tries; a front door is the only place where one can be.
//
//   counting --the last failure of `failures` within `window`--> braked --`pause` has passed--> counting,
//   from 0
//
// Only failures count, and only time forgives them: a success resets nothing and pays for nothing. A guesser
// who has one good key would otherwise reset its count with it after every nineteenth try, or pay for tries
// with requests that cost it nothing (a list of models). A client that mostly succeeds is not braked for
// failures that are rare, because rare is what `failures` within `window` says, however many successes there
// are; an address that stands for very many clients can be exempt.
//
// Failures of requests that were under way when the brake closed make the pause longer, each by its share
// (pause / failures), up to 60 pauses: sent at once or one after the other, so many tries take so much time.
// Requests that are turned away while it is closed change nothing.
//
// owns:    the table, for the life of the process
// threads: any; each function is lock-free. Time is passed in
// memory:  a slot is two words, whose it is and how it stands. Who takes a slot over clears the second before
// it
//          stores the first (release), and readers look at the first before the second (acquire), so a new
//          client never begins with what another left. The second has a tag of the client that it is about,
//          so that a failure of the old one, counted at that very moment, is not taken for the new one's. All
//          else is relaxed
// accuracy: to 10 ms. Two workers that meet a new client at the same moment may give it two slots, of which
// the
//           first is used from then on: at most one failure is forgotten. A newcomer to a window that is full
//           of others takes the slot that would be free first.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "conf/settings.hpp"
#include "proxy/client_table.hpp"
#include "proxy/moment.hpp"

namespace portico::proxy {

class KeyGuard {
 public:
  /// `secret` keys the table, so that a client can't choose addresses that collide.
  explicit KeyGuard(std::uint64_t secret) : table_(secret) {}
  KeyGuard(const KeyGuard&) = delete;
  KeyGuard& operator=(const KeyGuard&) = delete;

  /// Counts a request that a backend refused for its key. True when that closes the brake. `settings` of the
  /// moment decide; an exempt client is the caller's to leave out.
  bool failed(ClientNetwork client, const conf::KeyGuardSettings& settings, Moment now) noexcept;

  /// In how many seconds (rounded up) the client may ask again; 0: now. Costs one load while nobody is
  /// braked.
  [[nodiscard]] std::chrono::seconds pause_of(ClientNetwork client, Moment now) const noexcept;

  /// A client that is braked.
  struct Braked {
    ClientNetwork client;
    std::chrono::milliseconds left{0};  ///< until it may ask again
    std::size_t failures = 0;           ///< those that count for this pause
  };
  /// All that are braked at this moment.
  [[nodiscard]] std::vector<Braked> braked(Moment now) const;

  static constexpr unsigned most_pauses = 60;

 private:
  struct Slot {
    std::atomic<std::uint64_t> client{0};  // ClientNetwork::word(); 0 is free
    std::atomic<std::uint64_t> state{0};   // see State in key_guard.cpp
  };
  using Table = ClientTable<Slot, std::size_t{1} << 15>;

  Slot* claim(ClientNetwork client, std::uint64_t hash, std::uint64_t window) noexcept;

  Table table_;
  /// No brake is closed from this moment on.
  std::atomic<Moment> last_end_{0};
};

}  // namespace portico::proxy
