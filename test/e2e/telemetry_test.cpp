// What the management endpoint says of exchanges that really passed: one record each, right to the token, and
// no secret in it.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/portico.hpp"
#include "test/support/websocket.hpp"

using namespace portico::test;

namespace {

namespace json = boost::json;

constexpr std::string_view chat = "/v1/chat/completions";
constexpr std::string_view asks_stream = R"({"model":"gpt-5.4","stream":true,"messages":[]})";
constexpr std::string_view trace = "X-Cpa-Trace-Id: 20261122101500-b06d5527e1fa3c98-5a7733d0";
const std::string client_key = "Authorization: Bearer sk-test-0123456789abcdefghij9f3c";

json::value api(const Portico& proxy, const std::string& path) {
  const Message answer = proxy.manage(path);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  return json::parse(answer.body);
}

/// The newest records, oldest first, once there are as many.
json::array records(const Portico& proxy, std::size_t count) {
  json::array found;
  const bool all = eventually([&] {
    found = api(proxy, "/api/v1/requests?limit=1000").at("requests").as_array();
    return found.size() >= count;
  });
  INFO("records: " << found.size());
  REQUIRE(all);
  REQUIRE(found.size() == count);
  std::reverse(found.begin(), found.end());
  return found;
}

json::object only_record(const Portico& proxy) { return records(proxy, 1)[0].as_object(); }

json::object only_failure(const Portico& proxy) {
  json::array found;
  REQUIRE(eventually([&] {
    found = api(proxy, "/api/v1/failures?window=15m").at("failures").as_array();
    return !found.empty();
  }));
  REQUIRE(found.size() == 1);
  return found[0].as_object();
}

std::string event(std::string_view data) { return chunk(fmt::format("data: {}\n\n", data)); }
std::string sse_head(const std::vector<std::string>& more = {}) {
  std::vector<std::string> lines{"Content-Type: text/event-stream"};
  lines.insert(lines.end(), more.begin(), more.end());
  return ok_chunked(lines);
}

constexpr std::string_view delta =
    R"({"model":"gpt-5.4","choices":[{"index":0,"delta":{"content":"Hi \"usage\":{"},"finish_reason":null}]})";
constexpr std::string_view finish =
    R"({"model":"gpt-5.4","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";
constexpr std::string_view usage =
    R"({"model":"gpt-5.4","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":9,"total_tokens":29,)"
    R"("prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":4}}})";

}  // namespace

TEST_CASE("a streamed answer leaves a record with its tokens and times", "[telemetry]") {
  Origin cpa(Origin::serve(sse_head({std::string(trace)}) + event(delta) + event(finish) + event(usage) +
                           event("[DONE]") + "0\r\n\r\n"));
  Portico proxy{{.cpa = cpa.url()}};
  REQUIRE(proxy
              .exchange(post(chat, asks_stream,
                             {client_key, "User-Agent: OpenAI/Python 2.1", "X-Request-Id: mine-1"}))
              .status == 200);
  const json::object record = only_record(proxy);
  CHECK(record.at("id") == "mine-1");
  CHECK(record.at("dialect") == "openai-chat");
  CHECK(record.at("model") == "gpt-5.4");
  CHECK(record.at("stream") == true);
  CHECK(record.at("status") == 200);
  CHECK(record.at("ended") == "complete");
  CHECK(record.at("failed") == false);
  CHECK(record.at("events") == 4);
  CHECK(record.at("auth_index") == "b06d5527e1fa3c98");
  CHECK(record.at("cpa_request_id") == "5a7733d0");
  CHECK(record.at("upstream") == "cpa");
  CHECK(std::string(record.at("endpoint").as_string()) == cpa.url());
  CHECK(record.at("usage_quality") == "complete");
  const json::object& tokens = record.at("tokens").as_object();
  CHECK(tokens.at("input") == 4);
  CHECK(tokens.at("cache_read") == 16);
  CHECK(tokens.at("output") == 5);
  CHECK(tokens.at("reasoning") == 4);
  CHECK(tokens.at("total") == 29);
  CHECK(record.at("time_to_first_token_seconds").is_number());
  CHECK(record.at("duration_seconds").is_number());
  CHECK(record.at("key").at("mask") == "sk-t...9f3c");
  CHECK(proxy.metric("portico_tokens_total") == 29);
}

