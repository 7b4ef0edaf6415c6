#include "telemetry/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

#include "telemetry/totals.hpp"

namespace portico::telemetry {
namespace {

std::uint64_t flag(bool set) noexcept { return set ? 1 : 0; }

template <class Read>
std::uint64_t sum_over_workers(const Registry& registry, Read read) {
  std::uint64_t sum = 0;
  for (std::size_t w = 0; w < registry.workers(); ++w) sum += read(registry.worker(w));
  return sum;
}

template <Counter WorkerCells::*Cell>
void read_worker_counter(const MetricsInput& in, MetricsWriter& out) {
  out.sample({},
             sum_over_workers(in.registry, [](const WorkerCells& cells) { return (cells.*Cell).value(); }));
}

// Calls `emit(code text, count)` for each status code that some worker has counted.
template <class Emit>
void each_code(const std::vector<const CodeCounters*>& blocks, Emit emit) {
  if (blocks.empty()) return;
  for (int code = 100; code < 600; ++code) {
    std::uint64_t count = 0;
    for (const CodeCounters* block : blocks) count += block->value(code);
    if (count != 0) emit(fmt::format("{}", code), count);
  }
}

void read_requests(const MetricsInput& in, MetricsWriter& out) {
  const std::vector<std::string> routes = in.registry.routes();
  std::vector<const CodeCounters*> blocks;
  for (std::size_t r = 0; r < routes.size(); ++r) {
    for (std::size_t d = 0; d < dialect_count; ++d) {
      const auto dialect = static_cast<Dialect>(d);
      blocks.clear();
      for (std::size_t w = 0; w < in.registry.workers(); ++w) {
        const auto* block = in.registry.worker(w).requests_block(static_cast<RouteLabel>(r), dialect);
        if (block != nullptr) blocks.push_back(block);
      }
      each_code(blocks, [&](std::string_view code, std::uint64_t count) {
        out.sample({routes[r], name_of(dialect), code}, count);
      });
    }
  }
}

void read_ended(const MetricsInput& in, MetricsWriter& out) {
  for (std::size_t i = 0; i < ended_count; ++i) {
    const auto count =
        sum_over_workers(in.registry, [i](const WorkerCells& cells) { return cells.ended[i].value(); });
    out.sample({name_of(static_cast<Ended>(i))}, count);
  }
}

void read_body_bytes(const MetricsInput& in, MetricsWriter& out) {
  out.sample({"request"}, sum_over_workers(in.registry, [](const WorkerCells& cells) {
               return cells.request_body_bytes.value();
             }));
  out.sample({"response"}, sum_over_workers(in.registry, [](const WorkerCells& cells) {
               return cells.response_body_bytes.value();
             }));
}

template <auto ListenerTotals::*Number>
void read_listener(const MetricsInput& in, MetricsWriter& out) {
  const std::vector<std::string> listeners = in.registry.listeners();
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    out.sample({listeners[i]}, totals_of(in.registry, static_cast<ListenerLabel>(i)).*Number);
  }
}

template <class Emit>
void each_endpoint(const MetricsInput& in, Emit emit) {
  const std::vector<EndpointName> endpoints = in.registry.endpoints();
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    emit(endpoints[i], totals_of(in.registry, static_cast<EndpointLabel>(i)));
  }
}

template <std::uint64_t EndpointTotals::*Number>
void read_endpoint_counter(const MetricsInput& in, MetricsWriter& out) {
  each_endpoint(in, [&](const EndpointName& name, const EndpointTotals& totals) {
    out.sample({name.upstream, name.endpoint}, totals.*Number);
  });
}

void read_upstream_connections(const MetricsInput& in, MetricsWriter& out) {
  each_endpoint(in, [&](const EndpointName& name, const EndpointTotals& totals) {
    out.sample({name.upstream, name.endpoint, "active"}, totals.active);
    out.sample({name.upstream, name.endpoint, "connecting"}, totals.connecting);
    out.sample({name.upstream, name.endpoint, "idle"}, totals.idle);
  });
}

