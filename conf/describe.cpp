#include "conf/describe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "conf/json_reader.hpp"
#include "conf/schema.hpp"

namespace portico::conf {
namespace {

constexpr std::size_t comment_width = 100;
constexpr std::size_t indent_step = 2;

enum class Comments : std::uint8_t { no, yes };

/// `text` as comment lines of bounded width at this indentation, each word after `lead` spaces at least.
std::string comment(std::string_view text, std::size_t indent, std::size_t lead = 1) {
  const std::string margin = std::string(indent, ' ') + "//" + std::string(lead - 1, ' ');
  std::string out;
  std::string line = margin;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    if (line.size() > margin.size() && line.size() + 1 + space > comment_width) {
      out += line + "\n";
      line = margin;
    }
    line += " ";
    line += text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out + line + "\n";
}

/// `size, 1KiB to 1MiB; a change needs a restart`
template <class Owner>
std::string facts_of(const Field<Owner>& field) {
  std::string facts = type_name(field.type);
  if (const std::string bounds = bounds_text(field.type); !bounds.empty()) facts += ", " + bounds;
  if (field.effect == Effect::restart) facts += "; a change needs a restart";
  return facts;
}

template <class Owner>
std::string field_comment(const Field<Owner>& field, std::size_t indent) {
  return comment(field.help, indent) + comment(facts_of(field), indent);
}

std::string_view section_help(std::span<const Section> sections, std::string_view name) {
  return std::find_if(sections.begin(), sections.end(), [&](const Section& s) { return s.name == name; })
      ->help;
}

/// Joins finished members; with comments, an empty line keeps them apart.
std::string braces(const std::vector<std::string>& members, std::size_t indent, Comments comments) {
  return fmt::format("{{\n{}\n{}}}", fmt::join(members, comments == Comments::yes ? ",\n\n" : ",\n"),
                     std::string(indent, ' '));
}

std::string member(std::string_view key, std::string_view value, std::size_t indent) {
  return fmt::format("{}{}: {}", std::string(indent, ' '), quote_json(key), value);
}

/// The fields below `prefix` as members of an object, groups as objects of their own.
template <class Owner>
std::vector<std::string> members_of(std::span<const Field<Owner>> fields, std::string_view prefix,
                                    const Owner& owner, std::size_t indent, Comments comments) {
  std::vector<std::string> members;
  std::string_view group;
  for (const auto& field : fields) {
    if (!field.name.starts_with(prefix)) continue;
    const std::string_view rest = field.name.substr(prefix.size());
    if (const auto dot = rest.find('.'); dot != std::string_view::npos) {
      // The fields of a group stand together in the table: its first writes the whole group.
      if (rest.substr(0, dot) == group) continue;
      group = rest.substr(0, dot);
      const auto inner = members_of(fields, field.name.substr(0, prefix.size() + dot + 1), owner,
                                    indent + indent_step, comments);
      const std::string text = member(group, braces(inner, indent, comments), indent);
      members.push_back(comments == Comments::yes ? comment(section_help(groups(), group), indent) + text
                                                  : text);
      continue;
    }
    const auto value = field.get(owner);
    if (!value) continue;
    const std::string text = member(rest, to_json(field.type, *value), indent);
    members.push_back(comments == Comments::yes ? field_comment(field, indent) + text : text);
  }
  return members;
}

/// A route on one line; `respond` is an object within.
std::string route_text(const RouteSettings& route) {
  std::vector<std::string> members;
  std::vector<std::string> answer;
  constexpr std::string_view respond = "respond.";
  for (const auto& field : route_fields()) {
    const auto value = field.get(route);
    if (!value) continue;
    if (field.name.starts_with(respond))
      answer.push_back(member(field.name.substr(respond.size()), to_json(field.type, *value), 0));
    else
      members.push_back(member(field.name, to_json(field.type, *value), 0));
  }
  if (!answer.empty()) members.push_back(fmt::format("\"respond\": {{{}}}", fmt::join(answer, ", ")));
  return fmt::format("{{{}}}", fmt::join(members, ", "));
}

std::string upstreams_member(const Settings& settings, std::size_t indent, Comments comments) {
  std::vector<std::string> members;
  const std::size_t inner = indent + indent_step;
  for (const UpstreamSettings& upstream : settings.upstreams) {
    // The first one explains the fields of all.
    const Comments explained = members.empty() ? comments : Comments::no;
    const auto fields = members_of(upstream_fields(), "", upstream, inner + indent_step, explained);
    members.push_back(member(upstream.name, braces(fields, inner, explained), inner));
  }
  const std::string text = member(upstreams_key, braces(members, indent, comments), indent);
  return comments == Comments::yes ? comment(section_help(collections(), upstreams_key), indent) + text
                                   : text;
}

std::string routes_member(const Settings& settings, std::size_t indent, Comments comments) {
  std::vector<std::string> routes;
  routes.reserve(settings.routes.size());
  for (const RouteSettings& route : settings.routes)
    routes.push_back(std::string(indent + indent_step, ' ') + route_text(route));
  const std::string list =
      routes.empty() ? "[]" : fmt::format("[\n{}\n{}]", fmt::join(routes, ",\n"), std::string(indent, ' '));
  std::string out;
  if (comments == Comments::yes) {
    out += comment(section_help(collections(), routes_key), indent);
    for (const auto& field : route_fields())
      out += comment(fmt::format("{}: {} ({})", field.name, field.help, facts_of(field)), indent, 3);
  }
  return out + member(routes_key, list, indent);
}

std::string write(const Settings& settings, Comments comments) {
  auto members = members_of(settings_fields(), "", settings, indent_step, comments);
  members.push_back(upstreams_member(settings, indent_step, comments));
  members.push_back(routes_member(settings, indent_step, comments));
  return braces(members, 0, comments) + "\n";
}

/// Keeps a cell of a Markdown table in one piece.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

template <class Owner>
std::string reference_table(std::span<const Field<Owner>> fields, std::string_view prefix,
                            const Owner* defaults) {
  std::string out =
      "| setting | type | bounds | default | takes effect | meaning |\n|---|---|---|---|---|---|\n";
  for (const auto& field : fields) {
    const auto value = defaults != nullptr ? field.get(*defaults) : std::nullopt;
    const std::string by_default = value ? "`" + to_json(field.type, *value) + "`" : "";
    out += fmt::format("| `{}{}` | {} | {} | {} | {} | {} |\n", prefix, field.name,
                       cell(type_name(field.type)), cell(bounds_text(field.type)), cell(by_default),
                       field.effect == Effect::reload ? "on reload" : "after a restart", cell(field.help));
  }
  return out;
}

std::string shortcut_table() {
  std::string out =
      "| flag | variable | setting |\n|---|---|---|\n| `--config FILE` | `PORTICO_CONFIG` | the file itself "
      "|\n";
  for (const Shortcut& shortcut : shortcuts()) {
    const std::string flag =
        shortcut.flag.empty() ? "" : fmt::format("`{} {}`", shortcut.flag, shortcut.argument);
    out += fmt::format("| {} | `{}` | `{}` |\n", flag, shortcut.variable, shortcut.field);
  }
  return out;
}

}  // namespace

std::string describe(const Settings& settings) { return write(settings, Comments::no); }

std::string default_file() {
  return comment(
             "The settings of Portico with their defaults: a file that leaves a line out means the same. "
             "Comments and trailing commas are allowed. Made by: portico check --print-defaults",
             0) +
         write(Settings::defaults(), Comments::yes);
}

std::string reference() {
  const Settings defaults = Settings::defaults();
  return fmt::format(
      R"(# Settings

<!-- Made by: portico check --print-reference -->

The file is JSON, with comments (`//` and `/* */`) and trailing commas allowed, at most 1 MiB. Every setting has a
default; `portico.json` beside this page holds them all. Flags beat environment variables, which beat the file, which
beats the defaults. `portico check` says what is wrong with a file, all at once, and prints what is in force.

A size is a number of bytes or a text such as `"64KiB"` (units KiB, MiB, GiB, TiB). A duration is a text such as
`"15s"` (units ms, s, m, h, d). A reload is a SIGHUP; exchanges that are running go on under their old settings.

## The file

{}
## Upstreams

{} The defaults are those
of cpa; cpamp's endpoint is `{}`, and any other upstream must name its own.

{}
## Routes

{}

{}
## Flags and environment variables

A repeatable flag adds one item each time it is given; its variable takes a list with commas. An empty variable counts
as not set.

{})",
      reference_table(settings_fields(), "", &defaults), section_help(collections(), upstreams_key),
      defaults.upstreams.back().endpoints.front().text(),
      reference_table(upstream_fields(), "upstreams.NAME.", &defaults.upstreams.front()),
      section_help(collections(), routes_key),
      reference_table<RouteSettings>(route_fields(), "routes[].", nullptr), shortcut_table());
}

}  // namespace portico::conf
