#include "proxy/listener_set.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>

#include "test/support/address.hpp"

using namespace portico;
using namespace portico::proxy;
using portico::test::TemporaryFolder;

namespace {

conf::ListenAddress at(const std::string& text) { return *conf::ListenAddress::parse(text); }

struct Fixture {
  conf::Settings settings;
  telemetry::Registry registry{2};
  ListenerSet set{registry};

  Fixture() { settings.listen = {at("127.0.0.1:0")}; }
  /// Puts the settings in force; returns what was opened and closed.
  ListenerSet::Change apply() {
    ListenerSet::Change change = set.prepare(settings);
    set.commit(change);
    return change;
  }
  [[nodiscard]] std::vector<ListenerKind> kinds() const {
    std::vector<ListenerKind> all;
    for (const auto& listener : set.open()) all.push_back(listener.kind);
    return all;
  }
};

}  // namespace

TEST_CASE("each address is opened for every worker with what it speaks") {
  Fixture f;
  f.settings.tls.listen = {at("127.0.0.1:0"), at("[::1]:0")};
  f.settings.tls.redirect_listen = {at("127.0.0.1:0")};
  const ListenerSet::Change change = f.apply();
  REQUIRE(change.opened.size() == 2);
  for (const auto& sockets : change.opened) {
    REQUIRE(sockets.size() == 4);
    CHECK(sockets[0].kind == ListenerKind::plain);
    CHECK(sockets[1].kind == ListenerKind::tls);
    CHECK(sockets[2].kind == ListenerKind::tls);
    CHECK(sockets[3].kind == ListenerKind::redirect);
  }
  CHECK(speaks_tls(f.set.open()));
  CHECK(f.set.announcement() ==
        fmt::format("listening on http://{}\nlistening on https://{}\nlistening on https://{}\n"
                    "redirecting http://{} to https\n",
                    f.set.open()[0].bound.text(), f.set.open()[1].bound.text(), f.set.open()[2].bound.text(),
                    f.set.open()[3].bound.text()));
}

TEST_CASE("a redirect names the port of the first TLS listener that has one, or 443") {
  TemporaryFolder folder;
  Fixture f;
  f.apply();
  CHECK(redirect_port(f.set.open()) == 443);
  f.settings.tls.listen = {at("unix:" + folder.file("tls.sock"))};
  f.apply();
  CHECK(redirect_port(f.set.open()) == 443);
  f.settings.tls.listen.push_back(at("127.0.0.1:0"));
  f.apply();
  CHECK(redirect_port(f.set.open()) == f.set.open().back().bound.port);
  CHECK(redirect_port(f.set.open()) != 0);
}

TEST_CASE("a reload opens what is new, closes what is gone and leaves the rest alone") {
  Fixture f;
  f.settings.tls.listen = {at("127.0.0.1:0")};
  f.apply();
  const auto plain = f.set.open()[0].label;
  const auto tls = f.set.open()[1].label;
  f.settings.listen.clear();
  f.settings.tls.redirect_listen = {at("127.0.0.1:0")};
  const ListenerSet::Change change = f.apply();
  CHECK(change.closed == std::vector{plain});
  CHECK(change.opened[0].size() == 1);
  CHECK(f.kinds() == std::vector{ListenerKind::tls, ListenerKind::redirect});
  CHECK(f.set.open()[0].label == tls);
  CHECK(f.apply().opened[0].empty());
}

TEST_CASE("an address that speaks something else from now on is opened anew") {
  Fixture f;
  f.apply();
  const conf::ListenAddress address = f.set.open()[0].bound;
  const auto label = f.set.open()[0].label;
  f.settings.listen.clear();
  f.settings.tls.listen = {address};
  const ListenerSet::Change change = f.apply();
  CHECK(change.closed == std::vector{label});
  REQUIRE(change.opened[0].size() == 1);
  CHECK(change.opened[0][0].kind == ListenerKind::tls);
  CHECK(f.kinds() == std::vector{ListenerKind::tls});
}

TEST_CASE("when an address cannot be opened nothing changes") {
  Fixture f;
  f.apply();
  f.settings.tls.listen = {at("127.0.0.1:0"), at("192.0.2.1:1")};
  CHECK_THROWS_WITH(f.set.prepare(f.settings), Catch::Contains("192.0.2.1:1"));
  CHECK(f.kinds() == std::vector{ListenerKind::plain});
}

TEST_CASE("the file of a unix socket goes with its listener") {
  TemporaryFolder folder;
  const std::string path = folder.file("tls.sock");
  Fixture f;
  f.settings.tls.listen = {at("unix:" + path)};
  f.apply();
  CHECK(std::filesystem::exists(path));
  CHECK_THAT(f.set.announcement(), Catch::Contains("listening on unix:" + path + " (TLS)\n"));
  f.settings.tls.listen.clear();
  f.apply();
  CHECK_FALSE(std::filesystem::exists(path));
  f.settings.tls.listen = {at("unix:" + path)};
  f.apply();
  f.set.remove_files();
  CHECK_FALSE(std::filesystem::exists(path));
}
