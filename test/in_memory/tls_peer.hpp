#pragma once
// The other side of TLS on a Link, by OpenSSL: a client that trusts everybody, or a backend.
//
// owns:    the session and its bytes; borrows its Link
// threads: one

#include <string>
#include <string_view>

#include "proxy/tls/openssl.hpp"
#include "test/in_memory/link.hpp"
#include "test/in_memory/portico.hpp"

namespace portico::in_memory {

class TlsPeer {
 public:
  /// A client that offers `alpn` (one protocol; empty: none).
  TlsPeer(Link& link, std::string_view alpn);
  /// A backend with that certificate.
  TlsPeer(Link& link, const Identity& identity);
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  /// Takes what was received and sends what TLS has to say. True once the handshake is complete.
  bool pump();
  /// The records that carry `text`, not sent yet. Precondition: the handshake is complete.
  std::string seal(std::string_view text);
  /// What was received, decrypted.
  [[nodiscard]] std::string_view received() const noexcept { return received_; }

 private:
  TlsPeer(Link& link, proxy::tls::SslContextPtr context);
  std::string waiting();

  Link& link_;
  proxy::tls::SslPtr ssl_;
  BIO* in_ = nullptr;   // the session's
  BIO* out_ = nullptr;  // the session's
  std::string received_;
};

}  // namespace portico::in_memory
