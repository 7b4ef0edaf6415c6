#include "routing/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace portico::routing {
namespace {

using conf::RouteSettings;

// What CPA serves behind its management guard or to the panel's users. Its router compares bytes, so this
// does too.
constexpr std::array<std::string_view, 3> kGuarded{"/v0/management", "/v0/resource", "/management.html"};

// Some reader or other takes every byte outside of this set for the end of a name: `;` for parameters, an
// escaped `?` or NUL for the end of the path.
constexpr bool continues_name(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool is_at_or_under(std::string_view path, std::string_view root) noexcept {
  return path.starts_with(root) && (path.size() == root.size() || !continues_name(path[root.size()]));
}

bool is_guarded(std::string_view path) noexcept {
  return std::any_of(kGuarded.begin(), kGuarded.end(),
                     [path](std::string_view root) { return is_at_or_under(path, root); });
}

bool can_match_guarded(const RouteSettings& rule) noexcept {
  if (is_guarded(rule.path)) return true;
  return rule.match == RouteSettings::Match::prefix &&
         std::any_of(kGuarded.begin(), kGuarded.end(),
                     [&rule](std::string_view root) { return root.starts_with(rule.path); });
}

bool same_owner(const Route& a, const Route& b) noexcept {
  return &a == &b || (a.upstream && a.upstream == b.upstream);
}

// What stands against a target one of whose readers sees `path`, which `route` fits.
std::optional<Objection> object(Reader reader, std::string_view path, const Route& route,
                                const Route& owner) {
  const bool guarded = route.may_reach_guarded && is_guarded(path);
  if (!guarded && same_owner(route, owner)) return std::nullopt;
  return Objection{reader, path, &route, &owner, guarded};
}

}  // namespace

RouteTable::RouteTable(std::span<const RouteSettings> routes, std::span<const std::string> upstreams)
    : upstreams_(upstreams.begin(), upstreams.end()) {
  if (routes.size() >= PathTrie::kNone) throw std::invalid_argument("too many routes");
  routes_.reserve(routes.size() + 1);
  for (const RouteSettings& settings : routes) add(settings);
  const bool has_fallback = std::any_of(routes.begin(), routes.end(), [](const RouteSettings& rule) {
    return rule.match == RouteSettings::Match::prefix && rule.path == "/";
  });
  if (!has_fallback) {
    if (upstreams_.empty()) throw std::invalid_argument("no upstream for what no route matches");
    RouteSettings fallback;
    fallback.path.assign(1, '/');
    fallback.upstream = upstreams_.front();
    add(fallback);
  }
  mark_guarded();
}

void RouteTable::add(const RouteSettings& settings) {
  const auto index = static_cast<std::uint16_t>(routes_.size());
  Route route{.id = RouteId{index}, .settings = settings};
  if (settings.action == RouteSettings::Action::upstream) {
    const auto found = std::find(upstreams_.begin(), upstreams_.end(), settings.upstream);
    if (found == upstreams_.end())
      throw std::invalid_argument(
          fmt::format("route {}: no upstream is named '{}'", settings.path, settings.upstream));
    route.upstream = UpstreamId{static_cast<std::uint16_t>(found - upstreams_.begin())};
  }
  if (settings.match == RouteSettings::Match::exact) {
    route.label = "= " + settings.path;
    trie_.add_exact(settings.path, index);
  } else {
    route.label = settings.path;
    trie_.add_prefix(settings.path, index);
  }
  routes_.push_back(std::move(route));
}

void RouteTable::mark_guarded() {
  const Route& management = match("/v0/management/");
  const bool said_so = is_guarded(management.settings.path);
  const bool is_panel = said_so || management.upstream != match("/v1/").upstream;
  for (Route& route : routes_) {
    const bool serves_panel = is_panel && same_owner(route, management);
    route.may_reach_guarded = route.upstream && !serves_panel && can_match_guarded(route.settings);
  }
}

Decision RouteTable::decide(std::string_view target, PathScratch& scratch) const {
  const ReadTarget read = read_target(target, scratch);
  Decision decision{.refusal = read.refusal, .path = read.path.view(), .is_asterisk = read.is_asterisk};
  if (read.refusal != Refusal::none) {
    decision.path = read.as_received;
    return decision;
  }
  if (read.is_asterisk) return decision;

  const Route& owner = match(decision.path);
  const bool doubtful = !read.unanimous || owner.may_reach_guarded;
  if (doubtful && find_objection(read, owner, scratch)) [[unlikely]]
    decision.refusal = Refusal::ambiguous_path;
  else
    decision.route = &owner;
  return decision;
}

std::optional<Objection> RouteTable::objection(std::string_view target, PathScratch& scratch) const {
  const ReadTarget read = read_target(target, scratch);
  if (read.refusal != Refusal::none || read.is_asterisk) return std::nullopt;
  return find_objection(read, match(read.path.view()), scratch);
}

std::optional<Objection> RouteTable::find_objection(const ReadTarget& read, const Route& owner,
                                                    PathScratch& scratch) const {
  if (read.unanimous) return object(Reader{}, read.as_received, owner, owner);
  const bool escaped = read.as_received.find('%') != std::string_view::npos;
  for (const Decoding decoding : kDecodings) {
    if (decoding != Decoding::none && !escaped) break;
    std::string_view decoded = read.as_received;
    if (decoding != Decoding::none) {
      decode(read.as_received, decoding, scratch.other);
      decoded = scratch.other;
    }
    if (const auto found = object({decoding, Cleaning::none}, decoded, match(decoded), owner)) return found;
    if (!may_need_cleaning(decoded)) continue;
    for (const Cleaning cleaning : {Cleaning::merge_then_dots, Cleaning::dots_then_merge}) {
      clean(decoded, cleaning, scratch.cleaned);
      const std::string_view cleaned = scratch.cleaned;
      if (const auto found = object({decoding, cleaning}, cleaned, match(cleaned), owner)) return found;
    }
  }
  return std::nullopt;
}

}  // namespace portico::routing
