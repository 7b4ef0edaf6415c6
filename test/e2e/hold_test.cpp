// How many streams one worker holds, and what they cost.

#include <fmt/format.h>

#include <vector>

#include <catch2/catch.hpp>

#include "test/support/message.hpp"
#include "test/support/portico.hpp"
#include "test/support/process.hpp"

using namespace portico::test;

namespace {

/// The address in the first line of the sample's output that has `label`.
std::string address_in(Process& sample, const char* label) {
  const std::optional<std::string> line = sample.wait_for_line(label);
  REQUIRE(line.has_value());
  return "http://" + line->substr(line->rfind(' ') + 1);
}

}  // namespace

TEST_CASE("9,000 open event streams are held by one worker at less than 5.6 KiB each", "[hold]") {
  // Sanitizers multiply memory and time; there the rule is only that nothing breaks.
  const std::size_t count = sanitized() ? 500 : 9'000;
  Process sample{Command{.arguments = {PORTICO_BINARY, "sample", "--cpa-listen", "127.0.0.1:0",
                                       "--cpamp-listen", "127.0.0.1:0"}}};
  const std::string cpa = address_in(sample, "sample CPA ");
  Portico proxy{{.cpa = cpa, .settings = R"({"limits": {"connections_per_client": 20000}})"}};

  const std::string asked =
      post("/v1/chat/completions", R"({"model": "stall", "stream": true, "messages": []})",
           {"Content-Type: application/json"});
  std::vector<Client> clients;
  clients.reserve(count);
  const auto open = [&](std::size_t streams) {
    while (clients.size() < streams) {
      const std::size_t first = clients.size();
      while (clients.size() < std::min(first + 100, streams)) {
        clients.push_back(proxy.connect());
        clients.back().send(asked);
      }
      for (std::size_t i = first; i < clients.size(); ++i) {
        read_response_head(clients[i]);
        clients[i].read_until("data:");
      }
    }
  };
  // The first ones pay for what all share.
  open(100);
  const std::size_t before = proxy.process().rss_bytes();
  open(count);
  const std::size_t after = proxy.process().rss_bytes();
  CHECK(proxy.metric("portico_streams") == static_cast<double>(count));
  if (!sanitized()) {
    const double each = static_cast<double>(after - before) / static_cast<double>(count - 100);
    CAPTURE(each);
    CHECK(each < 5.6 * 1024);
  }
  clients.clear();
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }, Deadline{30s}));
  CHECK(eventually([&] { return proxy.metric("portico_connections") == 0; }, Deadline{30s}));
}
