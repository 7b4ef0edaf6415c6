#pragma once
// The one table of the settings: every field's path, type, bounds, meaning and place in Settings.
//
// Reading, checking, the default file, the print-out of the effective settings and the reference all walk
// these tables; nothing else knows a field's name.
//
// owns:    nothing; the tables live as long as the program
// threads: any

#include <optional>
#include <span>
#include <string_view>

#include "conf/field_type.hpp"
#include "conf/settings.hpp"

namespace portico::conf {

/// When a changed value takes effect.
enum class Effect : std::uint8_t { reload, restart };

/// A field of `Owner`: Settings, UpstreamSettings or RouteSettings.
template <class Owner>
struct Field {
  std::string_view name;  ///< below the owner, with dots: `limits.request_head`
  FieldType type;
  std::string_view help;  ///< one sentence
  Effect effect;
  /// std::nullopt when the field does not apply to this owner (a redirect has no upstream).
  std::optional<Value> (*get)(const Owner&);
  /// Precondition: `value` was read by this field's type.
  void (*set)(Owner&, Value&& value);
};

std::span<const Field<Settings>> settings_fields();
/// Fields of one member of `upstreams`.
std::span<const Field<UpstreamSettings>> upstream_fields();
/// Fields of one item of `routes`.
std::span<const Field<RouteSettings>> route_fields();

/// A group of fields (`limits`) or one of the two collections (`upstreams`, `routes`).
struct Section {
  std::string_view name;
  std::string_view help;
};
std::span<const Section> groups();
inline constexpr std::string_view upstreams_key = "upstreams";
inline constexpr std::string_view routes_key = "routes";
std::span<const Section> collections();

/// A field that a flag or a variable can set.
struct Shortcut {
  std::string_view flag;      ///< empty: no flag (a secret on a command line is seen by everybody)
  std::string_view argument;  ///< what stands after the flag in the help
  std::string_view variable;
  std::string_view field;  ///< `admin.listen`, `upstreams.cpa.endpoints`
  std::string_view help;
};
std::span<const Shortcut> shortcuts();

/// Bounds of what is counted over several fields.
inline constexpr std::size_t max_routes = 500;
inline constexpr std::size_t max_endpoints = 200;
inline constexpr std::size_t max_listeners = 60;  ///< listen, tls.listen and tls.redirect_listen together
inline constexpr std::size_t max_certificates = 100;

}  // namespace portico::conf
