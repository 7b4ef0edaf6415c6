#include "test/support/certificate.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>

namespace portico::test {
namespace {

void check(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("test certificate: ") + what);
}

KeyPtr make_key(KeyType type) {
  KeyPtr key(type == KeyType::rsa ? EVP_RSA_gen(2048U) : EVP_EC_gen("P-256"));
  check(key != nullptr, "no key");
  return key;
}

std::string text_of(const std::function<bool(BIO*)>& write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  check(bio != nullptr && write(bio.get()), "PEM cannot be written");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

std::string pem_of(const X509Ptr& certificate) {
  return text_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()) == 1; });
}

void add_extension(X509& certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  check(extension != nullptr, value.c_str());
  check(X509_add_ext(&certificate, extension, -1) == 1, value.c_str());
  X509_EXTENSION_free(extension);
}

bool is_address(const std::string& name) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

/// Serial, subject, dates and key; neither extensions nor signature.
X509Ptr make_body(EVP_PKEY* key, const CertificateOptions& options) {
  X509Ptr made(X509_new());
  check(made != nullptr, "no memory");
  X509_set_version(made.get(), X509_VERSION_3);
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> serial(BN_new(), &BN_free);
  BN_rand(serial.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get()));
  X509_gmtime_adj(X509_getm_notBefore(made.get()), options.not_before.count());
  X509_gmtime_adj(X509_getm_notAfter(made.get()), options.not_after.count());
  const auto* const name = reinterpret_cast<const unsigned char*>(options.common_name.c_str());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8, name, -1, -1, 0);
  check(X509_set_pubkey(made.get(), key) == 1, "key not taken");
  return made;
}

/// `issuer` may be `certificate` itself.
void sign(X509& certificate, X509& issuer, EVP_PKEY* key, bool authority,
          const std::vector<std::string>& names) {
  X509_set_issuer_name(&certificate, X509_get_subject_name(&issuer));
  add_extension(certificate, &issuer, NID_basic_constraints,
                authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(certificate, &issuer, NID_key_usage,
                authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature,keyEncipherment");
  if (!authority) add_extension(certificate, &issuer, NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(certificate, &issuer, NID_subject_key_identifier, "hash");
  std::string alternatives;
  for (const std::string& name : names) {
    if (!alternatives.empty()) alternatives += ',';
    alternatives += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  if (!alternatives.empty()) add_extension(certificate, &issuer, NID_subject_alt_name, alternatives);
  check(X509_sign(&certificate, key, EVP_sha256()) > 0, "not signed");
}

CertificateOptions authority_options(const std::string& name) {
  return {.names = {}, .common_name = name, .not_after = std::chrono::hours{24 * 365}};
}

}  // namespace

std::string Certificate::pem() const { return pem_of(certificate_) + intermediates_; }

std::string Certificate::key_pem(const std::string& password) const {
  return text_of([&](BIO* bio) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(password.data());
    return PEM_write_bio_PrivateKey(bio, key_.get(), password.empty() ? nullptr : EVP_aes_256_cbc(),
                                    password.empty() ? nullptr : bytes, static_cast<int>(password.size()),
                                    nullptr, nullptr) == 1;
  });
}

std::int64_t Certificate::not_after() const {
  tm when{};
  check(ASN1_TIME_to_tm(X509_get0_notAfter(certificate_.get()), &when) == 1, "no date");
  return ::timegm(&when);
}

CertificateFiles Certificate::write(const std::string& folder, const std::string& stem) const {
  CertificateFiles files{folder + "/" + stem + ".pem", folder + "/" + stem + ".key"};
  replace_file(files.key, key_pem());
  replace_file(files.certificate, pem());
  return files;
}

Authority::Authority(const std::string& name) {
  const CertificateOptions options = authority_options(name);
  key_ = make_key(options.key);
  certificate_ = make_body(key_.get(), options);
  sign(*certificate_, *certificate_, key_.get(), true, {});
}

Authority::Authority(X509Ptr certificate, KeyPtr key, std::string chain)
    : certificate_(std::move(certificate)), key_(std::move(key)), chain_(std::move(chain)) {}

Certificate Authority::issue(const CertificateOptions& options) const {
  KeyPtr key = make_key(options.key);
  X509Ptr made = make_body(key.get(), options);
  sign(*made, *certificate_, key_.get(), false, options.names);
  return {std::move(made), std::move(key), chain_};
}

Authority Authority::intermediate(const std::string& name) const {
  const CertificateOptions options = authority_options(name);
  KeyPtr key = make_key(options.key);
  X509Ptr made = make_body(key.get(), options);
  sign(*made, *certificate_, key_.get(), true, {});
  std::string chain = pem_of(made) + chain_;
  return {std::move(made), std::move(key), std::move(chain)};
}

std::string Authority::pem() const { return pem_of(certificate_); }

std::string Authority::write(const std::string& folder, const std::string& stem) const {
  std::string path = folder + "/" + stem + ".pem";
  replace_file(path, pem());
  return path;
}

Certificate self_signed(const CertificateOptions& options) {
  KeyPtr key = make_key(options.key);
  X509Ptr made = make_body(key.get(), options);
  sign(*made, *made, key.get(), false, options.names);
  return {std::move(made), std::move(key), {}};
}

void replace_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::filesystem::permissions(fresh,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  check(file.good() && std::rename(fresh.c_str(), path.c_str()) == 0, path.c_str());
}

}  // namespace portico::test
