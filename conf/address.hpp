#pragma once
// Addresses an operator can write: where to listen, which backend to call, which networks to trust.
//
// owns:    plain values, copied freely
// threads: any; nothing is shared
// errors:  parse functions return std::nullopt and never throw

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portico::conf {

/// An IPv4 or IPv6 address as 16 bytes in network order; IPv4 is held as ::ffff:a.b.c.d, so that a
/// mapped peer and a plain one compare equal.
class IpAddress {
 public:
  IpAddress() = default;
  explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  static IpAddress v4(std::uint32_t host_order) noexcept;
  /// Plain textual form only: no port, no brackets, no zone.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;

  [[nodiscard]] bool is_v4() const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
  /// Writes the plain form (IPv4 without the ::ffff: prefix); returns the length, at most 45.
  std::size_t write(char (&out)[48]) const noexcept;
  [[nodiscard]] std::string text() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// A network in CIDR form (`10.0.0.0/8`, `fd00::/8`, a bare address, or `unix:` for every peer on a unix
/// socket).
class Network {
 public:
  static std::optional<Network> parse(std::string_view text) noexcept;
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  /// True for the word `unix:`, which stands for peers that have no IP address.
  [[nodiscard]] bool is_unix() const noexcept { return unix_; }
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Network&, const Network&) = default;

 private:
  IpAddress base_;
  std::uint8_t prefix_bits_ = 128;  // of the 16-byte form
  bool unix_ = false;
};

/// Where to listen: `host:port`, `[v6]:port`, `:port` (all addresses, IPv6 and IPv4) or `unix:/path`.
struct ListenAddress {
  bool is_unix = false;
  IpAddress ip;            ///< meaningless when is_unix
  bool any = false;        ///< written as `:port`: one dual-stack socket
  std::uint16_t port = 0;  ///< 0 asks the kernel for a free port
  std::string path;        ///< of the unix socket
  static std::optional<ListenAddress> parse(std::string_view text);
  [[nodiscard]] bool is_loopback() const noexcept { return is_unix || (!any && ip.is_loopback()); }
  [[nodiscard]] std::string text() const;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

/// A backend endpoint: `http://host[:port]`, `https://host[:port]` or `unix:/path`. No path, query or user
/// info.
struct Url {
  enum class Scheme : std::uint8_t { http, https, unix_socket };
  Scheme scheme = Scheme::http;
  std::string host;  ///< name or address, IPv6 without brackets; empty for a unix socket
  std::uint16_t port = 80;
  std::string path;  ///< of the unix socket
  static std::optional<Url> parse(std::string_view text);
  /// `host:port` as it stands in a Host header (default port left out, IPv6 in brackets); `localhost` for a
  /// unix socket.
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Url&, const Url&) = default;
};

/// Letters, digits, `-` and `_` in labels, of which the last is no number; one dot at the end is allowed.
[[nodiscard]] bool is_host_name(std::string_view text) noexcept;

}  // namespace portico::conf
