#pragma once
// The members of a JSON document that somebody wants, as a tree made when Portico is compiled.
//
// owns:    constants
// threads: any; immutable
// A path is written as `choices[].delta.content`: names of members joined by dots, `[]` for every element of
// an array. What is on no path is skipped by the scanner without a look.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace portico::telemetry {

/// What the scanner shall tell of a value; or-ed together.
enum Want : std::uint8_t {
  want_text = 1,    ///< a string, decoded
  want_scalar = 2,  ///< a number, true, false or null, as it stands there
  want_filled = 4,  ///< that a string is not empty; its content is skipped
  want_start = 8,   ///< that a value begins, whatever it is
  want_end = 16,    ///< that an object was complete
  want_raw = 32,    ///< an object's bytes, as they stand there
};

/// A path and the handler's own number for what is found there.
struct JsonPath {
  std::string_view path;
  std::uint8_t field = 0;
  unsigned wants = 0;
};

struct JsonNode {
  std::string_view key;
  std::uint64_t front = 0;    ///< the key's first eight bytes, the lowest first, zeros behind a shorter one
  std::uint32_t lengths = 0;  ///< a bit for the length of each member's name
  std::uint64_t multiplier = 1;  ///< spreads the members' names over `slots` without a collision
  std::array<std::uint8_t, 32> slots{};
  bool has_members = false;
  std::uint8_t parent = 0;
  std::uint8_t element = 0;  ///< what each element of an array is
  std::uint8_t field = 0;
  std::uint8_t wants = 0;
};

/// Node 0 is what nobody wants, node 1 the document.
struct JsonTrie {
  static constexpr std::size_t max_nodes = 64;
  static constexpr std::uint8_t root = 1;
  static constexpr std::size_t max_key = 31;
  std::array<JsonNode, max_nodes> nodes{};
  std::uint8_t size = 2;

  /// The member of `node` with this name, 0 where nobody wants it. Bytes up to `end` may be read.
  [[nodiscard]] std::uint8_t member(std::uint8_t node, std::string_view key, const char* end) const noexcept {
    const JsonNode& parent = nodes[node];
    if (key.size() > max_key || (parent.lengths >> key.size() & 1U) == 0) return 0;
    const std::uint64_t front = front_of(key, end);
    const std::uint8_t child = parent.slots[slot_of(front, key.size(), parent.multiplier)];
    const JsonNode& candidate = nodes[child];
    if (candidate.front != front || candidate.key.size() != key.size()) return 0;
    if (key.size() <= 8 || std::memcmp(candidate.key.data() + 8, key.data() + 8, key.size() - 8) == 0)
      return child;
    return 0;
  }
  static constexpr std::size_t slot_of(std::uint64_t front, std::size_t size,
                                       std::uint64_t multiplier) noexcept {
    return (front + size) * multiplier >> 59U;
  }

 private:
  static std::uint64_t front_of(std::string_view key, const char* end) noexcept {
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t front = 0;
    if (key.size() >= 8 || end - key.data() >= 8) {
      std::memcpy(&front, key.data(), sizeof front);
      if (key.size() < 8) front &= (std::uint64_t{1} << 8 * key.size()) - 1;
    } else {
      std::memcpy(&front, key.data(), key.size());
    }
    return front;
  }
};

namespace detail {

constexpr std::uint8_t child_named(JsonTrie& trie, std::uint8_t parent, std::string_view name) {
  for (std::uint8_t child = 2; child < trie.size; ++child)
    if (trie.nodes[child].parent == parent && trie.nodes[child].key == name) return child;
  const std::uint8_t made = trie.size++;
  trie.nodes[made].key = name;
  trie.nodes[made].parent = parent;
  for (std::size_t i = 0; i < name.size() && i < 8; ++i)
    trie.nodes[made].front |= static_cast<std::uint64_t>(static_cast<unsigned char>(name[i])) << 8 * i;
  trie.nodes[parent].lengths |= std::uint32_t{1} << name.size();
  trie.nodes[parent].has_members = true;
  return made;
}

/// True when the members of `parent` lie in different slots.
constexpr bool fill_slots(JsonTrie& trie, std::uint8_t parent) {
  JsonNode& node = trie.nodes[parent];
  node.slots = {};
  for (std::uint8_t child = 2; child < trie.size; ++child) {
    const JsonNode& member = trie.nodes[child];
    if (member.parent != parent || member.key.empty()) continue;
    std::uint8_t& slot = node.slots[JsonTrie::slot_of(member.front, member.key.size(), node.multiplier)];
    if (slot != 0) return false;
    slot = child;
  }
  return true;
}

constexpr std::uint8_t element_of(JsonTrie& trie, std::uint8_t parent) {
  if (trie.nodes[parent].element == 0) trie.nodes[parent].element = trie.size++;
  return trie.nodes[parent].element;
}

}  // namespace detail

/// Builds the tree. The empty path is the document itself; where the document is an array, each of its
/// elements is taken for a document.
template <std::size_t Count>
consteval JsonTrie make_trie(const std::array<JsonPath, Count>& paths) {
  JsonTrie trie;
  trie.nodes[JsonTrie::root].element = JsonTrie::root;
  for (const JsonPath& entry : paths) {
    std::uint8_t node = JsonTrie::root;
    std::string_view rest = entry.path;
    while (!rest.empty()) {
      if (rest.starts_with("[]")) {
        node = detail::element_of(trie, node);
        rest.remove_prefix(2);
      } else {
        if (rest.front() == '.') rest.remove_prefix(1);
        const std::size_t end = rest.find_first_of(".[");
        node = detail::child_named(trie, node, rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
      }
    }
    trie.nodes[node].field = entry.field;
    trie.nodes[node].wants = static_cast<std::uint8_t>(trie.nodes[node].wants | entry.wants);
  }
  for (std::uint8_t node = JsonTrie::root; node < trie.size; ++node) {
    // Any odd numbers do; a few of them are enough to find one without a collision.
    trie.nodes[node].multiplier = 0x9E3779B97F4A7C15;
    while (!detail::fill_slots(trie, node)) trie.nodes[node].multiplier *= 0xD1342543DE82EF95;
  }
  return trie;
}

}  // namespace portico::telemetry
