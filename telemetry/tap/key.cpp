#include "telemetry/tap/key.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <stdexcept>

namespace portico::telemetry {
namespace {

constexpr std::size_t least_shown_length = 16;
constexpr std::size_t least_full_length = 20;  // from here on what stays hidden is long enough
constexpr std::size_t most_shown = 8;
constexpr std::string_view gap = "...";
constexpr std::string_view hidden = "****";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view text, std::string_view lower_text) noexcept {
  return std::ranges::equal(text, lower_text, {}, lower);
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// The value behind the scheme `Bearer`; without that the whole field is the key.
std::string_view bearer(std::string_view field) noexcept {
  field = trimmed(field);
  const std::size_t blank = field.find(' ');
  if (!equal_ignoring_case(field.substr(0, blank), "bearer")) return field;
  return blank == std::string_view::npos ? std::string_view{} : trimmed(field.substr(blank));
}

/// The first value of a query parameter that is not empty.
std::string_view query_value(std::string_view target, std::string_view name) noexcept {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  std::string_view query = target.substr(mark + 1);
  query = query.substr(0, query.find('#'));
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    if (equals + 1 < pair.size()) return pair.substr(equals + 1);
  }
  return {};
}

void write_mask(std::string_view key, KeyMark& mark) noexcept {
  std::size_t shown = key.size() < least_full_length ? key.size() / 4 : most_shown;
  if (key.size() < least_shown_length) shown = 0;
  const std::size_t head = shown - shown / 2;
  const auto put = [&mark](std::string_view text) {
    for (const char c : text) mark.mask[mark.mask_size++] = c > ' ' && c <= '~' ? c : '?';
  };
  if (shown == 0) return put(hidden);
  put(key.substr(0, head));
  put(gap);
  put(key.substr(key.size() - (shown - head)));
}

}  // namespace

std::string_view presented_key(const RequestFacts& request) noexcept {
  if (const std::string_view key = bearer(request.authorization); !key.empty()) return key;
  for (const std::string_view field : {request.x_goog_api_key, request.x_api_key}) {
    if (const std::string_view key = trimmed(field); !key.empty()) return key;
  }
  if (const std::string_view key = query_value(request.target, "key"); !key.empty()) return key;
  return query_value(request.target, "auth_token");
}

class KeyMarker::Impl {
 public:
  explicit Impl(const KeySecret& secret) : secret_(secret) {
    const std::unique_ptr<EVP_MAC, FreeMac> mac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_SIPHASH, nullptr));
    context_.reset(mac == nullptr ? nullptr : EVP_MAC_CTX_new(mac.get()));
    std::size_t size = KeyFingerprint{}.size();
    const std::array parameters{OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                OSSL_PARAM_construct_end()};
    if (context_ == nullptr || EVP_MAC_CTX_set_params(context_.get(), parameters.data()) != 1) {
      throw std::runtime_error("OpenSSL offers no SipHash to fingerprint API keys with");
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

  bool hash(std::string_view key, KeyFingerprint& fingerprint) noexcept {
    std::size_t size = 0;
    // OpenSSL 3.0 does not begin anew unless it is given the secret each time.
    return EVP_MAC_init(context_.get(), secret_.data(), secret_.size(), nullptr) == 1 &&
           EVP_MAC_update(context_.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size()) ==
               1 &&
           EVP_MAC_final(context_.get(), fingerprint.data(), &size, fingerprint.size()) == 1 &&
           size == fingerprint.size();
  }

 private:
  struct FreeMac {
    void operator()(EVP_MAC* mac) const noexcept { EVP_MAC_free(mac); }
  };
  struct FreeContext {
    void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
  };
  KeySecret secret_;
  std::unique_ptr<EVP_MAC_CTX, FreeContext> context_;
};

KeyMarker::KeyMarker(const KeySecret& secret) : impl_(std::make_unique<Impl>(secret)) {}
KeyMarker::~KeyMarker() = default;
KeyMarker::KeyMarker(KeyMarker&&) noexcept = default;
KeyMarker& KeyMarker::operator=(KeyMarker&&) noexcept = default;

KeyMark KeyMarker::mark(std::string_view key) noexcept {
  KeyMark mark;
  if (key.empty() || !impl_->hash(key, mark.fingerprint)) return {};
  write_mask(key, mark);
  return mark;
}

}  // namespace portico::telemetry
