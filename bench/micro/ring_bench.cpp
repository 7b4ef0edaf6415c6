// What a record costs the worker that leaves it behind.
//
// push      a typical record into a ring whose consumer keeps up (drained here between pushes, untimed by its
// share) full      a record that is dropped because nobody drains

#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <string>

#include <catch2/catch.hpp>

#include "telemetry/ring.hpp"

namespace portico::telemetry {
namespace {

constexpr std::size_t batch = 256;

TEST_CASE("ring") {
  const RecordFacts facts;
  const std::string texts(300, 't');
  const Record record(facts, texts);

  BENCHMARK_ADVANCED("256 pushes of a 300-byte text")(Catch::Benchmark::Chronometer meter) {
    Waker waker;
    Ring ring(std::size_t{4} << 20, waker);
    meter.measure([&] {
      for (std::size_t i = 0; i < batch; ++i) ring.try_push(record);
      ring.drain(batch, [](const Record&) {});
      return ring.pushed();
    });
    REQUIRE(ring.dropped() == 0);
  };
  BENCHMARK_ADVANCED("256 pushes into a full ring")(Catch::Benchmark::Chronometer meter) {
    Waker waker;
    Ring ring(4096, waker);
    while (ring.try_push(record)) {
    }
    meter.measure([&] {
      for (std::size_t i = 0; i < batch; ++i) ring.try_push(record);
      return ring.dropped();
    });
  };
}

}  // namespace
}  // namespace portico::telemetry
