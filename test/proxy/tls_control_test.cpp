#include "proxy/tls_control.hpp"

#include <catch2/catch.hpp>

#include "proxy/tls/openssl.hpp"
#include "test/support/address.hpp"
#include "test/support/certificate.hpp"
#include "test/support/deadline.hpp"

using namespace portico;
using namespace portico::proxy;
using namespace portico::test;
using std::chrono::milliseconds;

namespace {

struct Fixture {
  TemporaryFolder folder;
  Authority authority;
  conf::Settings settings = conf::Settings::defaults();

  void with_certificate() {
    const CertificateFiles files = authority.issue().write(folder.path().string(), "leaf");
    settings.tls.certificates = {files.certificate};
    settings.tls.keys = {files.key};
  }
  [[nodiscard]] LoadedTls load(std::size_t workers = 2) const {
    return load_tls(settings, workers, std::make_shared<tls::TicketKeys>());
  }
};

/// Runs what is ready until the condition holds.
template <class F>
bool runs_until(boost::asio::io_context& context, F condition) {
  const auto deadline = patience();
  while (!condition() && !deadline.expired()) {
    context.restart();
    context.run_for(milliseconds(5));
  }
  return condition();
}

}  // namespace

TEST_CASE("without certificates and https:// endpoints there is nothing of TLS") {
  const LoadedTls loaded = Fixture().load();
  REQUIRE(loaded.workers.size() == 2);
  CHECK(loaded.workers[0].server == nullptr);
  CHECK(loaded.workers[0].clients == std::vector<std::shared_ptr<const tls::ClientContext>>(2));
  CHECK(loaded.certificates.empty());
  CHECK(loaded.watch.empty());
}

TEST_CASE("each worker has contexts of its own") {
  Fixture f;
  f.with_certificate();
  f.settings.upstreams[0].endpoints = {*conf::Url::parse("https://127.0.0.1:1")};
  f.settings.upstreams[0].ca_file = f.authority.write(f.folder.path().string(), "ca");
  const LoadedTls loaded = f.load();
  REQUIRE(loaded.workers[0].server != nullptr);
  CHECK(loaded.workers[0].server != loaded.workers[1].server);
  REQUIRE(loaded.workers[0].clients[0] != nullptr);
  CHECK(loaded.workers[0].clients[0] != loaded.workers[1].clients[0]);
  CHECK(loaded.workers[0].clients[1] == nullptr);
}

TEST_CASE("upstreams with the same authorities share them within a worker") {
  Fixture f;
  const std::string ca = f.authority.write(f.folder.path().string(), "ca");
  for (conf::UpstreamSettings& upstream : f.settings.upstreams) {
    upstream.endpoints = {*conf::Url::parse("https://127.0.0.1:1")};
    upstream.ca_file = ca;
  }
  const LoadedTls loaded = f.load(1);
  REQUIRE(loaded.workers[0].clients[0] != nullptr);
  CHECK(loaded.workers[0].clients[0] == loaded.workers[0].clients[1]);
}

TEST_CASE("an error of an upstream's authorities names the upstream") {
  Fixture f;
  f.settings.upstreams[0].endpoints = {*conf::Url::parse("https://127.0.0.1:1")};
  f.settings.upstreams[0].ca_file = f.folder.file("missing.pem");
  CHECK_THROWS_WITH(f.load(), Catch::StartsWith("upstreams.cpa.ca_file: " + f.folder.file("missing.pem")));
}

TEST_CASE("what is shown of a certificate are its file, names, end and type of key") {
  Fixture f;
  const Certificate leaf = f.authority.issue();
  const CertificateFiles files = leaf.write(f.folder.path().string(), "leaf");
  f.settings.tls.certificates = {files.certificate};
  f.settings.tls.keys = {files.key};
  const LoadedTls loaded = f.load();
  REQUIRE(loaded.certificates.size() == 1);
  CHECK(loaded.certificates[0].file == files.certificate);
  CHECK(loaded.certificates[0].names == std::vector<std::string>{"localhost", "127.0.0.1", "::1"});
  CHECK(loaded.certificates[0].not_after.time_since_epoch().count() == leaf.not_after());
  CHECK(loaded.certificates[0].key_type == "EC P-256");
}

TEST_CASE("a changed file is told once, and ticket keys rotate") {
  Fixture f;
  f.with_certificate();
  boost::asio::io_context context;
  int changes = 0;
  std::vector<TlsControl::TicketsPtr> rotations;
  TlsControl control(
      context, [&] { ++changes; }, [&](const TlsControl::TicketsPtr& keys) { rotations.push_back(keys); },
      {milliseconds(2), milliseconds(20)});
  const TlsControl::TicketsPtr first = control.tickets();
  control.adopt(f.load());
  REQUIRE(runs_until(context, [&] { return rotations.size() >= 2; }));
  CHECK(changes == 0);
  CHECK(rotations[0]->find(first->newest().name) != nullptr);
  CHECK(rotations[0]->newest().name != first->newest().name);
  CHECK(control.tickets() == rotations.back());

  f.with_certificate();
  REQUIRE(runs_until(context, [&] { return changes > 0; }));
  // Many more looks see nothing new.
  const std::size_t later = rotations.size() + 3;
  REQUIRE(runs_until(context, [&] { return rotations.size() >= later; }));
  CHECK(changes == 1);

  control.stop();
  context.restart();
  context.run_for(milliseconds(200));
  CHECK(context.stopped());
}

TEST_CASE("a process without files to watch is not woken") {
  boost::asio::io_context context;
  TlsControl control(
      context, [] {}, [](const TlsControl::TicketsPtr&) {}, {milliseconds(2), milliseconds(2)});
  control.adopt(Fixture().load());
  CHECK(context.run_for(milliseconds(200)) == 0);
  CHECK(context.stopped());
}
