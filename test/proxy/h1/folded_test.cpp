#include "proxy/h1/folded.hpp"

#include <string>

#include <catch2/catch.hpp>

namespace portico::proxy::h1 {
namespace {

TEST_CASE("a folded word of any length differs from every word with one other byte") {
  const std::string letters = "ab-d1fghij-lmnopqrstuv-x";
  for (std::size_t size = 1; size <= letters.size(); ++size) {
    const std::string word = letters.substr(0, size);
    const Folded folded(word);
    REQUIRE(folded.matches(word));
    CHECK_FALSE(folded.matches(word + "a"));
    CHECK_FALSE(folded.matches(word.substr(1)));
    for (std::size_t at = 0; at < size; ++at) {
      for (int value = 0; value < 256; ++value) {
        std::string other = word;
        other[at] = static_cast<char>(value);
        const bool letter = word[at] >= 'a' && word[at] <= 'z';
        const bool same = other[at] == word[at] || (letter && other[at] == word[at] - ('a' - 'A'));
        REQUIRE(folded.matches(other) == same);
      }
    }
  }
}

TEST_CASE("the empty word matches nothing but itself") {
  CHECK(Folded("").matches(""));
  CHECK_FALSE(Folded("").matches("a"));
}

}  // namespace
}  // namespace portico::proxy::h1
