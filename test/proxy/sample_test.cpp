// The sample backends over real sockets on the loopback interface. What client libraries make of them is
// tested in test/clients.

#include "proxy/sample/sample.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include "proxy/sample/dialects.hpp"
#include "proxy/sample/errors.hpp"
#include "proxy/sample/model_call.hpp"
#include "proxy/sample/script.hpp"
#include "proxy/sample/zstd.hpp"

namespace {

namespace asio = boost::asio;
using namespace portico::sample;
using boost::system::error_code;
using portico::conf::ListenAddress;

/// A sample on free ports, with a thread that serves.
class Running {
 public:
  explicit Running(Options options = free_ports()) : sample_(std::move(options)) {
    sample_.start();
    thread_ = std::thread([this] { sample_.run(); });
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    sample_.stop();
    thread_.join();
  }

  static Options free_ports() {
    Options options;
    options.cpa_listen = loopback(0);
    options.cpamp_listen = loopback(0);
    return options;
  }

  [[nodiscard]] std::uint16_t cpa() const { return ListenAddress::parse(sample_.cpa_address())->port; }
  [[nodiscard]] std::uint16_t cpamp() const { return ListenAddress::parse(sample_.cpamp_address())->port; }

 private:
  Sample sample_;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }
  void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
  /// Everything up to the end of the connection; `error` says how that came.
  std::string receive_all(error_code& error) {
    std::string out;
    asio::read(socket_, asio::dynamic_buffer(out), error);
    return out;
  }
  /// Waits until `text` has come.
  std::string receive_until(std::string_view text) {
    std::string out;
    while (out.find(text) == std::string::npos) {
      std::array<char, 4096> piece{};
      out.append(piece.data(), socket_.read_some(asio::buffer(piece)));
    }
    return out;
  }
  void close() { socket_.close(); }

 private:
  asio::io_context io_;
  asio::ip::tcp::socket socket_;
};

std::string get(std::uint16_t port, std::string_view path, std::string_view method = "GET") {
  Client client(port);
  client.send(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path));
  error_code error;
  return client.receive_all(error);
}

std::string post(std::string_view path, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", path,
                     body.size(), body);
}

std::string body_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

}  // namespace

TEST_CASE("a model name is read piece by piece, without prefix and suffix") {
  const auto script = read_script("team/long-7+delay-3,cut-mid-stream+whatever(high)");
  CHECK(script.events == 7);
  CHECK(script.delay == std::chrono::milliseconds(3));
  CHECK(script.ending == Ending::cut);
  CHECK_FALSE(script.fails());
  CHECK(read_script("fail-429").fail_status == 429);
  CHECK(read_script("fail-html-404").fault == FaultName::page);
  CHECK(read_script("fast").delay.count() == 0);
  CHECK(read_script("fail-no-such-host").fault == FaultName::no_such_host);
  CHECK(read_script("stall-5").ending == Ending::stall);
  CHECK(read_script("stall-5").events_before_end() == 5);
  CHECK(read_script("stall").events_before_end() == 1);
  CHECK(read_script("long-9+cut-mid-stream").events_before_end() == 4);
  CHECK(read_script("fast+zstd").coding == ContentCoding::zstd);
}

TEST_CASE("an ordinary model name gives an ordinary answer") {
  for (const auto* name : {"gpt-5.4", "", "fail-200", "fail-", "long-x", "(", "delay--1", "a/b/"}) {
    const auto script = read_script(name);
    CHECK_FALSE(script.fails());
    CHECK(script.events == Script{}.events);
    CHECK(script.delay == Script{}.delay);
  }
}

