#include "proxy/http/client_address.hpp"

#include <initializer_list>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "heads.hpp"

using namespace portico;
using namespace portico::proxy;
using namespace portico::proxy::http;
using conf::ClientAddressHeader;

namespace {

Peer peer_of(std::string_view text) { return {*conf::IpAddress::parse(text), false}; }
const Peer unix_peer{{}, true};

TrustedProxies trust(std::initializer_list<std::string_view> networks) {
  std::vector<conf::Network> parsed;
  for (const auto text : networks) parsed.push_back(*conf::Network::parse(text));
  return TrustedProxies(parsed);
}

/// What Portico makes of a connection from `peer` whose head has these lines.
ForwardedChain chain_of(const Peer& peer, const std::string& lines, const TrustedProxies& trusted,
                        ClientAddressHeader header = ClientAddressHeader::x_forwarded_for) {
  const test::Request request("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
  REQUIRE(request.error == h1::HeadError::none);
  ForwardedChain chain;
  chain.assign(peer, request.fields, header, trusted);
  CHECK(chain.chain().substr(0, chain.client().size()) == chain.client());
  CHECK(chain.address().text() == chain.client());
  return chain;
}

std::string client_of(const Peer& peer, const std::string& lines, const TrustedProxies& trusted,
                      ClientAddressHeader header = ClientAddressHeader::x_forwarded_for) {
  return std::string(chain_of(peer, lines, trusted, header).client());
}

}  // namespace

TEST_CASE("the peer is the client where there is no head yet") {
  ForwardedChain chain;
  chain.assign(peer_of("203.0.113.9"));
  CHECK(chain.client() == "203.0.113.9");
  CHECK(chain.chain() == "203.0.113.9");
  chain.assign(peer_of("2001:db8::1"));
  CHECK(chain.client() == "2001:db8::1");
  CHECK(chain.chain() == "2001:db8::1");
}

TEST_CASE("a chain that was never assigned names an address that is not local") {
  const ForwardedChain chain;
  CHECK(chain.client() == "0.0.0.0");
  CHECK(chain.chain() == "0.0.0.0");
  CHECK(chain.address().text() == "0.0.0.0");
}

TEST_CASE("a peer on a unix socket is 0.0.0.0 and never local") {
  ForwardedChain chain;
  chain.assign(unix_peer);
  CHECK(chain.client() == "0.0.0.0");
  CHECK(chain.chain() == "0.0.0.0");
  CHECK_FALSE(chain.address().is_loopback());
}

TEST_CASE("an IPv4 client on a dual-stack socket is written as plain IPv4") {
  ForwardedChain chain;
  chain.assign(peer_of("::ffff:198.51.100.7"));
  CHECK(chain.chain() == "198.51.100.7");
}

TEST_CASE("what a peer that is not trusted says about addresses is not believed") {
  for (const auto& trusted : {trust({}), trust({"10.0.0.0/8", "unix:"})}) {
    for (const auto header : {ClientAddressHeader::x_forwarded_for, ClientAddressHeader::x_real_ip}) {
      const auto lines = "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: ::1\r\nForwarded: for=127.0.0.1\r\n";
      CHECK(chain_of(peer_of("203.0.113.9"), lines, trusted, header).chain() == "203.0.113.9");
    }
  }
  CHECK(chain_of(unix_peer, "X-Forwarded-For: 127.0.0.1\r\n", trust({"127.0.0.0/8", "0.0.0.0/0"})).chain() ==
        "0.0.0.0");
}

TEST_CASE("behind a trusted proxy the first untrusted address from the right is the client") {
  const auto trusted = trust({"10.0.0.0/8", "fd00::/8"});
  const auto peer = peer_of("10.0.0.1");
  CHECK(chain_of(peer, "X-Forwarded-For: 198.51.100.7\r\n", trusted).chain() == "198.51.100.7, 10.0.0.1");
  CHECK(chain_of(peer, "X-Forwarded-For: 127.0.0.1, 198.51.100.7\r\n", trusted).chain() ==
        "198.51.100.7, 10.0.0.1");
  CHECK(chain_of(peer, "X-Forwarded-For: 127.0.0.1, 198.51.100.7, 10.0.0.3, fd00::2\r\n", trusted).chain() ==
        "198.51.100.7, 10.0.0.3, fd00::2, 10.0.0.1");
}

TEST_CASE("a trusted proxy that says nothing is itself the client") {
  CHECK(chain_of(peer_of("10.0.0.1"), "", trust({"10.0.0.0/8"})).chain() == "10.0.0.1");
  CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For:\r\n", trust({"10.0.0.0/8"})).chain() == "10.0.0.1");
  CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: , ,\r\n", trust({"10.0.0.0/8"})).chain() ==
        "10.0.0.1");
}

