#include "telemetry/management.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "conf/describe.hpp"
#include "test/telemetry/example_record.hpp"
#include "test/telemetry/http_client.hpp"

using namespace portico;
using namespace portico::telemetry;
using portico::test::Answer;
using portico::test::Client;
using portico::test::ExampleRecord;
namespace json = boost::json;

namespace {

conf::AdminSettings admin(std::string_view listen = "127.0.0.1:0", std::string token = {}) {
  conf::AdminSettings settings;
  settings.listen = conf::ListenAddress::parse(listen).value();
  settings.token = std::move(token);
  return settings;
}

// A server on a free port of the loopback, started.
struct Running {
  explicit Running(const conf::AdminSettings& settings = admin()) : server(registry, &stores) {
    server.start(settings);
    address = server.address();
  }
  Client client() const { return Client(address); }

  // The stores belong to the server's thread: fill them before the first request.
  Registry registry{2};
  Stores stores{conf::TelemetrySettings{}};
  ManagementServer server;
  std::string address;
};

std::string code_of(const Answer& answer) {
  return std::string(json::parse(answer.body).at("error").at("code").as_string());
}

// A folder that goes away with what the test left in it.
class TemporaryFolder {
 public:
  TemporaryFolder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~TemporaryFolder() {
    ::unlink(socket().c_str());
    ::rmdir(path_.c_str());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string socket() const { return path_ + "/admin.sock"; }

 private:
  std::string path_ = "/tmp/portico-admin-XXXXXX";
};

// The file that a process leaves behind when it is killed.
void leave_stale_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
}

}  // namespace

TEST_CASE("every answer has a date, is not cached and not sniffed") {
  Running running;
  Client client = running.client();
  for (const char* path :
       {"/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/routes", "/api/v1/config",
        "/api/v1/usage", "/api/v1/requests", "/api/v1/usage?window=no", "/nothing"}) {
    INFO(path);
    const Answer answer = client.get(path);
    CHECK(answer.fields.at("date").ends_with(" GMT"));
    CHECK(answer.fields.at("cache-control") == "no-store");
    CHECK(answer.fields.at("x-content-type-options") == "nosniff");
  }
}

