#pragma once
// Certificates made at run time: an authority, and leaves of it with the names, key and dates a test wants.
//
// owns:    an Authority and a Certificate own their key and certificate; files belong to their folder
// threads: any, one object one thread
// errors:  std::runtime_error

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace portico::test {

struct OpenSslDelete {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDelete>;
using X509Ptr = std::unique_ptr<X509, OpenSslDelete>;

enum class KeyType : std::uint8_t { ec, rsa };

struct CertificateOptions {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};  ///< host names and IP addresses (SAN)
  std::string common_name = "leaf";
  KeyType key = KeyType::ec;               ///< P-256, or RSA with 2048 bits
  std::chrono::seconds not_before{-3600};  ///< from now
  std::chrono::seconds not_after{30 * 24 * 3600};
};

/// Where the PEM files of a certificate lie.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

/// A certificate with its key, and the intermediates a server sends with it.
class Certificate {
 public:
  Certificate(X509Ptr certificate, KeyPtr key, std::string intermediates)
      : certificate_(std::move(certificate)),
        key_(std::move(key)),
        intermediates_(std::move(intermediates)) {}

  /// The chain: this certificate, then the intermediates.
  [[nodiscard]] std::string pem() const;
  /// Encrypted when there is a password.
  [[nodiscard]] std::string key_pem(const std::string& password = {}) const;
  /// Seconds since 1970.
  [[nodiscard]] std::int64_t not_after() const;
  /// Writes `<stem>.pem` and `<stem>.key` into the folder, each as a new file that takes the old one's place.
  [[nodiscard]] CertificateFiles write(const std::string& folder, const std::string& stem) const;

 private:
  X509Ptr certificate_;
  KeyPtr key_;
  std::string intermediates_;
};

/// Signs certificates. A leaf without names has no subjectAltName.
class Authority {
 public:
  /// A root that signed itself.
  explicit Authority(const std::string& name = "Test authority");

  /// A certificate for servers and clients.
  [[nodiscard]] Certificate issue(const CertificateOptions& options = {}) const;
  /// An authority that this one vouches for; what it issues brings its certificate along.
  [[nodiscard]] Authority intermediate(const std::string& name) const;
  /// Its own certificate.
  [[nodiscard]] std::string pem() const;
  /// Writes `<stem>.pem` into the folder and returns its path.
  [[nodiscard]] std::string write(const std::string& folder, const std::string& stem) const;

 private:
  Authority(X509Ptr certificate, KeyPtr key, std::string chain);

  X509Ptr certificate_;
  KeyPtr key_;
  std::string chain_;  // what its leaves bring along
};

/// A certificate that nobody but itself vouches for.
Certificate self_signed(const CertificateOptions& options = {});

/// Puts `text` where `path` is in one step, as tools that renew certificates do. Only its owner may read it.
void replace_file(const std::string& path, const std::string& text);

}  // namespace portico::test
