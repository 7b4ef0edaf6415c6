#pragma once
// The ways by which HTTP/2 comes in: under TLS by ALPN, and in cleartext with prior knowledge. A proxy for
// both is started with PorticoOptions::tls and PorticoOptions::cleartext_h2.
//
// owns:    nothing
// threads: any

#include <cstdint>

#include "test/support/h2_client.hpp"
#include "test/support/h2_frames.hpp"
#include "test/support/portico.hpp"

namespace portico::test {

enum class Door : std::uint8_t { tls, cleartext };

/// An honest client on a new connection.
H2Client h2_connect(const Portico& proxy, Door door = Door::tls, H2ClientOptions options = {});

/// A new connection on which nothing was sent yet.
h2::H2Wire h2_wire(const Portico& proxy, Door door = Door::cleartext);

}  // namespace portico::test
