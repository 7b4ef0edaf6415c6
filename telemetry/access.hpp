#pragma once
// Who may ask the management endpoint.
//
// owns:    a digest of the token, never the token
// threads: immutable after construction; any

#include <array>
#include <cstdint>
#include <string_view>

#include "conf/settings.hpp"

namespace portico::telemetry {

enum class AccessVerdict : std::uint8_t {
  allowed,
  token_missing,   ///< 401
  token_wrong,     ///< 401, error="invalid_token"
  host_not_local,  ///< 403
};

class AccessRule {
 public:
  /// Throws std::runtime_error when the address is neither loopback nor a unix socket and there is no token.
  explicit AccessRule(const conf::AdminSettings& settings);

  /// With a token: `authorization` must be `Bearer <token>` (RFC 6750), compared in constant time. Without
  /// one on a loopback port: `host` must name this machine, because a web page can have its own name
  /// resolved to 127.0.0.1 (DNS rebinding) and read what a browser on this machine then fetches. A request
  /// without Host is not from a browser.
  [[nodiscard]] AccessVerdict check(std::string_view authorization, bool has_host,
                                    std::string_view host) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view text);

  bool has_token_;
  bool check_host_;
  Digest token_{};
};

/// True for `localhost`, an address of the loopback network, either with a port.
bool names_this_machine(std::string_view host);

}  // namespace portico::telemetry
