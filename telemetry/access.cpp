#include "telemetry/access.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace portico::telemetry {
namespace {

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
         });
}

}  // namespace

AccessRule::Digest AccessRule::digest_of(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

AccessRule::AccessRule(const conf::AdminSettings& settings)
    : has_token_(!settings.token.empty()), check_host_(!settings.listen.is_unix && !has_token_) {
  if (!has_token_ && !settings.listen.is_loopback()) {
    throw std::runtime_error(
        fmt::format("the management endpoint at {} can be reached from other machines: set admin.token, or "
                    "listen on a loopback address or a unix socket",
                    settings.listen.text()));
  }
  if (has_token_) token_ = digest_of(settings.token);
}

AccessVerdict AccessRule::check(std::string_view authorization, bool has_host, std::string_view host) const {
  if (has_token_) {
    if (!starts_with_ignoring_case(authorization, "bearer ")) return AccessVerdict::token_missing;
    std::string_view given = authorization.substr(7);
    given.remove_prefix(std::min(given.find_first_not_of(' '), given.size()));
    // Digests have one length, so the time tells nothing about the token's.
    const Digest digest = digest_of(given);
    const bool same = CRYPTO_memcmp(digest.data(), token_.data(), token_.size()) == 0;
    return same ? AccessVerdict::allowed : AccessVerdict::token_wrong;
  }
  const bool foreign = check_host_ && has_host && !names_this_machine(host);
  return foreign ? AccessVerdict::host_not_local : AccessVerdict::allowed;
}

bool names_this_machine(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view after = host.substr(end + 1);
    if (!after.empty() && after.front() != ':') return false;
    host = host.substr(1, end - 1);
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    host = host.substr(0, colon);
  }
  if (host.size() == 9 && starts_with_ignoring_case(host, "localhost")) return true;
  const std::optional<conf::IpAddress> ip = conf::IpAddress::parse(host);
  return ip && ip->is_loopback();
}

}  // namespace portico::telemetry