void read_upstream_requests(const MetricsInput& in, MetricsWriter& out) {
  const std::vector<EndpointName> endpoints = in.registry.endpoints();
  std::vector<const CodeCounters*> blocks;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    blocks.clear();
    for (std::size_t w = 0; w < in.registry.workers(); ++w) {
      const EndpointCells* cells = in.registry.worker(w).endpoint_block(static_cast<EndpointLabel>(i));
      if (cells != nullptr) blocks.push_back(&cells->codes);
    }
    each_code(blocks, [&](std::string_view code, std::uint64_t count) {
      out.sample({endpoints[i].upstream, endpoints[i].endpoint, code}, count);
    });
  }
}

void read_connect_seconds(const MetricsInput& in, MetricsWriter& out) {
  each_endpoint(in, [&](const EndpointName& name, const EndpointTotals& totals) {
    out.histogram({name.upstream, name.endpoint}, totals.connect_time);
  });
}

// Only endpoints of the settings in force: one that a reload removed while it was down would otherwise
// raise an alarm for ever.
void read_upstream_up(const MetricsInput& in, MetricsWriter& out) {
  each_endpoint(in, [&](const EndpointName& name, const EndpointTotals& totals) {
    for (const EndpointState& current : in.state.endpoints) {
      if (current.upstream == name.upstream && current.endpoint == name.endpoint) {
        out.sample({name.upstream, name.endpoint}, flag(totals.up));
        break;
      }
    }
  });
}

// The first name, as people know it, unless another certificate has it too (RSA beside ECDSA): then the file.
void read_certificate_expiry(const MetricsInput& in, MetricsWriter& out) {
  const std::vector<CertificateState>& all = in.state.certificates;
  const auto label = [&](const CertificateState& certificate) -> std::string_view {
    if (certificate.names.empty()) return certificate.file;
    const std::string& name = certificate.names.front();
    const auto same = std::count_if(all.begin(), all.end(), [&](const CertificateState& other) {
      return !other.names.empty() && other.names.front() == name;
    });
    return same == 1 ? name : certificate.file;
  };
  std::vector<std::string_view> seen;
  for (const CertificateState& certificate : all) {
    const std::string_view name = label(certificate);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    out.sample({name}, std::int64_t{certificate.not_after.time_since_epoch().count()});
  }
}

template <auto ProcessUsage::*Number>
void read_usage(const MetricsInput& in, MetricsWriter& out) {
  if (const auto& value = in.usage.*Number) out.sample({}, *value);
}

template <void (RecordMetrics::*Write)(MetricsWriter&) const>
void read_records(const MetricsInput& in, MetricsWriter& out) {
  if (in.stores != nullptr) (in.stores->metrics.*Write)(out);
}

template <auto RingTotals::*Number>
void read_rings(const MetricsInput& in, MetricsWriter& out) {
  if (in.stores != nullptr) out.sample({}, in.stores->rings().*Number);
}

template <auto AccessLogTotals::*Number>
void read_access_log(const MetricsInput& in, MetricsWriter& out) {
  if (in.stores != nullptr) out.sample({}, in.stores->access_log.totals().*Number);
}

void read_dropped(const MetricsInput& in, MetricsWriter& out) {
  if (in.stores != nullptr) out.sample({"ring_full"}, in.stores->rings().dropped_full);
}

template <auto Read>
void read_usage_store(const MetricsInput& in, MetricsWriter& out) {
  if (in.stores != nullptr) out.sample({}, std::uint64_t{(in.stores->usage.*Read)()});
}

using Type = MetricType;