TEST_CASE("usage adds up in every dialect") {
  Answer answer;
  answer.id = "x";
  answer.model = "m";
  answer.tokens = tokens_for(Dialect::openai_chat, 4000, 48);
  const auto total = static_cast<std::int64_t>(answer.tokens.total());
  const auto usage = [&](Dialect dialect) {
    return boost::json::parse(make_writer(dialect, answer)->whole("text")).as_object();
  };
  const auto chat = usage(Dialect::openai_chat).at("usage").as_object();
  CHECK(chat.at("total_tokens") == total);
  CHECK(chat.at("prompt_tokens").as_int64() + chat.at("completion_tokens").as_int64() == total);
  const auto responses = usage(Dialect::openai_responses).at("usage").as_object();
  CHECK(responses.at("total_tokens") == total);
  const auto gemini = usage(Dialect::gemini_generate).at("usageMetadata").as_object();
  CHECK(gemini.at("totalTokenCount") == total);
  CHECK(gemini.at("promptTokenCount").as_int64() + gemini.at("candidatesTokenCount").as_int64() +
            gemini.at("thoughtsTokenCount").as_int64() ==
        total);
  const auto interactions = usage(Dialect::gemini_interactions).at("usage").as_object();
  CHECK(interactions.at("total_tokens") == total);

  answer.tokens = tokens_for(Dialect::anthropic_messages, 4000, 48);
  const auto anthropic = usage(Dialect::anthropic_messages).at("usage").as_object();
  CHECK(anthropic.at("input_tokens").as_int64() + anthropic.at("cache_read_input_tokens").as_int64() +
            anthropic.at("cache_creation_input_tokens").as_int64() +
            anthropic.at("output_tokens").as_int64() ==
        static_cast<std::int64_t>(answer.tokens.total()));
}

TEST_CASE("an HTML page in an error text is escaped as Go does") {
  const auto failure =
      failure_for(Dialect::openai_chat, fault_of(FaultName::page, 0, Dialect::openai_chat, "m"), "m");
  CHECK(failure.body.find("\\u003chtml\\u003e") != std::string::npos);
  CHECK(failure.body.find('<') == std::string::npos);
  CHECK(failure.traced);
}

TEST_CASE("a failure before a credential was chosen has no trace") {
  const auto traced = [](int status) {
    const Fault fault = fault_of(FaultName::status, status, Dialect::openai_chat, "m");
    return failure_for(Dialect::openai_chat, fault, "m").traced;
  };
  for (const int status : {400, 429, 503}) CHECK_FALSE(traced(status));
  for (const int status : {401, 404, 500, 529}) CHECK(traced(status));
}

TEST_CASE("every fault has a category, and says its status in every API") {
  for (const auto* word : {"html-404", "html-200", "revoked", "expired", "no-base-url", "quota",
                           "no-such-host", "certificate", "connection-reset", "context-length"}) {
    CAPTURE(word);
    const FaultName name = fault_named(word);
    REQUIRE(name != FaultName::none);
    for (const Dialect dialect :
         {Dialect::openai_chat, Dialect::anthropic_messages, Dialect::gemini_generate}) {
      const Fault fault = fault_of(name, 0, dialect, "m");
      const Failure failure = failure_for(dialect, fault, "m");
      CHECK_FALSE(failure.category.empty());
      CHECK(failure.status == fault.status);
      CHECK(failure.traced);
      if (failure.status != 200) CHECK(boost::json::parse(failure.body).as_object().contains("error"));
    }
  }
}

TEST_CASE("zstd that is broken, cut or too large is refused") {
  // A frame of 11 bytes of text, stored.
  const std::string frame{"\x28\xb5\x2f\xfd\x20\x0b\x59\x00\x00hello world", 20};
  CHECK(decode_zstd(frame, 100) == "hello world");
  CHECK(decode_zstd(frame + frame, 100) == "hello worldhello world");
  CHECK_FALSE(decode_zstd(frame, 10));
  CHECK_FALSE(decode_zstd(std::string_view(frame).substr(0, 15), 100));
  CHECK_FALSE(decode_zstd("{\"model\":\"x\"}", 100));
  CHECK_FALSE(decode_zstd("", 100));
}

TEST_CASE("every response says that it is a sample") {
  const Running running;
  for (const auto* path : {"/healthz", "/", "/v1/models", "/nothing/here", "/v1/embeddings"}) {
    CHECK(get(running.cpa(), path).find("\r\nX-Portico-Sample: cpa\r\n") != std::string::npos);
  }
  for (const auto* path : {"/health", "/", "/management.html", "/status", "/nothing/here"}) {
    CHECK(get(running.cpamp(), path).find("\r\nX-Portico-Sample: cpamp\r\n") != std::string::npos);
  }
}

TEST_CASE("the sample CPA answers an unknown path with an empty 404 and OPTIONS with 204") {
  const Running running;
  const auto missing = get(running.cpa(), "/v1/embeddings");
  CHECK(missing.starts_with("HTTP/1.1 404 "));
  CHECK(body_of(missing).empty());
  const auto options = get(running.cpa(), "/v1/messages", "OPTIONS");
  CHECK(options.starts_with("HTTP/1.1 204 "));
  CHECK(options.find("Content-Length") == std::string::npos);
}

