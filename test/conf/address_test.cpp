#include "conf/address.hpp"

#include <catch2/catch.hpp>

using namespace portico::conf;
using namespace std::string_view_literals;

namespace {
IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Network network(std::string_view text) { return Network::parse(text).value(); }
}  // namespace

TEST_CASE("an address is read in its plain form only") {
  CHECK(ip("127.0.0.1") == IpAddress::v4(0x7f000001));
  CHECK(ip("::ffff:10.1.2.3") == ip("10.1.2.3"));
  CHECK(ip("2001:db8::1").text() == "2001:db8::1");
  CHECK(ip("::ffff:10.1.2.3").text() == "10.1.2.3");
  CHECK_FALSE(IpAddress::parse(std::string(100, '1')));
  CHECK(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").text().size() == 39);
  for (const std::string_view text :
       {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "256.1.1.1"sv, "1.2.3.4:80"sv, "[::1]"sv, "::1%lo"sv, " 1.2.3.4"sv,
        "1.2.3.4 "sv, "01.2.3.4"sv, "1.2.3.4\0x"sv, "localhost"sv}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("loopback is 127.0.0.0/8 and ::1, mapped or not") {
  CHECK(ip("127.0.0.1").is_loopback());
  CHECK(ip("127.255.0.9").is_loopback());
  CHECK(ip("::ffff:127.0.0.1").is_loopback());
  CHECK(ip("::1").is_loopback());
  CHECK_FALSE(ip("::").is_loopback());
  CHECK_FALSE(ip("0.0.0.0").is_loopback());
  CHECK_FALSE(ip("128.0.0.1").is_loopback());
  CHECK_FALSE(ip("fe80::1").is_loopback());
  CHECK(ip("::ffff:1.2.3.4").is_v4());
  CHECK_FALSE(ip("::1.2.3.4").is_v4());
}

TEST_CASE("a network holds exactly the addresses of its prefix") {
  CHECK(network("10.0.0.0/8").contains(ip("10.255.1.2")));
  CHECK_FALSE(network("10.0.0.0/8").contains(ip("11.0.0.0")));
  CHECK(network("10.0.0.128/25").contains(ip("10.0.0.200")));
  CHECK_FALSE(network("10.0.0.128/25").contains(ip("10.0.0.127")));
  CHECK(network("10.0.0.0/8").contains(ip("::ffff:10.0.0.1")));
  CHECK(network("192.0.2.7").contains(ip("192.0.2.7")));
  CHECK_FALSE(network("192.0.2.7").contains(ip("192.0.2.6")));
  CHECK(network("fd00::/8").contains(ip("fdff::1")));
  CHECK_FALSE(network("fd00::/8").contains(ip("fe00::1")));
  CHECK(network("0.0.0.0/0").contains(ip("8.8.8.8")));
  CHECK_FALSE(network("0.0.0.0/0").contains(ip("2001:db8::1")));
  CHECK(network("::ffff:10.0.0.0/104") == network("10.0.0.0/8"));
}

TEST_CASE("an IPv6 network never covers IPv4 addresses by way of the mapped range") {
  CHECK(network("::/0").contains(ip("2001:db8::1")));
  CHECK_FALSE(network("::/0").contains(ip("8.8.8.8")));
}

TEST_CASE("a network with bits after its prefix, a bad prefix or a bad base is refused") {
  for (const auto* text : {"10.1.0.0/8", "fd00::1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08",
                           "10.0.0.0/+8", "10.0.0.0/-1", "/8", "", "unix", "unix:/path", "10.0.0.0/8/8"}) {
    CAPTURE(text);
    CHECK_FALSE(Network::parse(text));
  }
}

TEST_CASE("the word unix: stands for peers without an address and holds none") {
  CHECK(network("unix:").is_unix());
  CHECK_FALSE(network("unix:").contains(IpAddress{}));
  CHECK_FALSE(network("10.0.0.0/8").is_unix());
}

TEST_CASE("a network's text reads back as the same network") {
  for (const auto* text :
       {"10.0.0.0/8", "fd00::/8", "192.0.2.7", "2001:db8::1", "unix:", "0.0.0.0/0", "::/0"}) {
    CHECK(network(text).text() == text);
    CHECK(network(network(text).text()) == network(text));
  }
}

TEST_CASE("a listening address is host:port, [v6]:port, :port or unix:/path") {
  const auto v4 = ListenAddress::parse("0.0.0.0:8080").value();
  CHECK(v4.ip == ip("0.0.0.0"));
  CHECK(v4.port == 8080);
  CHECK_FALSE(v4.any);
  CHECK_FALSE(v4.is_loopback());
  CHECK(ListenAddress::parse("[::1]:0").value().is_loopback());
  CHECK(ListenAddress::parse("localhost:80").value() == ListenAddress::parse("127.0.0.1:80").value());
  const auto any = ListenAddress::parse(":8080").value();
  CHECK(any.any);
  CHECK_FALSE(any.is_loopback());
  const auto local = ListenAddress::parse("unix:/run/portico.sock").value();
  CHECK(local.is_unix);
  CHECK(local.path == "/run/portico.sock");
  CHECK(local.is_loopback());
  for (const auto* text : {"0.0.0.0:8080", "[::1]:443", ":80", "unix:/run/p.sock"})
    CHECK(ListenAddress::parse(text).value().text() == text);
}

TEST_CASE("anything else is no listening address") {
  for (const std::string_view text : {""sv,
                                      "8080"sv,
                                      "127.0.0.1"sv,
                                      "127.0.0.1:"sv,
                                      "127.0.0.1:65536"sv,
                                      "127.0.0.1:080"sv,
                                      "127.0.0.1:+80"sv,
                                      "127.0.0.1:8 0"sv,
                                      "::1:80"sv,
                                      "[::1]80"sv,
                                      "[::1]"sv,
                                      "[::1"sv,
                                      "[]:80"sv,
                                      "[127.0.0.1]:80"sv,
                                      "example.com:80"sv,
                                      "*:80"sv,
                                      "unix:"sv,
                                      "unix:/"sv,
                                      "unix:relative"sv,
                                      "unix:/a\nb"sv,
                                      "http://127.0.0.1:80"sv}) {
    CAPTURE(text);
    CHECK_FALSE(ListenAddress::parse(text));
  }
  CHECK(ListenAddress::parse("unix:/" + std::string(106, 'a')));
  CHECK_FALSE(ListenAddress::parse("unix:/" + std::string(107, 'a')));
}

TEST_CASE("a URL names scheme, host and port, with the scheme's default port") {
  const auto plain = Url::parse("http://cpa.internal").value();
  CHECK(plain.scheme == Url::Scheme::http);
  CHECK(plain.host == "cpa.internal");
  CHECK(plain.port == 80);
  CHECK(plain.authority() == "cpa.internal");
  const auto secure = Url::parse("HTTPS://cpa/").value();
  CHECK(secure.scheme == Url::Scheme::https);
  CHECK(secure.port == 443);
  CHECK(secure.text() == "https://cpa");
  CHECK(Url::parse("https://cpa:80").value().authority() == "cpa:80");
  const auto v6 = Url::parse("http://[2001:db8::1]:8317").value();
  CHECK(v6.host == "2001:db8::1");
  CHECK(v6.authority() == "[2001:db8::1]:8317");
  const auto local = Url::parse("unix:/run/cpa.sock").value();
  CHECK(local.scheme == Url::Scheme::unix_socket);
  CHECK(local.authority() == "localhost");
  for (const auto* text :
       {"http://127.0.0.1:8317", "https://a_b.c-d", "http://[::1]", "unix:/x", "http://a."})
    CHECK(Url::parse(text).value().text() == text);
}

TEST_CASE("a URL with path, query, user or an odd host is refused") {
  for (const std::string_view text : {""sv,
                                      "cpa"sv,
                                      "http://"sv,
                                      "http:///"sv,
                                      "http://cpa//"sv,
                                      "http://cpa/v1"sv,
                                      "http://cpa?x"sv,
                                      "http://cpa#x"sv,
                                      "http://user@cpa"sv,
                                      "http://user:pw@cpa"sv,
                                      "http://cpa:"sv,
                                      "http://cpa:0"sv,
                                      "http://cpa:65536"sv,
                                      "http://cpa:8o"sv,
                                      "http://-cpa"sv,
                                      "http://cpa-"sv,
                                      "http://a..b"sv,
                                      "http://.a"sv,
                                      "http://a b"sv,
                                      "http://a\r\nb"sv,
                                      "http://127.1"sv,
                                      "http://1"sv,
                                      "http://256.1.1.1"sv,
                                      "http://::1"sv,
                                      "http://[::1"sv,
                                      "http://[127.0.0.1]"sv,
                                      "http://[cpa]"sv,
                                      "http://[]"sv,
                                      "ftp://cpa"sv,
                                      "unix:cpa"sv,
                                      "http://a\0b"sv}) {
    CAPTURE(text);
    CHECK_FALSE(Url::parse(text));
  }
  CHECK(Url::parse("http://" + std::string(63, 'a')));
  CHECK_FALSE(Url::parse("http://" + std::string(64, 'a')));
  std::string longest = std::string(50, 'a');
  for (int i = 0; i < 4; ++i) longest += "." + std::string(50, 'a');
  CHECK_FALSE(Url::parse("http://" + longest));
}
