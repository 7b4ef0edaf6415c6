#include "test/support/portico.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

namespace portico::test {

namespace json = boost::json;

namespace {

// Nothing listens on port 1, so connecting is refused.
constexpr std::string_view refusing = "http://127.0.0.1:1";

json::value parse(std::string_view text) {
  json::parse_options lenient;
  lenient.allow_comments = true;
  lenient.allow_trailing_commas = true;
  return json::parse(json::string_view(text.data(), text.size()), {}, lenient);
}

void merge(json::value& into, const json::value& patch) {
  if (!into.is_object() || !patch.is_object()) {
    into = patch;
    return;
  }
  for (const auto& member : patch.as_object()) merge(into.as_object()[member.key()], member.value());
}

json::value defaults(const PorticoOptions& options, const std::string& key_file) {
  const auto upstream = [](const std::string& url) {
    return json::value{{"endpoints", {url.empty() ? std::string(refusing) : url}}};
  };
  return {{"listen", {"127.0.0.1:0"}},
          {"admin", {{"listen", "127.0.0.1:0"}}},
          {"workers", 1},
          {"telemetry", {{"key_file", key_file}}},
          {"upstreams", {{"cpa", upstream(options.cpa)}, {"cpamp", upstream(options.cpamp)}}},
          {"timeouts", {{"drain", "1s"}}}};
}

/// The first address in what the program prints.
std::string url_in(const std::string& line) {
  const auto at = std::min(line.find("http"), line.find("unix:"));
  return line.substr(at, line.find_first_of(" \t", at) - at);
}

}  // namespace

namespace {

/// Words of PORTICO_TEST_UNDER: a program that runs the binary, such as valgrind with its options.
std::vector<std::string> wrapper() {
  std::vector<std::string> words;
  const char* text = std::getenv("PORTICO_TEST_UNDER");
  std::istringstream in(text == nullptr ? "" : text);
  for (std::string word; in >> word;) words.push_back(std::move(word));
  return words;
}

}  // namespace

bool sanitized() {
  if (!wrapper().empty()) return true;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return true;
#else
  return false;
#endif
#else
  return false;
#endif
}

Portico::Portico(PorticoOptions options)
    : options_(std::move(options)), exceptions_(std::uncaught_exceptions()) {
  if (options_.tls) {
    tls_.emplace();
    tls_->ca_file = tls_->authority.write(folder_.path(), "authority");
    tls_->files = tls_->authority.issue({.names = {server_name, "localhost", "127.0.0.1"}})
                      .write(folder_.path(), "front");
  }
  write_settings("{}");
  Command command;
  command.arguments = wrapper();
  for (const std::string& argument : {std::string(PORTICO_BINARY), std::string("run"),
                                      std::string("--config"), folder_.file("portico.json")})
    command.arguments.push_back(argument);
  for (const auto& argument : options_.arguments) command.arguments.push_back(argument);
  command.environment = options_.environment;
  command.descriptors = options_.descriptors;
  command.soft_descriptors = options_.soft_descriptors;
  command.inherit = options_.inherit;
  process_ = std::make_unique<Process>(command);
  wait_ready();
}

void Portico::wait_ready() {
  const bool ready = eventually(
      [this] { return !process_->running() || process_->output().find("\nready\n") != std::string::npos; });
  const std::string output = process_->output();
  if (!ready || !process_->running()) throw std::runtime_error("portico does not get ready:\n" + output);
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("listening on https"))
      tls_listeners_.push_back(Address::of_url(url_in(line)));
    else if (line.starts_with("redirecting "))
      redirect_listeners_.push_back(Address::of_url(url_in(line)));
    else if (line.starts_with("listening on "))
      listeners_.push_back(Address::of_url(url_in(line)));
    if (line.starts_with("management on ")) management_ = Address::of_url(url_in(line));
  }
  if (listeners_.empty() || !management_ || tls_listeners_.empty() == options_.tls)
    throw std::runtime_error("portico does not say where it listens:\n" + output);
}

Portico::~Portico() {
  const bool unwinding = std::uncaught_exceptions() > exceptions_;
  process_->signal(SIGTERM);
  const auto status = process_->wait_exit();
  const std::string output = process_->output();
  const bool reported =
      output.find("Sanitizer") != std::string::npos || output.find("runtime error:") != std::string::npos;
  const bool bad = !status || reported || (!any_end_ && *status != 0);
  if (unwinding || bad) std::cerr << "---- output of portico ----\n" << output << "----\n";
  if (bad && !unwinding)
    FAIL_CHECK("portico ended badly: " << (!status ? std::string("it did not end")
                                                   : fmt::format("status {}", *status)));
}

TlsClientOptions Portico::tls_client(std::vector<std::string> alpn) const {
  return {.server_name = server_name, .alpn = std::move(alpn), .ca_file = tls_->ca_file};
}

Message Portico::manage(std::string_view path) const {
  Client client(management());
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path));
  return client.response();
}

std::map<std::string, double> Portico::metrics() const {
  std::map<std::string, double> out;
  std::istringstream lines(manage("/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    const auto blank = line.rfind(' ');
    if (!line.empty() && line[0] != '#' && blank != std::string::npos)
      out[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
  }
  return out;
}

double Portico::metric(std::string_view name, const std::vector<std::string>& labels) const {
  double sum = 0;
  for (const auto& [series, value] : metrics()) {
    if (series.substr(0, series.find('{')) != name) continue;
    bool matches = true;
    for (const auto& label : labels) matches = matches && series.find(label) != std::string::npos;
    if (matches) sum += value;
  }
  return sum;
}

std::string Portico::settings_with(std::string_view settings) const {
  json::value all = defaults(options_, folder_.file("fingerprint.key"));
  if (tls_) {
    json::object tls{{"listen", {"127.0.0.1:0"}},
                     {"certificates", {tls_->files.certificate}},
                     {"keys", {tls_->files.key}}};
    if (options_.redirect) {
      tls["redirect_listen"] = json::array{"127.0.0.1:0"};
      tls["acme_webroot"] = folder_.file("acme");
    }
    all.as_object()["tls"] = std::move(tls);
  }
  if (options_.cleartext_h2) all.as_object()["http2"] = {{"cleartext", "on"}};
  if (!options_.settings.empty()) merge(all, parse(options_.settings));
  merge(all, parse(settings));
  return json::serialize(all);
}

void Portico::write_settings(std::string_view settings) const { write_file(settings_with(settings)); }

void Portico::write_file(std::string_view text) const {
  std::ofstream(folder_.file("portico.json"), std::ios::trunc) << text;
}

void Portico::reload(std::string_view settings) {
  const auto reloads = [this] {
    return parse(manage("/api/v1/status").body).at("config").at("reloads").to_number<std::uint64_t>();
  };
  const auto before = reloads();
  write_settings(settings);
  signal(SIGHUP);
  if (!eventually([&] { return reloads() > before; }))
    throw std::runtime_error("the settings were not read anew:\n" + process_->output());
}

std::optional<ExitStatus> Portico::stop(Deadline deadline) {
  signal(SIGTERM);
  return process_->wait_exit(deadline);
}

}  // namespace portico::test
