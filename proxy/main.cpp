// The command line's commands: run, check, route, sample, inspect.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "conf/cli.hpp"
#include "conf/describe.hpp"
#include "conf/load.hpp"
#include "proxy/control.hpp"
#include "proxy/inspect.hpp"
#include "proxy/sample/sample.hpp"
#include "proxy/tls/openssl.hpp"
#include "proxy/tls_control.hpp"
#include "routing/explain.hpp"
#include "telemetry/server_tls.hpp"
#include "telemetry/time_text.hpp"

namespace {

using namespace portico;

constexpr int failed = 1;
constexpr int wrong_settings = 2;

void print(std::FILE* where, std::string_view text) { std::fwrite(text.data(), 1, text.size(), where); }

routing::RouteTable table_of(const conf::Settings& settings) {
  std::vector<std::string> names;
  names.reserve(settings.upstreams.size());
  for (const conf::UpstreamSettings& upstream : settings.upstreams) names.push_back(upstream.name);
  return {settings.routes, names};
}

/// What TLS listeners would show, and what deserves attention about it.
std::string certificates_text(const proxy::LoadedTls& tls) {
  std::string text;
  if (!tls.certificates.empty())
    text += "\ncertificates, the first one for clients that name no known host:\n";
  for (const telemetry::CertificateState& certificate : tls.certificates) {
    text += fmt::format("  {}: {}, {}, until {}\n", certificate.file, fmt::join(certificate.names, " "),
                        certificate.key_type, telemetry::rfc3339(certificate.not_after));
  }
  for (const std::string& warning : tls.warnings) text += fmt::format("warning: {}\n", warning);
  return text;
}

int check(const conf::Loaded& loaded) {
  const proxy::LoadedTls tls =
      proxy::load_tls(loaded.settings, 1, std::make_shared<proxy::tls::TicketKeys>());
  static_cast<void>(telemetry::make_server_tls(loaded.settings.admin));
  std::string text = conf::describe(loaded.settings);
  text +=
      "\nroutes, by the order of their rules (an exact rule beats a prefix, a longer prefix a shorter "
      "one):\n";
  const routing::RouteTable table = table_of(loaded.settings);
  for (const routing::Route& route : table.routes()) {
    text += fmt::format("  {:<32} {}\n", routing::rule_text(route), routing::owner_text(table, route));
  }
  text += certificates_text(tls);
  text += fmt::format("\n{}: ok\n", loaded.file.empty() ? "built-in defaults" : loaded.file);
  print(stdout, text);
  return 0;
}

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string bytes;
  std::array<char, 65'536> block;
  for (std::size_t size = 1; size > 0;) {
    size = std::fread(block.data(), 1, block.size(), file.get());
    bytes.append(block.data(), size);
  }
  if (std::ferror(file.get()) != 0) throw std::runtime_error(fmt::format("{}: cannot be read", path));
  return bytes;
}

int dispatch(const conf::CommandLine& line) {
  if (line.command == conf::Command::inspect) {
    print(stdout, proxy::inspect(read_file(line.request_file), read_file(line.response_file), line.split));
    return 0;
  }
  if (line.command == conf::Command::sample) return sample::run_sample({line.sample_cpa, line.sample_cpamp});
  conf::Sources sources = line.sources();
  conf::Loaded loaded = conf::load(sources);
  if (!loaded.ok()) {
    print(stderr, loaded.problem_text());
    return wrong_settings;
  }
  switch (line.command) {
    case conf::Command::check:
      return check(loaded);
    case conf::Command::route:
      print(stdout, routing::explain(table_of(loaded.settings), line.path));
      return 0;
    default:
      break;
  }
  return proxy::Control(std::move(sources), std::move(loaded)).run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    const conf::CommandLine line = conf::parse_command_line(arguments);
    if (line.early_exit) {
      print(line.early_exit->code == 0 ? stdout : stderr, line.early_exit->text);
      return line.early_exit->code;
    }
    return dispatch(line);
  } catch (const proxy::tls::CertificateError& error) {
    print(stderr, fmt::format("{}\n", error.what()));
    return wrong_settings;
  } catch (const telemetry::AdminTlsError& error) {
    print(stderr, fmt::format("{}\n", error.what()));
    return wrong_settings;
  } catch (const std::exception& error) {
    print(stderr, fmt::format("portico: {}\n", error.what()));
    return failed;
  }
}