constexpr std::array families{
    MetricFamily{{"portico_requests",
                  Type::counter,
                  "",
                  "Requests answered, by route, the API that the path speaks, and final status code.",
                  {"route", "dialect", "code"}},
                 read_requests},
    MetricFamily{{"portico_exchanges_ended", Type::counter, "", "Exchanges by how they ended.", {"how"}},
                 read_ended},
    MetricFamily{{"portico_body_bytes",
                  Type::counter,
                  "bytes",
                  "Bytes of bodies passed on, without their framing.",
                  {"direction"}},
                 read_body_bytes},
    MetricFamily{{"portico_streams", Type::gauge, "", "Exchanges and tunnels in progress."},
                 [](const MetricsInput& in, MetricsWriter& out) { out.sample({}, streams_of(in.registry)); }},
    MetricFamily{{"portico_connections", Type::gauge, "", "Open client connections.", {"listener"}},
                 read_listener<&ListenerTotals::connections>},
    MetricFamily{
        {"portico_connections_accepted", Type::counter, "", "Client connections accepted.", {"listener"}},
        read_listener<&ListenerTotals::accepted>},
    MetricFamily{{"portico_connections_refused",
                  Type::counter,
                  "",
                  "Client connections turned away because a limit on connections was reached.",
                  {"listener"}},
                 read_listener<&ListenerTotals::refused>},
    MetricFamily{{"portico_tls_handshake_failures",
                  Type::counter,
                  "",
                  "Client connections whose TLS handshake failed or took too long.",
                  {"listener"}},
                 read_listener<&ListenerTotals::handshake_failures>},
    MetricFamily{
        {"portico_rate_limited_requests", Type::counter, "",
         "Requests turned away because their client address sent them faster than limits.request_rate."},
        read_worker_counter<&WorkerCells::rate_limited>},
    MetricFamily{
        {"portico_key_guard_blocked_requests", Type::counter, "",
         "Requests turned away because too many of their client address were refused for their key."},
        read_worker_counter<&WorkerCells::key_guard_blocked>},
    MetricFamily{{"portico_key_guard_addresses", Type::gauge, "",
                  "Client addresses that are turned away for that reason at present."},
                 [](const MetricsInput& in, MetricsWriter& out) {
                   out.sample({}, std::uint64_t{in.registry.braked(0).count});
                 }},
    MetricFamily{{"portico_accept_paused", Type::counter, "",
                  "Times a worker paused accepting because the process ran out of file descriptors."},
                 read_worker_counter<&WorkerCells::accept_paused>},
    MetricFamily{{"portico_internal_errors", Type::counter, "",
                  "Broken assumptions inside Portico that were survived; each is a defect worth reporting."},
                 read_worker_counter<&WorkerCells::internal_errors>},
    MetricFamily{{"portico_upstream_up",
                  Type::gauge,
                  "",
                  "1 unless every worker that has used the endpoint saw its last connect attempt or exchange "
                  "fail; 1 for an endpoint not used yet.",
                  {"upstream", "endpoint"}},
                 read_upstream_up},
    MetricFamily{{"portico_upstream_connections",
                  Type::gauge,
                  "",
                  "Connections to the endpoint: active with an exchange, idle in the pool, or connecting.",
                  {"upstream", "endpoint", "state"}},
                 read_upstream_connections},
    MetricFamily{{"portico_upstream_requests",
                  Type::counter,
                  "",
                  "Responses received from the endpoint, by final status code.",
                  {"upstream", "endpoint", "code"}},
                 read_upstream_requests},
    MetricFamily{{"portico_upstream_connect_seconds",
                  Type::histogram,
                  "seconds",
                  "Time to open a connection to the endpoint.",
                  {"upstream", "endpoint"}},
                 read_connect_seconds},
    MetricFamily{{"portico_upstream_connects",
                  Type::counter,
                  "",
                  "Connections opened to the endpoint.",
                  {"upstream", "endpoint"}},
                 read_endpoint_counter<&EndpointTotals::connects>},
    MetricFamily{{"portico_upstream_connect_failures",
                  Type::counter,
                  "",
                  "Attempts to connect to the endpoint that failed or took too long.",
                  {"upstream", "endpoint"}},
                 read_endpoint_counter<&EndpointTotals::connect_failures>},
    MetricFamily{{"portico_upstream_reused",
                  Type::counter,
                  "",
                  "Exchanges that went over a pooled connection.",
                  {"upstream", "endpoint"}},
                 read_endpoint_counter<&EndpointTotals::reused>},
    MetricFamily{{"portico_upstream_retries",
                  Type::counter,
                  "",
                  "Exchanges repeated on a fresh connection because a pooled one was dead.",
                  {"upstream", "endpoint"}},
                 read_endpoint_counter<&EndpointTotals::retries>},
    MetricFamily{
        {"portico_request_duration_seconds", Type::histogram, "seconds",
         "Time from a request's complete head to the end of its response; a turn of a WebSocket is a "
         "request."},
        read_records<&RecordMetrics::write_request_duration>},
    MetricFamily{
        {"portico_time_to_first_byte_seconds", Type::histogram, "seconds",
         "Time from a request's complete head to the head of its response; of a turn, to its first event."},
        read_records<&RecordMetrics::write_first_byte>},
    MetricFamily{
        {"portico_overhead_seconds", Type::histogram, "seconds",
         "Portico's own added time for each request: request in to request out and response in to response "
         "out, waiting left out."},
        read_records<&RecordMetrics::write_overhead>},
    MetricFamily{{"portico_time_to_first_token_seconds",
                  Type::histogram,
                  "seconds",
                  "Time from a request's complete head to the first token of its answer.",
                  {"dialect", "model"}},
                 read_records<&RecordMetrics::write_first_token>},
    MetricFamily{
        {"portico_time_per_output_token_seconds",
         Type::histogram,
         "seconds",
         "Time for each token after the first, one observation a request: from the first token to the end, "
         "by output and reasoning tokens less one.",
         {"dialect", "model"}},
        read_records<&RecordMetrics::write_per_token>},
    MetricFamily{
        {"portico_tokens",
         Type::counter,
         "",
         "Tokens announced on the wire; the kinds share none, so their sum is the total. The same as in "
         "/api/v1/usage.",
         {"dialect", "model", "kind"}},
        read_records<&RecordMetrics::write_tokens>},
    MetricFamily{
        {"portico_failures",
         Type::counter,
         "",
         "Requests that failed, and clients that left, by what it is about and which field of the provider's "
         "entry to look at.",
         {"category", "field", "model"}},
        read_records<&RecordMetrics::write_failures>},
    MetricFamily{{"portico_tap_records", Type::counter, "", "Records that the workers handed over."},
                 read_rings<&RingTotals::records>},
    MetricFamily{{"portico_tap_dropped",
                  Type::counter,
                  "",
                  "Records that were lost, so that their exchanges are in no account.",
                  {"reason"}},
                 read_dropped},
    MetricFamily{
        {"portico_tap_ring_used_bytes", Type::gauge, "bytes", "Bytes of records that wait to be counted."},
        read_rings<&RingTotals::used_bytes>},
    MetricFamily{{"portico_telemetry_series", Type::gauge, "",
                  "Combinations of model, key, dialect, route and endpoint that usage tells apart."},
                 read_usage_store<&UsageStore::series>},
    MetricFamily{{"portico_telemetry_series_overflow", Type::counter, "",
                  "Requests that usage counts as other because its bound on series was reached."},
                 read_usage_store<&UsageStore::overflowed>},
    MetricFamily{
        {"portico_telemetry_usage_bytes", Type::gauge, "bytes", "Memory of usage's counts, estimated."},
        read_usage_store<&UsageStore::bytes>},
    MetricFamily{{"portico_access_log_lines", Type::counter, "", "Lines written to the access log."},
                 read_access_log<&AccessLogTotals::lines>},
    MetricFamily{{"portico_access_log_lost", Type::counter, "",
                  "Lines that the access log lost because its file did not take them."},
                 read_access_log<&AccessLogTotals::lost>},
    MetricFamily{
        {"portico_access_log_errors", Type::counter, "", "Failed attempts to open or write the access log."},
        read_access_log<&AccessLogTotals::errors>},
    MetricFamily{{"portico_tls_certificate_expiry_seconds",
                  Type::gauge,
                  "seconds",
                  "When the certificate expires, in seconds since the epoch.",
                  {"certificate"}},
                 read_certificate_expiry},
    MetricFamily{
        {"portico_config_reload_success", Type::gauge, "",
         "1 if the last attempt to read the settings or changed certificates succeeded, else 0."},
        [](const MetricsInput& in, MetricsWriter& out) { out.sample({}, flag(in.state.last_reload_ok)); }},
    MetricFamily{{"portico_config_reloads", Type::counter, "",
                  "Attempts to read the settings or changed certificates anew since the process started."},
                 [](const MetricsInput& in, MetricsWriter& out) { out.sample({}, in.state.reloads); }},
    MetricFamily{{"portico_workers", Type::gauge, "", "Worker threads."},
                 [](const MetricsInput& in, MetricsWriter& out) {
                   out.sample({}, static_cast<std::uint64_t>(in.state.workers));
                 }},
    MetricFamily{
        {"portico_draining", Type::gauge, "", "1 while the process finishes what runs before it ends."},
        [](const MetricsInput& in, MetricsWriter& out) { out.sample({}, flag(in.state.draining)); }},
    MetricFamily{
        {"portico_build", Type::info, "", "The version that runs; always 1.", {"version"}},
        [](const MetricsInput&, MetricsWriter& out) { out.sample({PORTICO_VERSION}, std::uint64_t{1}); }},
    MetricFamily{
        {"process_cpu_seconds", Type::counter, "seconds", "Processor time of the process, user and system."},
        read_usage<&ProcessUsage::cpu_seconds>},
    MetricFamily{{"process_resident_memory_bytes", Type::gauge, "bytes", "Resident memory of the process."},
                 read_usage<&ProcessUsage::resident_bytes>},
    MetricFamily{{"process_virtual_memory_bytes", Type::gauge, "bytes", "Virtual memory of the process."},
                 read_usage<&ProcessUsage::virtual_bytes>},
    MetricFamily{{"process_open_fds", Type::gauge, "", "Open file descriptors."},
                 read_usage<&ProcessUsage::open_fds>},
    MetricFamily{{"process_max_fds", Type::gauge, "", "Limit on open file descriptors."},
                 read_usage<&ProcessUsage::max_fds>},
    MetricFamily{{"process_start_time_seconds", Type::gauge, "seconds",
                  "When the process started, in seconds since the epoch."},
                 read_usage<&ProcessUsage::start_time_seconds>},
    MetricFamily{{"process_threads", Type::gauge, "", "Threads of the process."},
                 read_usage<&ProcessUsage::threads>},
};

