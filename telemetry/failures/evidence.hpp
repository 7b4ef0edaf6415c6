#pragma once
// What other records say of a failure: who had worked before, who fails at the same time.
//
// owns:    bounded histories of accounts (auth_index), models and keys, and of the last network faults
// threads: the telemetry thread
// memory:  at most 1,000 names of each kind
// A record alone says what it looks like; the same refusal of an account that answered a minute ago means
// something else than of one that never did.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "telemetry/failures/bounded_map.hpp"
#include "telemetry/failures/failure_group.hpp"
#include "telemetry/failures/tally.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// A verdict in the light of other records.
struct Sharpened {
  Verdict verdict;
  std::optional<Clue> clue;
  std::uint32_t together = 0;  ///< of Clue::cut_together: how many
};

class History {
 public:
  static constexpr std::size_t bound = 1'000;
  /// A model asked for by no name.
  static constexpr std::string_view no_model = "unknown";

  struct AccountPast {
    std::uint64_t last_seen_us = 0;
    std::uint64_t last_success_us = 0;
    std::uint64_t last_failure_us = 0;
  };
  struct ModelPast {
    std::uint64_t last_seen_us = 0;
    std::uint64_t last_success_us = 0;
    std::uint64_t last_quota_us = 0;  ///< failures with an account, by what they were
    std::uint64_t last_auth_us = 0;
    std::uint64_t last_outage_us = 0;
    Tally requests;  ///< accounts, failed ones too
  };
  struct KeyPast {
    std::uint64_t last_seen_us = 0;
    std::uint64_t last_success_us = 0;
  };

  /// A record that did not fail.
  void note_success(const Record& record);
  /// A safe record that failed, and what it is together with what came before it.
  Sharpened note_failure(const Record& record, const Verdict& verdict);

  [[nodiscard]] const BoundedMap<AccountPast>& accounts() const noexcept { return accounts_; }
  [[nodiscard]] const BoundedMap<ModelPast>& models() const noexcept { return models_; }
  [[nodiscard]] const BoundedMap<KeyPast>& keys() const noexcept { return keys_; }
  [[nodiscard]] std::uint64_t last_success_us() const noexcept { return last_success_us_; }

 private:
  struct HostFault {
    std::string host;
    std::uint64_t at_us = 0;
  };
  using HostFaults = std::array<HostFault, 8>;

  void count_request(const Record& record, std::uint64_t now_us);
  Sharpened sharpen(const Record& record, const Verdict& verdict, std::uint64_t now_us);
  void remember(const Record& record, const Verdict& verdict, std::uint64_t now_us);
  static bool several_hosts(HostFaults& faults, std::string_view message, std::uint64_t now_us);

  BoundedMap<AccountPast> accounts_{bound};
  BoundedMap<ModelPast> models_{bound};
  BoundedMap<KeyPast> keys_{bound};
  std::uint64_t last_success_us_ = 0;
  HostFaults unresolved_;
  HostFaults unreached_;
  std::uint64_t cut_us_ = 0;  // of the first of those that broke off together
  std::uint32_t cuts_ = 0;
  std::array<std::uint64_t, 3> moved_us_{};  // the last refused continuations
  std::uint32_t empty_503s_ = 0;             // in a row
};

/// The host a network error names: `https://host/`, `lookup host`. Empty: none.
std::string_view host_in(std::string_view message) noexcept;

}  // namespace portico::telemetry
