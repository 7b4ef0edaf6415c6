#pragma once
// Certificates and keys of the TLS listeners, read from their files and checked before anything is put in
// force.
//
// owns:    the bytes of chains and keys; those of keys are wiped when they go
// threads: made on the control thread, then read only
// errors:  CertificateError with all that is wrong, for the operator; what only deserves attention is in
//          warnings()
// What goes to a worker is made from the bytes (ServerContexts), so that no two share an OpenSSL object.

#include <cstdint>
#include <string>
#include <vector>

#include "conf/settings.hpp"
#include "proxy/tls/openssl.hpp"

namespace portico::proxy::tls {

/// Bytes that are wiped when they go. They move, and are never copied.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::string bytes) noexcept : bytes_(std::move(bytes)) {}
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();
  [[nodiscard]] std::string_view view() const noexcept { return bytes_; }

 private:
  void wipe() noexcept;
  std::string bytes_;
};

/// What an operator wants to know about a certificate.
struct CertificateFacts {
  std::string file;  ///< of the chain
  std::vector<std::string>
      names;                   ///< host names in lower case, then IP addresses; the common name if no others
  std::int64_t not_after = 0;  ///< seconds since 1970
  std::string key_type;        ///< `EC P-256`, `RSA 2048`, `ED25519`
};

/// A chain with its key. Both have been read and belong together.
struct Credential {
  CertificateFacts facts;
  std::string chain;  ///< PEM, the server's own certificate first
  SecretBytes key;    ///< PEM
};

class Credentials {
 public:
  /// Reads all pairs of tls.certificates and tls.keys. Expired certificates and the like only warn. Never
  /// asks for a password: an encrypted key is an error.
  explicit Credentials(const conf::TlsSettings& settings);

  /// In the order of the settings; empty when there are none.
  [[nodiscard]] const std::vector<Credential>& items() const noexcept { return items_; }
  /// One sentence each, with setting and file.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  std::vector<Credential> items_;
  std::vector<std::string> warnings_;
};

/// Puts chain and key into `context`. False, with OpenSSL's reason in its queue, when the context does not
/// take them.
bool install(SSL_CTX& context, const Credential& credential);

/// How short a key may be and how weak a signature: 112 bits, so no RSA below 2048 bits and no SHA-1.
inline constexpr int security_level = 2;

}  // namespace portico::proxy::tls
