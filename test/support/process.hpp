#pragma once
// A child process with its output captured line by line.
//
// owns:    the process: it is killed and reaped when the object goes
// threads: one, apart from the reader it runs for itself
// errors:  std::system_error when it cannot be started; waits return false or nothing at their deadline

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "test/support/address.hpp"
#include "test/support/deadline.hpp"

namespace portico::test {

struct Command {
  std::vector<std::string> arguments;         ///< the program's path first
  std::vector<std::string> environment = {};  ///< `NAME=value`, added to the test's own
  std::size_t descriptors = 0;                ///< RLIMIT_NOFILE, hard; 0: as the test's
  std::size_t soft_descriptors = 0;           ///< RLIMIT_NOFILE, soft; 0: as the hard one
  std::vector<int> inherit =
      {};  ///< become 3, 4, ... and are announced as systemd does (LISTEN_FDS, LISTEN_PID)
};

/// How a child ended: its exit code, or minus the signal that killed it.
using ExitStatus = int;

class Process {
 public:
  explicit Process(const Command& command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Waits for a complete line of stdout or stderr that contains `text`; returns the line.
  std::optional<std::string> wait_for_line(std::string_view text, Deadline deadline = patience());
  void signal(int number) const;
  /// Empty when it still runs at the deadline.
  std::optional<ExitStatus> wait_exit(Deadline deadline = patience());
  [[nodiscard]] bool running();
  /// Everything printed so far, stdout and stderr in the order of reading.
  [[nodiscard]] std::string output() const;

  [[nodiscard]] std::size_t rss_bytes() const;
  [[nodiscard]] std::size_t open_descriptors() const;
  /// The soft limit of open descriptors in force.
  [[nodiscard]] std::size_t descriptor_limit() const;
  /// User and system time spent so far.
  [[nodiscard]] milliseconds processor_time() const;

 private:
  void read_output();

  pid_t pid_ = -1;
  std::optional<ExitStatus> status_;
  Fd out_;
  Fd err_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;
  std::thread reader_;
};

}  // namespace portico::test
