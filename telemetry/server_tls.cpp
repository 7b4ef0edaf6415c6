#include "telemetry/server_tls.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "telemetry/log.hpp"

namespace portico::telemetry {
namespace {

// Far above any chain or list of authorities; it only keeps a device or a wrong file from filling the memory.
constexpr std::size_t largest_file = 1'048'576;
// 112 bits: no RSA below 2048 bits, no SHA-1.
constexpr int security_level = 2;
// Forward secrecy and authenticated encryption, nothing else. TLS 1.3 has only such.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* groups = "X25519:P-256:P-384";
constexpr unsigned char protocols[] = "\x08http/1.1";

struct Free {
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using BioPtr = std::unique_ptr<BIO, Free>;
using X509Ptr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;

/// A file of the settings, and who is to blame for it.
struct Source {
  std::string_view setting;
  const std::string& path;

  [[noreturn]] void refuse(std::string_view cause) const {
    throw AdminTlsError(fmt::format("{}: {}: {}", setting, path, cause));
  }
};

/// What OpenSSL said last on this thread; empties its queue.
std::string reason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* const text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return text == nullptr ? "unknown error" : text;
}

/// The bytes of a file, which may be a key: wiped when they go.
class FileBytes {
 public:
  explicit FileBytes(const Source& source) {
    // Not blocking: whatever lies there, a pipe for instance, may not hold up the start.
    const int fd = ::open(source.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) source.refuse(std::generic_category().message(errno));
    const std::string problem = read(fd);
    ::close(fd);
    if (!problem.empty()) source.refuse(problem);
  }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;
  ~FileBytes() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  [[nodiscard]] bool holds(std::string_view what) const noexcept {
    return view().find(what) != std::string_view::npos;
  }
  [[nodiscard]] BioPtr bio() const {
    BioPtr bio(BIO_new_mem_buf(bytes_.data(), static_cast<int>(size_)));
    if (!bio) throw std::bad_alloc();
    return bio;
  }

