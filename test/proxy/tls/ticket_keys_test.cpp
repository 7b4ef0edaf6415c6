#include "proxy/tls/ticket_keys.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

using portico::proxy::tls::TicketKeys;

namespace {

bool same(const TicketKeys::Key& a, const TicketKeys::Key& b) {
  return a.name == b.name && a.cipher == b.cipher && a.mac == b.mac;
}

}  // namespace

TEST_CASE("each set begins with a key of its own") {
  const TicketKeys one;
  const TicketKeys two;
  CHECK(one.newest().name != two.newest().name);
  CHECK(one.newest().cipher != two.newest().cipher);
  CHECK(one.newest().mac != two.newest().mac);
  CHECK(two.find(one.newest().name) == nullptr);
}

TEST_CASE("a rotation adds a key that encrypts and drops the oldest of three") {
  const TicketKeys first;
  const auto second = first.rotated();
  const auto third = second->rotated();
  const auto fourth = third->rotated();
  CHECK_FALSE(same(second->newest(), first.newest()));
  REQUIRE(third->find(first.newest().name) != nullptr);
  CHECK(same(*third->find(first.newest().name), first.newest()));
  CHECK(third->find(third->newest().name) == &third->newest());
  CHECK(fourth->find(first.newest().name) == nullptr);
  CHECK(fourth->find(second->newest().name) != nullptr);
}

TEST_CASE("a set that is not full knows no key of an empty name") {
  const TicketKeys keys;
  CHECK(keys.find(std::array<std::uint8_t, 16>{}) == nullptr);
}
