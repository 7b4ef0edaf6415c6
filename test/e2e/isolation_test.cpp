// Section 15: no input makes Portico deliver one client's bytes to another.

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"

using namespace portico::test;

namespace {

/// `/v1/<request seed>/<response seed>/<response size>`
struct Ask {
  std::uint64_t request_seed = 0;
  std::uint64_t response_seed = 0;
  std::size_t size = 0;
};

Ask parse(const std::string& target) {
  Ask ask;
  if (std::sscanf(target.c_str(), "/v1/%lu/%lu/%zu", &ask.request_seed, &ask.response_seed, &ask.size) != 3)
    throw ProtocolError("a target that no client sent: " + target);
  return ask;
}

/// Answers with the pattern that was asked for and checks the request's own.
void answer_patterns(Connection& connection, std::atomic<std::size_t>& wrong) {
  std::mt19937 random(static_cast<unsigned>(connection.number()));
  while (true) {
    Message seen = connection.read_head(Deadline{60s});
    const Ask ask = parse(seen.target);
    Checker checker(ask.request_seed);
    read_request_body(connection, seen, [&](std::string_view bytes) { checker.take(bytes); });
    if (seen.end != End::complete) return;
    if (!checker.good()) ++wrong;
    const std::string body = pattern(ask.response_seed, ask.size);
    const std::vector<std::string> lines = {fmt::format("X-Seed: {}", ask.response_seed)};
    switch (random() % 4) {
      case 0:
        connection.send(ok_chunked(lines) + chunked(body, 1 + random() % 5000));
        break;
      case 1:
        connection.send(ok_chunked(lines) + chunk(body.substr(0, body.size() / 2)) +
                        chunk(body.substr(body.size() / 2)) + "0\r\n\r\n");
        break;
      case 2:
        connection.send_split(ok(body, lines), 20'000);
        break;
      default:
        connection.send(ok(body, lines));
    }
  }
}

/// One client's exchanges. Returns how many answers were not its own.
std::size_t exchanges(const Portico& proxy, unsigned number, int count) {
  std::mt19937 random(number);
  std::size_t wrong = 0;
  std::optional<Client> client;
  for (int i = 0; i < count; ++i) {
    if (!client) client.emplace(proxy.address());
    const Ask ask{number * 100'003ULL + static_cast<unsigned>(i),
                  number * 900'001ULL + static_cast<unsigned>(i),
                  1 + random() % (random() % 8 == 0 ? 200'000 : 2000)};
    const std::string target = fmt::format("/v1/{}/{}/{}", ask.request_seed, ask.response_seed, ask.size);
    const std::string body = pattern(ask.request_seed, 1 + random() % (random() % 8 == 0 ? 100'000 : 1000));
    const std::string text = random() % 3 == 0 ? request("POST", target, {"Transfer-Encoding: chunked"}) +
                                                     chunked(body, 1 + random() % 9000)
                                               : post(target, body);
    if (random() % 12 == 0) {
      // Some go away in the middle, on either side of the answer.
      client->send(text.substr(0, random() % text.size()));
      if (random() % 2 == 0) client->reset();
      client.reset();
      continue;
    }
    client->send(text, Deadline{60s});
    Message answer = read_response_head(*client, Deadline{60s});
    if (random() % 12 == 0) {
      client.reset();
      continue;
    }
    Checker checker(ask.response_seed);
    read_response_body(
        *client, answer, false, [&](std::string_view bytes) { checker.take(bytes); }, 60s);
    if (answer.status != 200 || answer.end != End::complete || !checker.good() ||
        checker.size() != ask.size || answer.one("X-Seed") != std::to_string(ask.response_seed))
      ++wrong;
  }
  return wrong;
}

}  // namespace

TEST_CASE("64 clients at once, some of which break off: each gets its own bytes and no other's",
          "[isolation]") {
  std::atomic<std::size_t> wrong_requests{0};
  Origin cpa([&](Connection& connection) { answer_patterns(connection, wrong_requests); });
  Portico proxy{{.cpa = cpa.url(), .settings = R"({"workers": 2})"}};
  std::atomic<std::size_t> wrong{0};
  std::mutex mutex;
  std::vector<std::string> failures;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 64; ++i)
    threads.emplace_back([&, i] {
      try {
        wrong += exchanges(proxy, i, 60);
      } catch (const std::exception& error) {
        const std::scoped_lock lock(mutex);
        failures.push_back(fmt::format("client {}: {}", i, error.what()));
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(wrong_requests == 0);
  CHECK(failures == std::vector<std::string>{});
  CHECK(cpa.errors() == std::vector<std::string>{});
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  CHECK(proxy.metric("portico_internal_errors_total") == 0);
}
