#include "telemetry/cells.hpp"

#include <atomic>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "telemetry/totals.hpp"

using namespace portico::telemetry;

TEST_CASE("a code outside 100 to 599 counts as 599") {
  CodeCounters codes;
  codes[200].add();
  codes[99].add();
  codes[600].add();
  codes[-1].add();
  REQUIRE(codes.value(200) == 1);
  REQUIRE(codes.value(599) == 3);
  REQUIRE(codes.value(100) == 0);
}

TEST_CASE("a histogram puts a value at or below a bound into that bound's bucket") {
  Histogram histogram;
  histogram.observe_us(0);
  histogram.observe_us(100);
  histogram.observe_us(101);
  histogram.observe_us(5'000'000);
  histogram.observe_us(5'000'001);
  REQUIRE(histogram.bucket(0) == 2);
  REQUIRE(histogram.bucket(1) == 1);
  REQUIRE(histogram.bucket(Histogram::bounds_us.size() - 1) == 1);
  REQUIRE(histogram.bucket(Histogram::bounds_us.size()) == 1);
  REQUIRE(histogram.sum_us() == 10'000'202);
}

TEST_CASE("a label keeps its index, and a full table answers with `other`") {
  Registry registry(1);
  const RouteLabel first = registry.route("/v1/");
  for (std::size_t i = 0; i < WorkerCells::max_routes + 10; ++i) registry.route("/r" + std::to_string(i));
  REQUIRE(registry.route("/v1/") == first);
  REQUIRE(registry.routes().size() == WorkerCells::max_routes);
  REQUIRE(registry.routes().back() == "other");
  REQUIRE(static_cast<std::size_t>(registry.route("/never seen")) == WorkerCells::max_routes - 1);

  for (std::size_t i = 0; i < WorkerCells::max_endpoints + 10; ++i) registry.endpoint("u", std::to_string(i));
  REQUIRE(registry.endpoints().size() == WorkerCells::max_endpoints);
  REQUIRE(registry.endpoints().back().upstream == "other");
  REQUIRE(registry.endpoint("u", "3") == registry.endpoint("u", "3"));
  REQUIRE(registry.endpoint("u", "3") != registry.endpoint("u", "4"));

  for (std::size_t i = 0; i < WorkerCells::max_listeners + 10; ++i) registry.listener(std::to_string(i));
  REQUIRE(registry.listeners().size() == WorkerCells::max_listeners);
  REQUIRE(registry.listeners().back() == "other");
}

TEST_CASE("a block that no worker has used is absent, and then stays where it is") {
  Registry registry(1);
  WorkerCells& worker = registry.worker(0);
  const RouteLabel route = registry.route("/v1/");
  REQUIRE(worker.requests_block(route, Dialect::openai_chat) == nullptr);
  worker.requests(route, Dialect::openai_chat, 200).add();
  const CodeCounters* block = worker.requests_block(route, Dialect::openai_chat);
  REQUIRE(block != nullptr);
  worker.requests(route, Dialect::openai_chat, 404).add();
  REQUIRE(worker.requests_block(route, Dialect::openai_chat) == block);
  REQUIRE(block->value(200) == 1);
  REQUIRE(block->value(404) == 1);
  REQUIRE(worker.requests_block(route, Dialect::other) == nullptr);
}

TEST_CASE("an endpoint is up unless every worker that used it says down") {
  Registry registry(3);
  const EndpointLabel label = registry.endpoint("cpa", "http://127.0.0.1:8317");
  REQUIRE(totals_of(registry, label).up);
  registry.worker(0).endpoint(label).up.set(0);
  REQUIRE_FALSE(totals_of(registry, label).up);
  registry.worker(1).endpoint(label);
  REQUIRE_FALSE(totals_of(registry, label).up);
  registry.worker(2).endpoint(label).connects.add();
  REQUIRE(totals_of(registry, label).up);
  registry.worker(2).endpoint(label).up.set(0);
  REQUIRE_FALSE(totals_of(registry, label).up);
}

TEST_CASE("totals add up over workers") {
  Registry registry(2);
  const EndpointLabel endpoint = registry.endpoint("cpa", "a");
  const ListenerLabel listener = registry.listener("l");
  for (std::size_t w = 0; w < 2; ++w) {
    EndpointCells& cells = registry.worker(w).endpoint(endpoint);
    cells.active.add(3);
    cells.active.sub();
    cells.connects.add(5);
    cells.connect_time.observe_us(70);
    registry.worker(w).listener(listener).connections.add(4);
    registry.worker(w).streams.add(7);
  }
  const EndpointTotals totals = totals_of(registry, endpoint);
  REQUIRE(totals.active == 4);
  REQUIRE(totals.connects == 10);
  REQUIRE(totals.connect_time.buckets[0] == 2);
  REQUIRE(totals.connect_time.sum_us == 140);
  REQUIRE(totals_of(registry, listener).connections == 8);
  REQUIRE(streams_of(registry) == 14);
}

TEST_CASE("a reader beside a writer sees counts that only grow, and at last all of them") {
  constexpr std::uint64_t rounds = 20'000;
  Registry registry(1);
  WorkerCells& worker = registry.worker(0);
  const RouteLabel route = registry.route("/v1/");
  const EndpointLabel endpoint = registry.endpoint("cpa", "a");
  std::atomic<bool> done{false};

  std::thread writer([&] {
    for (std::uint64_t i = 0; i < rounds; ++i) {
      worker.requests(route, static_cast<Dialect>(i % dialect_count), 200).add();
      worker.endpoint(endpoint).connect_time.observe_us(i);
      worker.ended[0].add();
    }
    done.store(true);
  });

  std::uint64_t last = 0;
  bool grew_only = true;
  const auto requests = [&] {
    std::uint64_t sum = 0;
    for (std::size_t d = 0; d < dialect_count; ++d) {
      const CodeCounters* block = worker.requests_block(route, static_cast<Dialect>(d));
      if (block != nullptr) sum += block->value(200);
    }
    return sum;
  };
  while (!done.load()) {
    const std::uint64_t now = requests();
    grew_only = grew_only && now >= last;
    last = now;
    static_cast<void>(totals_of(registry, endpoint));
    // The control thread makes labels while workers count.
    registry.route("/later/");
  }
  writer.join();
  REQUIRE(grew_only);
  REQUIRE(requests() == rounds);
  REQUIRE(worker.ended[0].value() == rounds);
  REQUIRE(totals_of(registry, endpoint).connect_time.sum_us == rounds * (rounds - 1) / 2);
}

TEST_CASE("the ways to end have the names of the specification") {
  REQUIRE(name_of(Ended::complete) == "complete");
  REQUIRE(name_of(Ended::client_gone) == "client_gone");
  REQUIRE(name_of(Ended::backend_broke_off) == "backend_broke_off");
  REQUIRE(name_of(Ended::timeout) == "timeout");
  REQUIRE(name_of(Ended::refused) == "refused");
}
