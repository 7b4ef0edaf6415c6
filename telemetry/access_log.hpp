#pragma once
// The access log: a line for each record, as JSON or as Nginx's `combined`.
//
// owns:    the file's descriptor (never standard output's), and up to 1 MiB of lines that are not written
//          yet
// threads: the telemetry thread
// bytes:   lines are collected and written in one go at flush(), or when 64 KiB have come together. A
//          pipe or terminal that takes nothing is not waited for: beyond 1 MiB whole lines are lost, and
//          counted

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conf/settings.hpp"
#include "telemetry/record_json.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

struct AccessLogTotals {
  std::uint64_t lines = 0;   ///< written
  std::uint64_t lost = 0;    ///< lines that could not be written
  std::uint64_t errors = 0;  ///< failed attempts to write or to open
};

class AccessLog {
 public:
  /// Writes nothing until configure().
  AccessLog() = default;
  /// Flushes what the file takes at once.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// From now on to this file, in this format; an empty path: nothing any more. A file that can't be
  /// opened is told in the program log and as an error here, and tried again at reopen(); until then
  /// lines are lost.
  void configure(const conf::AccessLogSettings& settings);
  /// Closes and opens the file, so that one that was renamed is left alone.
  void reopen();

  /// Adds a safe record's line.
  void take(const Record& record, const std::optional<Verdict>& verdict, const RecordLabels& labels);
  /// Writes what is there as far as the file takes it without waiting. Call it when a round of records is
  /// over.
  void flush();

  [[nodiscard]] const AccessLogTotals& totals() const noexcept { return totals_; }

 private:
  void open();
  void close() noexcept;
  void lose(std::string_view lines) noexcept;
  void report(std::string_view what, int error);

  conf::AccessLogSettings settings_;
  int fd_ = -1;
  bool regular_ = false;
  bool reported_ = false;  // of this spell of errors
  bool torn_ = false;      // the pending bytes begin inside a line
  std::string pending_;
  AccessLogTotals totals_;
};

/// Appends a line of Nginx's `combined`: client, time of the end in local time, request line without
/// query, status, payload bytes, no referer, user agent. Bytes that are not printable ASCII, quotes and
/// backslashes become `\xHH`. A client that left before there was an answer has status 499. The protocol
/// is not recorded and given as HTTP/1.1.
void append_combined(std::string& out, const Record& record);

}  // namespace portico::telemetry
