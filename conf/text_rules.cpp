#include "conf/text_rules.hpp"

#include <algorithm>

#include "conf/address.hpp"

namespace portico::conf {
namespace {

bool alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool visible(char c) { return c > 0x20 && c < 0x7f; }
bool token_char(char c) {
  return alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string_view token_objection(std::string_view text) noexcept {
  if (std::all_of(text.begin(), text.end(), token_char)) return {};
  return "must be a token: letters, digits and !#$%&'*+-.^_`|~";
}

std::string_view field_value_objection(std::string_view text) noexcept {
  if (!text.empty() && visible(text.front()) && visible(text.back()) &&
      std::all_of(text.begin(), text.end(), [](char c) { return visible(c) || c == ' '; }))
    return {};
  return "must be visible ASCII, without control bytes";
}

std::string_view location_objection(std::string_view text) noexcept {
  if (!text.empty() && std::all_of(text.begin(), text.end(), visible)) return {};
  return "must be a path or URL of visible ASCII, without spaces or control bytes";
}

std::string_view secret_objection(std::string_view text) noexcept {
  if (std::all_of(text.begin(), text.end(), visible)) return {};
  return "must be visible ASCII without spaces";
}

std::string_view route_path_objection(std::string_view text) noexcept {
  if (!text.starts_with('/')) return "must begin with \"/\"";
  if (std::any_of(text.begin(), text.end(), control)) return "must not contain control bytes";
  if (text.find('%') != std::string_view::npos)
    return "must not contain \"%\": rules are matched against the decoded path";
  if (text.find('?') != std::string_view::npos) return "must not contain \"?\": the query plays no part";
  if (text.find('#') != std::string_view::npos) return "must not contain \"#\": a fragment is never sent";
  if (text.find('\\') != std::string_view::npos) return "must not contain a backslash";
  if (text.find("//") != std::string_view::npos) return "must not contain \"//\": slashes are merged before";
  for (std::string_view rest = text.substr(1);;) {
    const auto slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment == "." || segment == "..") return "must not contain dot segments: they are removed before";
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

std::string_view name_objection(std::string_view text) noexcept {
  if (!text.empty() &&
      std::all_of(text.begin(), text.end(), [](char c) { return alphanumeric(c) || c == '-' || c == '_'; }))
    return {};
  return R"(must consist of letters, digits, "-" and "_")";
}

std::string_view file_objection(std::string_view text) noexcept {
  if (std::none_of(text.begin(), text.end(), control)) return {};
  return "must not contain control bytes";
}

std::string_view needed_file_objection(std::string_view text) noexcept {
  if (text.empty()) return "must name a file";
  return file_objection(text);
}

std::string_view absolute_path_objection(std::string_view text) noexcept {
  if (!text.empty() && text.front() != '/') return "must be an absolute path, beginning with \"/\"";
  return file_objection(text);
}

std::string_view host_name_objection(std::string_view text) noexcept {
  if (text.empty() || (is_host_name(text) && text.back() != '.')) return {};
  return "must be a host name such as \"cpa.example\", without port or dot at the end";
}

std::string_view no_objection(std::string_view) noexcept { return {}; }

}  // namespace portico::conf
