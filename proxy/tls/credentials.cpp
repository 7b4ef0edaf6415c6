#include "proxy/tls/credentials.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

#include "conf/findings.hpp"

namespace portico::proxy::tls {

// ---- SecretBytes
// -------------------------------------------------------------------------------------------------

SecretBytes::SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
    other.wipe();
  }
  return *this;
}

SecretBytes::~SecretBytes() { wipe(); }

void SecretBytes::wipe() noexcept {
  // A short text lies in the string itself and stays behind when it is moved: all of the room is wiped.
  bytes_.resize(bytes_.capacity());
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
  bytes_.clear();
}

// ---- reading
// -----------------------------------------------------------------------------------------------------

namespace {

// Far above any chain; it only keeps a device or a wrong file from filling the memory.
constexpr std::size_t largest_file = 256UL * 1024;

/// What is wrong with one file; becomes part of the CertificateError.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class File {
 public:
  // Not blocking: whatever lies there, a pipe for instance, may not hold up the start.
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw FileError(std::generic_category().message(errno));
    if (::fstat(fd_, &about_) != 0 || !S_ISREG(about_.st_mode)) {
      ::close(fd_);
      throw FileError("is not a file");
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  [[nodiscard]] mode_t mode() const noexcept { return about_.st_mode; }
  /// The whole file, in memory that is allocated once, so that no part of a key is left behind.
  [[nodiscard]] SecretBytes read() const {
    std::string bytes(largest_file, '\0');
    std::size_t size = 0;
    while (size < bytes.size()) {
      const ssize_t got = ::read(fd_, bytes.data() + size, bytes.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw FileError(std::generic_category().message(errno));
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    if (size == bytes.size()) throw FileError("is larger than any certificate or key");
    bytes.resize(size);
    return SecretBytes(std::move(bytes));
  }

 private:
  int fd_;
  struct stat about_ {};
};

/// Instead of the prompt on the terminal: notes that the key is encrypted, and gives nothing.
int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

bool holds(std::string_view pem, std::string_view what) { return pem.find(what) != std::string_view::npos; }

constexpr std::string_view key_line = "PRIVATE KEY-----";
constexpr std::string_view certificate_line = "CERTIFICATE-----";

/// The certificates of a file in their order; throws FileError when there is none.
std::vector<X509Ptr> read_chain(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  std::vector<X509Ptr> chain;
  ERR_clear_error();
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) chain.emplace_back(next);
  // A file without any, or the end after the last one.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end)
    throw FileError(fmt::format("certificate {} cannot be read: {}", chain.size() + 1, reason("unknown")));
  ERR_clear_error();
  if (chain.empty()) {
    throw FileError(holds(pem, key_line)
                        ? "holds a key and no certificate; certificates and keys may be swapped"
                        : "holds no certificate in PEM form");
  }
  return chain;
}

KeyPtr read_key(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  bool encrypted = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, &encrypted));
  if (key) return key;
  const std::string why = reason("unknown");
  if (encrypted) {
    throw FileError(
        "is encrypted, and there is nobody to ask for a password; write it without one: openssl pkey -in OLD "
        "-out NEW");
  }
  if (!holds(pem, key_line)) {
    throw FileError(holds(pem, certificate_line)
                        ? "holds a certificate and no key; certificates and keys may be swapped"
                        : "holds no key in PEM form");
  }
  throw FileError(fmt::format("cannot be read: {}", why));
}

// ---- facts
// -------------------------------------------------------------------------------------------------------

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// Visible ASCII only: the names go into logs and metrics.
bool presentable(std::string_view name) {
  return !name.empty() && name.size() <= 253 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string address_text(const ASN1_OCTET_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  const int size = ASN1_STRING_length(bytes);
  if (size != 4 && size != 16) return {};
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text, sizeof text);
  return text;
}

