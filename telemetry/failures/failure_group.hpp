#pragma once
// Like failures, as one: what is kept of them.
//
// owns:    everything by value; all texts are safe
// threads: the telemetry thread
// memory:  bounded: about 10 KiB, and its tally

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/failures/seen_list.hpp"
#include "telemetry/failures/tally.hpp"
#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

/// What other records say of a failure, at the moment it is seen.
enum class Clue : std::uint8_t {
  account_worked,       ///< the account that is now refused had succeeded
  model_worked,         ///< the model that nobody exposes had been answered
  provider_worked,      ///< the provider that can't be reached had answered this account
  no_name_resolves,     ///< several host names could not be resolved within minutes
  several_hosts_fail,   ///< connections to several hosts failed within minutes
  outage_emptied_pool,  ///< no account was left after failures of the provider
  all_are_refused,      ///< empty 503 on everything
  cut_together,         ///< several responses broke off at the same moment
  sessions_move,        ///< continuations were refused again and again
};
inline constexpr std::size_t clue_count = 9;

/// Who said what is shown as the message.
enum class Speaker : std::uint8_t { portico, backend };

struct FailureGroup {
  Verdict alone;             ///< what one of these failures says by itself
  Verdict verdict;           ///< what it says together with others
  std::uint16_t status = 0;  ///< 0: none was given
  Timer timer = Timer::none;
  Ended ended = Ended::complete;
  Speaker speaker = Speaker::backend;
  bool own_answer = false;  ///< Portico answered in the backend's place
  bool traced = false;      ///< CPA had chosen an account
  bool spoken = false;      ///< `message` is the backend's text
  bool websocket = false;
  std::string owner;    ///< name of the upstream; empty where there is none
  std::string code;     ///< the error's, or Portico's own
  std::string message;  ///< of the newest
  std::string request_field;

  Tally tally;
  std::uint64_t first_us = 0;
  std::uint64_t last_us = 0;
  std::uint64_t nameless_us = 0;  ///< when the last was seen that asked for no model; 0: never
  SeenList models;
  SeenList keys;  ///< by fingerprint, shown by mask
  SeenList auth_indexes;
  SeenList paths;
  SeenList endpoints;
  struct Sample {
    std::string request_id;
    std::uint64_t at_us = 0;
  };
  std::array<Sample, 3> samples;                  ///< newest first
  std::array<std::uint64_t, clue_count> clues{};  ///< when each was last seen; 0: never
  std::uint32_t most_together = 0;                ///< of Clue::cut_together
  std::vector<std::uint32_t> durations_ms;  ///< of the newest, at most 32, as a ring; cancelled ones only
  std::size_t next_duration = 0;
};

}  // namespace portico::telemetry