std::string joined_labels(const MetricHead& head) {
  std::string out;
  for (const std::string_view label : head.labels) {
    if (label.empty()) break;
    out += fmt::format("{}`{}`", out.empty() ? "" : ", ", label);
  }
  return out;
}

template <class Names>
std::string joined_names(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += fmt::format("{}`{}`", i == 0 ? "" : ", ", name_of(static_cast<Names>(i)));
  }
  return out;
}

}  // namespace

std::span<const MetricFamily> metric_families() noexcept { return families; }

std::string render_metrics(const MetricsInput& input, MetricsFormat format) {
  MetricsWriter out(format);
  for (const MetricFamily& family : families) {
    out.begin(family.head);
    family.read(input, out);
  }
  return out.finish();
}

std::string render_reference() {
  std::string out =
      "# Metrics\n\n"
      "Generated from the table in `telemetry/metrics.cpp`; a test holds the two equal. Do not edit.\n\n"
      "`GET /metrics` gives Prometheus text 0.0.4, or OpenMetrics 1.0 where `Accept` prefers "
      "`application/openmetrics-text`.\nUnits are base units. Counters start at zero with the process.\n\n"
      "| metric | type | labels | what it tells |\n|---|---|---|---|\n";
  for (const MetricFamily& family : families) {
    out += fmt::format("| `{}` | {} | {} | {} |\n", exposed_name(family.head), name_of(family.head.type),
                       joined_labels(family.head), family.head.help);
  }
  out += fmt::format(
      "\n| label | values |\n|---|---|\n"
      "| `route` | the rule that owns the request, such as `= /health` or `/v1/`; `other` once {} routes are "
      "known |\n"
      "| `dialect` | {} |\n"
      "| `code` | status code, 100 to 599; codes that have not occurred are left out |\n"
      "| `how` | {} |\n"
      "| `direction` | `request`, `response` |\n"
      "| `listener` | the address listened on; `other` once {} are known |\n"
      "| `upstream` | name of the backend |\n"
      "| `endpoint` | URL of one of its endpoints; `other` once {} are known |\n"
      "| `state` | `active`, `connecting`, `idle` |\n"
      "| `model` | the model asked for; `unknown` where the request names none; `other` once as many names "
      "are known "
      "as `telemetry.series` allows. Names that no successful answer has vouched for may be a quarter of "
      "them, so "
      "that nobody can fill the table with made-up ones |\n"
      "| `kind` | {} |\n"
      "| `category` | {} |\n"
      "| `field` | {} |\n"
      "| `reason` | `ring_full`: the telemetry thread did not keep up |\n"
      "| `certificate` | its first name; its file if it has none or another certificate has the same |\n"
      "| `version` | of the binary |\n",
      WorkerCells::max_routes - 1, joined_names<Dialect>(dialect_count), joined_names<Ended>(ended_count),
      WorkerCells::max_listeners - 1, WorkerCells::max_endpoints - 1,
      joined_names<TokenKind>(token_kind_count), joined_names<Category>(category_count),
      joined_names<FaultField>(fault_field_count));
  return out;
}

}  // namespace portico::telemetry
