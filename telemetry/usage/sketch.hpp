#pragma once
// A distribution of durations in a few bytes: counts by buckets whose bounds grow by a tenth.
//
// owns:    its counts, in one block that grows with the number of different buckets, at most 256
// threads: one
// A quantile is at most 5 % off for durations from 10 us to 90 h; what is outside counts as the nearer
// end. Sketches add up without loss: the quantiles of a sum are those of all that was observed.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace portico::telemetry {

/// The number of a duration's bucket.
using SketchBucket = std::uint8_t;
SketchBucket sketch_bucket(std::uint64_t us) noexcept;

/// Sparse: what a cell of the usage store keeps.
class Sketch {
 public:
  void observe(SketchBucket bucket, std::uint32_t count = 1);
  void add(const Sketch& other);
  /// Bytes on the heap.
  [[nodiscard]] std::size_t bytes() const noexcept { return entries_.capacity() * sizeof(Entry); }

 private:
  friend class DenseSketch;
  struct Entry {
    SketchBucket bucket = 0;
    std::uint32_t count = 0;
  };
  std::vector<Entry> entries_;  // by bucket
};

/// Dense: what a sum over many cells is made in.
class DenseSketch {
 public:
  void add(const Sketch& sketch) noexcept;
  void add(const DenseSketch& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  void clear() noexcept { counts_.fill(0); }
  /// Seconds; `share` from 0 to 1. Nothing where nothing was observed.
  [[nodiscard]] std::optional<double> quantile(double share) const noexcept;

 private:
  std::array<std::uint64_t, 256> counts_{};
};

}  // namespace portico::telemetry
