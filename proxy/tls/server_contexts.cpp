#include "proxy/tls/server_contexts.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace portico::proxy::tls {
namespace {

// Forward secrecy and authenticated encryption, nothing else. TLS 1.3 has only such.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* groups = "X25519:P-256:P-384";
constexpr std::string_view protocols_both = "\x02h2\x08http/1.1";
constexpr std::string_view protocols_http1 = protocols_both.substr(3);
// A ticket of one context must fit every other, of other workers and of the time after a reload.
constexpr std::string_view session_context = "portico";
constexpr std::size_t longest_name = 253;

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

// Sessions refer to it through OpenSSL, and may outlive the ServerContexts they were made by.
struct ServerContexts::State {
  std::vector<SslContextPtr> contexts;
  std::map<std::string, std::size_t, std::less<>> exact;
  std::map<std::string, std::size_t, std::less<>> wildcards;  // `.example.com` for `*.example.com`
  std::string_view protocols;
  std::shared_ptr<const TicketKeys> tickets;

  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept;

  // Callbacks of OpenSSL, on the worker's thread.
  static int choose_certificate(SSL* ssl, int* alert, void* unused) noexcept;
  static int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                             const unsigned char* offered, unsigned int offered_size, void* unused) noexcept;
  static int ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int encrypts) noexcept;
  /// What new_session() gave to the session.
  static std::shared_ptr<State>* of(const SSL* ssl) noexcept;
  static int slot() noexcept;
};

// ---- names
// -------------------------------------------------------------------------------------------------------

std::optional<std::size_t> ServerContexts::State::find(std::string_view name) const noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > longest_name) return std::nullopt;
  std::array<char, longest_name> lower;
  std::transform(name.begin(), name.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::string_view wanted(lower.data(), name.size());
  if (const auto found = exact.find(wanted); found != exact.end()) return found->second;
  const std::size_t dot = wanted.find('.');
  if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
  if (const auto found = wildcards.find(wanted.substr(dot)); found != wildcards.end()) return found->second;
  return std::nullopt;
}

