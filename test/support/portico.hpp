#pragma once
// The real binary under test, started with a settings file of its own.
//
// owns:    the process, its settings file and folder
// threads: one
// errors:  std::runtime_error with the program's output when it does not get ready. When the object goes, the
//          process must end cleanly: a crash, a sanitizer's report or a hang fails the test.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/client.hpp"
#include "test/support/process.hpp"

namespace portico::test {

struct PorticoOptions {
  std::string cpa = {};    ///< URL of CPA; a port that refuses when empty
  std::string cpamp = {};  ///< URL of CPAMP; as cpa
  std::string settings =
      {};  ///< JSON object, merged over the test's defaults (an object into an object, else replaced)
  std::vector<std::string> arguments = {};    ///< further command line flags
  std::vector<std::string> environment = {};  ///< `NAME=value`
  std::size_t descriptors = 0;                ///< RLIMIT_NOFILE of the process, hard
  std::size_t soft_descriptors = 0;           ///< the soft one; 0: as the hard one
  std::vector<int> inherit = {};              ///< listening sockets handed over as systemd does
  bool tls = false;  ///< a TLS listener too, with a certificate for server_name, localhost and 127.0.0.1
  bool cleartext_h2 = false;  ///< HTTP/2 with prior knowledge on the plain listener
  bool redirect = false;      ///< and one that redirects to it; challenges of ACME are in the folder `acme`
};

/// The host that requests of the tests name, and that the certificate of the TLS listener is for.
inline constexpr const char* server_name = "front.example";

/// Is the binary built with a sanitizer? Its memory says nothing then.
[[nodiscard]] bool sanitized();

class Portico {
 public:
  /// Starts and waits until it is ready.
  explicit Portico(PorticoOptions options);
  ~Portico();
  Portico(const Portico&) = delete;
  Portico& operator=(const Portico&) = delete;

  [[nodiscard]] const std::vector<Address>& listeners() const { return listeners_; }
  [[nodiscard]] const Address& address(std::size_t index = 0) const { return listeners_.at(index); }
  [[nodiscard]] const Address& tls_address(std::size_t index = 0) const { return tls_listeners_.at(index); }
  [[nodiscard]] const Address& redirect_address() const { return redirect_listeners_.at(0); }
  [[nodiscard]] const Address& management() const { return *management_; }
  [[nodiscard]] Process& process() { return *process_; }

  /// A new connection.
  [[nodiscard]] Client connect(const ClientOptions& options = {}) const { return Client(address(), options); }
  /// What a client of the TLS listener needs: server_name, the authority to verify it by, and `alpn`.
  [[nodiscard]] TlsClientOptions tls_client(std::vector<std::string> alpn = {}) const;
  /// A new connection under TLS.
  [[nodiscard]] Client connect_tls(const TlsClientOptions& options) const {
    return Client(tls_address(), {.tls = options});
  }
  [[nodiscard]] Client connect_tls() const { return connect_tls(tls_client()); }
  /// Signs what the TLS listener shows. Only with PorticoOptions::tls.
  [[nodiscard]] const Authority& authority() const { return tls_->authority; }
  /// The files of the TLS listener's certificate.
  [[nodiscard]] const CertificateFiles& certificate_files() const { return tls_->files; }
  /// Settings file, certificates and whatever a test puts there.
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }
  /// One request on a new connection, and its response.
  [[nodiscard]] Message exchange(std::string_view request) const { return connect().exchange(request); }

  /// GET of the management endpoint.
  Message manage(std::string_view path) const;
  /// /metrics as `name{labels}` -> value.
  [[nodiscard]] std::map<std::string, double> metrics() const;
  /// Sum of the series of this name whose labels contain all of `labels` (each `name="value"`).
  [[nodiscard]] double metric(std::string_view name, const std::vector<std::string>& labels = {}) const;

  /// Writes the settings file anew: the test's defaults, the options' settings, then these.
  void write_settings(std::string_view settings) const;
  /// Writes the file as it is told, readable or not.
  void write_file(std::string_view text) const;
  /// write_settings, SIGHUP, and waits until the new settings are in force.
  void reload(std::string_view settings);
  void signal(int number) { process_->signal(number); }
  /// SIGTERM, then waits for the end.
  std::optional<ExitStatus> stop(Deadline deadline = patience());
  /// The end is the test's matter: the destructor demands nothing of the exit status.
  void expect_any_end() { any_end_ = true; }

 private:
  struct Tls {
    Authority authority;
    std::string ca_file;
    CertificateFiles files;
  };

  [[nodiscard]] std::string settings_with(std::string_view settings) const;
  void wait_ready();

  PorticoOptions options_;
  TemporaryFolder folder_;
  std::optional<Tls> tls_;
  std::unique_ptr<Process> process_;
  std::vector<Address> listeners_;
  std::vector<Address> tls_listeners_;
  std::vector<Address> redirect_listeners_;
  std::optional<Address> management_;
  int exceptions_ = 0;
  bool any_end_ = false;
};

}  // namespace portico::test
