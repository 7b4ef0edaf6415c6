#pragma once
// The files a TLS management endpoint needs, and clients of it.
//
// owns:    a TlsFiles owns its folder, a ClientTls its context
// threads: one
// errors:  std::runtime_error

#include <openssl/ssl.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "conf/settings.hpp"
#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

namespace portico::test {

/// A certificate of an authority for this machine, its key, and the settings that name them.
struct TlsFiles {
  TlsFiles() {
    settings.listen = conf::ListenAddress::parse("127.0.0.1:0").value();
    use(authority.issue());
  }
  /// The server's certificate from now on, in the same files.
  void use(const Certificate& certificate) {
    const CertificateFiles files = certificate.write(folder.path().string(), "server");
    settings.tls_certificate = files.certificate;
    settings.tls_key = files.key;
  }
  /// Clients must be of `accepted` from now on.
  void demand(const Authority& accepted) {
    settings.client_ca = accepted.write(folder.path().string(), "client_ca");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder.file(name); }

  TemporaryFolder folder;
  Authority authority;
  conf::AdminSettings settings;
};

/// What a client of 127.0.0.1 brings along: whom it believes, and its own certificate if it has one.
class ClientTls {
 public:
  explicit ClientTls(const Authority& trusted) {
    const TemporaryFolder folder;
    const std::string path = trusted.write(folder.path().string(), "trusted");
    check(context_ != nullptr && SSL_CTX_load_verify_locations(context_.get(), path.c_str(), nullptr) == 1);
    check(X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(context_.get()), "127.0.0.1") == 1);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  }
  ClientTls(const Authority& trusted, const Certificate& own) : ClientTls(trusted) {
    const TemporaryFolder folder;
    const CertificateFiles files = own.write(folder.path().string(), "own");
    check(SSL_CTX_use_certificate_chain_file(context_.get(), files.certificate.c_str()) == 1);
    check(SSL_CTX_use_PrivateKey_file(context_.get(), files.key.c_str(), SSL_FILETYPE_PEM) == 1);
  }
  [[nodiscard]] SSL_CTX& context() const { return *context_; }
  /// Speaks no other version, such as TLS1_2_VERSION; old ones as weakly as they need.
  void only(int version) {
    SSL_CTX_set_security_level(context_.get(), version < TLS1_2_VERSION ? 0 : 2);
    check(SSL_CTX_set_min_proto_version(context_.get(), version) == 1 &&
          SSL_CTX_set_max_proto_version(context_.get(), version) == 1);
  }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  static void check(bool good) {
    if (!good) throw std::runtime_error("the test's client cannot be set up");
  }

  std::unique_ptr<SSL_CTX, Free> context_{SSL_CTX_new(TLS_client_method())};
};

}  // namespace portico::test
