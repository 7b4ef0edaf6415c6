#pragma once
// From an API key to what may be kept of it: a keyed hash and a mask.
//
// owns:    the secret of the hash, in this process's memory
// threads: each worker has its own; construct anywhere
// bytes:   the key is read during the call and never kept

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "telemetry/tap/facts.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// Secret of the keyed hash. Without it a fingerprint can't be tested against a guessed key.
using KeySecret = std::array<std::uint8_t, 16>;

/// What is kept of a key.
struct KeyMark {
  KeyFingerprint fingerprint{};
  std::array<char, 16> mask{};
  std::uint8_t mask_size = 0;
  [[nodiscard]] std::string_view mask_text() const noexcept { return {mask.data(), mask_size}; }
};

/// The first key that a request presents, in CPA's order: Authorization (with or without Bearer),
/// X-Goog-Api-Key, X-Api-Key, query `key`, query `auth_token`. Empty: none. A value in the query is returned
/// as sent.
std::string_view presented_key(const RequestFacts& request) noexcept;

class KeyMarker {
 public:
  explicit KeyMarker(const KeySecret& secret);
  ~KeyMarker();
  KeyMarker(KeyMarker&&) noexcept;
  KeyMarker& operator=(KeyMarker&&) noexcept;

  /// SipHash-2-4 with 128 bits, and a mask such as `sk-a...9f3c`: four characters of each end, a quarter of a
  /// key shorter than 20 bytes, and nothing of one shorter than 16 (`****`). An empty key gives the empty
  /// mark.
  [[nodiscard]] KeyMark mark(std::string_view key) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
