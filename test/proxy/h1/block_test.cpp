#include "proxy/h1/block.hpp"

#include <array>

#include <catch2/catch.hpp>

namespace portico::proxy::h1 {
namespace {

TEST_CASE("the first hit of a block is found by either way of looking, whatever follows it") {
  for (std::size_t at = 0; at <= block_size; ++at) {
    for (const bool more : {false, true}) {
      std::array<char, block_size> bytes{};
      for (std::size_t i = at; i < block_size; ++i) bytes[i] = i == at || more ? 'x' : '\0';
      const Hits hits = load_block(bytes.data()) == every('x');
      CHECK(first_hit(hits) == at);
      CHECK(detail::first_hit_in_halves(hits) == at);
    }
  }
}

}  // namespace
}  // namespace portico::proxy::h1
