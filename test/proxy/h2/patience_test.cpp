#include "proxy/h2/patience.hpp"

#include <array>
#include <utility>

#include <catch2/catch.hpp>

using namespace portico::proxy::h2;

namespace {

constexpr std::uint64_t second = 1'000'000'000;
// Long after the clock began.
constexpr std::uint64_t beginning = 100'000 * second;

/// How often `kind` may happen at one moment.
std::size_t allowed(Patience& patience, Nuisance kind, std::uint64_t now) {
  std::size_t count = 0;
  while (count < 100'000 && patience.allows(kind, now)) ++count;
  return count;
}

}  // namespace

TEST_CASE("a client may be a nuisance some hundred times at once, and then no more") {
  constexpr std::array<std::pair<Nuisance, std::size_t>, nuisance_count> bursts{{{Nuisance::reset, 500},
                                                                                 {Nuisance::ping, 100},
                                                                                 {Nuisance::settings, 50},
                                                                                 {Nuisance::empty, 100},
                                                                                 {Nuisance::priority, 1'000},
                                                                                 {Nuisance::window, 20'000},
                                                                                 {Nuisance::invalid, 100}}};
  for (const auto& [kind, burst] : bursts) {
    CAPTURE(static_cast<int>(kind));
    Patience patience;
    const std::size_t count = allowed(patience, kind, beginning);
    REQUIRE(count >= burst);
    REQUIRE(count <= burst + 1);
    REQUIRE_FALSE(patience.allows(kind, beginning));
  }
}

TEST_CASE("each kind has an allowance of its own") {
  Patience patience;
  allowed(patience, Nuisance::ping, beginning);
  REQUIRE(patience.allows(Nuisance::reset, beginning));
  REQUIRE_FALSE(patience.allows(Nuisance::ping, beginning));
}

TEST_CASE("an allowance fills again with time, and never above its burst") {
  Patience patience;
  const std::size_t at_once = allowed(patience, Nuisance::ping, beginning);
  // Ten a second.
  const std::size_t after_two_seconds = allowed(patience, Nuisance::ping, beginning + 2 * second);
  REQUIRE(after_two_seconds >= 18);
  REQUIRE(after_two_seconds <= 21);
  REQUIRE(allowed(patience, Nuisance::ping, beginning + 3'600 * second) == at_once);
}

TEST_CASE("a client that keeps below the rate is never refused") {
  // Also where the clock has only just begun.
  for (const std::uint64_t begun : {beginning, std::uint64_t{0}}) {
    Patience patience;
    for (std::uint64_t i = 0; i < 10'000; ++i)
      REQUIRE(patience.allows(Nuisance::reset, begun + i * second / 50));
  }
}

TEST_CASE("over an hour a flood gets no more than its burst and its rate") {
  Patience patience;
  std::size_t count = 0;
  for (std::uint64_t step = 0; step < 360'000; ++step)
    if (patience.allows(Nuisance::settings, beginning + step * second / 100)) ++count;
  REQUIRE(count <= 50 + 5 * 3'600 + 1);
}