TEST_CASE("where every hop is trusted the left-most is the client") {
  CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", trust({"10.0.0.0/8"}))
            .chain() == "10.0.0.3, 10.0.0.2, 10.0.0.1");
}

TEST_CASE("several X-Forwarded-For lines are one list, in order") {
  const auto trusted = trust({"10.0.0.0/8"});
  CHECK(chain_of(peer_of("10.0.0.1"),
                 "X-Forwarded-For: 127.0.0.1\r\nx-forwarded-for: 198.51.100.7, 10.0.0.3\r\nAccept: x\r\n"
                 "X-FORWARDED-FOR: 10.0.0.2\r\n",
                 trusted)
            .chain() == "198.51.100.7, 10.0.0.3, 10.0.0.2, 10.0.0.1");
  CHECK(client_of(peer_of("10.0.0.1"), "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.4\r\n",
                  trusted) == "203.0.113.4");
}

TEST_CASE("empty list items are skipped") {
  CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: 127.0.0.1,, 198.51.100.7 ,\t, 10.0.0.2, ,\r\n",
                 trust({"10.0.0.0/8"}))
            .chain() == "198.51.100.7, 10.0.0.2, 10.0.0.1");
}

TEST_CASE("ports, brackets and quotes are understood and never written") {
  const auto trusted = trust({"10.0.0.0/8"});
  const std::vector<std::pair<std::string, std::string>> spellings{
      {"198.51.100.7:567", "198.51.100.7"},
      {"198.51.100.7:65535", "198.51.100.7"},
      {"\"198.51.100.7\"", "198.51.100.7"},
      {"\"198.51.100.7:1\"", "198.51.100.7"},
      {"2001:db8::7", "2001:db8::7"},
      {"2001:DB8:0:0::7", "2001:db8::7"},
      {"[2001:db8::7]", "2001:db8::7"},
      {"[2001:db8::7]:443", "2001:db8::7"},
      {"\"[2001:db8::7]:443\"", "2001:db8::7"},
      {"::ffff:198.51.100.7", "198.51.100.7"},
      {"[::ffff:198.51.100.7]:9", "198.51.100.7"},
      {"::ffff:c633:6407", "198.51.100.7"},
  };
  for (const auto& [written, plain] : spellings) {
    CAPTURE(written);
    CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: 127.0.0.1, " + written + "\r\n", trusted).chain() ==
          plain + ", 10.0.0.1");
    CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP: " + written + "\r\n", trusted,
                    ClientAddressHeader::x_real_ip) == plain);
  }
}

TEST_CASE("an item that is no address stands for a client that nobody can name, never for the proxy") {
  const auto trusted = trust({"10.0.0.0/8"});
  for (const std::string odd : {"unknown",
                                "_hidden",
                                "unix:",
                                "-",
                                "localhost",
                                "127.1",
                                "127.0.0.1.",
                                "127.0.0.01",
                                "0x7f000001",
                                "2130706433",
                                "127.0.0.256",
                                "127.0.0.1:",
                                "127.0.0.1:x",
                                "127.0.0.1:123456",
                                "127.0.0.1:-1",
                                "[::1",
                                "::1]",
                                "[::1]x",
                                "[::1]:",
                                "[127.0.0.1]",
                                "[]",
                                "[",
                                "\"",
                                "\"\"",
                                "\"127.0.0.1",
                                "127.0.0.1 ::1",
                                ":",
                                "::1%lo",
                                "fe80::1%25eth0",
                                "1:2:3",
                                "for=127.0.0.1",
                                "127.0.0.1;",
                                "\xe2\x91\xa0.0.0.1"}) {
    CAPTURE(odd);
    CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: 127.0.0.1, " + odd + "\r\n", trusted).chain() ==
          "0.0.0.0, 10.0.0.1");
    CHECK(chain_of(peer_of("10.0.0.1"), "X-Forwarded-For: 127.0.0.1, " + odd + ", 10.0.0.2\r\n", trusted)
              .chain() == "0.0.0.0, 10.0.0.2, 10.0.0.1");
    CHECK(client_of(peer_of("10.0.0.1"), "X-Forwarded-For: " + odd + ", 198.51.100.7\r\n", trusted) ==
          "198.51.100.7");
    CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP: " + odd + "\r\n", trusted,
                    ClientAddressHeader::x_real_ip) == "0.0.0.0");
  }
}

