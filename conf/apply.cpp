#include "conf/apply.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "conf/nearest.hpp"
#include "conf/text_rules.hpp"

namespace portico::conf {
namespace {

constexpr std::size_t max_upstream_name = 64;

/// Who reads what: the source of positions and the place for what is found.
struct Reading {
  std::string_view source;
  Findings& findings;

  [[nodiscard]] Origin origin(Position at) const {
    return {.source = std::string(source), .at = at, .name = {}};
  }
  void place(const std::string& path, Position at) const { findings.place(path, origin(at)); }
};

std::string unknown_key_message(std::string_view key, std::span<const std::string_view> known) {
  if (const auto meant = nearest(key, known))
    return fmt::format("unknown setting; did you mean \"{}\"?", *meant);
  return fmt::format("unknown setting; known here: {}", fmt::join(known, ", "));
}

/// The object a value must be; null after a report.
const JsonObject* expect_object(const Reading& reading, const JsonValue& json, const std::string& path) {
  reading.place(path, json.at);
  const JsonObject* object = json.object();
  if (object == nullptr) reading.findings.report(path, "expected an object, found " + shown(json));
  return object;
}

/// The keys that may stand directly below `prefix` (empty, or a group's name and a dot).
template <class Owner>
std::vector<std::string_view> known_keys(std::span<const Field<Owner>> fields, std::string_view prefix) {
  std::vector<std::string_view> keys;
  for (const auto& field : fields) {
    if (!field.name.starts_with(prefix)) continue;
    const std::string_view rest = field.name.substr(prefix.size());
    const std::string_view key = rest.substr(0, rest.find('.'));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

/// Applies one member by the table; false when the table does not know its key.
template <class Owner>
bool apply_member(const Reading& reading, std::span<const Field<Owner>> fields, std::string_view prefix,
                  const JsonMember& member, const std::string& path, Owner& owner) {
  const std::string name = std::string(prefix) + member.key;
  const auto field =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
  if (field != fields.end()) {
    auto value = read_json_value(field->type, member.value, path, reading.source, reading.findings);
    if (value) field->set(owner, std::move(*value));
    return true;
  }
  const std::string group = name + ".";
  const bool is_group =
      std::any_of(fields.begin(), fields.end(), [&](const auto& f) { return f.name.starts_with(group); });
  if (!is_group) return false;

  const JsonObject* object = expect_object(reading, member.value, path);
  if (object == nullptr) return true;
  for (const JsonMember& inner : *object) {
    const std::string inner_path = child_path(path, inner.key);
    if (!apply_member<Owner>(reading, fields, group, inner, inner_path, owner))
      reading.findings.report_at(inner_path, reading.origin(inner.at),
                                 unknown_key_message(inner.key, known_keys(fields, group)));
  }
  return true;
}

bool has(const JsonObject& object, std::string_view key) {
  return std::any_of(object.begin(), object.end(),
                     [&](const JsonMember& member) { return member.key == key; });
}

void apply_upstream(const Reading& reading, const JsonMember& member, Settings& settings) {
  const std::string path = child_path(upstreams_key, member.key);
  if (member.key.size() > max_upstream_name || !name_objection(member.key).empty()) {
    reading.findings.report_at(
        path, reading.origin(member.at),
        fmt::format("an upstream's name {}, at most {} of them", name_objection({}), max_upstream_name));
    return;
  }
  UpstreamSettings upstream;
  upstream.name = member.key;
  // What the file leaves out of cpa and cpamp keeps its default.
  for (UpstreamSettings& built_in : Settings::defaults().upstreams)
    if (built_in.name == member.key) upstream = std::move(built_in);

  if (const JsonObject* object = expect_object(reading, member.value, path)) {
    for (const JsonMember& inner : *object) {
      const std::string inner_path = child_path(path, inner.key);
      if (!apply_member(reading, upstream_fields(), "", inner, inner_path, upstream))
        reading.findings.report_at(inner_path, reading.origin(inner.at),
                                   unknown_key_message(inner.key, known_keys(upstream_fields(), "")));
    }
  }
  settings.upstreams.push_back(std::move(upstream));
}

void apply_upstreams(const Reading& reading, const JsonValue& json, Settings& settings) {
  const JsonObject* object = expect_object(reading, json, std::string(upstreams_key));
  if (object == nullptr) return;
  if (object->size() > max_endpoints) {
    reading.findings.report(std::string(upstreams_key), fmt::format("expected at most {} upstreams, found {}",
                                                                    max_endpoints, object->size()));
    return;
  }
  settings.upstreams.clear();
  for (const JsonMember& member : *object) apply_upstream(reading, member, settings);
}

/// Exactly one of `keys` must stand in a route.
void expect_one_of(const Reading& reading, const JsonObject& route, const std::string& path,
                   std::span<const std::string_view> keys) {
  std::vector<std::string_view> found;
  for (const std::string_view key : keys)
    if (has(route, key)) found.push_back(key);
  const std::string choice = fmt::format("\"{}\"", fmt::join(keys, "\", \""));
  if (found.empty())
    reading.findings.report(path, fmt::format("a route needs one of {}", choice));
  else if (found.size() > 1)
    reading.findings.report(path, fmt::format("a route takes only one of {}, found \"{}\"", choice,
                                              fmt::join(found, "\" and \"")));
}

RouteSettings read_route(const Reading& reading, const JsonValue& json, const std::string& path) {
  RouteSettings route;
  const JsonObject* object = expect_object(reading, json, path);
  if (object == nullptr) return route;

  // Before the fields, since the setters of a fixed answer say so only for the fields that are there.
  if (has(*object, "redirect")) {
    route.action = RouteSettings::Action::redirect;
    route.status = 302;
  } else if (has(*object, "respond")) {
    route.action = RouteSettings::Action::respond;
    route.status = 200;
  }
  for (const JsonMember& member : *object) {
    const std::string inner_path = child_path(path, member.key);
    if (member.key == "status" && !has(*object, "redirect"))
      reading.findings.report_at(
          inner_path, reading.origin(member.at),
          "only a route with \"redirect\" has a status of its own; a fixed answer's is "
          "respond.status");
    else if (!apply_member(reading, route_fields(), "", member, inner_path, route))
      reading.findings.report_at(inner_path, reading.origin(member.at),
                                 unknown_key_message(member.key, known_keys(route_fields(), "")));
  }
  static constexpr std::string_view matches[] = {"exact", "prefix"};
  static constexpr std::string_view actions[] = {"upstream", "redirect", "respond"};
  expect_one_of(reading, *object, path, matches);
  expect_one_of(reading, *object, path, actions);
  return route;
}

void apply_routes(const Reading& reading, const JsonValue& json, Settings& settings) {
  const std::string path(routes_key);
  reading.place(path, json.at);
  const JsonArray* array = json.array();
  if (array == nullptr) {
    reading.findings.report(path, "expected a list of routes, found " + shown(json));
    return;
  }
  settings.routes.clear();
  if (array->size() > max_routes) {
    reading.findings.report(path,
                            fmt::format("expected at most {} routes, found {}", max_routes, array->size()));
    return;
  }
  for (const JsonValue& item : *array)
    settings.routes.push_back(read_route(reading, item, item_path(path, settings.routes.size())));
}

template <class Owner>
const Field<Owner>& field_named(std::span<const Field<Owner>> fields, std::string_view name) {
  return *std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.name == name; });
}

/// `upstreams.cpa.endpoints` -> `cpa`; empty for a field of Settings itself.
std::string_view upstream_of(const Shortcut& shortcut) {
  if (!shortcut.field.starts_with(upstreams_key)) return {};
  const std::string_view rest = shortcut.field.substr(upstreams_key.size() + 1);
  return rest.substr(0, rest.find('.'));
}
std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

}  // namespace

void apply_file(const JsonValue& root, std::string_view source, Settings& settings, Findings& findings) {
  const Reading reading{source, findings};
  const JsonObject* object = root.object();
  if (object == nullptr) {
    findings.report_at("", reading.origin(root.at), "expected an object with settings, found " + shown(root));
    return;
  }
  for (const JsonMember& member : *object) {
    if (member.key == upstreams_key) {
      apply_upstreams(reading, member.value, settings);
    } else if (member.key == routes_key) {
      apply_routes(reading, member.value, settings);
    } else if (const std::string path = child_path("", member.key);
               !apply_member(reading, settings_fields(), "", member, path, settings)) {
      auto known = known_keys(settings_fields(), "");
      known.insert(known.end(), {upstreams_key, routes_key});
      findings.report_at(path, reading.origin(member.at), unknown_key_message(member.key, known));
    }
  }

  // The default routes name the default upstreams.
  if (has(*object, routes_key)) return;
  for (UpstreamSettings& built_in : Settings::defaults().upstreams)
    if (std::none_of(settings.upstreams.begin(), settings.upstreams.end(),
                     [&](const UpstreamSettings& upstream) { return upstream.name == built_in.name; }))
      settings.upstreams.push_back(std::move(built_in));
}

void apply_shortcut(const Shortcut& shortcut, std::span<const std::string> texts, const Origin& origin,
                    Settings& settings, Findings& findings) {
  const std::string path(shortcut.field);
  const std::string_view upstream = upstream_of(shortcut);
  if (upstream.empty()) {
    const auto& field = field_named(settings_fields(), shortcut.field);
    if (auto value = read_text_value(field.type, texts, path, origin, findings))
      field.set(settings, std::move(*value));
    return;
  }
  const auto target = std::find_if(settings.upstreams.begin(), settings.upstreams.end(),
                                   [&](const UpstreamSettings& u) { return u.name == upstream; });
  if (target == settings.upstreams.end()) {
    findings.report_at(
        path, origin,
        fmt::format("the settings file names its own upstreams, and \"{}\" is not among them", upstream));
    return;
  }
  const auto& field = field_named(upstream_fields(), last_part(shortcut.field));
  if (auto value = read_text_value(field.type, texts, path, origin, findings))
    field.set(*target, std::move(*value));
}

bool takes_list(const Shortcut& shortcut) {
  return is_list(upstream_of(shortcut).empty()
                     ? field_named(settings_fields(), shortcut.field).type
                     : field_named(upstream_fields(), last_part(shortcut.field)).type);
}

}  // namespace portico::conf
