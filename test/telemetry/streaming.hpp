#pragma once
// A server whose only answer is a stream that says what the test tells it.
//
// owns:    a Streaming owns its server; the script must outlive the streams
// threads: the test's; say() hands over to the server's

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include "conf/address.hpp"
#include "telemetry/http_server.hpp"
#include "test/telemetry/http_client.hpp"

namespace portico::test {

// True once `holds` does, within five seconds.
inline bool soon(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!holds() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return holds();
}

// What a test's stream is to say, written by the test's thread and read by the server's.
struct Script {
  std::mutex mutex;
  std::string next;
  bool last = false;
  std::function<void()> wake;
  std::atomic<int> alive{0};

  // On the server's thread, since wake() may be called there only.
  void say(const boost::asio::any_io_executor& executor, std::string text, bool end = false) {
    boost::asio::post(executor, [this, text = std::move(text), end] {
      {
        const std::lock_guard lock(mutex);
        next += text;
        last = end;
      }
      if (wake) wake();
    });
  }
};

class ScriptedStream final : public telemetry::ReplyStream {
 public:
  explicit ScriptedStream(Script& script) : script_(script) { ++script_.alive; }
  ~ScriptedStream() override {
    script_.wake = {};
    --script_.alive;
  }
  ScriptedStream(const ScriptedStream&) = delete;
  ScriptedStream& operator=(const ScriptedStream&) = delete;
  bool fill(std::string& out) override {
    const std::lock_guard lock(script_.mutex);
    out += std::exchange(script_.next, {});
    return !script_.last;
  }
  [[nodiscard]] std::string_view keep_alive() const noexcept override { return "(still here)"; }
  void on_ready(std::function<void()> wake) override { script_.wake = std::move(wake); }

 private:
  Script& script_;
};

// A server that answers everything with one scripted stream.
struct Streaming {
  explicit Streaming(telemetry::HttpBounds bounds = {},
                     std::shared_ptr<const telemetry::ServerTls> tls = {}) {
    telemetry::ThreadHooks hooks;
    std::promise<boost::asio::any_io_executor> started;
    hooks.start = [&started](const boost::asio::any_io_executor& given) { started.set_value(given); };
    server.emplace(
        conf::ListenAddress::parse("127.0.0.1:0").value(),
        [this](const telemetry::HttpRequest&) {
          telemetry::HttpReply reply{200, "text/event-stream", "first;", {}};
          reply.stream = std::make_unique<ScriptedStream>(script);
          return reply;
        },
        bounds, std::move(hooks), std::move(tls));
    executor = started.get_future().get();
  }
  Client ask() {
    Client client(server->address().text());
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return client;
  }
  Script script;
  boost::asio::any_io_executor executor;
  std::optional<telemetry::HttpServer> server;
};

}  // namespace portico::test