std::string common_name(const X509& certificate) {
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? std::string() : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/// RFC 6125 section 6.4.4: the common name counts only where there are no alternative names.
std::vector<std::string> names_of(const X509& certificate) {
  struct Delete {
    void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, Delete> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> names;
  std::vector<std::string> addresses;
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names.push_back(lower(text_of(name->d.dNSName)));
    if (name->type == GEN_IPADD) addresses.push_back(address_text(name->d.iPAddress));
  }
  names.insert(names.end(), addresses.begin(), addresses.end());
  if (names.empty()) names.push_back(lower(common_name(certificate)));
  std::erase_if(names, [](const std::string& name) { return !presentable(name); });
  return names;
}

std::string key_type_of(const EVP_PKEY& key) {
  const char* const type = EVP_PKEY_get0_type_name(&key);
  if (EVP_PKEY_is_a(&key, "EC") == 1) {
    std::array<char, 64> group{};
    EVP_PKEY_get_group_name(&key, group.data(), group.size(), nullptr);
    const std::string_view name = group.data();
    return fmt::format("EC {}", name == "prime256v1" ? "P-256" : name == "secp384r1" ? "P-384" : name);
  }
  if (EVP_PKEY_is_a(&key, "RSA") == 1) return fmt::format("RSA {}", EVP_PKEY_get_bits(&key));
  return type == nullptr ? "unknown" : type;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0;
}

std::string date_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  tm utc{};
  char text[32] = "";
  ::gmtime_r(&time, &utc);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

// ---- checks
// ------------------------------------------------------------------------------------------------------

/// What deserves attention about a chain that can be used.
void look_over(const std::vector<X509Ptr>& chain, std::int64_t now, std::vector<std::string>& remarks) {
  const std::int64_t not_before = seconds_of(X509_get0_notBefore(chain.front().get()));
  const std::int64_t not_after = seconds_of(X509_get0_notAfter(chain.front().get()));
  if (not_after < now)
    remarks.push_back(fmt::format("expired on {}; clients will refuse it", date_text(not_after)));
  if (not_before > now) {
    remarks.push_back(
        fmt::format("is valid only from {}; until then clients will refuse it", date_text(not_before)));
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (X509_check_issued(chain[i].get(), chain[i - 1].get()) == X509_V_OK) continue;
    remarks.push_back(fmt::format(
        "certificate {} of the file did not issue certificate {}; clients may refuse the chain", i + 1, i));
  }
}

/// An empty context refuses what a worker's would refuse.
void try_out(const Credential& credential) {
  const SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) throw std::bad_alloc();
  SSL_CTX_set_security_level(context.get(), security_level);
  if (!install(*context, credential)) throw FileError(fmt::format("cannot be used: {}", reason("unknown")));
}

/// Reads one pair. `complain(file's setting, its path, what is wrong)` takes what is wrong with it.
template <class Complain, class Remark>
std::optional<Credential> read_pair(const std::string& certificate_file, const std::string& key_file,
                                    Complain complain, Remark remark) {
  Credential credential;
  std::vector<X509Ptr> chain;
  KeyPtr key;
  try {
    credential.chain = File(certificate_file).read().view();
    chain = read_chain(credential.chain);
  } catch (const FileError& error) {
    complain(false, certificate_file, error.what());
  }
  try {
    const File file(key_file);
    credential.key = file.read();
    key = read_key(credential.key.view());
    if ((file.mode() & S_IRWXO) != 0) remark(true, key_file, "others may read or write it");
  } catch (const FileError& error) {
    complain(true, key_file, error.what());
  }
  if (chain.empty() || !key) return std::nullopt;
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    ERR_clear_error();
    complain(true, key_file, fmt::format("is not the key of the certificate in {}", certificate_file));
    return std::nullopt;
  }
  try {
    try_out(credential);
  } catch (const FileError& error) {
    complain(false, certificate_file, error.what());
    return std::nullopt;
  }
  credential.facts = {certificate_file, names_of(*chain.front()),
                      seconds_of(X509_get0_notAfter(chain.front().get())), key_type_of(*key)};
  std::vector<std::string> remarks;
  look_over(chain, std::time(nullptr), remarks);
  for (const std::string& text : remarks) remark(false, certificate_file, text);
  return credential;
}

}  // namespace

Credentials::Credentials(const conf::TlsSettings& settings) {
  if (settings.certificates.size() != settings.keys.size()) {
    throw CertificateError(
        fmt::format("tls.keys: expected as many as tls.certificates, which are {}, found {}",
                    settings.certificates.size(), settings.keys.size()));
  }
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < settings.certificates.size(); ++i) {
    const auto sentence = [i](bool of_key, const std::string& file, std::string_view text) {
      return fmt::format("{}: {}: {}", conf::item_path(of_key ? "tls.keys" : "tls.certificates", i), file,
                         text);
    };
    std::optional<Credential> credential = read_pair(
        settings.certificates[i], settings.keys[i],
        [&](auto... about) { problems.push_back(sentence(about...)); },
        [&](auto... about) { warnings_.push_back(sentence(about...)); });
    if (credential) items_.push_back(std::move(*credential));
  }
  if (!problems.empty()) throw CertificateError(fmt::format("{}", fmt::join(problems, "\n")));
}

bool install(SSL_CTX& context, const Credential& credential) {
  const BioPtr bio = memory_bio(credential.chain);
  ERR_clear_error();
  const X509Ptr own(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!own || SSL_CTX_use_certificate(&context, own.get()) != 1) return false;
  while (const X509Ptr next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (SSL_CTX_add1_chain_cert(&context, next.get()) != 1) return false;
  }
  ERR_clear_error();
  bool encrypted = false;
  const BioPtr key_bio = memory_bio(credential.key.view());
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, refuse_password, &encrypted));
  return key && SSL_CTX_use_PrivateKey(&context, key.get()) == 1 && SSL_CTX_check_private_key(&context) == 1;
}

}  // namespace portico::proxy::tls
