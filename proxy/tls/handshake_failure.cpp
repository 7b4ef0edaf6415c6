#include "proxy/tls/handshake_failure.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <string_view>

namespace portico::proxy::tls {
namespace {

struct OpenSslFree {
  void operator()(char* text) const noexcept { OPENSSL_free(text); }
};

/// The name or address that the certificate had to have.
std::string expected_name(SSL& session) {
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(&session);
  if (const char* const host = X509_VERIFY_PARAM_get0_host(wanted, 0)) return host;
  const std::unique_ptr<char, OpenSslFree> address(X509_VERIFY_PARAM_get1_ip_asc(wanted));
  return address ? address.get() : "the host";
}

std::string of_certificate(SSL& session, long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate, or one of its authorities, has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate, or one of its authorities, is not valid yet; one of the clocks may be wrong";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "its certificate is self-signed; to trust it, name it in ca_file";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "its certificate is of an unknown authority, or an intermediate one is missing; to trust an "
             "authority, "
             "name its file in ca_file";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format("its certificate is not for {}; if another name is meant, set tls_name",
                         expected_name(session));
    case X509_V_ERR_CERT_REVOKED:
      return "its certificate was revoked";
    case X509_V_ERR_INVALID_PURPOSE:
      return "its certificate, or one of its authorities, is not meant for this use";
    default:
      return fmt::format("its certificate is refused: {}", X509_verify_cert_error_string(result));
  }
}

struct Wording {
  int reason;
  std::string_view text;
};

constexpr std::array wordings{
    // What is no TLS record looks like one of an odd version.
    Wording{SSL_R_WRONG_VERSION_NUMBER, "it speaks no TLS"},
    Wording{SSL_R_HTTP_REQUEST, "it speaks plain HTTP"},
    Wording{SSL_R_HTTPS_PROXY_REQUEST, "it speaks plain HTTP to a proxy"},
    Wording{SSL_R_UNEXPECTED_EOF_WHILE_READING, "it closed the connection during the handshake"},
    Wording{SSL_R_UNSUPPORTED_PROTOCOL, "it speaks no version of TLS from 1.2 on"},
    Wording{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it speaks no version of TLS from 1.2 on"},
    Wording{SSL_R_NO_SHARED_CIPHER, "there is no cipher that both sides take"},
    Wording{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
            "it has no cipher, group or certificate for what was offered (alert handshake failure)"},
    Wording{SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "it speaks no protocol that was offered (ALPN)"},
    Wording{SSL_R_NO_APPLICATION_PROTOCOL, "it offers no protocol that is spoken here (ALPN)"},
    Wording{SSL_R_TLSV1_UNRECOGNIZED_NAME,
            "it knows no such host name (SNI); if another name is meant, set tls_name"},
    Wording{SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it does not know the authority of the certificate it was shown"},
    Wording{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it refuses the certificate it was shown"},
    Wording{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it says that the certificate it was shown has expired"},
    Wording{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "it does not accept the certificate it was shown"},
    Wording{SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "it demands a client certificate"},
};

}  // namespace

std::string handshake_failure(SSL& session) {
  const unsigned long error = ERR_peek_error();  // the first one is the cause
  std::string fallback = reason("it closed the connection during the handshake");
  if (const long result = SSL_get_verify_result(&session); result != X509_V_OK)
    return of_certificate(session, result);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return fallback;
  const int cause = ERR_GET_REASON(error);
  for (const Wording& wording : wordings) {
    if (wording.reason == cause) return std::string(wording.text);
  }
  if (cause >= SSL_AD_REASON_OFFSET) {
    return fmt::format("it ended the handshake with the alert {}",
                       SSL_alert_desc_string_long(cause - SSL_AD_REASON_OFFSET));
  }
  return fallback;
}

}  // namespace portico::proxy::tls
