// Specification section 9: drain, reload, take-over, descriptors.

#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;

namespace {

/// Begins a chunked answer with one chunk and leaves the connection to the test.
Origin::Script begins_stream() {
  return [](Connection& connection) {
    connection.read_request();
    connection.send(ok_chunked() + chunk("begin"));
    connection.keep();
  };
}

/// A client in the middle of a stream.
Client streaming(const Portico& proxy) {
  Client client = proxy.connect();
  client.send(get("/v1/stream"));
  read_response_head(client, Deadline{30s});
  if (client.read_exact(10) != chunk("begin")) throw ProtocolError("not the stream's beginning");
  return client;
}

bool refuses(const Portico& proxy) {
  return eventually([&] { return !Client::try_connect(proxy.address()); });
}

constexpr const char* slow_drain = R"({"timeouts": {"drain": "30s"}})";

}  // namespace

TEST_CASE("SIGTERM or SIGINT: connecting is refused, the running stream finishes, the exit status is 0",
          "[lifecycle]") {
  const int number = GENERATE(SIGTERM, SIGINT);
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  Client client = streaming(proxy);
  proxy.signal(number);
  CHECK(refuses(proxy));
  CHECK(proxy.process().running());
  cpa.connection(0).send(chunk("still here") + "0\r\n\r\n");
  CHECK(client.read_exact(20) == chunk("still here") + "0\r\n\r\n");
  CHECK(client.ends());
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("while draining /readyz is 503 and /healthz still 200", "[lifecycle]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  CHECK(proxy.manage("/readyz").status == 200);
  Client client = streaming(proxy);
  proxy.signal(SIGTERM);
  CHECK(eventually([&] { return proxy.manage("/readyz").status == 503; }));
  CHECK(proxy.manage("/healthz").status == 200);
  CHECK(proxy.metric("portico_draining") == 1);
  client.reset();
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("while draining an idle connection is closed and an answer says Connection: close", "[lifecycle]") {
  Baton go;
  Origin cpa([&](Connection& connection) {
    while (true) {
      if (connection.read_request(Deadline{60s}).target == "/v1/slow" && !go.wait(1)) return;
      connection.send(ok("x"));
    }
  });
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  Client idle = proxy.connect();
  CHECK(idle.exchange(get("/v1/models")).body == "x");
  Client busy = proxy.connect();
  busy.send(get("/v1/slow"));
  cpa.wait_request(1);
  proxy.signal(SIGTERM);
  CHECK(idle.ends());
  go.pass();
  const Message answer = busy.response();
  CHECK(answer.body == "x");
  CHECK(answer.one("Connection") == "close");
  CHECK(busy.ends());
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("a drain with nothing to finish ends at once", "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  Client idle = proxy.connect();
  CHECK(idle.exchange(get("/v1/models")).body == "x");
  CHECK(proxy.stop() == 0);
}

TEST_CASE("a second signal ends the drain at once", "[lifecycle]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  Client client = streaming(proxy);
  proxy.signal(SIGTERM);
  REQUIRE(refuses(proxy));
  proxy.signal(SIGTERM);
  const auto status = proxy.process().wait_exit();
  REQUIRE(status);
  CHECK(*status >= 0);
  proxy.expect_any_end();
  // What was cut does not look whole.
  CHECK(client.wait_closed() == Outcome::rst);
}

TEST_CASE("what still runs at the end of drain_timeout is cut and the exit status is 0", "[lifecycle]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts": {"drain": "300ms"}})"}};
  Client client = streaming(proxy);
  CHECK(proxy.stop() == 0);
  CHECK(client.wait_closed() == Outcome::rst);
}

TEST_CASE("a tunnel goes on while draining", "[lifecycle]") {
  Origin cpa(websocket::echo());
  Portico proxy{{.cpa = cpa.url(), .settings = slow_drain}};
  Client client = proxy.connect();
  REQUIRE(client.exchange(websocket::handshake("/v1/responses")).status == 101);
  proxy.signal(SIGTERM);
  REQUIRE(refuses(proxy));
  client.send(websocket::client_frame(websocket::Opcode::text, "still here"));
  CHECK(websocket::read_frame(client).payload == "still here");
  client.send(websocket::client_frame(websocket::Opcode::close, ""));
  CHECK(websocket::read_frame(client).opcode == websocket::Opcode::close);
  CHECK(client.ends());
  client.close();
  CHECK(proxy.process().wait_exit() == 0);
}

TEST_CASE("SIGHUP during 1,000 streams loses none, and new exchanges have the new settings", "[lifecycle]") {
  constexpr std::size_t count = 1000;
  Origin cpa(begins_stream());
  Origin other(Origin::serve(ok("other")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"workers": 2})"}};
  std::vector<Client> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(streaming(proxy));
  CHECK(proxy.metric("portico_streams") == count);
  proxy.reload(
      fmt::format(R"({{"upstreams": {{"cpa": {{"endpoints": ["{}"]}}}}, "limits": {{"request_target": 100}},
                              "timeouts": {{"response_body": "1h"}}}})",
                  other.url()));
  // New exchanges, on a new connection, follow the new settings.
  CHECK(eventually([&] { return proxy.exchange(get("/v1/models")).body == "other"; }));
  CHECK(proxy.exchange(get("/v1/" + std::string(200, 'a'))).status == 414);
  // Every old stream goes on.
  for (std::size_t i = 0; i < count; ++i) cpa.connection(i).send(chunk("end") + "0\r\n\r\n");
  std::size_t whole = 0;
  for (auto& client : clients) whole += client.read_exact(13) == chunk("end") + "0\r\n\r\n";
  CHECK(whole == count);
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  // And its connection has the new settings for its next request.
  CHECK(clients.front().exchange(get("/v1/models")).body == "other");
}

