#pragma once
// The settings of one Portico process as plain values, defaults included.
//
// owns:    everything by value; a Settings is copied, never shared between threads
// threads: any
// The names, units, bounds and help of each field stand once, in conf/schema.cpp.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/address.hpp"

namespace portico::conf {

using Milliseconds = std::chrono::milliseconds;

enum class LogLevel : std::uint8_t { debug, info, warn, error };

/// Bounds on what a client or a backend may send. Sizes in bytes.
struct Limits {
  std::size_t request_head = 65'536;
  std::size_t request_fields = 200;
  std::size_t request_target = 16'384;
  std::uint64_t request_body = 64ULL * 1024 * 1024;
  std::size_t response_head = 65'536;
  std::size_t connections = 65'536;
  std::size_t connections_per_client = 4'096;
  std::size_t request_rate = 0;     ///< requests a second of one client address; 0: as many as it likes
  std::size_t request_burst = 100;  ///< how many may come at once before the rate holds
  friend bool operator==(const Limits&, const Limits&) = default;
};

/// How long each wait may take.
struct Timeouts {
  Milliseconds handshake{15'000};  ///< PROXY header and TLS handshake together
  Milliseconds request_head{15'000};
  Milliseconds keep_alive{75'000};
  Milliseconds request_body{60'000};
  Milliseconds connect{5'000};
  Milliseconds response_head{3'600'000};
  Milliseconds response_body{3'600'000};
  Milliseconds websocket_idle{3'600'000};
  Milliseconds client_write{300'000};
  Milliseconds drain{60'000};
  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

struct UpstreamSettings {
  std::string name;
  std::vector<Url> endpoints;
  std::size_t keep_alive_connections = 128;  ///< idle ones kept, for each worker and endpoint
  Milliseconds keep_alive_timeout{60'000};
  Milliseconds resolve_interval{30'000};  ///< how often a host name is looked up again
  std::string ca_file;  ///< PEM authorities that https:// endpoints are verified against; empty: the system's
  std::string tls_name;  ///< name that their certificates must have, and SNI; empty: the URL's host
  friend bool operator==(const UpstreamSettings&, const UpstreamSettings&) = default;
};

struct RouteSettings {
  enum class Match : std::uint8_t { exact, prefix };
  enum class Action : std::uint8_t { upstream, redirect, respond };
  Match match = Match::prefix;
  std::string path;
  Action action = Action::upstream;
  std::string upstream;  ///< name, for Action::upstream
  std::string location;  ///< for Action::redirect
  int status = 0;        ///< 302 for a redirect, 200 for a fixed answer, unless set
  std::string body;      ///< for Action::respond
  std::string content_type = "text/plain; charset=utf-8";
  std::optional<std::uint64_t> request_body;  ///< this route's own limit in bytes
  friend bool operator==(const RouteSettings&, const RouteSettings&) = default;
};

/// Which header of a trusted proxy tells the client's address.
enum class ClientAddressHeader : std::uint8_t { x_forwarded_for, x_real_ip };

struct AdminSettings {
  ListenAddress listen;
  std::string token;            ///< demanded when listen is neither loopback nor a unix socket; never printed
  std::string tls_certificate;  ///< PEM chain; the endpoint speaks TLS when set
  std::string tls_key;          ///< PEM key of that certificate
  std::string client_ca;        ///< PEM authorities; clients must show a certificate of theirs when set
  friend bool operator==(const AdminSettings&, const AdminSettings&) = default;
};

/// What is kept of the exchanges, and for how many.
struct TelemetrySettings {
  std::size_t ring = 4ULL * 1024 * 1024;  ///< bytes of records on their way, for each worker
  std::size_t series = 2'000;             ///< combinations of model, key, dialect, route and endpoint
  std::size_t requests = 1'000;           ///< newest records kept one by one
  std::string key_file;                   ///< secret of the key fingerprints; empty: the state folder's
  friend bool operator==(const TelemetrySettings&, const TelemetrySettings&) = default;
};

/// The access log: nothing is written while path is empty.
struct AccessLogSettings {
  enum class Format : std::uint8_t { json, combined };
  std::string path;  ///< a file, or `-` for standard output
  Format format = Format::json;
  friend bool operator==(const AccessLogSettings&, const AccessLogSettings&) = default;
};

enum class Switch : std::uint8_t { off, on };

/// TLS termination: nothing of it is in use while listen is empty.
struct TlsSettings {
  std::vector<ListenAddress> listen;
  std::vector<std::string> certificates;  ///< PEM chains; the first serves clients that name no known host
  std::vector<std::string> keys;          ///< PEM keys, in the order of the certificates
  std::vector<ListenAddress>
      redirect_listen;       ///< plain HTTP: challenges of ACME, everything else to https://
  std::string acme_webroot;  ///< folder below which /.well-known/acme-challenge/ is; empty: none is served
  friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

struct Http2Settings {
  Switch tls = Switch::on;         ///< offer h2 on TLS listeners (ALPN)
  Switch cleartext = Switch::off;  ///< take HTTP/2 with prior knowledge on plain listeners
  std::size_t streams = 128;       ///< at most so many at once on one connection
  friend bool operator==(const Http2Settings&, const Http2Settings&) = default;
};

/// The brake on guessing keys: an address that is refused for its key again and again has to pause.
struct KeyGuardSettings {
  std::size_t failures = 20;  ///< within window; 0 turns the brake off
  Milliseconds window{60'000};
  Milliseconds pause{60'000};  ///< how long it is answered 429
  std::vector<Network> exempt;
  friend bool operator==(const KeyGuardSettings&, const KeyGuardSettings&) = default;
};

struct Settings {
  std::vector<ListenAddress> listen;
  TlsSettings tls;
  Http2Settings http2;
  AdminSettings admin;
  std::size_t workers = 0;  ///< 0: one for each processor this process may use
  LogLevel log_level = LogLevel::info;
  std::vector<UpstreamSettings> upstreams;
  std::vector<RouteSettings> routes;
  std::vector<Network> trusted_proxies;
  ClientAddressHeader client_address_header = ClientAddressHeader::x_forwarded_for;
  std::vector<Network> proxy_protocol_from;  ///< peers whose connections begin with a PROXY header
  KeyGuardSettings key_guard;
  std::string via;  ///< pseudonym for the Via header; empty: no Via
  TelemetrySettings telemetry;
  AccessLogSettings access_log;
  Limits limits;
  Timeouts timeouts;

  /// The built-in defaults: 0.0.0.0:8080, CPA and CPAMP on their default ports, the default route table.
  static Settings defaults();
  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace portico::conf
