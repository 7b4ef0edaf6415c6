#pragma once
// Which rule fits a path: a trie over the bytes of all rules' paths, so that one walk finds the exact rule or
// else the longest prefix, whatever the number of rules.
//
// owns:    its nodes
// threads: immutable after the last add(); find() may be called from any thread

#include <cstdint>
#include <string_view>
#include <vector>

namespace portico::routing {

class PathTrie {
 public:
  using Rule = std::uint16_t;
  /// No rule fits; no rule may have this number.
  static constexpr Rule kNone = 0xffff;

  /// A rule that fits this path alone. The first of two for the same path wins.
  void add_exact(std::string_view path, Rule rule);
  /// A rule that fits every path which begins so. The first of two for the same path wins.
  void add_prefix(std::string_view path, Rule rule);

  /// An exact rule beats a prefix rule, a longer prefix a shorter one. Does not allocate.
  [[nodiscard]] Rule find(std::string_view path) const noexcept {
    Rule longest = nodes_.front().prefix;
    std::uint32_t node = 0;
    for (const char byte : path) {
      node = nodes_[node].first_child;
      while (node != 0 && nodes_[node].byte != byte) node = nodes_[node].next_sibling;
      if (node == 0) return longest;
      if (nodes_[node].prefix != kNone) longest = nodes_[node].prefix;
    }
    return nodes_[node].exact != kNone ? nodes_[node].exact : longest;
  }

 private:
  // 0, the root, is nobody's child or sibling and stands for none.
  struct Node {
    std::uint32_t first_child = 0;
    std::uint32_t next_sibling = 0;
    Rule exact = kNone;
    Rule prefix = kNone;
    char byte = 0;
  };

  std::uint32_t node_of(std::string_view path);

  std::vector<Node> nodes_{Node{}};
};

}  // namespace portico::routing
