#include "conf/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace portico::conf {
namespace {

constexpr std::size_t max_shown_key = 48;

/// `routes[3].respond.body` -> `routes[3].respond` -> `routes[3]` -> `routes` -> empty.
std::string_view parent_of(std::string_view path) {
  const auto cut = path.find_last_of(".[");
  return cut == std::string_view::npos ? std::string_view{} : path.substr(0, cut);
}

bool plain_key(std::string_view key) {
  return !key.empty() && key.size() <= max_shown_key && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

}  // namespace

std::string child_path(std::string_view path, std::string_view key) {
  if (!plain_key(key)) return fmt::format("{}[{}]", path, quote_json(key.substr(0, max_shown_key)));
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string item_path(std::string_view path, std::size_t index) { return fmt::format("{}[{}]", path, index); }

void Findings::place(const std::string& path, Origin origin) {
  // What a weaker source said about parts of this value is no longer in force.
  for (const char separator : {'.', '['}) {
    const std::string below = path + separator;
    auto it = origins_.lower_bound(below);
    while (it != origins_.end() && it->first.starts_with(below)) it = origins_.erase(it);
  }
  origins_.insert_or_assign(path, std::move(origin));
}

const Origin* Findings::origin_of(std::string_view path) const {
  for (std::string_view at = path; !at.empty(); at = parent_of(at))
    if (const auto it = origins_.find(at); it != origins_.end()) return &it->second;
  return nullptr;
}

void Findings::report(const std::string& path, std::string message) {
  const Origin* origin = origin_of(path);
  report_at(path, origin != nullptr ? *origin : Origin{.source = "defaults", .at = {0, 0}, .name = {}},
            std::move(message));
}

void Findings::report_at(const std::string& path, const Origin& origin, std::string message) {
  spoiled_.insert(path);
  add({origin.source, origin.at.line, origin.at.column, origin.name.empty() ? path : origin.name,
       std::move(message)});
}

void Findings::add(Problem problem) {
  if (problems_.size() < max_problems)
    problems_.push_back(std::move(problem));
  else
    ++dropped_;
}

bool Findings::spoiled(std::string_view path) const {
  for (std::string_view at = path; !at.empty(); at = parent_of(at))
    if (spoiled_.contains(at)) return true;
  return false;
}

bool Findings::spoiled_within(std::string_view path) const {
  const std::string items = std::string(path) + '[';
  const auto it = spoiled_.lower_bound(items);
  return spoiled(path) || (it != spoiled_.end() && it->starts_with(items));
}

std::vector<Problem> Findings::take_problems() && {
  // Only the file has lines; an operator goes through it from top to bottom.
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::tuple(a.line == 0, a.line, a.column) < std::tuple(b.line == 0, b.line, b.column);
  });
  if (dropped_ != 0)
    problems_.push_back(
        {problems_.back().source, 0, 0, {}, fmt::format("{} more problems; mend these first", dropped_)});
  return std::move(problems_);
}

}  // namespace portico::conf
