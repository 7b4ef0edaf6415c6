#pragma once
// The client's side of TLS for one worker: connections to https:// endpoints, whose certificates are
// verified.
//
// owns:    its OpenSSL context, the authorities included
// threads: made on the control thread, then one worker's
// errors:  CertificateError from the constructor; new_session() returns null for want of memory
// There is no way to switch verification off.

#include <string>

#include "proxy/tls/openssl.hpp"

namespace portico::proxy::tls {

class ClientContext {
 public:
  /// Verifies against the authorities in `ca_file` alone, or against the system's if it is empty. `setting`
  /// names it in errors.
  ClientContext(const std::string& ca_file, const std::string& setting);

  /// A session in connect state, without a transport, for a server whose certificate is for `host`: a host
  /// name, which is sent as SNI, or an IP address without brackets, which is not (RFC 6066 section 3). Offers
  /// http/1.1.
  [[nodiscard]] SslPtr new_session(const std::string& host) const;

 private:
  SslContextPtr context_;
};

}  // namespace portico::proxy::tls
