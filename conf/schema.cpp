#include "conf/schema.hpp"

#include <array>

#include "conf/text_rules.hpp"

namespace portico::conf {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t tib = mib * mib;

constexpr std::array<std::string_view, 4> log_levels{"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> client_address_headers{"x-forwarded-for", "x-real-ip"};
constexpr std::array<std::string_view, 2> access_log_formats{"json", "combined"};
constexpr std::array<std::string_view, 2> switches{"off", "on"};
constexpr std::array<std::uint64_t, 5> redirect_statuses{301, 302, 303, 307, 308};

template <class T>
Value to_value(const T& member) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>)
    return static_cast<std::uint64_t>(member);
  else
    return member;
}

template <class T>
void from_value(T& member, Value&& value) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>)
    member = static_cast<T>(std::get<std::uint64_t>(value));
  else
    member = std::get<T>(std::move(value));
}

/// A field that is one member of its owner.
template <auto Member, class Owner>
constexpr Field<Owner> field(std::string_view name, const FieldType& type, std::string_view help,
                             Effect effect) {
  return {name,
          type,
          help,
          effect,
          [](const Owner& owner) -> std::optional<Value> { return to_value(owner.*Member); },
          [](Owner& owner, Value&& value) { from_value(owner.*Member, std::move(value)); }};
}

/// A field that is a member of a group in Settings.
template <auto Group, auto Member>
constexpr Field<Settings> grouped(std::string_view name, const FieldType& type, std::string_view help,
                                  Effect effect) {
  return {name,
          type,
          help,
          effect,
          [](const Settings& owner) -> std::optional<Value> { return to_value((owner.*Group).*Member); },
          [](Settings& owner, Value&& value) { from_value((owner.*Group).*Member, std::move(value)); }};
}

template <auto Member>
constexpr Field<Settings> limit(std::string_view name, const FieldType& type, std::string_view help) {
  return grouped<&Settings::limits, Member>(name, type, help, Effect::reload);
}

template <auto Member>
constexpr Field<Settings> timeout(std::string_view name, std::string_view help) {
  return grouped<&Settings::timeouts, Member>(name, DurationType{}, help, Effect::reload);
}

template <auto Member>
constexpr Field<Settings> tls(std::string_view name, const FieldType& type, std::string_view help) {
  return grouped<&Settings::tls, Member>(name, type, help, Effect::reload);
}

template <auto Member>
constexpr Field<Settings> http2(std::string_view name, const FieldType& type, std::string_view help) {
  return grouped<&Settings::http2, Member>(name, type, help, Effect::reload);
}

template <auto Member>
constexpr Field<Settings> key_guard(std::string_view name, const FieldType& type, std::string_view help) {
  return grouped<&Settings::key_guard, Member>(name, type, help, Effect::reload);
}

constexpr ListType<ListenAddress> listeners{0, max_listeners};
constexpr ListType<Network> networks{0, 256};
constexpr TextType file{file_objection, 4096};
constexpr ListType<std::string> certificate_files{
    0, max_certificates, {needed_file_objection, 4096}, "files"};

