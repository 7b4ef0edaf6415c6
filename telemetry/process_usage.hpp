#pragma once
// What the kernel says about this process: the usual process_* numbers.
//
// owns:    plain values
// threads: any; each call reads /proc/self anew (off the hot path: it may block for some milliseconds when
//          tens of thousands of descriptors are open)

#include <cstdint>
#include <optional>
#include <string_view>

namespace portico::telemetry {

/// Absent is what could not be read, for want of /proc for one.
struct ProcessUsage {
  std::optional<double> cpu_seconds;  ///< user and system, all threads
  std::optional<std::uint64_t> resident_bytes;
  std::optional<std::uint64_t> virtual_bytes;
  std::optional<std::uint64_t> open_fds;
  std::optional<std::uint64_t> max_fds;      ///< the soft limit; absent when unlimited
  std::optional<double> start_time_seconds;  ///< since the epoch
  std::optional<std::uint64_t> threads;
};

/// The fields of /proc/self/stat that are used, in the kernel's units.
struct ProcessStat {
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  ///< since boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};

/// Reads the line of /proc/[pid]/stat (proc(5)). The command's name stands in parentheses and may itself hold
/// spaces and parentheses. Empty when the line is not of that form.
std::optional<ProcessStat> parse_process_stat(std::string_view line);

/// Never throws for a missing or unreadable file.
ProcessUsage read_process_usage();

}  // namespace portico::telemetry
