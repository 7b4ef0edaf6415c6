#include "routing/explain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

namespace portico::routing {
namespace {

using conf::RouteSettings;

std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f)
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte);
    else
      text.push_back(c);
  }
  return text;
}

void add_line(std::string& text, std::string_view name, std::string_view value) {
  fmt::format_to(std::back_inserter(text), "{:<10}{}\n", name, value);
}

bool has_dot_segment(std::string_view path) {
  for (std::size_t slash = 0; slash < path.size();) {
    const std::size_t end = std::min(path.find('/', slash + 1), path.size());
    const std::string_view segment = path.substr(slash + 1, end - slash - 1);
    if (segment == "." || segment == "..") return true;
    slash = end;
  }
  return false;
}

// What stands between the target and its reading, in brackets; nothing if they are the same.
std::string changes(std::string_view target, std::string_view as_received) {
  std::vector<std::string_view> done;
  const bool absolute = !target.starts_with('/');
  if (absolute) done.emplace_back("scheme and authority cut off");
  if (target.find('?') != std::string_view::npos) done.emplace_back("query cut off");
  std::string decoded;
  decode(as_received, Decoding::once, decoded);
  if (decoded != as_received) done.emplace_back("decoded");
  if (decoded.find("//") != std::string::npos) done.emplace_back("`//` merged");
  if (has_dot_segment(decoded)) done.emplace_back("dot segments removed");
  return done.empty() ? std::string() : fmt::format("   ({})", fmt::join(done, ", "));
}

std::string rule_and_owner(const RouteTable& table, const Route& route) {
  return fmt::format("{}, {}", rule_text(route), owner_text(table, route));
}

}  // namespace

std::string rule_text(const Route& route) {
  const bool exact = route.settings.match == RouteSettings::Match::exact;
  return fmt::format("{} {}", exact ? "exact" : "prefix", printable(route.settings.path));
}

std::string owner_text(const RouteTable& table, const Route& route) {
  if (route.upstream) return fmt::format("upstream {}", table.upstream_name(*route.upstream));
  const RouteSettings& settings = route.settings;
  if (settings.action == RouteSettings::Action::redirect) {
    const int status = settings.status == 0 ? 302 : settings.status;
    return fmt::format("redirect {} to {}", status, printable(settings.location));
  }
  return fmt::format("fixed answer {}", settings.status == 0 ? 200 : settings.status);
}

std::string explain(const RouteTable& table, std::string_view target) {
  PathScratch scratch;
  const std::string_view as_received = read_target(target, scratch).as_received;
  const Decision decision = table.decide(target, scratch);

  std::string text;
  add_line(text, "target", printable(target));
  if (decision.is_asterisk) {
    add_line(text, "owner", "Portico itself: OPTIONS is answered with 204");
  } else if (decision.refusal == Refusal::none) {
    add_line(text, "reading", printable(decision.path) + changes(target, as_received));
    add_line(text, "rule", rule_text(*decision.route));
    add_line(text, "owner", owner_text(table, *decision.route));
  } else if (const auto found = table.objection(target, scratch)) {
    const Objection& objection = *found;
    add_line(text, "refused", fmt::format("400 ambiguous_path: {}", describe(decision.refusal)));
    add_line(text, "reading",
             fmt::format("{}{}: {}", printable(decision.path), changes(target, as_received),
                         rule_and_owner(table, *objection.owner)));
    add_line(text, "another",
             fmt::format("{}   ({}): {}{}", printable(objection.path), describe(objection.reader),
                         rule_and_owner(table, *objection.route),
                         objection.guarded ? ", which may not serve a path that CPA guards" : ""));
  } else {
    add_line(text, "refused", fmt::format("400 bad_request: {}", describe(decision.refusal)));
  }
  return text;
}

}  // namespace portico::routing
