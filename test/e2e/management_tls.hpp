#pragma once
// A management endpoint under TLS that demands a client's certificate: its files and settings.
//
// owns:    the folder of the files
// threads: one
// errors:  std::runtime_error

#include <fmt/format.h>

#include <string>

#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

namespace portico::test {

struct ManagementTls {
  /// As PorticoOptions::settings takes it.
  [[nodiscard]] std::string settings() const {
    return fmt::format(R"({{"admin":{{"tls_certificate":"{}","tls_key":"{}","client_ca":"{}"}}}})",
                       server.certificate, server.key, clients_file);
  }

  TemporaryFolder folder;
  Authority authority{"Servers"};
  Authority clients{"Clients"};
  std::string authority_file = authority.write(folder.path().string(), "servers");
  std::string clients_file = clients.write(folder.path().string(), "clients");
  CertificateFiles server = authority.issue().write(folder.path().string(), "server");
  CertificateFiles client = clients.issue().write(folder.path().string(), "client");
};

}  // namespace portico::test
