#include "routing/path_trie.hpp"

#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using portico::routing::PathTrie;

TEST_CASE("an exact rule beats a prefix rule, and a longer prefix a shorter one", "[trie]") {
  PathTrie trie;
  trie.add_prefix("/", 0);
  trie.add_prefix("/v1/", 1);
  trie.add_prefix("/v1/messages", 2);
  trie.add_exact("/v1/messages", 3);
  trie.add_exact("/v1", 4);
  CHECK(trie.find("/") == 0);
  CHECK(trie.find("/v") == 0);
  CHECK(trie.find("/v1") == 4);
  CHECK(trie.find("/v1/") == 1);
  CHECK(trie.find("/v1/message") == 1);
  CHECK(trie.find("/v1/messages") == 3);
  CHECK(trie.find("/v1/messages/batches") == 2);
  CHECK(trie.find("/v1/messagesx") == 2);
  CHECK(trie.find("/V1/") == 0);
}

TEST_CASE("a path that no rule fits has none", "[trie]") {
  PathTrie trie;
  CHECK(trie.find("") == PathTrie::kNone);
  CHECK(trie.find("/x") == PathTrie::kNone);
  trie.add_prefix("/v1/", 7);
  CHECK(trie.find("/") == PathTrie::kNone);
  CHECK(trie.find("/v1") == PathTrie::kNone);
  CHECK(trie.find("/v1/") == 7);
}

TEST_CASE("the first of two rules for one path wins", "[trie]") {
  PathTrie trie;
  trie.add_prefix("/a", 1);
  trie.add_prefix("/a", 2);
  trie.add_exact("/a", 3);
  trie.add_exact("/a", 4);
  CHECK(trie.find("/a") == 3);
  CHECK(trie.find("/ab") == 1);
}

TEST_CASE("a trie finds what a search through all rules finds", "[trie][property]") {
  struct Rule {
    bool exact;
    std::string path;
  };
  std::mt19937 random(20240817);
  const auto word = [&random] {
    std::string text = "/";
    for (auto n = random() % 6; n > 0; --n) text.push_back("ab/\xff"[random() % 4]);
    return text;
  };
  std::size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<Rule> rules;
    PathTrie trie;
    for (auto n = random() % 20; n > 0; --n) {
      rules.push_back({random() % 2 == 0, word()});
      const auto id = static_cast<PathTrie::Rule>(rules.size() - 1);
      if (rules.back().exact)
        trie.add_exact(rules.back().path, id);
      else
        trie.add_prefix(rules.back().path, id);
    }
    for (int i = 0; i < 50; ++i) {
      const std::string path = word();
      PathTrie::Rule best = PathTrie::kNone;
      std::size_t best_rank = 0;
      for (std::size_t id = 0; id < rules.size(); ++id) {
        const Rule& rule = rules[id];
        const bool fits = rule.exact ? path == rule.path : path.starts_with(rule.path);
        const std::size_t rank = rule.exact ? 1000 : rule.path.size();
        if (!fits || rank <= best_rank) continue;
        best = static_cast<PathTrie::Rule>(id);
        best_rank = rank;
      }
      REQUIRE(trie.find(path) == best);
      if (best != PathTrie::kNone) ++found;
    }
  }
  CHECK(found > 1000);
}
