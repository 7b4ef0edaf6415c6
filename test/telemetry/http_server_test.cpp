#include "telemetry/http_server.hpp"

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "test/telemetry/http_client.hpp"
#include "test/telemetry/streaming.hpp"

using namespace portico;
using namespace portico::telemetry;
using portico::test::Client;
using portico::test::soon;
using portico::test::Streaming;

// UBSan opens a pipe when it first checks an object's type, so without descriptors it takes sound objects for
// broken ones.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define PORTICO_UNDER_UBSAN
#endif
#endif

namespace {

HttpServer serve(HttpServer::Handler handler, HttpBounds bounds = {}) {
  return {conf::ListenAddress::parse("127.0.0.1:0").value(), std::move(handler), bounds};
}

HttpReply hello(const HttpRequest&) { return {200, "text/plain", "hello", {}}; }

// New descriptors are refused while this lives; open ones go on.
class NoNewDescriptors {
 public:
  NoNewDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit low{3, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~NoNewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoNewDescriptors(const NoNewDescriptors&) = delete;
  NoNewDescriptors& operator=(const NoNewDescriptors&) = delete;

 private:
  rlimit before_{};
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

TEST_CASE("a handler that throws is answered with 500 and harms no other request") {
  const HttpServer server = serve([](const HttpRequest& request) -> HttpReply {
    if (request.target == "/throw") throw std::runtime_error("secret detail");
    return hello(request);
  });
  Client client(server.address().text());
  const auto failed = client.get("/throw");
  CHECK(failed.status == 500);
  CHECK(failed.body.find("secret") == std::string::npos);
  CHECK(client.get("/").body == "hello");
}

TEST_CASE("a client that sends nothing, or half a request, is closed when its time is over") {
  const HttpServer server = serve(hello, {.request_time = std::chrono::milliseconds(50)});
  Client silent(server.address().text());
  Client half(server.address().text());
  half.send("GET / HTTP/1.1\r\nHos");
  CHECK(silent.ended());
  CHECK(half.ended());
}

TEST_CASE("a client that does not take its answer is cut") {
  const std::string big(64 * 1024 * 1024, 'x');
  const HttpServer server = serve(
      [&](const HttpRequest&) {
        return HttpReply{200, "text/plain", big, {}};
      },
      {.connections = 1, .answer_time = std::chrono::milliseconds(50)});
  const std::string address = server.address().text();
  Client stuck(address);
  stuck.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  REQUIRE(stuck.hears_within(5000));
  // Its place is free again once it is cut.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  int status = 503;
  while (status == 503 && std::chrono::steady_clock::now() < deadline) {
    try {
      Client next(address);
      next.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      status = next.read(true).status;
    } catch (const std::runtime_error&) {
      // turned away by a reset
    }
  }
  CHECK(status == 200);
  CHECK_THROWS(stuck.read());
}

TEST_CASE("without descriptors accepting rests instead of spinning, and goes on once there are some") {
#ifdef PORTICO_UNDER_UBSAN
  WARN("skipped: UBSan itself needs descriptors");
  return;
#endif
  const HttpServer server = serve(hello);
  const std::string address = server.address().text();
  CHECK(Client(address).get("/").status == 200);
  Client waiting;
  {
    const NoNewDescriptors none;
    waiting.connect(address);
    waiting.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const double before = cpu_seconds();
    CHECK_FALSE(waiting.hears_within(350));
    CHECK(cpu_seconds() - before < 0.1);
  }
  CHECK(waiting.read().body == "hello");
}

TEST_CASE("a stream sends what there is when there is something, until it ends") {
  Streaming streaming;
  Client client = streaming.ask();
  const std::string head = client.read_until("\r\n\r\n");
  CHECK(head.find("Content-Length") == std::string::npos);
  CHECK(head.find("Connection: close\r\n") != std::string::npos);
  CHECK(client.read_until(";") == "first;");
  streaming.script.say(streaming.executor, "second;");
  CHECK(client.read_until(";") == "second;");
  streaming.script.say(streaming.executor, "last", true);
  CHECK(client.read_until("last") == "last");
  CHECK(client.ended());
  CHECK(soon([&] { return streaming.script.alive == 0; }));
}

TEST_CASE("a silent stream shows that it lives") {
  Streaming streaming({.silence = std::chrono::milliseconds(20)});
  Client client = streaming.ask();
  client.read_until("first;");
  CHECK(client.read_until("(still here)") == "(still here)");
  CHECK(client.read_until("(still here)") == "(still here)");
}

TEST_CASE("a stream whose client goes is over at once, though there was nothing to send") {
  Streaming streaming;
  {
    Client client = streaming.ask();
    client.read_until("first;");
    CHECK(streaming.script.alive == 1);
    // What a client says on is of no interest.
    client.send("GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(streaming.script.alive == 1);
  }
  CHECK(soon([&] { return streaming.script.alive == 0; }));
}

TEST_CASE("a stream whose client takes nothing is cut") {
  Streaming streaming({.answer_time = std::chrono::milliseconds(50)});
  const Client client = streaming.ask();
  CHECK(soon([&] { return streaming.script.alive == 1; }));
  streaming.script.say(streaming.executor, std::string(64 * 1024 * 1024, 'x'));
  CHECK(soon([&] { return streaming.script.alive == 0; }));
}

TEST_CASE("HEAD of a stream is its head alone") {
  Streaming streaming;
  Client client(streaming.server->address().text());
  client.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.read_until("\r\n\r\n").find("text/event-stream") != std::string::npos);
  CHECK(client.ended());
  CHECK(soon([&] { return streaming.script.alive == 0; }));
}

TEST_CASE("ending the server ends its streams") {
  Streaming streaming;
  Client client = streaming.ask();
  client.read_until("first;");
  streaming.server.reset();
  CHECK(streaming.script.alive == 0);
  CHECK(client.ended());
}

TEST_CASE("the hooks are first and last on the server's thread") {
  std::thread::id started;
  std::thread::id handled;
  std::thread::id stopped;
  std::atomic<bool> ticked{false};
  std::optional<boost::asio::steady_timer> timer;
  {
    ThreadHooks hooks;
    hooks.start = [&](const boost::asio::any_io_executor& executor) {
      started = std::this_thread::get_id();
      timer.emplace(executor, std::chrono::milliseconds(1));
      timer->async_wait([&](const boost::system::error_code&) { ticked = true; });
    };
    hooks.stop = [&] {
      stopped = std::this_thread::get_id();
      timer.reset();
    };
    const HttpServer server(
        conf::ListenAddress::parse("127.0.0.1:0").value(),
        [&](const HttpRequest& request) {
          handled = std::this_thread::get_id();
          return hello(request);
        },
        {}, std::move(hooks));
    CHECK(Client(server.address().text()).get("/").body == "hello");
    CHECK(soon([&] { return ticked.load(); }));
    CHECK(stopped == std::thread::id());
  }
  CHECK(started != std::this_thread::get_id());
  CHECK(started == handled);
  CHECK(started == stopped);
}

TEST_CASE("a hook that throws harms no request") {
  ThreadHooks hooks;
  hooks.start = [](const boost::asio::any_io_executor&) { throw std::runtime_error("start"); };
  hooks.stop = [] { throw std::runtime_error("stop"); };
  const HttpServer server(conf::ListenAddress::parse("127.0.0.1:0").value(), hello, {}, std::move(hooks));
  CHECK(Client(server.address().text()).get("/").body == "hello");
}
