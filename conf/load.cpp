#include "conf/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "conf/apply.hpp"
#include "conf/check.hpp"
#include "conf/findings.hpp"
#include "conf/json_reader.hpp"
#include "conf/schema.hpp"

namespace portico::conf {
namespace {

/// `a, b` -> `a` and `b`. An empty item stays, so that its reader complains.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (true) {
    const auto comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::optional<std::string> variable(const Environment& environment, std::string_view name) {
  if (!environment || name.empty()) return std::nullopt;
  auto value = environment(std::string(name));
  if (value && value->empty()) return std::nullopt;
  return value;
}

/// The file's text, one byte more than is allowed if it is longer; std::nullopt after a report.
std::optional<std::string> read_file(const std::string& file, Findings& findings) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text(max_json_size + 1, '\0');
  // A directory opens and only fails when read.
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad()) {
    findings.add({file, 0, 0, {}, "cannot be read: " + std::generic_category().message(errno)});
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

void apply_text(std::string_view text, std::string_view name, Settings& settings, Findings& findings) {
  JsonDocument document = read_json(text, name);
  for (Problem& problem : document.problems) findings.add(std::move(problem));
  if (document.root) apply_file(*document.root, name, settings, findings);
}

void apply_environment(const Environment& environment, Settings& settings, Findings& findings) {
  for (const Shortcut& shortcut : shortcuts()) {
    const auto value = variable(environment, shortcut.variable);
    if (!value) continue;
    const auto texts = takes_list(shortcut) ? split_list(*value) : std::vector{*value};
    apply_shortcut(shortcut, texts,
                   {.source = "environment", .at = {0, 0}, .name = std::string(shortcut.variable)}, settings,
                   findings);
  }
}

void apply_flags(std::span<const Override> overrides, Settings& settings, Findings& findings) {
  for (const Override& given : overrides) {
    const auto all = shortcuts();
    const auto shortcut =
        std::find_if(all.begin(), all.end(), [&](const Shortcut& s) { return s.flag == given.flag; });
    if (shortcut == all.end() || given.flag.empty() || given.values.empty()) {
      findings.add({"command line", 0, 0, given.flag, "not a flag with a value that sets something"});
      continue;
    }
    apply_shortcut(*shortcut, given.values, {.source = "command line", .at = {0, 0}, .name = given.flag},
                   settings, findings);
  }
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string Loaded::problem_text() const {
  std::string out;
  for (const Problem& problem : problems) out += problem.text() + "\n";
  return out;
}

Loaded load(const Sources& sources) {
  Loaded loaded{.settings = Settings::defaults(), .problems = {}, .file = {}};
  Findings findings;
  if (const auto file = sources.file ? sources.file : variable(sources.environment, "PORTICO_CONFIG")) {
    loaded.file = *file;
    if (const auto text = read_file(*file, findings)) apply_text(*text, *file, loaded.settings, findings);
  }
  apply_environment(sources.environment, loaded.settings, findings);
  apply_flags(sources.overrides, loaded.settings, findings);
  check(loaded.settings, findings);
  loaded.problems = std::move(findings).take_problems();
  return loaded;
}

Loaded load_text(std::string_view text, std::string_view name) {
  Loaded loaded{.settings = Settings::defaults(), .problems = {}, .file = std::string(name)};
  Findings findings;
  apply_text(text, name, loaded.settings, findings);
  check(loaded.settings, findings);
  loaded.problems = std::move(findings).take_problems();
  return loaded;
}

}  // namespace portico::conf
