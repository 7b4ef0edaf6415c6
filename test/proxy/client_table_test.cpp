#include "proxy/client_table.hpp"

#include <atomic>
#include <set>

#include <catch2/catch.hpp>

using portico::conf::IpAddress;
using portico::proxy::ClientNetwork;
using portico::proxy::ClientTable;

namespace {

ClientNetwork client(std::string_view address) { return ClientNetwork(IpAddress::parse(address).value()); }

}  // namespace

TEST_CASE("an IPv4 address is one client, an IPv6 /64 is another, and nobody is neither") {
  CHECK(client("192.0.2.1") == client("::ffff:192.0.2.1"));
  CHECK_FALSE(client("192.0.2.1") == client("192.0.2.2"));
  CHECK(client("2001:db8:0:1::1") == client("2001:db8:0:1:ffff:ffff:ffff:ffff"));
  CHECK_FALSE(client("2001:db8:0:1::1") == client("2001:db8:0:2::1"));
  CHECK_FALSE(client("::1") == client("0.0.0.1"));
  for (const char* address : {"0.0.0.0", "::1", "127.0.0.1", "255.255.255.255", "fe80::1", "2001:db8::1"})
    CHECK_FALSE(client(address).is_nobody());
  CHECK(ClientNetwork().is_nobody());
}

TEST_CASE("a client is named as an operator would write it") {
  CHECK(client("192.0.2.1").text() == "192.0.2.1");
  CHECK(client("0.0.0.0").text() == "0.0.0.0");
  CHECK(client("2001:db8:1:2:3:4:5:6").text() == "2001:db8:1:2::/64");
  CHECK(client("::1").text() == "::/64");
  const ClientNetwork one = client("2001:db8::1");
  CHECK(ClientNetwork::from_word(one.word()) == one);
}

TEST_CASE("whoever does not know the secret does not know which clients share a window") {
  // 64 neighbours do not fall into the same windows under another secret, and not all into one.
  ClientTable<std::atomic<int>, 1024> first(1);
  ClientTable<std::atomic<int>, 1024> second(2);
  std::set<std::uint32_t> places;
  int same = 0;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const ClientNetwork neighbour(IpAddress::v4(0xc0000200 + i));
    const std::uint32_t place = first.index(first.hash(neighbour), 0);
    places.insert(place);
    if (place == second.index(second.hash(neighbour), 0)) ++same;
  }
  CHECK(places.size() > 50);
  CHECK(same < 8);
}

TEST_CASE("a window that begins at the end of the table goes on at its front") {
  using Table = ClientTable<std::atomic<int>, 64>;
  CHECK(Table::index(63, 0) == 63);
  CHECK(Table::index(63, 1) == 0);
  CHECK(Table::index(UINT64_MAX, Table::window - 1) == Table::window - 2);
}
