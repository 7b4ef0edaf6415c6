#include "telemetry/tap/merge_json.hpp"

#include <array>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {
namespace {

struct Member {
  std::string_view name;  // with its quotes
  std::string_view value;
};

/// More members than any usage object has; those beyond are left out.
constexpr std::size_t max_members = 48;

struct Members {
  std::array<Member, max_members> list;
  std::size_t size = 0;
};

constexpr bool is_space(char byte) noexcept { return static_cast<unsigned char>(byte) <= ' '; }

const char* skip_blanks(const char* at, const char* end) noexcept {
  while (at != end && (is_space(*at) || *at == ',')) ++at;
  return at;
}

/// Behind the string that begins at `at`.
const char* skip_string(const char* at, const char* end) noexcept {
  const char* const floor = at;
  for (++at; at != end;) {
    at = find_string_end(at, end, floor);
    if (at == end) return end;
    if (*at == '"') return at + 1;
    at += end - at > 1 ? 2 : 1;
  }
  return end;
}

/// Behind the value that begins at `at`.
const char* skip_value(const char* at, const char* end) noexcept {
  if (at != end && *at == '"') return skip_string(at, end);
  std::size_t open = 0;
  while (at != end) {
    if (*at == '"') {
      at = skip_string(at, end);
      continue;
    }
    if (open == 0 && (*at == ',' || *at == '}' || *at == ']' || is_space(*at))) return at;
    if (*at == '{' || *at == '[') ++open;
    if (*at == '}' || *at == ']') --open;
    ++at;
    if (open == 0 && (at[-1] == '}' || at[-1] == ']')) return at;
  }
  return end;
}

Members members_of(std::string_view object) noexcept {
  Members members;
  if (object.size() < 2 || object.front() != '{' || object.back() != '}') return members;
  const char* at = object.data() + 1;
  const char* const end = object.data() + object.size() - 1;
  while (members.size < max_members) {
    at = skip_blanks(at, end);
    if (at == end || *at != '"') break;
    const char* name = at;
    at = skip_string(at, end);
    const std::string_view name_text(name, static_cast<std::size_t>(at - name));
    while (at != end && (is_space(*at) || *at == ':')) ++at;
    const char* value = at;
    at = skip_value(at, end);
    if (at == value) break;
    members.list[members.size++] = {name_text, {value, static_cast<std::size_t>(at - value)}};
  }
  return members;
}

const Member* find(const Members& members, std::string_view name) noexcept {
  for (std::size_t i = 0; i < members.size; ++i)
    if (members.list[i].name == name) return &members.list[i];
  return nullptr;
}

}  // namespace

void merge_objects(std::string_view older, std::string_view newer, std::size_t limit, Scratch& out) noexcept {
  const Members old_members = members_of(older);
  const Members new_members = members_of(newer);
  bool first = true;
  const auto write = [&](const Member& member) {
    out.append(first ? "{" : ",", limit);
    first = false;
    out.append(member.name, limit);
    out.append(":", limit);
    out.append(member.value, limit);
  };
  for (std::size_t i = 0; i < old_members.size; ++i) {
    const Member& member = old_members.list[i];
    const Member* replacement = find(new_members, member.name);
    write(replacement != nullptr && replacement->value != "null" ? *replacement : member);
  }
  for (std::size_t i = 0; i < new_members.size; ++i) {
    const Member& member = new_members.list[i];
    if (member.value != "null" && find(old_members, member.name) == nullptr) write(member);
  }
  out.append(first ? "{}" : "}", limit);
}

}  // namespace portico::telemetry
