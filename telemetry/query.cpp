#include "telemetry/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (utf8(out) != out) return std::nullopt;
  return out;
}

std::string known_names(std::span<const std::string_view> known) {
  return known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "));
}

}  // namespace

Query::Query(std::string_view target, std::span<const std::string_view> known) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty() && error_.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part.empty()) continue;
    const std::size_t equals = std::min(part.find('='), part.size());
    std::optional<std::string> name = decode(part.substr(0, equals));
    std::optional<std::string> value = decode(part.substr(std::min(equals + 1, part.size())));
    if (!name || !value) {
      error_ = "The query has an escape that is none, or bytes that are not UTF-8.";
    } else if (std::find(known.begin(), known.end(), *name) == known.end()) {
      // The name itself is not repeated: it is a stranger's text.
      error_ = fmt::format("The query has an unknown parameter; known here: {}.", known_names(known));
    } else if (std::any_of(pairs_.begin(), pairs_.end(),
                           [&](const auto& pair) { return pair.first == *name; })) {
      error_ = fmt::format("The parameter {} is given more than once.", *name);
    } else {
      pairs_.emplace_back(std::move(*name), std::move(*value));
    }
  }
}

std::optional<std::string> Query::value(std::string_view name) const {
  for (const auto& [known, value] : pairs_) {
    if (known == name && !value.empty()) return value;
  }
  return std::nullopt;
}

}  // namespace portico::telemetry