TEST_CASE("limits, time-outs, routes and trusted proxies hold for new exchanges after SIGHUP",
          "[lifecycle]") {
  Origin cpa(Origin::serve(ok("cpa")));
  Origin cpamp(Origin::serve(ok("cpamp")));
  Portico proxy{{.cpa = cpa.url(), .cpamp = cpamp.url()}};
  Client client = proxy.connect();
  CHECK(client.exchange(get("/v1/models", {"X-Forwarded-For: 203.0.113.9"})).body == "cpa");
  CHECK(cpa.request(0).one("X-Real-IP") == "127.0.0.1");
  proxy.reload(R"({"trusted_proxies": ["127.0.0.1"], "routes": [
      {"prefix": "/v1/", "upstream": "cpa"}, {"prefix": "/", "upstream": "cpamp"}]})");
  REQUIRE(eventually([&] { return proxy.exchange(get("/anything")).body == "cpamp"; }));
  CHECK(client.exchange(get("/v1/models", {"X-Forwarded-For: 203.0.113.9"})).body == "cpa");
  CHECK(cpa.request(1).one("X-Real-IP") == "203.0.113.9");
}

TEST_CASE("no request fails while SIGHUP moves the traffic from one backend to another", "[lifecycle]") {
  Origin one(Origin::serve(ok("x")));
  Portico proxy{{.cpa = one.url()}};
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> served{0};
  std::atomic<std::size_t> failed{0};
  std::thread hammer([&] {
    try {
      Client client = proxy.connect();
      while (!stop) ++(client.exchange(get("/v1/models")).status == 200 ? served : failed);
    } catch (const std::exception&) {
      ++failed;
    }
  });
  // Each reload names its backend for the first time, so that nothing about it is known yet.
  std::vector<std::unique_ptr<Origin>> fresh;
  for (int i = 0; i < 20; ++i) {
    fresh.push_back(std::make_unique<Origin>(Origin::serve(ok("x"))));
    proxy.reload(fmt::format(R"({{"upstreams": {{"cpa": {{"endpoints": ["{}"]}}}}}})", fresh.back()->url()));
    CHECK(eventually([&] { return fresh.back()->requests() > 0; }));
  }
  stop = true;
  hammer.join();
  CHECK(failed == 0);
  CHECK(served >= 20);
}