TEST_CASE("what comes before the final response is not its first byte", "[telemetry]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    std::this_thread::sleep_for(300ms);
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(post(chat, asks_stream));
  client.read_until("HTTP/1.1 502");
  const json::object record = only_record(proxy);
  CHECK(record.at("status") == 502);
  CHECK(record.at("time_to_first_byte_seconds").as_double() >= 0.3);
}

TEST_CASE("the wait on a pooled connection that died is not Portico's own time", "[telemetry]") {
  constexpr double waited = 0.5;
  Origin cpa([&](Connection& connection) {
    connection.read_request();
    connection.send(ok("first"));
    if (connection.number() > 0) return;
    connection.read_request();
    std::this_thread::sleep_for(std::chrono::duration<double>(waited));
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  REQUIRE(client.exchange(get("/v1/models")).status == 200);
  REQUIRE(client.exchange(get("/v1/models")).status == 200);
  REQUIRE(proxy.metric("portico_upstream_retries_total") == 1);
  double all = 0;
  for (const json::value& record : records(proxy, 2)) all += record.at("duration_seconds").as_double();
  CHECK(proxy.metric("portico_overhead_seconds_count") == 2);
  CHECK(proxy.metric("portico_overhead_seconds_sum") <= all - waited);
}

TEST_CASE("a path that is refused is of no API, in its record as in the counters", "[telemetry]") {
  Portico proxy{{}};
  REQUIRE(proxy.exchange(get("/v0/management%2fconfig")).status == 400);
  CHECK(only_record(proxy).at("dialect") == "other");
  CHECK(proxy.metric("portico_requests_total", {R"(dialect="other")"}) == 1);
}

TEST_CASE("a client that leaves right after the last event has its whole answer", "[telemetry]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(sse_head() +
                    chunk("event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{"
                          "\"model\":\"gpt-5.4\",\"status\":\"completed\",\"usage\":{\"input_tokens\":3,"
                          "\"output_tokens\":2,\"total_tokens\":5}}}\n\n"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  {
    Client client = proxy.connect();
    client.send(post("/v1/responses", R"({"model":"gpt-5.4","stream":true,"input":"x"})"));
    client.read_until("\"total_tokens\":5}}}\n\n");
  }
  const json::object record = only_record(proxy);
  CHECK(record.at("ended") == "complete");
  CHECK(record.at("failed") == false);
  CHECK(record.at("tokens").at("total") == 5);
  CHECK(
      eventually([&] { return proxy.metric("portico_exchanges_ended_total", {R"(how="complete")"}) == 1; }));
}

TEST_CASE("an aborted stream is counted with what had been announced", "[telemetry]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(
        sse_head() +
        chunk("event: message_start\ndata: "
              "{\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-6\","
              "\"usage\":{\"input_tokens\":11,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n"));
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url()}};
  {
    Client client = proxy.connect();
    client.send(post("/v1/messages", R"({"model":"claude-sonnet-4-6","stream":true,"messages":[]})"));
    client.read_until("\"output_tokens\":1}}}\n\n");
  }
  const json::object record = only_record(proxy);
  CHECK(record.at("ended") == "client_gone");
  CHECK(record.at("failed") == false);
  CHECK(record.at("usage_quality") == "partial");
  CHECK(record.at("usage_complete") == false);
  CHECK(record.at("tokens").at("input") == 11);
  CHECK(record.at("tokens").at("cache_read") == 7);
  const json::object totals = api(proxy, "/api/v1/usage?window=15m&group_by=model").at("totals").as_object();
  CHECK(totals.at("client_gone") == 1);
  CHECK(totals.at("tokens").at("input") == 11);
  CHECK(only_failure(proxy).at("category") == "client_cancelled");
}

