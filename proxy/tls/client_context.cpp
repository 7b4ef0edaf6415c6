#include "proxy/tls/client_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>
#include <string_view>
#include <system_error>

#include "conf/address.hpp"

namespace portico::proxy::tls {
namespace {

constexpr std::string_view protocols = "\x08http/1.1";

void load_authorities(SSL_CTX& context, const std::string& ca_file, const std::string& setting) {
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(&context) == 1) return;
    throw CertificateError(
        fmt::format("{}: the system's authorities cannot be read: {}", setting, reason("unknown")));
  }
  struct stat about {};
  if (::stat(ca_file.c_str(), &about) != 0) {
    throw CertificateError(
        fmt::format("{}: {}: {}", setting, ca_file, std::generic_category().message(errno)));
  }
  if (!S_ISREG(about.st_mode)) throw CertificateError(fmt::format("{}: {}: is not a file", setting, ca_file));
  if (SSL_CTX_load_verify_file(&context, ca_file.c_str()) == 1) return;
  throw CertificateError(fmt::format("{}: {}: holds no certificate that can be read: {}", setting, ca_file,
                                     reason("no certificate in PEM form")));
}

}  // namespace

ClientContext::ClientContext(const std::string& ca_file, const std::string& setting)
    : context_(SSL_CTX_new(TLS_client_method())) {
  if (!context_) throw std::bad_alloc();
  SSL_CTX& context = *context_;
  ERR_clear_error();
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER, nullptr);
  // 0 is success here.
  const bool good =
      SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_alpn_protos(&context, reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned int>(protocols.size())) == 0;
  if (!good) throw CertificateError(fmt::format("{}: TLS cannot be set up: {}", setting, reason("unknown")));
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_clear_options(&context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  load_authorities(context, ca_file, setting);
}

SslPtr ClientContext::new_session(const std::string& host) const {
  SslPtr session(SSL_new(context_.get()));
  if (!session) {
    ERR_clear_error();
    return nullptr;
  }
  bool good = false;
  if (conf::IpAddress::parse(host)) {
    good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session.get()), host.c_str()) == 1;
  } else {
    // The dot at the end of an absolute name is no part of it here.
    const std::string name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
    SSL_set_hostflags(session.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // Without a name there would be nothing to verify.
    good = !name.empty() && SSL_set_tlsext_host_name(session.get(), name.c_str()) == 1 &&
           SSL_set1_host(session.get(), name.c_str()) == 1;
  }
  if (!good) {
    ERR_clear_error();
    return nullptr;
  }
  SSL_set_connect_state(session.get());
  return session;
}

}  // namespace portico::proxy::tls
