#include "proxy/h2/frame_follower.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using portico::proxy::h2::FrameFollower;

namespace {

enum Type : std::uint8_t { data = 0, headers = 1, settings = 4, continuation = 9 };
constexpr std::uint8_t end_headers = 4;

std::string frame(Type type, std::uint8_t flags, std::size_t size) {
  std::string bytes;
  bytes += static_cast<char>(size >> 16U);
  bytes += static_cast<char>(size >> 8U);
  bytes += static_cast<char>(size);
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  return bytes + std::string("\0\0\0\1", 4) + std::string(size, '\1');
}

}  // namespace

TEST_CASE("a connection is in a head until its preface is whole") {
  FrameFollower follower(3);
  REQUIRE(follower.in_head());
  follower.feed("PR");
  REQUIRE(follower.in_head());
  follower.feed("I");
  REQUIRE_FALSE(follower.in_head());
  REQUIRE(follower.heads() == 0);
}

TEST_CASE("a head lasts from its first frame to the payload of the one that ends it") {
  FrameFollower follower(0);
  const std::string first = frame(headers, 0, 5);
  const std::string last = frame(continuation, end_headers, 2);
  follower.feed(first.substr(0, 9));
  REQUIRE(follower.in_head());
  follower.feed(first.substr(9));
  REQUIRE(follower.in_head());
  follower.feed(last.substr(0, 10));
  REQUIRE(follower.in_head());
  follower.feed(last.substr(10));
  REQUIRE_FALSE(follower.in_head());
  REQUIRE(follower.heads() == 1);
}

TEST_CASE("other frames are no heads, however long they take") {
  FrameFollower follower(0);
  follower.feed(frame(settings, end_headers, 6));
  follower.feed(frame(data, 0, 70'000).substr(0, 60'000));
  REQUIRE_FALSE(follower.in_head());
  REQUIRE(follower.heads() == 0);
}

TEST_CASE("one head after another counts anew, one that goes on does not") {
  FrameFollower follower(0);
  follower.feed(frame(headers, 0, 0));
  follower.feed(frame(continuation, 0, 0));
  follower.feed(frame(continuation, 0, 4));
  REQUIRE(follower.in_head());
  REQUIRE(follower.heads() == 1);
  follower.feed(frame(continuation, end_headers, 0));
  follower.feed(frame(headers, end_headers, 0));
  REQUIRE_FALSE(follower.in_head());
  REQUIRE(follower.heads() == 2);
}

TEST_CASE("however the bytes are cut, the same is known after each of them") {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(24, 'p');
    for (std::size_t frames = random() % 6; frames > 0; --frames) {
      constexpr std::array<Type, 4> types{data, headers, settings, continuation};
      bytes += frame(types[random() % types.size()], static_cast<std::uint8_t>(random() & end_headers),
                     random() % 40);
    }
    struct Known {
      bool in_head;
      std::uint64_t heads;
      bool operator==(const Known&) const = default;
    };
    std::vector<Known> by_byte{{true, 0}};
    FrameFollower slow(24);
    for (const char byte : bytes) {
      slow.feed({&byte, 1});
      by_byte.push_back({slow.in_head(), slow.heads()});
    }
    FrameFollower quick(24);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 50 + 1, bytes.size() - at);
      quick.feed(std::string_view(bytes).substr(at, size));
      at += size;
      REQUIRE(Known{quick.in_head(), quick.heads()} == by_byte[at]);
    }
  }
}