constexpr std::array settings_table{
    field<&Settings::listen, Settings>(
        "listen", listeners,
        "Where clients connect without TLS: host:port, [v6]:port, :port (IPv6 and IPv4) or "
        "unix:/path; it may be empty where tls.listen is not. A reload opens what is new and closes what is "
        "gone.",
        Effect::reload),
    field<&Settings::workers, Settings>("workers", IntegerType{0, 256, {}},
                                        "Worker threads; 0 takes one for each processor.", Effect::restart),
    field<&Settings::log_level, Settings>("log_level", ChoiceType{log_levels},
                                          "The least important lines that the program log shows.",
                                          Effect::reload),
    field<&Settings::trusted_proxies, Settings>(
        "trusted_proxies", networks,
        "Peers whose word on the client's address is believed; unix: stands for every peer on a unix socket.",
        Effect::reload),
    field<&Settings::client_address_header, Settings>(
        "client_address_header", ChoiceType{client_address_headers},
        "The header in which a trusted proxy tells the client's address.", Effect::reload),
    field<&Settings::proxy_protocol_from, Settings>(
        "proxy_protocol_from", networks,
        "Peers whose connections begin with a PROXY header, which tells the client's address; unix: stands "
        "for every peer on a unix socket.",
        Effect::reload),
    field<&Settings::via, Settings>("via", TextType{token_objection, 64},
                                    "Name of this proxy in the Via header; empty leaves the header out.",
                                    Effect::reload),
    tls<&TlsSettings::listen>(
        "tls.listen", listeners,
        "Where clients connect with TLS, beside what listen has (set that to [] to take nothing else)."),
    tls<&TlsSettings::certificates>(
        "tls.certificates", certificate_files,
        "PEM files, each with a certificate and its chain; the name that a client asks for chooses, and the "
        "first serves clients that name none of them."),
    tls<&TlsSettings::keys>("tls.keys", certificate_files,
                            "PEM files with the private keys, in the order of the certificates."),
    tls<&TlsSettings::redirect_listen>(
        "tls.redirect_listen", listeners,
        "Where plain HTTP is answered with a redirect to https://, or with what acme_webroot has."),
    tls<&TlsSettings::acme_webroot>(
        "tls.acme_webroot", TextType{absolute_path_objection, 4096},
        "Folder whose .well-known/acme-challenge/ is served on redirect_listen, for certbot and the like; "
        "empty: none is."),
    http2<&Http2Settings::tls>("http2.tls", ChoiceType{switches},
                               "Whether HTTP/2 is offered to clients that connect with TLS (ALPN)."),
    http2<&Http2Settings::cleartext>("http2.cleartext", ChoiceType{switches},
                                     "Whether clients without TLS may begin with HTTP/2 (prior knowledge)."),
    http2<&Http2Settings::streams>("http2.streams", IntegerType{1, 1000, {}},
                                   "Requests that may be under way at once on one connection."),
    grouped<&Settings::admin, &AdminSettings::listen>(
        "admin.listen", AddressType{}, "Where the management endpoint listens.", Effect::restart),
    grouped<&Settings::admin, &AdminSettings::token>(
        "admin.token", TextType{secret_objection, 256, true},
        "Bearer token that the management endpoint demands; it must be set where others can reach it.",
        Effect::restart),
    grouped<&Settings::admin, &AdminSettings::tls_certificate>(
        "admin.tls_certificate", file,
        "PEM file with a certificate and its chain; the management endpoint speaks TLS when it is set.",
        Effect::restart),
    grouped<&Settings::admin, &AdminSettings::tls_key>(
        "admin.tls_key", file, "PEM file with the private key of that certificate.", Effect::restart),
    grouped<&Settings::admin, &AdminSettings::client_ca>(
        "admin.client_ca", file,
        "PEM file with authorities; when it is set, clients must show a certificate of theirs, and the token "
        "all the same.",
        Effect::restart),
    grouped<&Settings::telemetry, &TelemetrySettings::ring>(
        "telemetry.ring", SizeType{64 * kib, 256 * mib},
        "Room for the records of finished exchanges on their way to the accounts, for each worker.",
        Effect::restart),
    grouped<&Settings::telemetry, &TelemetrySettings::series>(
        "telemetry.series", IntegerType{10, 100'000, {}},
        "Combinations of model, key, dialect, route and endpoint that are accounted apart; what is beyond "
        "goes to "
        "`other`.",
        Effect::restart),
    grouped<&Settings::telemetry, &TelemetrySettings::requests>(
        "telemetry.requests", IntegerType{0, 100'000, {}}, "The newest exchanges that are kept one by one.",
        Effect::restart),
    grouped<&Settings::telemetry, &TelemetrySettings::key_file>(
        "telemetry.key_file", file,
        "File with the secret by which API keys are fingerprinted, made at the first start; empty: "
        "fingerprint.key in the state folder ($STATE_DIRECTORY, else $XDG_STATE_HOME/portico, else "
        "~/.local/state/portico).",
        Effect::restart),
    grouped<&Settings::access_log, &AccessLogSettings::path>(
        "access_log.path", file,
        "File to which one line for each exchange is appended; - is standard output, empty writes none. "
        "SIGUSR1 "
        "opens it anew.",
        Effect::reload),
    grouped<&Settings::access_log, &AccessLogSettings::format>(
        "access_log.format", ChoiceType{access_log_formats},
        "json: one object a line, with every fact; combined: the format of the same name in Nginx.",
        Effect::reload),
    key_guard<&KeyGuardSettings::failures>(
        "key_guard.failures", IntegerType{0, 1'000'000, {}},
        "Requests of one client address that may be refused for their key within the window before it has to "
        "pause; 0 turns the brake off."),
    key_guard<&KeyGuardSettings::window>("key_guard.window", DurationType{},
                                         "The time within which they are counted."),
    key_guard<&KeyGuardSettings::pause>("key_guard.pause", DurationType{},
                                        "How long the address is then answered with 429."),
    key_guard<&KeyGuardSettings::exempt>(
        "key_guard.exempt", networks,
        "Client addresses that never have to pause. Peers on a unix socket, which have none, never have to."),
    limit<&Limits::request_head>("limits.request_head", SizeType{kib, mib},
                                 "Request line and header fields together; more is answered with 431."),
    limit<&Limits::request_fields>("limits.request_fields", IntegerType{8, 1000, {}},
                                   "Header fields of a request; more is answered with 431."),
    limit<&Limits::request_target>("limits.request_target", SizeType{64, mib},
                                   "Path and query of a request; more is answered with 414."),
    limit<&Limits::request_body>(
        "limits.request_body", SizeType{1, tib},
        "Body of a request, unless its route says otherwise; more is answered with 413."),
    limit<&Limits::response_head>("limits.response_head", SizeType{kib, mib},
                                  "Status line and header fields of a response; more is answered with 502."),
    limit<&Limits::connections>("limits.connections", IntegerType{1, 1'000'000, {}},
                                "Client connections in all; one more is answered with 503 and closed."),
    limit<&Limits::connections_per_client>(
        "limits.connections_per_client", IntegerType{1, 1'000'000, {}},
        "Connections of one client address; one more is answered with 429 and closed."),
    limit<&Limits::request_rate>(
        "limits.request_rate", IntegerType{0, 1'000'000, {}},
        "Requests a second of one client address, more is answered with 429; 0 sets no limit."),
    limit<&Limits::request_burst>(
        "limits.request_burst", IntegerType{1, 1'000'000, {}},
        "Requests of one client address that may come at once before the rate holds."),
    timeout<&Timeouts::handshake>("timeouts.handshake",
                                  "For the PROXY header and the TLS handshake together."),
    timeout<&Timeouts::request_head>("timeouts.request_head",
                                     "From the first byte of a request to the end of its head; then 408."),
    timeout<&Timeouts::keep_alive>("timeouts.keep_alive",
                                   "How long a client's connection may idle between requests."),
    timeout<&Timeouts::request_body>("timeouts.request_body",
                                     "The longest gap between two pieces of a request's body; then 408."),
    timeout<&Timeouts::connect>("timeouts.connect", "To connect to a backend; then 504."),
    timeout<&Timeouts::response_head>("timeouts.response_head",
                                      "For a backend to begin its answer (models think long); then 504."),
    timeout<&Timeouts::response_body>(
        "timeouts.response_body",
        "The longest gap between two pieces of a response's body; then the client's stream is cut."),
    timeout<&Timeouts::websocket_idle>("timeouts.websocket_idle",
                                       "How long a WebSocket may be silent in both directions."),
    timeout<&Timeouts::client_write>(
        "timeouts.client_write", "How long a client may take no byte of its response; then it is cut off."),
    timeout<&Timeouts::drain>("timeouts.drain",
                              "How long running exchanges may take to finish after a signal to stop."),
};

constexpr std::array upstream_table{
    field<&UpstreamSettings::endpoints, UpstreamSettings>(
        "endpoints", ListType<Url>{1, max_endpoints},
        "Servers that are alike: http://host:port, https://host:port or unix:/path.", Effect::reload),
    field<&UpstreamSettings::keep_alive_connections, UpstreamSettings>(
        "keep_alive_connections", IntegerType{0, 65'536, {}},
        "Idle connections kept for the next request, for each worker and endpoint.", Effect::reload),
    field<&UpstreamSettings::keep_alive_timeout, UpstreamSettings>(
        "keep_alive_timeout", DurationType{}, "How long an idle connection is kept.", Effect::reload),
    field<&UpstreamSettings::resolve_interval, UpstreamSettings>(
        "resolve_interval", DurationType{}, "How often a host name is looked up again.", Effect::reload),
    field<&UpstreamSettings::ca_file, UpstreamSettings>(
        "ca_file", file,
        "PEM file with the authorities that certificates of https:// endpoints are verified against; empty "
        "takes those of the system.",
        Effect::reload),
    field<&UpstreamSettings::tls_name, UpstreamSettings>(
        "tls_name", TextType{host_name_objection, 253},
        "Name that those certificates must have and that is sent as SNI; empty takes the URL's host.",
        Effect::reload),
};

using Match = RouteSettings::Match;
using Action = RouteSettings::Action;

constexpr TextType route_path{route_path_objection, 1024};

/// `exact` or `prefix`: the key says how the path matches.
template <Match match>
constexpr Field<RouteSettings> path_field(std::string_view name, std::string_view help) {
  return {name,
          route_path,
          help,
          Effect::reload,
          [](const RouteSettings& route) -> std::optional<Value> {
            if (route.match != match) return std::nullopt;
            return route.path;
          },
          [](RouteSettings& route, Value&& value) {
            route.match = match;
            from_value(route.path, std::move(value));
          }};
}

/// A field that only one action has, and that therefore says which action it is.
template <Action action, auto Member>
constexpr Field<RouteSettings> action_field(std::string_view name, const FieldType& type,
                                            std::string_view help) {
  return {name,
          type,
          help,
          Effect::reload,
          [](const RouteSettings& route) -> std::optional<Value> {
            if (route.action != action) return std::nullopt;
            return to_value(route.*Member);
          },
          [](RouteSettings& route, Value&& value) {
            route.action = action;
            from_value(route.*Member, std::move(value));
          }};
}

constexpr std::array route_table{
    path_field<Match::exact>("exact", "The rule owns this path; it beats every prefix."),
    path_field<Match::prefix>(
        "prefix", "The rule owns every path that begins so; a longer prefix beats a shorter one."),
    action_field<Action::upstream, &RouteSettings::upstream>("upstream", TextType{name_objection, 64},
                                                             "Forward to this member of upstreams."),
    action_field<Action::redirect, &RouteSettings::location>("redirect", TextType{location_objection, 2048},
                                                             "Answer with a redirect to this path or URL."),
    action_field<Action::redirect, &RouteSettings::status>("status", IntegerType{301, 308, redirect_statuses},
                                                           "Status of the redirect, 302 unless set."),
    action_field<Action::respond, &RouteSettings::status>("respond.status", IntegerType{200, 599, {}},
                                                          "Status of a fixed answer, 200 unless set."),
    action_field<Action::respond, &RouteSettings::body>("respond.body", TextType{no_objection, 64 * kib},
                                                        "Body of a fixed answer, empty unless set."),
    action_field<Action::respond, &RouteSettings::content_type>(
        "respond.content_type", TextType{field_value_objection, 256},
        "Content-Type of a fixed answer, text/plain; charset=utf-8 unless set."),
    Field<RouteSettings>{
        "request_body", SizeType{1, tib}, "Instead of limits.request_body for this route.", Effect::reload,
        [](const RouteSettings& route) -> std::optional<Value> {
          if (!route.request_body) return std::nullopt;
          return *route.request_body;
        },
        [](RouteSettings& route, Value&& value) { route.request_body = std::get<std::uint64_t>(value); }},
};

constexpr std::array<Section, 8> group_table{{
    {"tls", "TLS towards clients; nothing of it is in use while tls.listen is empty."},
    {"http2", "HTTP/2 towards clients; backends are spoken to in HTTP/1.1."},
    {"admin", "The management endpoint: metrics, usage, failures and status."},
    {"telemetry", "What is kept of the exchanges, in memory, and for how many."},
    {"access_log", "One line for each exchange, written beside the workers, never by them."},
    {"key_guard",
     "The brake on guessing keys: a client address that is refused for its key again and again has to "
     "pause."},
    {"limits",
     "What a client or a backend may send. Sizes are bytes, or a number with KiB, MiB, GiB or TiB."},
    {"timeouts", "How long each wait may take: a number with ms, s, m, h or d."},
}};

constexpr std::array<Section, 2> collection_table{{
    {upstreams_key,
     "The backends by name. While the default routes are in use, cpa and cpamp exist even if not named "
     "here."},
    {routes_key,
     "Who owns which path; these replace the default routes as a whole. Each has exact or prefix, and one of "
     "upstream, redirect and respond. What no rule matches goes to the first upstream."},
}};

constexpr std::array<Shortcut, 10> shortcut_table{{
    {"--listen", "ADDR", "PORTICO_LISTEN", "listen", "listen here instead of 0.0.0.0:8080 (repeatable)"},
    {"--tls-listen", "ADDR", "PORTICO_TLS_LISTEN", "tls.listen", "listen here for TLS as well (repeatable)"},
    {"--tls-cert", "FILE", "PORTICO_TLS_CERT", "tls.certificates",
     "certificate and chain for TLS, in PEM (repeatable)"},
    {"--tls-key", "FILE", "PORTICO_TLS_KEY", "tls.keys",
     "private key of the certificate in the same place (repeatable)"},
    {"--cpa", "URL", "PORTICO_CPA", "upstreams.cpa.endpoints", "an endpoint of CPA (repeatable)"},
    {"--cpamp", "URL", "PORTICO_CPAMP", "upstreams.cpamp.endpoints", "an endpoint of CPAMP (repeatable)"},
    {"--admin", "ADDR", "PORTICO_ADMIN", "admin.listen", "where the management endpoint listens"},
    {"--workers", "N", "PORTICO_WORKERS", "workers", "worker threads; 0: one for each processor"},
    {"--log-level", "L", "PORTICO_LOG_LEVEL", "log_level", "debug, info, warn or error"},
    {"", "", "PORTICO_ADMIN_TOKEN", "admin.token", "token of the management endpoint"},
}};

}  // namespace

std::span<const Field<Settings>> settings_fields() { return settings_table; }
std::span<const Field<UpstreamSettings>> upstream_fields() { return upstream_table; }
std::span<const Field<RouteSettings>> route_fields() { return route_table; }
std::span<const Section> groups() { return group_table; }
std::span<const Section> collections() { return collection_table; }
std::span<const Shortcut> shortcuts() { return shortcut_table; }

}  // namespace portico::conf