 private:
  /// What is wrong; empty when nothing is.
  std::string read(int fd) {
    struct stat about {};
    if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return "is not a file";
    // Allocated once, so that no part of a key is left behind. One byte more shows that the file ends.
    bytes_.resize(largest_file + 1);
    while (size_ < bytes_.size()) {
      const ssize_t got = ::read(fd, bytes_.data() + size_, bytes_.size() - size_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::generic_category().message(errno);
      if (got == 0) return {};
      size_ += static_cast<std::size_t>(got);
    }
    return "is too large";
  }

  std::vector<char> bytes_;
  std::size_t size_ = 0;
};

/// Instead of the prompt on the terminal: notes that the key is encrypted, and gives nothing.
int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

/// The certificates of a file, at least one.
std::vector<X509Ptr> read_certificates(const Source& source) {
  const FileBytes file(source);
  const BioPtr bio = file.bio();
  std::vector<X509Ptr> found;
  ERR_clear_error();
  while (X509Ptr next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    found.push_back(std::move(next));
  // The end of the file, or one without any, says that no further one begins.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string why = reason();
  if (!at_end) source.refuse(fmt::format("certificate {} cannot be read: {}", found.size() + 1, why));
  if (found.empty()) {
    source.refuse(file.holds("PRIVATE KEY-----") ? "holds a key and no certificate"
                                                 : "holds no certificate in PEM form");
  }
  return found;
}

KeyPtr read_key(const Source& source) {
  const FileBytes file(source);
  const BioPtr bio = file.bio();
  bool encrypted = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, &encrypted));
  const std::string why = reason();
  if (key) return key;
  if (encrypted) {
    source.refuse(
        "is encrypted, and there is nobody to ask for a password; write it without one: openssl pkey -in OLD "
        "-out NEW");
  }
  if (!file.holds("PRIVATE KEY-----")) {
    source.refuse(file.holds("CERTIFICATE-----") ? "holds a certificate and no key"
                                                 : "holds no key in PEM form");
  }
  source.refuse(fmt::format("cannot be read: {}", why));
}

/// RFC 7301 section 3.2: who offers protocols, and not the one there is, gets no connection.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) noexcept {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, protocols, sizeof protocols - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/// All but certificates. Explicit, so that no openssl.cnf makes it weaker.
void set_rules(SSL_CTX& context) {
  SSL_CTX_set_security_level(&context, security_level);
  const bool good = SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(&context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_cipher_list(&context, tls12_ciphers) == 1 &&
                    SSL_CTX_set1_groups_list(&context, groups) == 1 &&
                    SSL_CTX_set_num_tickets(&context, 0) == 1;
  if (!good) throw AdminTlsError(fmt::format("admin.tls_certificate: no TLS here: {}", reason()));
  SSL_CTX_set_options(&context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  // A stream ends with its connection: only close_notify may count as its end.
  SSL_CTX_clear_options(&context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  // The chain is what the file says.
  SSL_CTX_set_mode(&context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_alpn_select_cb(&context, choose_protocol, nullptr);
}

void use_certificate(SSL_CTX& context, const conf::AdminSettings& settings) {
  const Source certificate{"admin.tls_certificate", settings.tls_certificate};
  const Source key_source{"admin.tls_key", settings.tls_key};
  const std::vector<X509Ptr> chain = read_certificates(certificate);
  const KeyPtr key = read_key(key_source);
  X509& own = *chain.front();
  if (X509_check_private_key(&own, key.get()) != 1) {
    ERR_clear_error();
    key_source.refuse(fmt::format("is not the key of the certificate in {}", settings.tls_certificate));
  }
  bool good =
      SSL_CTX_use_certificate(&context, &own) == 1 && SSL_CTX_use_PrivateKey(&context, key.get()) == 1;
  for (std::size_t i = 1; good && i < chain.size(); ++i)
    good = SSL_CTX_add1_chain_cert(&context, chain[i].get()) == 1;
  if (!good) certificate.refuse(fmt::format("cannot be used: {}", reason()));
  if (X509_cmp_current_time(X509_get0_notAfter(&own)) < 0) {
    log(Level::warn, "{}: {}: has expired; clients will refuse it", certificate.setting, certificate.path);
  }
}

void demand_client_certificate(SSL_CTX& context, const Source& source) {
  for (const X509Ptr& authority : read_certificates(source)) {
    // Its name goes to clients in the handshake, so that those with several certificates take the right one.
    const bool good = X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get()) == 1 &&
                      SSL_CTX_add_client_CA(&context, authority.get()) == 1;
    if (!good) source.refuse(fmt::format("cannot be used: {}", reason()));
  }
  // The operator's word is enough: an intermediate authority may stand there without its root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

ServerTls::ServerTls(const conf::AdminSettings& settings) : context_(SSL_CTX_new(TLS_server_method())) {
  if (!context_) throw std::bad_alloc();
  set_rules(*context_);
  use_certificate(*context_, settings);
  if (!settings.client_ca.empty())
    demand_client_certificate(*context_, {"admin.client_ca", settings.client_ca});
}

SslPtr ServerTls::new_session() const noexcept {
  SslPtr session(SSL_new(context_.get()));
  if (!session) ERR_clear_error();
  return session;
}

std::shared_ptr<const ServerTls> make_server_tls(const conf::AdminSettings& settings) {
  const bool certificate = !settings.tls_certificate.empty();
  const bool key = !settings.tls_key.empty();
  // Nobody who asked for TLS may get an endpoint without it.
  if (key && !certificate) throw AdminTlsError("admin.tls_key needs admin.tls_certificate");
  if (certificate && !key) throw AdminTlsError("admin.tls_certificate needs admin.tls_key");
  if (!certificate && !settings.client_ca.empty())
    throw AdminTlsError("admin.client_ca needs admin.tls_certificate");
  return certificate ? std::make_shared<const ServerTls>(settings) : nullptr;
}

}  // namespace portico::telemetry
