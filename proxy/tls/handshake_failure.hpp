#pragma once
// Why a TLS handshake failed, in words for the operator.
//
// owns:    nothing
// threads: the session's; it reads and empties that thread's OpenSSL error queue

#include <string>

#include "proxy/tls/openssl.hpp"

namespace portico::proxy::tls {

/// To be asked right after SSL_do_handshake() has failed for good, on either side. A clause about the peer
/// without a full stop, such as `its certificate has expired` or `it speaks no TLS`; with what to do about it
/// where that is known. It holds no byte that the peer chose.
std::string handshake_failure(SSL& session);

}  // namespace portico::proxy::tls
