#include "telemetry/access_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <system_error>
#include <utility>

#include "telemetry/log.hpp"
#include "telemetry/usage/account.hpp"

namespace portico::telemetry {
namespace {

constexpr std::size_t write_at = 65'536;
constexpr std::size_t max_pending = 1'048'576;
constexpr mode_t file_mode = 0640;

std::uint64_t lines_in(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// `22/Nov/2026:15:04:05 +0000`
void append_local_time(std::string& out, std::uint64_t unix_us) {
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto seconds = static_cast<std::time_t>(unix_us / 1'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  const long minutes = local.tm_gmtoff / 60;
  fmt::format_to(std::back_inserter(out), "{:02}/{}/{:04}:{:02}:{:02}:{:02} {}{:02}{:02}", local.tm_mday,
                 months[static_cast<std::size_t>(local.tm_mon)], local.tm_year + 1900, local.tm_hour,
                 local.tm_min, local.tm_sec, minutes < 0 ? '-' : '+', std::abs(minutes) / 60,
                 std::abs(minutes) % 60);
}

void append_escaped(std::string& out, std::string_view text) {
  if (text.empty()) out += '-';
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace

void append_combined(std::string& out, const Record& record) {
  const RecordFacts& facts = record.facts();
  append_escaped(out, record.text(Text::client));
  out += " - - [";
  append_local_time(out, end_unix_us(facts));
  out += "] \"";
  append_escaped(out, record.text(Text::method));
  out += ' ';
  append_escaped(out, record.text(Text::path));
  fmt::format_to(std::back_inserter(out), R"( HTTP/{}.{}" )", facts.http_version / 10,
                 facts.http_version % 10);
  // Nginx's words where there was no answer: 499 for a client that left, 000 for anything else.
  const int status = facts.status == 0 && facts.ended == Ended::client_gone ? 499 : facts.status;
  fmt::format_to(std::back_inserter(out), R"({:03} {} "-" ")", status, facts.response_bytes);
  append_escaped(out, record.text(Text::user_agent));
  out += "\"\n";
}

AccessLog::~AccessLog() {
  flush();
  close();
}

void AccessLog::configure(const conf::AccessLogSettings& settings) {
  if (settings.path != settings_.path) {
    flush();
    lose(pending_);
    pending_.clear();
    close();
    settings_ = settings;
    open();
  } else {
    settings_ = settings;
  }
}

void AccessLog::reopen() {
  flush();
  if (torn_) {
    // The rest of a line whose beginning is in the old file is of no use in the new one.
    const std::size_t end = pending_.find('\n') + 1;
    lose(std::string_view(pending_).substr(0, end));
    pending_.erase(0, end);
  }
  close();
  open();
}

void AccessLog::open() {
  reported_ = false;
  if (settings_.path.empty()) return;
  if (settings_.path == "-") {
    fd_ = STDOUT_FILENO;
  } else {
    fd_ = ::open(settings_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                 file_mode);
    if (fd_ < 0) {
      report("opened", errno);
      return;
    }
  }
  struct stat file {};
  regular_ = ::fstat(fd_, &file) == 0 && S_ISREG(file.st_mode);
}

void AccessLog::close() noexcept {
  torn_ = false;
  if (fd_ >= 0 && fd_ != STDOUT_FILENO) ::close(fd_);
  fd_ = -1;
}

void AccessLog::take(const Record& record, const std::optional<Verdict>& verdict,
                     const RecordLabels& labels) {
  if (settings_.path.empty()) return;
  if (fd_ < 0) {
    ++totals_.lost;
    return;
  }
  const std::size_t before = pending_.size();
  if (settings_.format == conf::AccessLogSettings::Format::json) {
    append_record_json(pending_, record, verdict, labels);
    pending_ += '\n';
  } else if (record->kind != RecordKind::turn) {
    append_combined(pending_, record);
  }
  if (pending_.size() > max_pending) {
    lose(std::string_view(pending_).substr(before));
    pending_.resize(before);
  }
  if (pending_.size() >= write_at) flush();
}

void AccessLog::flush() {
  if (fd_ < 0) return;
  std::size_t done = 0;
  while (done < pending_.size()) {
    std::size_t size = pending_.size() - done;
    if (!regular_) {
      // A pipe that says it is writable takes this much without waiting (pipe(7)); more might wait.
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, 0) != 1) break;
      size = std::min<std::size_t>(size, PIPE_BUF);
    }
    const ssize_t written = ::write(fd_, pending_.data() + done, size);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
      reported_ = false;
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    report("written", errno);
    break;
  }
  if (done == 0) return;
  totals_.lines += lines_in(std::string_view(pending_).substr(0, done));
  torn_ = pending_[done - 1] != '\n';
  pending_.erase(0, done);
}

void AccessLog::lose(std::string_view lines) noexcept { totals_.lost += lines_in(lines); }

void AccessLog::report(std::string_view what, int error) {
  ++totals_.errors;
  if (std::exchange(reported_, true)) return;
  log(Level::error, "the access log {} cannot be {}: {}", settings_.path, what,
      std::generic_category().message(error));
}

}  // namespace portico::telemetry
