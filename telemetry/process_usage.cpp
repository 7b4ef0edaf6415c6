#include "telemetry/process_usage.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace portico::telemetry {
namespace {

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

// The moment of boot in seconds since the epoch: the `btime` line of /proc/stat.
std::optional<std::uint64_t> read_boot_time() {
  const std::string text = read_file("/proc/stat");
  constexpr std::string_view key = "\nbtime ";
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return std::nullopt;
  return to_number(std::string_view(text).substr(at + key.size()));
}

std::optional<std::uint64_t> count_open_fds() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  if (error) return std::nullopt;
  std::uint64_t count = 0;
  for (const std::filesystem::directory_iterator end; entry != end; entry.increment(error)) {
    if (error) return std::nullopt;
    ++count;
  }
  // The listing itself held one of them open.
  return count == 0 ? 0 : count - 1;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view line) {
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  line.remove_prefix(name_end + 1);

  ProcessStat stat;
  // Field numbers of proc(5); the state behind the name is field 3.
  for (int field = 3; field <= 24; ++field) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) return std::nullopt;
    line.remove_prefix(start);
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    std::uint64_t* const target = field == 20   ? &stat.threads
                                  : field == 22 ? &stat.start_ticks
                                  : field == 23 ? &stat.virtual_bytes
                                  : field == 24 ? &stat.resident_pages
                                                : nullptr;
    if (target == nullptr) continue;
    const std::optional<std::uint64_t> value = to_number(word);
    if (!value) return std::nullopt;
    *target = *value;
  }
  return stat;
}

ProcessUsage read_process_usage() {
  // Both are fixed for the life of the process, and /proc/stat is long on machines with many processors.
  static const std::optional<std::uint64_t> boot_time = read_boot_time();
  static const long ticks_a_second = ::sysconf(_SC_CLK_TCK);

  ProcessUsage usage;
  rusage times{};
  // Finer than the clock ticks of /proc/self/stat.
  if (::getrusage(RUSAGE_SELF, &times) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    usage.cpu_seconds = seconds(times.ru_utime) + seconds(times.ru_stime);
  }
  if (const auto stat = parse_process_stat(read_file("/proc/self/stat"))) {
    usage.threads = stat->threads;
    usage.virtual_bytes = stat->virtual_bytes;
    usage.resident_bytes = stat->resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (boot_time && ticks_a_second > 0) {
      usage.start_time_seconds = static_cast<double>(*boot_time) +
                                 static_cast<double>(stat->start_ticks) / static_cast<double>(ticks_a_second);
    }
  }
  usage.open_fds = count_open_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    usage.max_fds = limit.rlim_cur;
  }
  return usage;
}

}  // namespace portico::telemetry
