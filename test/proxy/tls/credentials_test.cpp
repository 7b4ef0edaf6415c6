#include "proxy/tls/credentials.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

using namespace portico;
using namespace portico::test;
using proxy::tls::CertificateError;
using proxy::tls::Credentials;

namespace {

struct Files {
  TemporaryFolder folder;
  Authority authority;
  conf::TlsSettings settings;

  std::string file(const std::string& name) const { return folder.file(name); }
  void add(const CertificateFiles& files) {
    settings.certificates.push_back(files.certificate);
    settings.keys.push_back(files.key);
  }
  void add(const Certificate& certificate, const std::string& stem) {
    add(certificate.write(folder.path().string(), stem));
  }
  /// What is wrong; empty when nothing is.
  std::string problem() const {
    try {
      const Credentials read(settings);
      return {};
    } catch (const CertificateError& error) {
      return error.what();
    }
  }
};

}  // namespace

TEST_CASE("no certificates in the settings give no credentials and no error") {
  CHECK(Credentials(conf::TlsSettings{}).items().empty());
}

TEST_CASE("the facts of a certificate are its names in lower case, its end and its type of key") {
  Files files;
  const Certificate ec =
      files.authority.issue({.names = {"API.example.com", "*.example.com", "192.0.2.1", "::1"}});
  const Certificate rsa =
      files.authority.issue({.names = {}, .common_name = "Old.example.com", .key = KeyType::rsa});
  files.add(ec, "ec");
  files.add(rsa, "rsa");
  const Credentials read(files.settings);
  REQUIRE(read.items().size() == 2);
  CHECK(read.items()[0].facts.file == files.file("ec.pem"));
  CHECK(read.items()[0].facts.names ==
        std::vector<std::string>{"api.example.com", "*.example.com", "192.0.2.1", "::1"});
  CHECK(read.items()[0].facts.not_after == ec.not_after());
  CHECK(read.items()[0].facts.key_type == "EC P-256");
  CHECK(read.items()[1].facts.names == std::vector<std::string>{"old.example.com"});
  CHECK(read.items()[1].facts.key_type == "RSA 2048");
  CHECK(read.warnings().empty());
}

TEST_CASE("a chain keeps its intermediate certificates in their order") {
  Files files;
  const Authority below = files.authority.intermediate("Intermediate");
  const Certificate leaf = below.issue();
  files.add(leaf, "leaf");
  const Credentials read(files.settings);
  CHECK(read.items().front().chain == leaf.pem());
  CHECK(read.warnings().empty());
}

TEST_CASE("a file that cannot be used is named with its setting and the cause") {
  Files files;
  files.add(files.authority.issue(), "good");
  files.add(files.authority.issue(), "bad");
  const std::string certificate = "tls.certificates[1]: " + files.file("bad.pem") + ": ";
  const std::string key = "tls.keys[1]: " + files.file("bad.key") + ": ";
  const auto spoil = [&](const std::string& name, const std::string& text) {
    replace_file(files.file(name), text);
  };

  SECTION("no such file") {
    std::filesystem::remove(files.file("bad.pem"));
    CHECK(files.problem() == certificate + "No such file or directory");
  }
  SECTION("no file") {
    std::filesystem::remove(files.file("bad.key"));
    std::filesystem::create_directory(files.file("bad.key"));
    CHECK(files.problem() == key + "is not a file");
  }
  SECTION("no PEM") {
    spoil("bad.pem", "nonsense\n");
    CHECK(files.problem() == certificate + "holds no certificate in PEM form");
  }
  SECTION("empty") {
    spoil("bad.key", "");
    CHECK(files.problem() == key + "holds no key in PEM form");
  }
  SECTION("cut off") {
    const std::string whole = files.authority.issue().pem();
    spoil("bad.pem", whole.substr(0, whole.size() / 2));
    CHECK_THAT(files.problem(), Catch::StartsWith(certificate + "certificate 1 cannot be read: "));
  }
  SECTION("a chain whose second certificate is broken") {
    const std::string whole = files.authority.issue().pem();
    spoil("bad.pem", whole + whole.substr(0, whole.size() / 2));
    CHECK_THAT(files.problem(), Catch::StartsWith(certificate + "certificate 2 cannot be read: "));
  }
  SECTION("swapped") {
    std::swap(files.settings.certificates[1], files.settings.keys[1]);
    CHECK_THAT(files.problem(), Catch::Contains("holds a key and no certificate") &&
                                    Catch::Contains("holds a certificate and no key"));
  }
  SECTION("of another certificate") {
    spoil("bad.key", files.authority.issue().key_pem());
    CHECK(files.problem() == key + "is not the key of the certificate in " + files.file("bad.pem"));
  }
  SECTION("of another type") {
    spoil("bad.key", files.authority.issue({.key = KeyType::rsa}).key_pem());
    CHECK(files.problem() == key + "is not the key of the certificate in " + files.file("bad.pem"));
  }
  SECTION("larger than any") {
    spoil("bad.pem", std::string(1U << 20, '\n'));
    CHECK(files.problem() == certificate + "is larger than any certificate or key");
  }
}

