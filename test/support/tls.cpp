#include "test/support/tls.hpp"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace portico::test {

namespace {

std::string last_error() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  return text.data();
}

void check(bool good, const std::string& what) {
  if (!good) throw std::runtime_error("TLS of the test: " + what + ": " + last_error());
}

void set_versions(SSL_CTX* context, TlsVersion lowest, TlsVersion highest) {
  if (lowest < TlsVersion::v1_2) SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_min_proto_version(context, static_cast<int>(lowest));
  SSL_CTX_set_max_proto_version(context, static_cast<int>(highest));
}

void use_identity(SSL_CTX* context, const CertificateFiles& files) {
  check(SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) == 1, files.certificate);
  check(SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) == 1, files.key);
}

/// Each name after its length, as RFC 7301 writes a list.
std::string wire_form(const std::vector<std::string>& protocols) {
  std::string out;
  for (const auto& protocol : protocols) out += static_cast<char>(protocol.size()) + protocol;
  return out;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

int choose_alpn(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                unsigned length, void* mine) {
  for (const auto& protocol : *static_cast<const std::vector<std::string>*>(mine)) {
    for (unsigned at = 0; at < length; at += 1U + offered[at]) {
      const std::string_view name(reinterpret_cast<const char*>(offered) + at + 1, offered[at]);
      if (name != protocol) continue;
      *chosen = offered + at + 1;
      *size = offered[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A session of its own each time: OpenSSL makes one that a connection used unfit for another when that ends
// without a close_notify.
TlsTicket copy_of(SSL_SESSION* session) { return {SSL_SESSION_dup(session), &SSL_SESSION_free}; }

int keep_ticket(SSL* ssl, SSL_SESSION* session) {
  *static_cast<TlsTicket*>(SSL_get_app_data(ssl)) = copy_of(session);
  return 0;  // the session stays OpenSSL's
}

std::string serial_of(const X509* certificate) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), &BN_free);
  char* const text = BN_bn2hex(number.get());
  std::string out(text);
  OPENSSL_free(text);
  return out;
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> out;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    if (type == GEN_DNS) {
      out.emplace_back(reinterpret_cast<const char*>(data),
                       static_cast<std::size_t>(ASN1_STRING_length(value)));
    } else if (type == GEN_IPADD) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      ::inet_ntop(ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6, data, text.data(), text.size());
      out.emplace_back(text.data());
    }
  }
  return out;
}

std::shared_ptr<SSL_CTX> client_context(const TlsClientOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  check(context != nullptr, "no context");
  set_versions(context.get(), options.min_version, options.max_version);
  if (!options.ciphers.empty())
    check(SSL_CTX_set_cipher_list(context.get(), options.ciphers.c_str()) == 1, options.ciphers);
  if (!options.ca_file.empty()) {
    check(SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr) == 1,
          options.ca_file);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (!options.identity.certificate.empty()) use_identity(context.get(), options.identity);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context.get(), &keep_ticket);
  return context;
}

}  // namespace

TlsServer::TlsServer(const TlsServerOptions& options) {
  // OpenSSL only borrows the list, so it goes with the context.
  const auto alpn = std::make_shared<std::vector<std::string>>(options.alpn);
  context_.reset(SSL_CTX_new(TLS_server_method()), [alpn](SSL_CTX* context) { SSL_CTX_free(context); });
  check(context_ != nullptr, "no context");
  if (!alpn->empty()) SSL_CTX_set_alpn_select_cb(context_.get(), &choose_alpn, alpn.get());
  set_versions(context_.get(), TlsVersion::v1_2, options.max_version);
  use_identity(context_.get(), options.identity);
  const std::string_view name = "portico test";
  SSL_CTX_set_session_id_context(context_.get(), bytes_of(name), static_cast<unsigned>(name.size()));
  if (options.client_ca.empty()) return;
  check(SSL_CTX_load_verify_locations(context_.get(), options.client_ca.c_str(), nullptr) == 1,
        options.client_ca);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

TlsSession::TlsSession(std::shared_ptr<SSL_CTX> context, bool server)
    : ticket_(std::make_unique<TlsTicket>()),
      context_(std::move(context)),
      ssl_(SSL_new(context_.get()), &SSL_free),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())) {
  check(ssl_ != nullptr && in_ != nullptr && out_ != nullptr, "no session");
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_app_data(ssl_.get(), ticket_.get());
  if (server)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

TlsSession::TlsSession(const TlsClientOptions& options) : TlsSession(client_context(options), false) {
  if (!options.server_name.empty()) {
    check(SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str()) == 1, options.server_name);
    check(SSL_set1_host(ssl_.get(), options.server_name.c_str()) == 1, options.server_name);
  }
  const std::string protocols = wire_form(options.alpn);
  if (!protocols.empty())
    SSL_set_alpn_protos(ssl_.get(), bytes_of(protocols), static_cast<unsigned>(protocols.size()));
  if (options.resume) check(SSL_set_session(ssl_.get(), copy_of(options.resume.get()).get()) == 1, "session");
}

TlsSession::TlsSession(const TlsServer& server) : TlsSession(server.context_, true) {}

void TlsSession::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const int part = static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 20));
    check(BIO_write(in_, bytes.data(), part) == part, "no memory");
    bytes.remove_prefix(static_cast<std::size_t>(part));
  }
}

std::string TlsSession::take_output() {
  std::string out(BIO_ctrl_pending(out_), '\0');
  if (!out.empty()) BIO_read(out_, out.data(), static_cast<int>(out.size()));
  return out;
}

TlsStep TlsSession::step_of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return TlsStep::done;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return TlsStep::hungry;
    case SSL_ERROR_ZERO_RETURN:
      return TlsStep::closed;
    default:
      break;
  }
  const long verified = SSL_get_verify_result(ssl_.get());
  error_ = last_error();
  if (SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE && verified != X509_V_OK)
    error_ += std::string(": ") + X509_verify_cert_error_string(verified);
  return TlsStep::broken;
}

TlsStep TlsSession::handshake() {
  ERR_clear_error();
  return step_of(SSL_do_handshake(ssl_.get()));
}

TlsStep TlsSession::read(std::string& into, std::size_t limit) {
  ERR_clear_error();
  const std::size_t old = into.size();
  into.resize(old + limit);
  std::size_t got = 0;
  const int result = SSL_read_ex(ssl_.get(), into.data() + old, limit, &got);
  into.resize(old + got);
  return step_of(result);
}

void TlsSession::write(std::string_view bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  if (!bytes.empty())
    check(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1 && written == bytes.size(),
          "write");
}

void TlsSession::close_notify() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

TlsFacts TlsSession::facts() const {
  TlsFacts out;
  out.version = SSL_get_version(ssl_.get());
  out.cipher = SSL_get_cipher_name(ssl_.get());
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  if (size > 0) out.alpn.assign(reinterpret_cast<const char*>(protocol), size);
  if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)) out.server_name = name;
  out.resumed = SSL_session_reused(ssl_.get()) == 1;
  if (const X509* peer = SSL_get0_peer_certificate(ssl_.get())) {
    out.serial = serial_of(peer);
    out.names = names_of(peer);
  }
  return out;
}

}  // namespace portico::test
