#include "routing/path_trie.hpp"

namespace portico::routing {

void PathTrie::add_exact(std::string_view path, Rule rule) {
  Node& node = nodes_[node_of(path)];
  if (node.exact == kNone) node.exact = rule;
}

void PathTrie::add_prefix(std::string_view path, Rule rule) {
  Node& node = nodes_[node_of(path)];
  if (node.prefix == kNone) node.prefix = rule;
}

std::uint32_t PathTrie::node_of(std::string_view path) {
  std::uint32_t node = 0;
  for (const char byte : path) {
    std::uint32_t child = nodes_[node].first_child;
    std::uint32_t last = 0;
    while (child != 0 && nodes_[child].byte != byte) {
      last = child;
      child = nodes_[child].next_sibling;
    }
    if (child == 0) {
      child = static_cast<std::uint32_t>(nodes_.size());
      (last == 0 ? nodes_[node].first_child : nodes_[last].next_sibling) = child;
      nodes_.push_back({.byte = byte});
    }
    node = child;
  }
  return node;
}

}  // namespace portico::routing