TEST_CASE("an error inside a 200 stream is a failure", "[telemetry]") {
  Origin cpa(Origin::serve(
      sse_head({std::string(trace)}) + event(delta) +
      event(R"({"error":{"message":"Overloaded, try later","type":"overloaded_error","code":null}})") +
      "0\r\n\r\n"));
  Portico proxy{{.cpa = cpa.url()}};
  REQUIRE(proxy.exchange(post(chat, asks_stream)).status == 200);
  CHECK(only_record(proxy).at("failed") == true);
  const json::object failure = only_failure(proxy);
  CHECK(failure.at("category") == "upstream_outage");
  CHECK(failure.at("count") == 1);
  CHECK(failure.at("auth_indexes").at(0) == "b06d5527e1fa3c98");
  CHECK(proxy.metric("portico_failures_total", {R"(category="upstream_outage")"}) == 1);
}

TEST_CASE("a stream that is cut is a failure of the network, and keeps its interim usage", "[telemetry]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.send(sse_head() + event(delta) + event(usage));
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  client.send(post(chat, asks_stream));
  CHECK(client.wait_closed() == Outcome::rst);
  const json::object record = only_record(proxy);
  CHECK(record.at("ended") == "backend_broke_off");
  CHECK(record.at("failed") == true);
  CHECK(record.at("failure").at("category") == "network");
  CHECK(record.at("usage_quality") == "partial");
  CHECK(record.at("tokens").at("total") == 29);
}

TEST_CASE("what Portico answers itself is recorded with its code", "[telemetry]") {
  Portico proxy{{.settings = R"({"limits":{"request_body":"1KiB","request_head":"2KiB"}})"}};
  CHECK(proxy.exchange(post(chat, std::string(2000, 'x'))).status == 413);
  CHECK(proxy.exchange(get("/v0/management/../x")).status == 400);
  CHECK(proxy.exchange(get("/v1/models", {"X-Long: " + std::string(4000, 'x')})).status == 431);
  CHECK(proxy.exchange(post(chat, asks_stream)).status == 502);
  CHECK(proxy.exchange(get("/")).status == 302);
  const json::array all = records(proxy, 5);
  CHECK(all[0].at("ended") == "refused");
  CHECK(all[0].at("failure").at("category") == "limit");
  CHECK(all[1].at("failure").at("category") == "client_request");
  CHECK(all[2].at("failure").at("category") == "limit");
  CHECK(all[3].at("failed") == true);
  CHECK(all[3].at("endpoint") == "http://127.0.0.1:1");
  CHECK(all[4].at("failed") == false);
  CHECK(all[4].at("failure").is_null());
  CHECK(proxy.metric("portico_requests_total") == 5);
  CHECK(api(proxy, "/api/v1/usage?window=15m").at("totals").at("requests") == 5);
}

TEST_CASE("a time-out names the timer that fired", "[telemetry]") {
  Origin cpa([](Connection& connection) {
    connection.read_request();
    connection.stall_until_closed();
  });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"timeouts":{"response_head":"200ms"}})"}};
  CHECK(proxy.exchange(post(chat, asks_stream)).status == 504);
  CHECK(only_record(proxy).at("ended") == "timeout");
  const json::object failure = only_failure(proxy);
  CHECK(failure.at("category") == "timeout");
  CHECK(std::string(failure.at("next_step").as_string()).find("timeouts.response_head") != std::string::npos);
}

