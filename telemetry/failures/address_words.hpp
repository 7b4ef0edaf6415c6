#pragma once
// Telling addresses, of machines and of mail, and encoded bytes from other words.
//
// owns:    nothing
// threads: any; pure

#include <cstddef>
#include <string_view>

namespace portico::telemetry {

/// Length of the IPv4 address that begins at `at`; 0: none begins there.
std::size_t ipv4_size(std::string_view text, std::size_t at) noexcept;
/// Length of the IPv6 address, with its zone, or of the hardware address that begins at `at`; 0: none does.
std::size_t ipv6_size(std::string_view text, std::size_t at) noexcept;

/// Whether what follows an `@` may be a mail domain. A version behind the sign belongs to a package or a
/// model.
bool is_mail_domain(std::string_view text) noexcept;

/// Whether a run of characters without blanks is base64 of something, with marks that words don't have.
bool is_base64(std::string_view run) noexcept;

}  // namespace portico::telemetry
