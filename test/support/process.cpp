#include "test/support/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace portico::test {

namespace {

std::array<Fd, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Decimal digits without allocation: it runs between fork and exec.
void write_number(char* out, pid_t number) {
  char digits[16];
  int n = 0;
  for (; number > 0; number /= 10) digits[n++] = static_cast<char>('0' + number % 10);
  while (n > 0) *out++ = digits[--n];
  *out = '\0';
}

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t entries_of(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator it(folder, error);
  return error ? 0 : static_cast<std::size_t>(std::distance(it, std::filesystem::directory_iterator()));
}

}  // namespace

Process::Process(const Command& command) {
  auto out = make_pipe();
  auto err = make_pipe();
  auto arguments = command.arguments;
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  for (const auto& entry : command.environment) environment.push_back(entry);
  if (!command.inherit.empty()) {
    environment.push_back(fmt::format("LISTEN_FDS={}", command.inherit.size()));
    environment.emplace_back("LISTEN_PID=0000000000000000");
  }
  auto argv = pointers(arguments);
  auto envp = pointers(environment);
  char* listen_pid = command.inherit.empty() ? nullptr : environment.back().data() + 11;
  // High numbers first, so that moving one to 3 does not overwrite the next.
  std::vector<Fd> moved;
  moved.reserve(command.inherit.size());
  for (const int fd : command.inherit) moved.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));

  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(out[1].get(), 1);
    ::dup2(err[1].get(), 2);
    for (std::size_t i = 0; i < moved.size(); ++i) ::dup2(moved[i].get(), static_cast<int>(3 + i));
    if (listen_pid != nullptr) write_number(listen_pid, ::getpid());
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (command.descriptors > 0) limit = {command.descriptors, command.descriptors};
    if (command.soft_descriptors > 0) limit.rlim_cur = command.soft_descriptors;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  out_ = std::move(out[0]);
  err_ = std::move(err[0]);
  out[1].close();
  err[1].close();
  reader_ = std::thread([this] { read_output(); });
}

Process::~Process() {
  if (!status_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  reader_.join();
}

void Process::read_output() {
  std::array<pollfd, 2> polls{pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0}};
  std::array<std::string, 2> partial;
  std::array<char, 4096> buffer{};
  while (polls[0].fd >= 0 || polls[1].fd >= 0) {
    ::poll(polls.data(), polls.size(), -1);
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].fd < 0 || polls[i].revents == 0) continue;
      const ssize_t got = ::read(polls[i].fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        polls[i].fd = -1;
        continue;
      }
      partial[i].append(buffer.data(), static_cast<std::size_t>(got));
      const auto end = partial[i].rfind('\n');
      if (end == std::string::npos) continue;
      const std::scoped_lock lock(mutex_);
      output_ += partial[i].substr(0, end + 1);
      partial[i].erase(0, end + 1);
      changed_.notify_all();
    }
  }
  const std::scoped_lock lock(mutex_);
  output_ += partial[0] + partial[1];
  changed_.notify_all();
}

std::optional<std::string> Process::wait_for_line(std::string_view text, Deadline deadline) {
  std::unique_lock lock(mutex_);
  std::optional<std::string> found;
  changed_.wait_until(lock, deadline.at(), [&] {
    std::istringstream lines(output_);
    for (std::string line; !found && std::getline(lines, line);)
      if (line.find(text) != std::string::npos) found = line;
    return found.has_value();
  });
  return found;
}

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

std::optional<ExitStatus> Process::wait_exit(Deadline deadline) {
  eventually(
      [this] {
        int raw = 0;
        if (!status_ && ::waitpid(pid_, &raw, WNOHANG) == pid_)
          status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : -WTERMSIG(raw);
        return status_.has_value();
      },
      deadline);
  return status_;
}

bool Process::running() { return !wait_exit(Deadline{0ms}).has_value(); }

std::string Process::output() const {
  const std::scoped_lock lock(mutex_);
  return output_;
}

std::size_t Process::rss_bytes() const {
  std::istringstream in(slurp(fmt::format("/proc/{}/statm", pid_)));
  std::size_t size = 0;
  std::size_t resident = 0;
  in >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t Process::open_descriptors() const { return entries_of(fmt::format("/proc/{}/fd", pid_)); }

std::size_t Process::descriptor_limit() const {
  rlimit limit{};
  ::prlimit(pid_, RLIMIT_NOFILE, nullptr, &limit);
  return limit.rlim_cur;
}

milliseconds Process::processor_time() const {
  const std::string stat = slurp(fmt::format("/proc/{}/stat", pid_));
  // Fields 14 and 15; the second one is the name in brackets, which may hold blanks.
  const auto end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return 0ms;
  std::istringstream in(stat.substr(end_of_name + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) in >> skipped;
  long user = 0;
  long system = 0;
  in >> user >> system;
  return milliseconds((user + system) * 1000 / ::sysconf(_SC_CLK_TCK));
}

}  // namespace portico::test