TEST_CASE("a HEAD response has a length and no body") {
  const Running running;
  const auto response = get(running.cpa(), "/healthz", "HEAD");
  CHECK(response.starts_with("HTTP/1.1 200 "));
  CHECK(response.find("\r\nContent-Length: 15\r\n") != std::string::npos);
  CHECK(body_of(response).empty());
}

TEST_CASE("the sample CPAMP refuses /models with the status it was given") {
  CHECK(get(Running().cpamp(), "/models").starts_with("HTTP/1.1 428 "));
  auto options = Running::free_ports();
  options.models_status = 412;
  const Running running(options);
  const auto response = get(running.cpamp(), "/models");
  CHECK(response.starts_with("HTTP/1.1 412 "));
  CHECK(response.find("usage_service_not_configured") != std::string::npos);
}

TEST_CASE("echo shows the head as it came: order, case, duplicates and target") {
  const Running running;
  Client client(running.cpa());
  client.send(
      "GET /v1/sample/echo?a=%2f HTTP/1.1\r\nHost: h\r\nx-B: 1\r\nX_c: 2\r\nX-b:3 \r\nConnection: "
      "close\r\n\r\n");
  error_code error;
  const auto seen = boost::json::parse(body_of(client.receive_all(error)));
  CHECK(seen.at("target") == "/v1/sample/echo?a=%2f");
  CHECK(seen.at("headers") ==
        boost::json::parse(R"([["Host","h"],["x-B","1"],["X_c","2"],["X-b","3"],["Connection","close"]])"));
}

TEST_CASE("requests in one segment are answered in order on one connection") {
  const Running running;
  Client client(running.cpa());
  const std::string first = "POST /v1/sample/sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  const std::string second =
      "POST /v1/sample/sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "2\r\nde\r\n0\r\n\r\n";
  client.send(first + second);
  error_code error;
  const auto all = client.receive_all(error);
  CHECK(error == asio::error::eof);
  const auto three = all.find(R"({"bytes":3,"sha256":"ba7816bf)");
  const auto two = all.find(R"({"bytes":2,)");
  REQUIRE(three != std::string::npos);
  REQUIRE(two != std::string::npos);
  CHECK(three < two);
}

TEST_CASE("a stream that is cut has no last chunk and ends with EOF") {
  const Running running;
  Client client(running.cpa());
  client.send(post("/v1/chat/completions", R"({"model":"fast+cut-mid-stream","stream":true})"));
  error_code error;
  const auto response = client.receive_all(error);
  CHECK(error == asio::error::eof);
  CHECK(response.find("\"content\":\"This \"") != std::string::npos);
  CHECK_FALSE(response.ends_with("0\r\n\r\n"));
}

TEST_CASE("a stream that is reset ends with a reset") {
  const Running running;
  Client client(running.cpa());
  client.send(post("/v1/chat/completions", R"({"model":"fast+reset-mid-stream","stream":true})"));
  error_code error;
  client.receive_all(error);
  CHECK(error == asio::error::connection_reset);
}

TEST_CASE("a client that leaves a silent stream is noticed within a second") {
  const Running running;
  Client client(running.cpa());
  client.send(post("/v1/messages", R"({"model":"stall","stream":true})"));
  client.receive_until("content_block_delta");
  CHECK(boost::json::parse(body_of(get(running.cpa(), "/v1/sample/stats"))).at("open_streams") == 1);
  client.close();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  boost::json::value stats;
  do {
    stats = boost::json::parse(body_of(get(running.cpa(), "/v1/sample/stats")));
  } while (stats.at("aborts_seen") == 0 && std::chrono::steady_clock::now() < deadline);
  CHECK(stats.at("aborts_seen") == 1);
  CHECK(stats.at("aborts").at(0).at("model") == "stall");
  CHECK(stats.at("client_gone") == 1);
  CHECK(stats.at("open_streams") == 0);
}

TEST_CASE("the account shows what was served and never a key") {
  const Running running;
  Client client(running.cpa());
  client.send(
      "POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: sk-secret-key-0001\r\n"
      "Content-Length: 16\r\n\r\n{\"model\":\"fast\"}");
  error_code error;
  const auto answer = boost::json::parse(body_of(client.receive_all(error)));
  const auto text = body_of(get(running.cpa(), "/v1/sample/stats"));
  const auto row = boost::json::parse(text).at("served").at(0);
  CHECK(row.at("key") == "sk-s...0001");
  CHECK(text.find("secret") == std::string::npos);
  CHECK(row.at("tokens").at("input") == answer.at("usage").at("input_tokens"));
  CHECK(row.at("requests") == 1);
}

