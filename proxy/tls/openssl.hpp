#pragma once
// OpenSSL's objects as values that free themselves, and its errors as words.
//
// owns:    each pointer its object
// threads: any, one object one thread; the error queue belongs to the calling thread
// errors:  reason() never throws but for want of memory

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace portico::proxy::tls {

struct OpenSslDelete {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
};

/// One TLS connection, before, in and after its handshake.
using SslPtr = std::unique_ptr<SSL, OpenSslDelete>;
using SslContextPtr = std::unique_ptr<SSL_CTX, OpenSslDelete>;
using X509Ptr = std::unique_ptr<X509, OpenSslDelete>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDelete>;
using BioPtr = std::unique_ptr<BIO, OpenSslDelete>;

/// Certificates, keys or authorities that cannot be used. The message is for the operator: it names the
/// setting, the file and the cause.
class CertificateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What OpenSSL said last on this thread, in its own words; empties its queue. `fallback` where it said
/// nothing.
std::string reason(std::string_view fallback);

/// Reads PEM out of `bytes`, which must outlive it.
BioPtr memory_bio(std::string_view bytes);

}  // namespace portico::proxy::tls
