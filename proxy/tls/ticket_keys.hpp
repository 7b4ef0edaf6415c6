#pragma once
// Keys of the session tickets, by which a client comes back without a full handshake (RFC 5077, RFC 8446
// section 4.6.1).
//
// owns:    up to three keys, which are wiped when they go
// threads: made on the control thread, then read only; every worker has the same set, so that a client may
// come back
//          to any of them
// errors:  std::runtime_error when the system has no randomness to give
// The server keeps nothing of a session. Who gets hold of a key can read the TLS 1.2 sessions whose tickets
// it encrypted, so keys are never written anywhere and do not live long.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace portico::proxy::tls {

class TicketKeys {
 public:
  static constexpr std::size_t most = 3;
  /// How often the control thread should call rotated().
  static constexpr std::chrono::hours rotation{1};
  /// How long a ticket may be used. A key encrypts for one rotation and decrypts for two more.
  static constexpr std::chrono::seconds lifetime = (most - 1) * rotation;

  struct Key {
    std::array<std::uint8_t, 16> name;    ///< stands in the ticket in plain, and tells the keys apart
    std::array<std::uint8_t, 32> cipher;  ///< AES-256-CBC
    std::array<std::uint8_t, 32> mac;     ///< HMAC-SHA256
  };

  /// One fresh key.
  TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;
  ~TicketKeys();

  /// A fresh key, which encrypts from now on, and the newest of these, which still decrypt.
  [[nodiscard]] std::shared_ptr<const TicketKeys> rotated() const;
  /// What encrypts.
  [[nodiscard]] const Key& newest() const noexcept { return keys_.front(); }
  /// The key of this name; null when it is not known, or not any more.
  [[nodiscard]] const Key* find(std::span<const std::uint8_t, 16> name) const noexcept;

 private:
  std::array<Key, most> keys_{};  // newest first
  std::size_t count_ = 0;
};

}  // namespace portico::proxy::tls