TEST_CASE("/metrics gives Prometheus text, or OpenMetrics to those who prefer it") {
  Running running;
  running.registry.worker(1).requests(running.registry.route("/v1/"), Dialect::openai_chat, 200).add(5);
  Client client = running.client();
  const Answer text = client.get("/metrics?x=1");
  CHECK(text.status == 200);
  CHECK(text.fields.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(text.body.find("portico_requests_total{route=\"/v1/\",dialect=\"openai-chat\",code=\"200\"} 5\n") !=
        std::string::npos);
  CHECK(text.body.find("\nprocess_open_fds ") != std::string::npos);
  CHECK(text.body.find("# EOF") == std::string::npos);

  const Answer open = client.get("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
  CHECK(open.fields.at("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(open.body.ends_with("# EOF\n"));
}

TEST_CASE("/healthz says ok from the start; /readyz says why not") {
  Running running;
  Client client = running.client();
  CHECK(client.get("/healthz").body == R"({"status":"ok"})");
  Answer ready = client.get("/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.body == R"({"status":"not_ready","reason":"starting"})");

  ProcessState state;
  state.ready = true;
  running.server.publish(state);
  ready = client.get("/readyz");
  CHECK(ready.status == 200);
  CHECK(ready.body == R"({"status":"ready"})");

  state.draining = true;
  running.server.publish(state);
  ready = client.get("/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.body == R"({"status":"not_ready","reason":"draining"})");
  CHECK(client.get("/healthz").status == 200);
}

TEST_CASE("/api/v1/status and /api/v1/routes show what was published last") {
  Running running;
  ProcessState state;
  state.workers = 2;
  state.routes = {{"/v1/", "prefix", "/v1/", "upstream", "cpa"}};
  running.server.publish(state);
  Client client = running.client();
  const Answer status = client.get("/api/v1/status");
  CHECK(status.status == 200);
  CHECK(status.fields.at("content-type") == "application/json; charset=utf-8");
  CHECK(json::parse(status.body).at("workers") == 2);
  CHECK(json::parse(client.get("/api/v1/routes").body).at("routes").at(0).at("target") == "cpa");
}

TEST_CASE("/api/v1/config shows the settings that were published, as they were masked") {
  Running running;
  Client client = running.client();
  CHECK(client.get("/api/v1/config").body == "{}\n");
  ProcessState state;
  conf::Settings settings = conf::Settings::defaults();
  settings.admin.token = "very-secret-token";
  state.settings = conf::describe(settings);
  running.server.publish(state);
  const Answer config = client.get("/api/v1/config");
  CHECK(config.body == state.settings);
  CHECK(config.body.find("very-secret-token") == std::string::npos);
  CHECK(json::parse(config.body).at("telemetry").at("series") == 2'000);
}

TEST_CASE("/api/v1/usage and /api/v1/requests show what was taken") {
  Running running;
  ExampleRecord example;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  example.at_us(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
  running.stores.take(example.text(Text::request_id, "one").record(), std::nullopt, {});
  running.stores.take(example.text(Text::request_id, "two").model("a/b").fails(429).record(), std::nullopt,
                      {});
  Client client = running.client();
  const json::value usage = json::parse(client.get("/api/v1/usage?window=24h&group_by=model,dialect").body);
  CHECK(usage.at("window") == "24h");
  CHECK(usage.at("groups").as_array().size() == 2);
  CHECK(usage.at("totals").at("failed") == 1);
  CHECK(json::parse(client.get("/api/v1/usage").body).at("totals").at("requests") == 2);
  CHECK(json::parse(client.get("/api/v1/usage?model=a%2Fb").body).at("totals").at("requests") == 1);
  const json::value requests = json::parse(client.get("/api/v1/requests?limit=1").body);
  REQUIRE(requests.at("requests").as_array().size() == 1);
  CHECK(requests.at("requests").at(0).at("id") == "two");
  CHECK(json::parse(client.get("/api/v1/requests?status=2xx").body).at("requests").at(0).at("id") == "one");
}

TEST_CASE("/api/v1/failures gives the window to whoever knows the failures") {
  Running running;
  running.stores.failures = [](const Window& window, std::chrono::system_clock::time_point) {
    return "{\"window\":\"" + window.text + "\"}";
  };
  Client client = running.client();
  CHECK(client.get("/api/v1/failures").body == R"({"window":"1h"})");
  CHECK(client.get("/api/v1/failures?window=7d").body == R"({"window":"7d"})");
}

TEST_CASE("a query that can't be understood is a 400 with a sentence that says what would be") {
  Running running;
  Client client = running.client();
  const auto message = [&](const char* path) {
    INFO(path);
    const Answer answer = client.get(path);
    CHECK(answer.status == 400);
    CHECK(code_of(answer) == "bad_request");
    return std::string(json::parse(answer.body).at("error").at("message").as_string());
  };
  CHECK_THAT(message("/api/v1/usage?window=1w"), Catch::Contains("15m"));
  CHECK_THAT(message("/api/v1/failures?window=32d"), Catch::Contains("31d"));
  for (const char* group_by : {"models", "model,", ",model", "model,,key", "model,model", "model%20"}) {
    CHECK_THAT(message((std::string("/api/v1/usage?group_by=") + group_by).c_str()),
               Catch::Contains("endpoint"));
  }
  CHECK_THAT(message("/api/v1/usage?limit=1"), Catch::Contains("unknown parameter"));
  CHECK_THAT(message("/api/v1/requests?limit=1&limit=2"), Catch::Contains("more than once"));
  for (const char* limit : {"0", "1001", "-1", "x", "1x", "1.5", "99999999999999999999999"}) {
    CHECK_THAT(message((std::string("/api/v1/requests?limit=") + limit).c_str()), Catch::Contains("1000"));
  }
  CHECK_THAT(message("/api/v1/requests?status=600"), Catch::Contains("4xx"));
  CHECK_THAT(message("/api/v1/events?status=bad"), Catch::Contains("4xx"));
  CHECK_THAT(message("/api/v1/events?model=%zz"), Catch::Contains("escape"));
}

TEST_CASE("/api/v1/events shows records as they come, to so many and no more") {
  Running running;
  boost::asio::any_io_executor executor;
  running.server.stop();
  std::promise<boost::asio::any_io_executor> started;
  ThreadHooks hooks;
  hooks.start = [&](const boost::asio::any_io_executor& given) { started.set_value(given); };
  running.server.start(admin(), std::move(hooks));
  running.address = running.server.address();
  executor = started.get_future().get();

  Client client = running.client();
  client.send("GET /api/v1/events?model=gpt-5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::string head = client.read_until("\r\n\r\n");
  CHECK_THAT(head, Catch::Contains("200 OK") && Catch::Contains("text/event-stream"));
  CHECK(client.read_until("\n\n") == ": watching\n\n");
  boost::asio::post(executor, [&] {
    ExampleRecord example;
    running.stores.take(example.model("another").record(), std::nullopt, {});
    running.stores.take(example.model("gpt-5").record(), std::nullopt, {});
  });
  const std::string event = client.read_until("\n\n");
  CHECK(event.starts_with("event: exchange\nid: 2\ndata: {"));
  const std::size_t data = event.find("data: ") + 6;
  CHECK(json::parse(event.substr(data)).at("model") == "gpt-5");

  std::vector<Client> others;
  for (std::size_t i = 1; i < EventFeed::max_subscribers; ++i) {
    others.push_back(running.client());
    others.back().send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    others.back().read_until(": watching\n\n");
  }
  const Answer refused = running.client().get("/api/v1/events");
  CHECK(refused.status == 503);
  CHECK(code_of(refused) == "too_many_subscribers");
  CHECK(running.client().get("/healthz").status == 200);
}

TEST_CASE("/ lists the pages, and what is not there is a 404 in JSON") {
  Running running;
  Client client = running.client();
  const Answer index = client.get("/");
  CHECK(index.fields.at("content-type") == "text/plain; charset=utf-8");
  CHECK(index.body.find("/api/v1/routes") != std::string::npos);
  const Answer missing = client.get("/metrics/");
  CHECK(missing.status == 404);
  CHECK(code_of(missing) == "not_found");
}

TEST_CASE("HEAD gives the length of the body and no body") {
  Running running;
  Client client = running.client();
  client.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const Answer answer = client.read(true);
  CHECK(answer.status == 200);
  CHECK(answer.fields.at("content-length") == "15");
  // The next answer begins right behind the head.
  CHECK(client.get("/healthz").body.size() == 15);
}

TEST_CASE("methods other than GET and HEAD are refused with 405") {
  Running running;
  Client client = running.client();
  for (const char* request : {"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
                              "DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
                              "BREW /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"}) {
    client.send(request);
    const Answer answer = client.read();
    CHECK(answer.status == 405);
    CHECK(answer.fields.at("allow") == "GET, HEAD");
  }
}

TEST_CASE("requests in one segment are answered in order") {
  Running running;
  Client client = running.client();
  client.send(
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(client.read().status == 200);
  CHECK(client.read().status == 404);
  const Answer last = client.read();
  CHECK(last.status == 200);
  CHECK(last.fields.at("connection") == "close");
  CHECK(client.ended());
}

TEST_CASE(
    "an oversized head, an oversized body and a broken request are answered before the connection closes") {
  Running running;
  struct Case {
    std::string request;
    int status;
  };
  const std::string big(20'000, 'x');
  for (const Case& c :
       {Case{"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + big + "\r\n\r\n", 431},
        Case{"GET /" + big + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431},
        Case{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n" + big, 413},
        Case{"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + big, 413},
        Case{"nonsense\r\n\r\n", 400},
        Case{"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400}}) {
    INFO(c.request.substr(0, 60));
    Client client = running.client();
    client.send(c.request);
    CHECK(client.read().status == c.status);
  }
  CHECK(running.client().get("/healthz").status == 200);
}

TEST_CASE("with a token, every page but the two for probes demands it") {
  Running running(admin("127.0.0.1:0", "s3cret"));
  Client client = running.client();
  for (const char* path : {"/", "/metrics", "/api/v1/status", "/api/v1/routes", "/api/v1/config",
                           "/api/v1/usage", "/api/v1/requests", "/nothing"}) {
    INFO(path);
    const Answer none = client.get(path);
    CHECK(none.status == 401);
    CHECK(none.fields.at("www-authenticate") == R"(Bearer realm="portico")");
    CHECK(code_of(none) == "token_required");
    const Answer wrong = client.get(path, "Authorization: Bearer s3cre\r\n");
    CHECK(wrong.status == 401);
    CHECK(wrong.fields.at("www-authenticate") == R"(Bearer realm="portico", error="invalid_token")");
    CHECK(wrong.body.find("s3cre") == std::string::npos);
    const Answer right = client.get(path, "Authorization: Bearer s3cret\r\n");
    CHECK(right.status == (std::string_view(path) == "/nothing" ? 404 : 200));
  }
  CHECK(client.get("/healthz").status == 200);
  CHECK(client.get("/readyz").status == 503);
  // The token is the proof, so any name will do.
  client.send("GET /metrics HTTP/1.1\r\nHost: portico.example\r\nAuthorization: Bearer s3cret\r\n\r\n");
  CHECK(client.read().status == 200);
}

TEST_CASE("without a token, a name that is not this machine's is refused") {
  Running running;
  Client client = running.client();
  client.send("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  const Answer refused = client.read();
  CHECK(refused.status == 403);
  CHECK(code_of(refused) == "forbidden_host");
  client.send("GET /metrics HTTP/1.1\r\nHost: " + running.address + "\r\n\r\n");
  CHECK(client.read().status == 200);
  client.send("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  CHECK(client.read().status == 200);
  Client old = running.client();
  old.send("GET /metrics HTTP/1.0\r\n\r\n");
  CHECK(old.read().status == 200);
  CHECK(old.ended());
}

TEST_CASE("it does not start on an address that others reach without a token, nor on one that is taken") {
  Registry registry(1);
  ManagementServer server(registry);
  CHECK_THROWS_AS(server.start(admin("0.0.0.0:0")), std::runtime_error);
  CHECK(server.address().empty());
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor other(context, {boost::asio::ip::address_v4::loopback(), 0}, false);
  const std::string taken = "127.0.0.1:" + std::to_string(other.local_endpoint().port());
  CHECK_THROWS_WITH(server.start(admin(taken)), Catch::Contains(taken) && Catch::Contains("in use"));
  server.start(admin("127.0.0.1:0"));
  CHECK(Client(server.address()).get("/healthz").status == 200);
}

TEST_CASE("all addresses, IPv6 and IPv4, are served by one socket") {
  Running running(admin(":0", "s3cret"));
  const std::string port = running.address.substr(running.address.rfind(':'));
  CHECK(Client("127.0.0.1" + port).get("/healthz").status == 200);
  try {
    CHECK(Client("[::1]" + port).get("/healthz").status == 200);
  } catch (const std::runtime_error& e) {
    WARN("IPv6 part skipped, no IPv6 loopback here: " << e.what());
  }
}

TEST_CASE("a unix socket has mode 0660, replaces a stale file and is removed at the end") {
  const TemporaryFolder folder;
  leave_stale_socket(folder.socket());
  {
    Running running(admin("unix:" + folder.socket()));
    struct stat file {};
    REQUIRE(::stat(folder.socket().c_str(), &file) == 0);
    CHECK((file.st_mode & 07777U) == 0660U);
    CHECK(S_ISSOCK(file.st_mode));
    CHECK(Client("unix:" + folder.socket()).get("/metrics").status == 200);

    // One that is served is not taken over.
    Registry registry(1);
    ManagementServer second(registry);
    CHECK_THROWS_AS(second.start(admin("unix:" + folder.socket())), std::runtime_error);
    CHECK(Client("unix:" + folder.socket()).get("/healthz").status == 200);
  }
  struct stat file {};
  CHECK(::stat(folder.socket().c_str(), &file) != 0);
}

TEST_CASE("a file that is not a socket is never removed") {
  const TemporaryFolder folder;
  std::ofstream(folder.socket()) << "precious";
  Registry registry(1);
  ManagementServer server(registry);
  CHECK_THROWS_AS(server.start(admin("unix:" + folder.socket())), std::runtime_error);
  std::string text;
  std::ifstream(folder.socket()) >> text;
  CHECK(text == "precious");
}

TEST_CASE("stop ends at once, open requests are cut, and it can start again") {
  Running running;
  Client idle = running.client();
  CHECK(idle.get("/healthz").status == 200);
  Client half = running.client();
  half.send("GET /metrics HTTP/1.1\r\nHost: loc");
  CHECK(running.client().get("/healthz").status == 200);  // the half request has been accepted before this

  const auto before = std::chrono::steady_clock::now();
  running.server.stop();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(2));
  CHECK(idle.ended());
  CHECK(half.ended());
  CHECK(running.server.address().empty());
  CHECK_THROWS_AS(Client(running.address), std::runtime_error);
  running.server.stop();

  running.server.start(admin());
  CHECK(Client(running.server.address()).get("/healthz").status == 200);
}

TEST_CASE("a connection above the limit is turned away and the others live on") {
  Running running;
  std::vector<Client> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(running.client());
    REQUIRE(clients.back().get("/healthz").status == 200);
  }
  Client extra = running.client();
  const Answer refused = extra.read();
  CHECK(refused.status == 503);
  CHECK(code_of(refused) == "too_many_connections");
  CHECK(clients.front().get("/healthz").status == 200);
}

TEST_CASE("the telemetry thread leaves every signal to the control thread") {
  Running running;
  sigset_t mine;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  CHECK(sigismember(&mine, SIGTERM) == 0);
  bool found = false;
  for (int attempt = 0; attempt < 1000 && !found; ++attempt) {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream file(task.path() / "status");
      std::string name;
      std::string blocked;
      for (std::string line; std::getline(file, line);) {
        if (line.starts_with("Name:\t")) name = line.substr(6);
        if (line.starts_with("SigBlk:\t")) blocked = line.substr(8);
      }
      if (name != "portico-telem") continue;
      found = true;
      CHECK((std::stoull(blocked, nullptr, 16) & (1ULL << (SIGTERM - 1))) != 0);
    }
    ::usleep(1000);
  }
  CHECK(found);
}
