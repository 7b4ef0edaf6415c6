// The command line's commands: run, check, route, sample.

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "conf/cli.hpp"
#include "conf/describe.hpp"
#include "conf/load.hpp"
#include "proxy/control.hpp"
#include "proxy/sample/sample.hpp"
#include "routing/explain.hpp"

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

int check(const conf::Loaded& loaded) {
  std::string text = conf::describe(loaded.settings);
  text +=
      "\nroutes, by the order of their rules (an exact rule beats a prefix, a longer prefix a shorter "
      "one):\n";
  const routing::RouteTable table = table_of(loaded.settings);
  for (const routing::Route& route : table.routes()) {
    text += fmt::format("  {:<32} {}\n", routing::rule_text(route), routing::owner_text(table, route));
  }
  text += fmt::format("\n{}: ok\n", loaded.file.empty() ? "built-in defaults" : loaded.file);
  print(stdout, text);
  return 0;
}

int dispatch(const conf::CommandLine& line) {
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
  } catch (const std::exception& error) {
    print(stderr, fmt::format("portico: {}\n", error.what()));
    return failed;
  }
}
