#pragma once
// The members of a JSON document that somebody wants, as a tree made when Portico is compiled.
//
// owns:    constants
// threads: any; immutable
// A path is written as `choices[].delta.content`: names of members joined by dots, `[]` for every element of
// an array. What is on no path is skipped by the scanner without a look.

#include <array>
#include <cstddef>
#include <cstdint>
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
  std::uint32_t lengths = 0;  ///< a bit for the length of each member's name
  std::uint8_t first_child = 0;
  std::uint8_t next = 0;     ///< the next member of the same object
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

  /// The member of `node` with this name, 0 where nobody wants it.
  [[nodiscard]] std::uint8_t member(std::uint8_t node, std::string_view key) const noexcept {
    const JsonNode& parent = nodes[node];
    if (key.size() > max_key || (parent.lengths >> key.size() & 1U) == 0) return 0;
    for (std::uint8_t child = parent.first_child; child != 0; child = nodes[child].next)
      if (nodes[child].key == key) return child;
    return 0;
  }
};

namespace detail {

constexpr std::uint8_t child_named(JsonTrie& trie, std::uint8_t parent, std::string_view name) {
  std::uint8_t last = 0;
  for (std::uint8_t child = trie.nodes[parent].first_child; child != 0; child = trie.nodes[child].next) {
    if (trie.nodes[child].key == name) return child;
    last = child;
  }
  const std::uint8_t made = trie.size++;
  trie.nodes[made].key = name;
  trie.nodes[parent].lengths |= std::uint32_t{1} << name.size();
  (last == 0 ? trie.nodes[parent].first_child : trie.nodes[last].next) = made;
  return made;
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
  return trie;
}

}  // namespace portico::telemetry
