#include "proxy/buffer_pool.hpp"

#include <cstring>
#include <vector>

#include <catch2/catch.hpp>

using portico::proxy::Block;
using portico::proxy::BufferPool;

TEST_CASE("the block given back last is borrowed first, while it is still in the cache") {
  BufferPool pool;
  Block a = pool.borrow();
  Block b = pool.borrow();
  const char* const last = a.data();
  b.release();
  a.release();
  REQUIRE(pool.borrow().data() == last);
}

TEST_CASE("a block has at least the size asked for, in one of the pool's sizes where one fits") {
  BufferPool pool;
  REQUIRE(pool.borrow(1).size() == BufferPool::small_size);
  REQUIRE(pool.borrow(BufferPool::small_size).size() == BufferPool::small_size);
  REQUIRE(pool.borrow(BufferPool::small_size + 1).size() == BufferPool::large_size);
  REQUIRE(pool.borrow(BufferPool::large_size + 1).size() == BufferPool::large_size + 1);
}

TEST_CASE("two borrowed blocks never overlap and every byte of them can be written") {
  BufferPool pool;
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < 600; ++i) {
    blocks.push_back(pool.borrow(i % 3 == 0 ? BufferPool::large_size : BufferPool::small_size));
    std::memset(blocks.back().data(), static_cast<int>(i % 251), blocks.back().size());
  }
  REQUIRE(pool.borrowed() == 600);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto expected = static_cast<char>(i % 251);
    REQUIRE(blocks[i].data()[0] == expected);
    REQUIRE(blocks[i].data()[blocks[i].size() - 1] == expected);
  }
  blocks.clear();
  REQUIRE(pool.borrowed() == 0);
}

TEST_CASE("a moved block is given back once") {
  BufferPool pool;
  Block a = pool.borrow();
  Block b = std::move(a);
  REQUIRE_FALSE(a);  // NOLINT(bugprone-use-after-move): that is the rule
  a = std::move(b);
  REQUIRE(a);
  a.release();
  a.release();
  REQUIRE(pool.borrowed() == 0);
}