TEST_CASE("at most 32 hops are looked at and the client then has the 16 nearest beside it") {
  const auto trusted = trust({"10.0.0.0/8"});
  std::string list = "X-Forwarded-For: 127.0.0.1";
  for (int i = 39; i >= 0; --i) list += ", 10.1.0." + std::to_string(i);
  const auto chain = chain_of(peer_of("10.0.0.1"), list + "\r\n", trusted);
  CHECK(chain.client() == "10.1.0.31");
  std::string expected = "10.1.0.31";
  for (int i = 14; i >= 0; --i) expected += ", 10.1.0." + std::to_string(i);
  CHECK(chain.chain() == expected + ", 10.0.0.1");
}

TEST_CASE("the longest addresses fit") {
  const auto trusted = trust({"2001::/16"});
  std::string list = "X-Forwarded-For: 3fff:1111:1111:1111:1111:1111:1111:1111";
  for (int i = 0; i < 20; ++i) list += ", 2001:1111:1111:1111:1111:1111:1111:1111";
  const auto chain = chain_of(peer_of("2001:2222:2222:2222:2222:2222:2222:2222"), list + "\r\n", trusted);
  CHECK(chain.client() == "3fff:1111:1111:1111:1111:1111:1111:1111");
  CHECK(chain.chain().size() == 17 * 39 + 16 * 2);
  CHECK(chain.chain().substr(chain.chain().size() - 39) == "2001:2222:2222:2222:2222:2222:2222:2222");
}

TEST_CASE("a trusted unix peer names the client and adds no address of its own") {
  const auto trusted = trust({"unix:", "10.0.0.0/8"});
  CHECK(chain_of(unix_peer, "X-Forwarded-For: 127.0.0.1, 198.51.100.7\r\n", trusted).chain() ==
        "198.51.100.7");
  CHECK(chain_of(unix_peer, "X-Forwarded-For: 198.51.100.7, 10.0.0.2\r\n", trusted).chain() ==
        "198.51.100.7, 10.0.0.2");
  CHECK(chain_of(unix_peer, "", trusted).chain() == "0.0.0.0");
  CHECK(chain_of(unix_peer, "X-Forwarded-For: unknown\r\n", trusted).chain() == "0.0.0.0");
}

TEST_CASE("only the header that the settings name is believed of a trusted proxy") {
  const auto trusted = trust({"10.0.0.0/8"});
  const auto both = "X-Forwarded-For: 198.51.100.7\r\nX-Real-IP: 198.51.100.8\r\n";
  CHECK(chain_of(peer_of("10.0.0.1"), both, trusted).chain() == "198.51.100.7, 10.0.0.1");
  CHECK(chain_of(peer_of("10.0.0.1"), both, trusted, ClientAddressHeader::x_real_ip).chain() ==
        "198.51.100.8, 10.0.0.1");
  CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP: 127.0.0.1\r\n", trusted) == "10.0.0.1");
  CHECK(client_of(peer_of("10.0.0.1"), "X_Forwarded_For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
                  trusted) == "10.0.0.1");
}

TEST_CASE("X-Real-IP is believed only when it stands once and is one address") {
  const auto trusted = trust({"10.0.0.0/8"});
  const auto header = ClientAddressHeader::x_real_ip;
  CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP: 127.0.0.1\r\nx-real-ip: 198.51.100.8\r\n", trusted,
                  header) == "0.0.0.0");
  CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP: 127.0.0.1, 198.51.100.8\r\n", trusted, header) ==
        "0.0.0.0");
  CHECK(client_of(peer_of("10.0.0.1"), "X-Real-IP:\r\n", trusted, header) == "0.0.0.0");
  CHECK(client_of(peer_of("10.0.0.1"), "", trusted, header) == "10.0.0.1");
}

TEST_CASE("an IPv4 network trusts a mapped peer and nothing else of IPv6") {
  const auto trusted = trust({"10.0.0.0/8"});
  CHECK(trusted.trusts(*conf::IpAddress::parse("::ffff:10.9.9.9")));
  CHECK_FALSE(trusted.trusts(*conf::IpAddress::parse("::10.9.9.9")));
  CHECK_FALSE(trusted.trusts_unix());
  CHECK(trust({"unix:"}).trusts_unix());
  CHECK_FALSE(trust({"unix:"}).trusts(*conf::IpAddress::parse("127.0.0.1")));
  CHECK_FALSE(trust({"unix:"}).trusts(conf::IpAddress{}));
  CHECK(trust({}).empty());
  CHECK_FALSE(trust({"unix:"}).empty());
}