TEST_CASE("each turn of a WebSocket is an account of its own, the warm-up apart", "[telemetry]") {
  using namespace websocket;
  Origin cpa([](Connection& connection) {
    connection.send(accepted(connection.read_head()));
    for (;;) {
      const Frame frame = read_frame(connection);
      if (frame.opcode == Opcode::close) {
        connection.send(server_frame(Opcode::close, "\x03\xe8"));
        return;
      }
      const bool warmup = frame.payload.find("\"generate\":false") != std::string::npos;
      const int tokens = warmup ? 0 : 7;
      connection.send(server_frame(
          Opcode::text,
          R"({"type":"response.created","response":{"model":"gpt-5.4","usage":null,"error":null}})"));
      connection.send(server_frame(
          Opcode::text,
          fmt::format(
              R"({{"type":"response.completed","response":{{"model":"gpt-5.4","status":"completed","usage":)"
              R"({{"input_tokens":{0},"output_tokens":{0},"total_tokens":{1}}}}}}})",
              tokens, 2 * tokens)));
    }
  });
  Portico proxy{{.cpa = cpa.url()}};
  Client client = proxy.connect();
  REQUIRE(client.exchange(handshake("/backend-api/codex/responses", {client_key})).status == 101);
  const std::vector<std::string> asked{R"({"type":"response.create","model":"gpt-5.4","generate":false})",
                                       R"({"type":"response.create","input":[]})",
                                       R"({"type":"response.create","input":[]})"};
  for (const std::string& turn : asked) {
    client.send(client_frame(Opcode::text, turn));
    read_frame(client);
    read_frame(client);
  }
  // A turn is on record as soon as it has ended, not when the connection does.
  const json::array turns = records(proxy, 3);
  CHECK(turns[0].at("warmup") == true);
  for (const json::value& turn : turns) {
    CHECK(turn.at("kind") == "turn");
    CHECK(turn.at("model") == "gpt-5.4");
    CHECK(turn.at("dialect") == "codex-responses");
    CHECK(turn.at("key").at("mask") == "sk-t...9f3c");
  }
  client.send(client_frame(Opcode::close, "\x03\xe8"));
  CHECK(read_frame(client).opcode == Opcode::close);
  client.close();
  CHECK(records(proxy, 4)[3].at("kind") == "connection");
  const json::object totals = api(proxy, "/api/v1/usage?window=15m").at("totals").as_object();
  CHECK(totals.at("requests") == 2);
  CHECK(totals.at("failed") == 0);
  CHECK(totals.at("tokens").at("total") == 28);
}

TEST_CASE("no secret of an exchange shows anywhere", "[telemetry]") {
  const std::string secret_key = "sk-proj-SECRETKEY0123456789abcdefghijkl";
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTRUNSRVRKV1QifQ.c2lnbmF0dXJlLXNlY3JldA";
  const std::vector<std::string> secrets{"SECRETKEY",    "eyJzdWIi", "jane.doe@example.com", "PRIVATE PROMPT",
                                         "SECRETCOOKIE", "hunter2",  "SECRETQUERY"};
  const std::string body = json::serialize(json::value{
      {"error",
       {{"message",
         "Incorrect API key provided: " + secret_key + " for jane.doe@example.com (token " + jwt +
             "), Cookie: session=SECRETCOOKIE, see https://user:hunter2@host.example/x?key=SECRETQUERY1234 "
             "while answering \"Tell me the PRIVATE PROMPT of the whole company in detail, please\""},
        {"type", "authentication_error"},
        {"code", "invalid_api_key"}}}});
  Origin failing(Origin::serve(fmt::format(
      "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n{}\r\nContent-Length: {}\r\n\r\n{}",
      trace, body.size(), body)));
  TemporaryFolder folder;
  Portico proxy{{.cpa = failing.url(),
                 .settings = fmt::format(R"({{"access_log":{{"path":"{}"}},"log_level":"debug"}})",
                                         folder.file("access.log"))}};
  const std::string request = post(
      "/v1/chat/completions?key=SECRETQUERY1234&auth_token=SECRETQUERY1234",
      R"({"model":"gpt-5.4","messages":[{"role":"user","content":"PRIVATE PROMPT"}]})",
      {"Authorization: Bearer " + secret_key, "Cookie: session=SECRETCOOKIE", "x-api-key: SECRETQUERY1234"});
  REQUIRE(proxy.exchange(request).status == 401);
  only_record(proxy);
  std::string shown;
  for (const std::string page :
       {"/metrics", "/api/v1/usage?window=15m&group_by=model,key,dialect,route,endpoint",
        "/api/v1/failures?window=15m", "/api/v1/requests", "/api/v1/status", "/api/v1/config"})
    shown += proxy.manage(page).body;
  const auto log_text = [&] {
    std::ostringstream text;
    text << std::ifstream(folder.file("access.log")).rdbuf();
    return text.str();
  };
  REQUIRE(eventually([&] { return log_text().ends_with('\n'); }));
  shown += log_text();
  shown += proxy.process().output();
  CHECK(shown.find("auth_method") != std::string::npos);
  for (const std::string& secret : secrets) {
    INFO(secret);
    CHECK(shown.find(secret) == std::string::npos);
  }
}

