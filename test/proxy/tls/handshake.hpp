#pragma once
// TLS between two sessions in memory, without a socket.
//
// owns:    a Handshake owns both sessions
// threads: one

#include <openssl/err.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/tls/openssl.hpp"

namespace portico::test {

/// What a client that trusts everybody offers.
struct ClientOffer {
  std::string name = {};               ///< SNI
  std::vector<std::string> alpn = {};  ///< none: no ALPN
  int version = TLS1_3_VERSION;        ///< this one alone
  std::string ciphers = {};            ///< of TLS 1.2; empty: OpenSSL's
  std::string signatures = {};         ///< signature algorithms; empty: OpenSSL's
  SSL_SESSION* resume = nullptr;       ///< borrowed
  bool compatible = false;             ///< take old protocols and weak ciphers
};

struct SessionDelete {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, SessionDelete>;

inline proxy::tls::SslPtr make_client(const ClientOffer& offer) {
  const proxy::tls::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (offer.compatible) SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), offer.version);
  SSL_CTX_set_max_proto_version(context.get(), offer.version);
  if (!offer.ciphers.empty()) SSL_CTX_set_cipher_list(context.get(), offer.ciphers.c_str());
  if (!offer.signatures.empty()) SSL_CTX_set1_sigalgs_list(context.get(), offer.signatures.c_str());
  proxy::tls::SslPtr session(SSL_new(context.get()));
  if (!offer.name.empty()) SSL_set_tlsext_host_name(session.get(), offer.name.c_str());
  std::string protocols;
  for (const std::string& protocol : offer.alpn) protocols += static_cast<char>(protocol.size()) + protocol;
  if (!protocols.empty()) {
    SSL_set_alpn_protos(session.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned int>(protocols.size()));
  }
  if (offer.resume != nullptr) SSL_set_session(session.get(), offer.resume);
  SSL_set_connect_state(session.get());
  return session;
}

/// Connects two sessions and lets them shake hands until both are done or one has failed.
class Handshake {
 public:
  Handshake(proxy::tls::SslPtr client, proxy::tls::SslPtr server)
      : client_(std::move(client)), server_(std::move(server)) {
    BIO* near = nullptr;
    BIO* far = nullptr;
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(client_.get(), near, near);
    SSL_set_bio(server_.get(), far, far);
    run();
  }

  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  // OpenSSL does not resume a session that seems to have been cut.
  ~Handshake() { SSL_set_shutdown(client_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }

  [[nodiscard]] bool good() const { return client_done_ && server_done_; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(server_.get()) == 1; }
  [[nodiscard]] SSL& client() const { return *client_; }
  [[nodiscard]] SSL& server() const { return *server_; }
  /// What ALPN chose; empty: nothing.
  [[nodiscard]] std::string protocol() const {
    const unsigned char* chosen = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(client_.get(), &chosen, &size);
    return size == 0 ? std::string() : std::string(reinterpret_cast<const char*>(chosen), size);
  }
  [[nodiscard]] std::string cipher() const { return SSL_get_cipher_name(client_.get()); }
  /// The common name of the certificate that the server showed.
  [[nodiscard]] std::string shown() const {
    const X509* const certificate = SSL_get0_peer_certificate(client_.get());
    if (certificate == nullptr) return {};
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
  }
  /// The client's error, where it failed; 0 otherwise.
  [[nodiscard]] int client_error() const { return client_error_; }
  [[nodiscard]] int server_error() const { return server_error_; }
  /// What the client can come back with.
  [[nodiscard]] SessionPtr session() const { return SessionPtr(SSL_get1_session(client_.get())); }

 private:
  static void step(SSL& ssl, bool& done, int& error) {
    if (done || error != 0) return;
    ERR_clear_error();
    const int result = SSL_do_handshake(&ssl);
    done = result == 1;
    const int why = SSL_get_error(&ssl, result);
    if (!done && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
      error = ERR_GET_REASON(ERR_peek_error());
  }

  void run() {
    for (int round = 0; round < 20; ++round) {
      step(*client_, client_done_, client_error_);
      step(*server_, server_done_, server_error_);
    }
    // The tickets of TLS 1.3 come after the handshake.
    char byte = 0;
    if (client_done_ && server_done_) SSL_read(client_.get(), &byte, 1);
    ERR_clear_error();
  }

  proxy::tls::SslPtr client_;
  proxy::tls::SslPtr server_;
  bool client_done_ = false;
  bool server_done_ = false;
  int client_error_ = 0;
  int server_error_ = 0;
};

}  // namespace portico::test