TEST_CASE("a broken settings file changes nothing and says so in the log and as a metric", "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url()}};
  CHECK(proxy.metric("portico_config_reload_success") == 1);
  const auto text = GENERATE(
      values<std::string>({"{ not json", R"({"limits": {"request_target": 1}})", R"({"nonsense": true})",
                           R"({"routes": [{"prefix": "/", "upstream": "nowhere"}]})", ""}));
  CAPTURE(text);
  proxy.write_file(text);
  proxy.signal(SIGHUP);
  CHECK(eventually([&] { return proxy.metric("portico_config_reload_success") == 0; }));
  CHECK(proxy.process().wait_for_line(" error ").has_value());
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
  CHECK(proxy.process().running());
  proxy.reload("{}");
  CHECK(proxy.metric("portico_config_reload_success") == 1);
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("SIGUSR1 disturbs nothing", "[lifecycle]") {
  Origin cpa(begins_stream());
  Portico proxy{{.cpa = cpa.url()}};
  Client client = streaming(proxy);
  for (int i = 0; i < 5; ++i) proxy.signal(SIGUSR1);
  CHECK(proxy.manage("/readyz").status == 200);
  cpa.connection(0).send(chunk("end") + "0\r\n\r\n");
  CHECK(client.read_exact(13) == chunk("end") + "0\r\n\r\n");
  CHECK(proxy.process().running());
}

TEST_CASE("the descriptor limit is raised to the hard limit at start", "[lifecycle]") {
  Portico proxy{{.descriptors = 4000, .soft_descriptors = 200}};
  CHECK(proxy.process().descriptor_limit() == 4000);
}

TEST_CASE("running out of descriptors pauses accepting without spinning, and it recovers", "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .descriptors = 120}};
  CHECK(proxy.exchange(get("/v1/models")).body == "x");
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(proxy.connect());
  // What was accepted is served, and the management endpoint answers: accepting stops before the last
  // descriptor.
  REQUIRE(eventually([&] { return proxy.metric("portico_accept_paused_total") >= 1; }));
  CHECK(clients.front().exchange(get("/v1/models")).body == "x");
  const auto before = proxy.process().processor_time();
  CHECK(throughout(500ms, [&] { return proxy.process().running(); }));
  CHECK(proxy.process().processor_time() - before < 200ms);
  clients.clear();
  Client after = proxy.connect();
  CHECK(after.exchange(get("/v1/models")).body == "x");
}

TEST_CASE("a new process takes over the port without a refused connection", "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  const std::string settings = fmt::format(R"({{"listen": ["127.0.0.1:{}"]}})", free_port());
  auto old = std::make_unique<Portico>(PorticoOptions{.cpa = cpa.url(), .settings = settings});
  const Address address = old->address();
  constexpr std::size_t hammers = 2;
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> refused{0};
  std::atomic<std::size_t> lost{0};
  std::atomic<std::size_t> served{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < hammers; ++i)
    threads.emplace_back([&] {
      while (!stop) {
        try {
          auto client = Client::try_connect(address);
          if (!client) {
            ++refused;
            continue;
          }
          client->exchange(get("/v1/models", {"Connection: close"}));
          ++served;
        } catch (const std::exception&) {
          ++lost;
        }
      }
    });
  const auto serve_more = [&] {
    const std::size_t goal = served + 50;
    return eventually([&] { return served >= goal; });
  };
  bool going = serve_more();
  Portico fresh(PorticoOptions{.cpa = cpa.url(), .settings = settings});
  going = going && serve_more();
  const auto status = old->stop();
  going = going && serve_more();
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(going);
  CHECK(status == 0);
  CHECK(refused == 0);
  // Between the last accept and the close of a listening socket the kernel may still queue a connection
  // there, and resets it: at most one for each thread that connects.
  CHECK(lost <= hammers);
}

TEST_CASE("sockets passed by a service manager are served, with what already waits in their backlog",
          "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  Listener passed(Address::ip("127.0.0.1", 0));
  Client early(passed.address());
  early.send(get("/v1/models"));
  Portico proxy{{.cpa = cpa.url(),
                 .settings = fmt::format(R"({{"listen": ["127.0.0.1:{}"]}})", passed.address().port()),
                 .inherit = {passed.fd()}}};
  CHECK(early.response().body == "x");
  CHECK(Client(passed.address()).exchange(get("/v1/models")).body == "x");
}

TEST_CASE("several workers share the connections of one port", "[lifecycle]") {
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"workers": 2})"}};
  CHECK(proxy.metric("portico_workers") == 2);
  std::vector<Client> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(proxy.connect());
    CHECK(clients.back().exchange(get("/v1/models")).body == "x");
  }
  // Each worker has a pool of its own: had one of them served all, there would be one backend connection.
  CHECK(cpa.connections() == 2);
  clients.clear();
  CHECK(proxy.stop() == 0);
}

TEST_CASE("Portico listens on IPv6 and on unix sockets too", "[lifecycle]") {
  TemporaryFolder folder;
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(),
                 .settings = fmt::format(R"({{"listen": ["127.0.0.1:0", "[::1]:0", "unix:{}"]}})",
                                         folder.file("front.sock"))}};
  REQUIRE(proxy.listeners().size() == 3);
  for (const auto& address : proxy.listeners())
    CHECK(Client(address).exchange(get("/v1/models")).body == "x");
  CHECK(cpa.request(1).one("X-Forwarded-For") == "::1");
  // A peer without an address is nobody that CPA would take for local.
  CHECK(cpa.request(2).one("X-Forwarded-For") == "0.0.0.0");
}
