#pragma once
// The TLS of the management endpoint: its certificate and key, and whose certificates clients must show.
//
// owns:    OpenSSL's context; sessions made of it go on by themselves after it is gone
// threads: made on any; new_session() on the server's thread
// errors:  AdminTlsError with one line for the operator: setting, file, cause
// No session is resumed: few clients come here and they keep their connections, and so a client's certificate
// is looked at in every handshake, against the authorities in force then.

#include <openssl/ssl.h>

#include <memory>
#include <stdexcept>

#include "conf/settings.hpp"

namespace portico::telemetry {

struct SslFree {
  void operator()(SSL* session) const noexcept { SSL_free(session); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
/// What is wrong with the settings, or with a file that they name.
class AdminTlsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One TLS connection, before, in and after its handshake.
using SslPtr = std::unique_ptr<SSL, SslFree>;

class ServerTls {
 public:
  /// Reads the files of admin.tls_certificate, admin.tls_key and admin.client_ca. Never asks for a password:
  /// an encrypted key is an error. An expired certificate is only told in the log.
  explicit ServerTls(const conf::AdminSettings& settings);

  /// TLS 1.2 or 1.3 with forward secrecy and authenticated encryption. With admin.client_ca the handshake
  /// fails unless the client shows a certificate for clients that one of those authorities vouches for. Null
  /// for want of memory.
  [[nodiscard]] SslPtr new_session() const noexcept;

 private:
  std::unique_ptr<SSL_CTX, SslFree> context_;
};

/// Null where none of the settings asks for TLS: the endpoint is plain then. Throws as ServerTls does, and
/// where one of them is missing that another needs.
std::shared_ptr<const ServerTls> make_server_tls(const conf::AdminSettings& settings);

}  // namespace portico::telemetry