TEST_CASE("the account names what a failure is, and what was announced before an abort") {
  const Running running;
  const auto failing = [&](const char* path, const char* model, const char* key) {
    Client client(running.cpa());
    const std::string body = fmt::format(R"({{"model":"{}","stream":true,"messages":[]}})", model);
    client.send(
        fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n"
                    "Content-Length: {}\r\n\r\n{}",
                    path, key, body.size(), body));
    error_code error;
    client.receive_all(error);
  };
  failing("/v1/chat/completions", "fail-revoked", "sk-1");
  failing("/v1/chat/completions", "fast+end-mid-stream", "sk-1");
  failing("/v1/messages", "fast+cut-mid-stream", "sk-1");
  failing("/v1/messages", "fast", "wrong-key-0001");
  {
    Client client(running.cpa());
    client.send(post("/v1/messages", R"({"model":"fast+stall-3","stream":true})"));
    client.receive_until("content_block_delta");
  }
  boost::json::value stats;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  do {
    stats = boost::json::parse(body_of(get(running.cpa(), "/v1/sample/stats")));
  } while (stats.at("requests") != 5 && std::chrono::steady_clock::now() < deadline);
  const auto series = [&](std::string_view model, std::string_view key) {
    for (const auto& row : stats.at("served").as_array()) {
      if (row.at("model") == boost::json::string_view(model.data(), model.size()) &&
          row.at("key") == boost::json::string_view(key.data(), key.size())) {
        return row;
      }
    }
    FAIL("no series of " << model);
    return boost::json::value();
  };
  CHECK(series("fail-revoked", "...").at("categories").at("auth_binding") == 1);
  CHECK(series("fast+end-mid-stream", "...").at("categories").at("upstream_outage") == 1);
  CHECK(series("fast", "wron...").at("categories").at("client_key") == 1);
  const auto cut = series("fast+cut-mid-stream", "...");
  CHECK(cut.at("categories").at("network") == 1);
  CHECK(cut.at("tokens").at("output") == 1);
  CHECK(cut.at("tokens").at("cache_read") != 0);
  const auto left = series("fast+stall-3", "");
  CHECK(left.at("categories").at("client_cancelled") == 1);
  CHECK(left.at("tokens").at("input") != 0);
}

TEST_CASE("an answer is compressed where the model's name asks for it") {
  const Running running;
  Client client(running.cpa());
  client.send(post("/v1/chat/completions", R"({"model":"fast+zstd","stream":true})"));
  error_code error;
  const std::string answer = client.receive_all(error);
  CHECK(answer.find("Content-Encoding: zstd\r\n") != std::string::npos);
  Client whole(running.cpa());
  whole.send(post("/v1/chat/completions", R"({"model":"fast+zstd"})"));
  const auto plain = decode_zstd(body_of(whole.receive_all(error)), 1 << 20);
  REQUIRE(plain);
  CHECK(boost::json::parse(*plain).at("usage").at("completion_tokens") == 60);
}

TEST_CASE("an address that is taken is an error that names it") {
  const Running running;
  auto options = Running::free_ports();
  options.cpa_listen = loopback(running.cpa());
  Sample second(options);
  CHECK_THROWS_WITH(second.start(),
                    Catch::Contains(fmt::format("127.0.0.1:{}", running.cpa())) && Catch::Contains("in use"));
}

TEST_CASE("a unix socket serves, replaces a stale file and leaves none behind") {
  const auto path = fmt::format("/tmp/portico-sample-test-{}.sock", ::getpid());
  auto options = Running::free_ports();
  options.cpa_listen = *ListenAddress::parse("unix:" + path);
  asio::io_context io;
  {
    const asio::local::stream_protocol::acceptor stale(io, {path});  // its file stays when it is closed
  }
  REQUIRE(::access(path.c_str(), F_OK) == 0);
  {
    const Running running(options);
    asio::local::stream_protocol::socket socket(io);
    socket.connect({path});
    asio::write(
        socket,
        asio::buffer(std::string_view("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
    std::string response;
    error_code error;
    asio::read(socket, asio::dynamic_buffer(response), error);
    CHECK(body_of(response) == R"({"status":"ok"})");
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}
