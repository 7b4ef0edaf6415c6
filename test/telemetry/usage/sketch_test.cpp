#include "telemetry/usage/sketch.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

// The value that the definition names: the smallest that at least this share does not exceed.
double exact(std::vector<std::uint64_t> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return static_cast<double>(values[std::max<std::size_t>(rank, 1) - 1]) / 1e6;
}

}  // namespace

TEST_CASE("a quantile is at most five per cent off, whatever the distribution") {
  std::mt19937_64 random(1);
  for (const double spread : {0.1, 1.0, 3.0}) {
    std::lognormal_distribution<double> draw(std::log(300'000.0), spread);
    std::vector<std::uint64_t> values;
    Sketch first;
    Sketch second;
    for (int i = 0; i < 5'000; ++i) {
      values.push_back(
          std::clamp<std::uint64_t>(static_cast<std::uint64_t>(draw(random)), 10, 300'000'000'000));
      (i % 3 == 0 ? first : second).observe(sketch_bucket(values.back()));
    }
    DenseSketch sum;
    sum.add(first);
    sum.add(second);
    first.add(second);
    DenseSketch merged;
    merged.add(first);
    for (const double share : {0.0, 0.01, 0.5, 0.95, 0.99, 1.0}) {
      INFO(spread << " " << share);
      const double expected = exact(values, share);
      CHECK(std::abs(sum.quantile(share).value() - expected) <= 0.05 * expected);
      CHECK(merged.quantile(share) == sum.quantile(share));
    }
  }
}

TEST_CASE("every duration falls into the bucket whose bounds hold it") {
  SketchBucket last = 0;
  for (std::uint64_t us = 1; us < 400'000'000'000; us += us / 50 + 1) {
    const SketchBucket bucket = sketch_bucket(us);
    REQUIRE(bucket >= last);
    last = bucket;
    if (us < 10 || us > 300'000'000'000) continue;
    DenseSketch one;
    Sketch sketch;
    sketch.observe(bucket);
    one.add(sketch);
    const double expected = static_cast<double>(us) / 1e6;
    REQUIRE(std::abs(one.quantile(0.5).value() - expected) <= 0.05 * expected);
  }
  CHECK(last == 255);
  CHECK(sketch_bucket(0) == 0);
  CHECK(sketch_bucket(UINT64_MAX) == 255);
}

TEST_CASE("where nothing was observed there is no quantile") {
  DenseSketch empty;
  CHECK_FALSE(empty.quantile(0.5).has_value());
}

TEST_CASE("a sketch takes memory for the buckets it has, at most 256") {
  Sketch sketch;
  CHECK(sketch.bytes() == 0);
  for (int i = 0; i < 1'000; ++i) sketch.observe(40);
  CHECK(sketch.bytes() <= 16);
  for (int i = 0; i < 100'000; ++i) sketch.observe(static_cast<SketchBucket>(i % 256));
  CHECK(sketch.bytes() <= 4'096);
}
