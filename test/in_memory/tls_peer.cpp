#include "test/in_memory/tls_peer.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <utility>

namespace portico::in_memory {

namespace {

proxy::tls::SslContextPtr client_context() {
  return proxy::tls::SslContextPtr(SSL_CTX_new(TLS_client_method()));
}

proxy::tls::SslContextPtr server_context(const Identity& identity) {
  proxy::tls::SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  const proxy::tls::BioPtr chain = proxy::tls::memory_bio(identity.certificate);
  const proxy::tls::BioPtr secret = proxy::tls::memory_bio(identity.key);
  const proxy::tls::X509Ptr certificate(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  const proxy::tls::KeyPtr key(PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
  demand(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
             SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1,
         "a backend has a certificate");
  return context;
}

}  // namespace

TlsPeer::TlsPeer(Link& link, proxy::tls::SslContextPtr context)
    : link_(link), ssl_(SSL_new(context.get())), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
  SSL_set_bio(ssl_.get(), in_, out_);
}

TlsPeer::TlsPeer(Link& link, std::string_view alpn) : TlsPeer(link, client_context()) {
  const std::string protocol = static_cast<char>(alpn.size()) + std::string(alpn);
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocol.data()),
                        static_cast<unsigned int>(protocol.size()));
  }
  SSL_set_connect_state(ssl_.get());
}

TlsPeer::TlsPeer(Link& link, const Identity& identity) : TlsPeer(link, server_context(identity)) {
  SSL_set_accept_state(ssl_.get());
}

std::string TlsPeer::waiting() {
  std::string bytes(BIO_ctrl_pending(out_), '\0');
  if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool TlsPeer::pump() {
  ERR_clear_error();
  const std::string_view bytes = link_.received();
  if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
  link_.consume(bytes.size());
  const bool done = SSL_is_init_finished(ssl_.get()) == 1 || SSL_do_handshake(ssl_.get()) == 1;
  std::array<char, 16'384> text;
  for (std::size_t n = 0; done && SSL_read_ex(ssl_.get(), text.data(), text.size(), &n) == 1;)
    received_.append(text.data(), n);
  if (const std::string out = waiting(); !out.empty()) link_.send(out);
  ERR_clear_error();
  return done;
}

std::string TlsPeer::seal(std::string_view text) {
  std::size_t n = 0;
  if (!text.empty()) demand(SSL_write_ex(ssl_.get(), text.data(), text.size(), &n) == 1, "TLS takes text");
  return waiting();
}

}  // namespace portico::in_memory