int ServerContexts::State::choose_certificate(SSL* ssl, int*, void*) noexcept {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const std::shared_ptr<State>* const state = of(ssl);
  if (name == nullptr || state == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const std::optional<std::size_t> found = (*state)->find(name);
  if (!found) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_SSL_CTX(ssl, (*state)->contexts[*found].get());
  return SSL_TLSEXT_ERR_OK;
}

int ServerContexts::State::choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                                           const unsigned char* offered, unsigned int offered_size,
                                           void*) noexcept {
  const std::shared_ptr<State>* const state = of(ssl);
  if (state == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
  const std::string_view ours = (*state)->protocols;
  unsigned char* chosen = nullptr;
  // RFC 7301 section 3.2: with nothing in common there is no connection.
  if (SSL_select_next_proto(&chosen, out_size, bytes_of(ours), static_cast<unsigned int>(ours.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// ---- tickets
// -----------------------------------------------------------------------------------------------------

int ServerContexts::State::ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                                  EVP_MAC_CTX* mac, int encrypts) noexcept {
  constexpr int failed = -1;
  constexpr int unknown = 0;  // a full handshake instead
  constexpr int good = 1;
  constexpr int renew = 2;
  const std::shared_ptr<State>* const state = of(ssl);
  if (state == nullptr) return failed;
  const TicketKeys& keys = *(*state)->tickets;
  const TicketKeys::Key* key = &keys.newest();
  if (encrypts != 0) {
    std::copy(key->name.begin(), key->name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return failed;
  } else {
    key = keys.find(std::span<const std::uint8_t, 16>(name, 16));
    if (key == nullptr) return unknown;
  }
  // OpenSSL takes the parameters by pointers to what it does not change.
  auto* const secret = const_cast<std::uint8_t*>(key->mac.data());
  char digest[] = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) return failed;
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv, encrypts) != 1)
    return failed;
  if (encrypts != 0) return good;
  // RFC 8446 appendix C.4: a ticket of TLS 1.3 should be used once.
  return key == &keys.newest() && SSL_version(ssl) != TLS1_3_VERSION ? good : renew;
}

// ---- contexts
// ----------------------------------------------------------------------------------------------------

int ServerContexts::State::slot() noexcept {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr,
                                                [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
                                                  const std::default_delete<std::shared_ptr<State>> release;
                                                  release(static_cast<std::shared_ptr<State>*>(held));
                                                });
  return index;
}

std::shared_ptr<ServerContexts::State>* ServerContexts::State::of(const SSL* ssl) noexcept {
  return static_cast<std::shared_ptr<State>*>(SSL_get_ex_data(ssl, slot()));
}

namespace {

SslContextPtr make_context() {
  SslContextPtr made(SSL_CTX_new(TLS_server_method()));
  if (!made) throw std::bad_alloc();
  SSL_CTX& context = *made;
  // Explicit, so that no openssl.cnf makes it weaker.
  SSL_CTX_set_security_level(&context, security_level);
  const bool good = SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(&context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_cipher_list(&context, tls12_ciphers) == 1 &&
                    SSL_CTX_set1_groups_list(&context, groups) == 1 &&
                    SSL_CTX_set_session_id_context(&context, bytes_of(session_context),
                                                   static_cast<unsigned int>(session_context.size())) == 1 &&
                    SSL_CTX_set_max_early_data(&context, 0) == 1;
  if (!good) throw CertificateError(fmt::format("TLS cannot be set up: {}", reason("unknown")));
  // A client that puts CHACHA20 first has no hardware for AES.
  SSL_CTX_set_options(&context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_clear_options(&context, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // An idle connection holds no buffers. The chain is what the file says.
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(&context, static_cast<long>(TicketKeys::lifetime.count()));
  return made;
}

/// Certificates that one context can hold: OpenSSL then takes the one whose type of key the client can
/// verify.
struct Group {
  std::vector<std::string> names;      // sorted
  std::vector<std::string> key_types;  // `EC`, `RSA`
};

Group group_of(const CertificateFacts& facts) {
  Group group{facts.names, {facts.key_type.substr(0, facts.key_type.find(' '))}};
  std::sort(group.names.begin(), group.names.end());
  return group;
}

bool joins(const Group& group, const Group& other) {
  const std::string& type = other.key_types.front();
  return !group.names.empty() && group.names == other.names &&
         std::find(group.key_types.begin(), group.key_types.end(), type) == group.key_types.end();
}

}  // namespace

ServerContexts::ServerContexts(const Credentials& credentials, Protocols protocols,
                               std::shared_ptr<const TicketKeys> tickets)
    : state_(std::make_shared<State>()) {
  state_->protocols = protocols == Protocols::h2_and_http1 ? protocols_both : protocols_http1;
  state_->tickets = std::move(tickets);
  std::vector<Group> groups_so_far;
  for (const Credential& credential : credentials.items()) {
    const Group own = group_of(credential.facts);
    const auto found = std::find_if(groups_so_far.begin(), groups_so_far.end(),
                                    [&](const Group& group) { return joins(group, own); });
    const auto index = static_cast<std::size_t>(found - groups_so_far.begin());
    if (found == groups_so_far.end()) {
      groups_so_far.push_back(own);
      SslContextPtr context = make_context();
      SSL_CTX_set_tlsext_servername_callback(context.get(), &State::choose_certificate);
      SSL_CTX_set_alpn_select_cb(context.get(), &State::choose_protocol, nullptr);
      SSL_CTX_set_tlsext_ticket_key_evp_cb(context.get(), &State::ticket);
      state_->contexts.push_back(std::move(context));
    } else {
      found->key_types.push_back(own.key_types.front());
    }
    if (!install(*state_->contexts[index], credential)) {
      throw CertificateError(fmt::format("{}: {}", credential.facts.file, reason("unknown")));
    }
    // Of two certificates for one name the first one serves it.
    for (const std::string& name : own.names) {
      if (name.starts_with("*.")) {
        state_->wildcards.try_emplace(name.substr(1), index);
      } else {
        state_->exact.try_emplace(name, index);
      }
    }
  }
}

ServerContexts::~ServerContexts() = default;

SslPtr ServerContexts::new_session() const noexcept {
  SslPtr session(SSL_new(state_->contexts.front().get()));
  std::unique_ptr<std::shared_ptr<State>> held(new (std::nothrow) std::shared_ptr<State>(state_));
  if (!session || !held || SSL_set_ex_data(session.get(), State::slot(), held.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  static_cast<void>(held.release());  // the session's from here on
  SSL_set_accept_state(session.get());
  return session;
}

void ServerContexts::set_tickets(std::shared_ptr<const TicketKeys> tickets) noexcept {
  state_->tickets = std::move(tickets);
}

std::size_t ServerContexts::choice(std::string_view name) const noexcept {
  return state_->find(name).value_or(0);
}

std::size_t ServerContexts::size() const noexcept { return state_->contexts.size(); }

}  // namespace portico::proxy::tls
