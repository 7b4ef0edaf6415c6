#pragma once
// TLS for one end of a test's connection, on bytes: what arrived goes in, what is to be sent comes out. Wire
// carries it.
//
// owns:    a TlsSession its OpenSSL objects and the bytes on their way through it; tickets are shared
// threads: one at a time; a TlsServer may make sessions on any thread
// errors:  std::runtime_error for files and lists that OpenSSL does not take; what the peer does is a TlsStep

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/certificate.hpp"

namespace portico::test {

enum class TlsVersion : std::uint16_t {
  v1_0 = TLS1_VERSION,
  v1_1 = TLS1_1_VERSION,
  v1_2 = TLS1_2_VERSION,
  v1_3 = TLS1_3_VERSION,
};

/// A session that a server handed out, for resuming it; empty when there is none.
using TlsTicket = std::shared_ptr<SSL_SESSION>;

struct TlsClientOptions {
  std::string server_name = {};        ///< SNI; none is sent when empty
  std::vector<std::string> alpn = {};  ///< protocols offered, the best first; no ALPN when empty
  std::string ca_file = {};  ///< PEM authorities the server is verified against; empty: not verified
  TlsVersion min_version = TlsVersion::v1_2;  ///< below 1.2 OpenSSL's own minimum of security is lifted
  TlsVersion max_version = TlsVersion::v1_3;
  std::string ciphers = {};        ///< of TLS 1.2, as OpenSSL writes them; its defaults when empty
  CertificateFiles identity = {};  ///< shown when the server asks for a certificate
  TlsTicket resume = {};           ///< offered to the server
  std::size_t segment = 0;  ///< bytes of each segment that leaves, records cut anywhere; 0: as they come
};

struct TlsServerOptions {
  CertificateFiles identity;
  std::string client_ca = {};  ///< PEM authorities; clients must show a certificate of theirs when set
  std::vector<std::string> alpn = {};  ///< protocols taken, the best first
  TlsVersion max_version = TlsVersion::v1_3;
};

/// What a handshake agreed on, and whom the peer's certificate names.
struct TlsFacts {
  std::string version;      ///< `TLSv1.3`
  std::string cipher;       ///< OpenSSL's name
  std::string alpn;         ///< empty when none was agreed on
  std::string server_name;  ///< SNI as a server saw it
  bool resumed = false;
  std::string serial;              ///< of the peer's certificate, in hex; empty when it showed none
  std::vector<std::string> names;  ///< host names and IP addresses in it
};

/// What became of a step.
enum class TlsStep : std::uint8_t {
  done,    ///< the handshake is complete, or bytes were read
  hungry,  ///< more bytes of the peer are needed
  closed,  ///< the peer sent close_notify
  broken,  ///< an alert of the peer, a certificate that does not verify, bytes that are no TLS
};

/// A server's certificate and rules, for as many sessions as are wanted.
class TlsServer {
 public:
  explicit TlsServer(const TlsServerOptions& options);

 private:
  friend class TlsSession;
  std::shared_ptr<SSL_CTX> context_;
};

class TlsSession {
 public:
  explicit TlsSession(const TlsClientOptions& options);
  explicit TlsSession(const TlsServer& server);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession() = default;

  /// Takes bytes that came from the peer.
  void feed(std::string_view bytes);
  /// Bytes that must go to the peer; empty when there are none.
  std::string take_output();

  TlsStep handshake();
  /// Adds at most `limit` bytes to `into` when there are any.
  TlsStep read(std::string& into, std::size_t limit);
  /// Any number of bytes; they become output at once.
  void write(std::string_view bytes);
  void close_notify();

  [[nodiscard]] TlsFacts facts() const;
  /// The newest session that the server handed out. TLS 1.3 servers do so after the handshake, with the first
  /// bytes that are read.
  [[nodiscard]] TlsTicket ticket() const { return *ticket_; }
  /// Why a step was `broken`, in OpenSSL's words.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  TlsSession(std::shared_ptr<SSL_CTX> context, bool server);
  TlsStep step_of(int result);

  // Filled by OpenSSL's callback; apart from the session, so that it stays where it is.
  std::unique_ptr<TlsTicket> ticket_;
  std::shared_ptr<SSL_CTX> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  BIO* in_ = nullptr;   // ssl_'s
  BIO* out_ = nullptr;  // ssl_'s
  std::string error_;
};

}  // namespace portico::test