TEST_CASE("an encrypted key is refused and nobody is asked for a password") {
  Files files;
  const Certificate leaf = files.authority.issue();
  files.add(leaf, "leaf");
  replace_file(files.file("leaf.key"), leaf.key_pem("secret"));
  CHECK_THAT(files.problem(),
             Catch::StartsWith("tls.keys[0]: " + files.file("leaf.key") + ": is encrypted") &&
                 Catch::Contains("openssl pkey"));
}

TEST_CASE("all that is wrong is said at once") {
  Files files;
  files.add({files.file("one.pem"), files.file("one.key")});
  files.add({files.file("two.pem"), files.file("two.key")});
  for (const char* setting : {"tls.certificates[0]", "tls.keys[0]", "tls.certificates[1]", "tls.keys[1]"})
    CHECK_THAT(files.problem(), Catch::Contains(setting));
}

TEST_CASE("as many keys as certificates are demanded") {
  Files files;
  files.add(files.authority.issue(), "leaf");
  files.settings.keys.clear();
  CHECK_THAT(files.problem(), Catch::StartsWith("tls.keys: expected as many"));
}

TEST_CASE("what clients will refuse only warns") {
  using std::chrono::hours;
  Files files;
  SECTION("expired") {
    files.add(files.authority.issue({.not_before = hours{-48}, .not_after = hours{-24}}), "leaf");
    const Credentials read(files.settings);
    REQUIRE(read.warnings().size() == 1);
    CHECK_THAT(read.warnings()[0],
               Catch::StartsWith("tls.certificates[0]: " + files.file("leaf.pem") + ": expired on "));
  }
  SECTION("not valid yet") {
    files.add(files.authority.issue({.not_before = hours{24}, .not_after = hours{48}}), "leaf");
    const Credentials read(files.settings);
    REQUIRE(read.warnings().size() == 1);
    CHECK_THAT(read.warnings()[0], Catch::Contains("is valid only from "));
  }
  SECTION("a chain in the wrong order") {
    const Authority below = files.authority.intermediate("Intermediate");
    const Certificate leaf = below.issue();
    files.add(leaf, "leaf");
    replace_file(files.file("leaf.pem"), leaf.pem() + files.authority.issue().pem());
    const Credentials read(files.settings);
    REQUIRE(read.warnings().size() == 1);
    CHECK_THAT(read.warnings()[0], Catch::Contains("certificate 3 of the file did not issue certificate 2"));
  }
  SECTION("a key that others may read") {
    files.add(files.authority.issue(), "leaf");
    REQUIRE(::chmod(files.file("leaf.key").c_str(), 0644) == 0);
    const Credentials read(files.settings);
    CHECK(read.warnings() == std::vector<std::string>{"tls.keys[0]: " + files.file("leaf.key") +
                                                      ": others may read or write it"});
  }
}
