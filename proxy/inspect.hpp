#pragma once
// `portico inspect`: shows two files that hold the bytes of one exchange, one for each direction, to the tap
// as an exchange would, and prints what it made of them.
//
// owns:    nothing
// threads: one
// errors:  std::runtime_error with a sentence for the user where the bytes are no exchange

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "routing/table.hpp"
#include "telemetry/inspect.hpp"

namespace portico::proxy {

/// How the bytes of each direction are cut before they are shown.
struct Cuts {
  std::size_t first = 0;   ///< the first piece's size; 0: like the others
  std::size_t size = 0;    ///< of the others; 0: all that is left
  bool at_random = false;  ///< sizes from 1 to 64 by `seed` instead
  std::uint64_t seed = 0;
};

/// What became of an exchange's bytes.
struct Inspected {
  telemetry::RecordCollector records;
  telemetry::InspectedBytes bytes;
};

/// Runs the bytes through a tap. Heads are read whole; everything behind them is cut. `table` says who owns
/// the path. A response that ends early is taken as the backend's breaking off.
void inspect(std::string_view request, std::string_view response, const Cuts& cuts,
             const routing::RouteTable& table, Inspected& out);

/// The command: reads both files and returns what to print. `split` is empty, a number of bytes, or
/// `random:SEED`.
std::string inspect_files(const std::string& request_file, const std::string& response_file,
                          std::string_view split, const routing::RouteTable& table);

}  // namespace portico::proxy