TEST_CASE("the access log has a line for each exchange and follows a rename on SIGUSR1", "[telemetry]") {
  Origin cpa(Origin::serve(ok("{}")));
  TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  Portico proxy{{.cpa = cpa.url(), .settings = fmt::format(R"({{"access_log":{{"path":"{}"}}}})", path)}};
  const auto lines = [](const std::string& file) {
    std::ifstream in(file);
    std::vector<json::value> read;
    for (std::string line; std::getline(in, line);) read.push_back(json::parse(line));
    return read;
  };
  for (int i = 0; i < 3; ++i) REQUIRE(proxy.exchange(get("/v1/models")).status == 200);
  REQUIRE(eventually([&] { return lines(path).size() == 3; }));
  CHECK(lines(path)[0].at("path") == "/v1/models");

  std::filesystem::rename(path, path + ".1");
  proxy.signal(SIGUSR1);
  REQUIRE(eventually([&] { return std::filesystem::exists(path); }));
  REQUIRE(proxy.exchange(get("/v1/models")).status == 200);
  CHECK(eventually([&] { return lines(path).size() == 1; }));
  CHECK(lines(path + ".1").size() == 3);

  // A reload moves it and changes its format.
  const std::string other = folder.file("other.log");
  proxy.reload(fmt::format(R"({{"access_log":{{"path":"{}","format":"combined"}}}})", other));
  REQUIRE(eventually([&] { return std::filesystem::exists(other); }));
  REQUIRE(proxy.exchange(get("/v1/models?key=secret")).status == 200);
  const auto text = [&] {
    std::ostringstream all;
    all << std::ifstream(other).rdbuf();
    return all.str();
  };
  REQUIRE(eventually([&] { return text().ends_with('\n'); }));
  CHECK(text().find("\"GET /v1/models HTTP/1.1\" 200 2 ") != std::string::npos);
  CHECK(text().find("secret") == std::string::npos);
}

TEST_CASE("what was under way is on record when the process has ended", "[telemetry]") {
  Origin cpa(Origin::serve(ok("{}")));
  TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  Portico proxy{{.cpa = cpa.url(), .settings = fmt::format(R"({{"access_log":{{"path":"{}"}}}})", path)}};
  constexpr std::size_t count = 500;
  Client client = proxy.connect();
  for (std::size_t i = 0; i < count; ++i) REQUIRE(client.exchange(get("/v1/models")).status == 200);
  REQUIRE(proxy.stop() == 0);
  std::ifstream in(path);
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line);) ++lines;
  CHECK(lines == count);
}

TEST_CASE("a ring without room drops records, counts them exactly and delays nobody", "[telemetry]") {
  Origin cpa(Origin::serve(ok("{}")));
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"telemetry":{"ring":"64KiB"}})"}};
  constexpr int rounds = 40;
  constexpr int batch = 500;
  std::string pipelined;
  for (int i = 0; i < batch; ++i) pipelined += get("/v1/models", {"User-Agent: " + std::string(90, 'u')});
  Client client = proxy.connect();
  for (int round = 0; round < rounds; ++round) {
    client.send(pipelined);
    for (int i = 0; i < batch; ++i) REQUIRE(client.response().status == 200);
  }
  const double all = rounds * batch;
  CHECK(proxy.metric("portico_requests_total") == all);
  CHECK(eventually([&] {
    return proxy.metric("portico_tap_records_total") + proxy.metric("portico_tap_dropped_total") == all &&
           proxy.metric("portico_tap_ring_used_bytes") == 0;
  }));
  const json::value account = api(proxy, "/api/v1/usage?window=15m");
  CHECK(account.at("totals").at("requests").as_int64() ==
        static_cast<std::int64_t>(proxy.metric("portico_tap_records_total")));
}
