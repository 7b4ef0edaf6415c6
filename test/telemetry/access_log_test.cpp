#include "telemetry/access_log.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico;
using namespace portico::telemetry;
using portico::test::ExampleRecord;

namespace {

using Format = conf::AccessLogSettings::Format;

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_ = "/tmp/portico-access-XXXXXX";
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void put(AccessLog& log, ExampleRecord& example) { log.take(example.record(), std::nullopt, {}); }

// Another zone while this lives.
class Zone {
 public:
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
};

std::string combined(ExampleRecord& example) {
  std::string out;
  append_combined(out, example.record());
  return out;
}

}  // namespace

TEST_CASE("a combined line is Nginx's, at the request's end and in local time") {
  ExampleRecord example;
  example.text(Text::user_agent, "OpenAI/Python 1.0").text(Text::client, "2001:db8::1");
  example.facts.duration_us = 61'000'000;
  {
    const Zone zone("ABC-05:45");
    CHECK(
        combined(example) ==
        "2001:db8::1 - - [08/Nov/2026:20:50:06 +0545] \"POST /v1/chat/completions HTTP/1.1\" 200 1000 \"-\" "
        "\"OpenAI/Python 1.0\"\n");
  }
  const Zone zone("ABC03:30");
  CHECK_THAT(combined(example), Catch::Contains("[08/Nov/2026:11:35:06 -0330]"));
}

TEST_CASE("a combined line is one line of printable ASCII, whatever a client sends") {
  ExampleRecord example;
  example.text(Text::user_agent, "a\"b\\c\nd\x7f\xc3\xa9")
      .text(Text::path, "/v1/\"\x01")
      .text(Text::client, "");
  const std::string line = combined(example);
  CHECK(line.starts_with("- - - ["));
  CHECK_THAT(line, Catch::Contains("\"POST /v1/\\x22\\x01 HTTP/1.1\""));
  CHECK(line.ends_with("\"a\\x22b\\x5Cc\\x0Ad\\x7F\\xC3\\xA9\"\n"));
}

TEST_CASE("a client that left before there was an answer has 499, any other silence 000") {
  ExampleRecord example;
  example.facts.status = 0;
  CHECK_THAT(combined(example), Catch::Contains("\" 000 "));
  example.facts.ended = Ended::client_gone;
  CHECK_THAT(combined(example), Catch::Contains("\" 499 "));
  example.facts.status = 200;
  CHECK_THAT(combined(example), Catch::Contains("\" 200 "));
}

TEST_CASE("combined leaves turns out: their WebSocket has a line; JSON has every record") {
  const Folder folder;
  AccessLog combined_log;
  combined_log.configure({folder.file("combined"), Format::combined});
  AccessLog json_log;
  json_log.configure({folder.file("json"), Format::json});
  for (const RecordKind kind : {RecordKind::exchange, RecordKind::turn, RecordKind::connection}) {
    ExampleRecord example;
    example.facts.kind = kind;
    put(combined_log, example);
    put(json_log, example);
  }
  combined_log.flush();
  json_log.flush();
  const std::string plain = read_file(folder.file("combined"));
  CHECK(std::count(plain.begin(), plain.end(), '\n') == 2);
  const std::string text = read_file(folder.file("json"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(boost::json::parse(text.substr(0, text.find('\n'))).is_object());
  CHECK(json_log.totals().lines == 3);
  CHECK(json_log.totals().lost == 0);
}

TEST_CASE("lines are written in one go, on flush or when there are many") {
  const Folder folder;
  AccessLog log;
  log.configure({folder.file("log"), Format::combined});
  ExampleRecord example;
  put(log, example);
  CHECK(read_file(folder.file("log")).empty());
  log.flush();
  const std::size_t line = read_file(folder.file("log")).size();
  CHECK(line > 50);
  for (std::size_t i = 0; i < 65'536 / line + 1; ++i) put(log, example);
  CHECK(read_file(folder.file("log")).size() > 65'536);
  struct stat file {};
  REQUIRE(::stat(folder.file("log").c_str(), &file) == 0);
  CHECK((file.st_mode & 0137U) == 0);
}

TEST_CASE("reopening leaves a renamed file alone; what is there already stays") {
  const Folder folder;
  AccessLog log;
  log.configure({folder.file("log"), Format::combined});
  ExampleRecord example;
  put(log, example.model("a"));
  std::filesystem::rename(folder.file("log"), folder.file("log.1"));
  log.reopen();
  put(log, example);
  put(log, example);
  log.flush();
  const std::string old = read_file(folder.file("log.1"));
  const std::string fresh = read_file(folder.file("log"));
  CHECK(std::count(old.begin(), old.end(), '\n') == 1);
  CHECK(std::count(fresh.begin(), fresh.end(), '\n') == 2);
  log.reopen();
  put(log, example);
  log.flush();
  CHECK(read_file(folder.file("log")).size() == fresh.size() / 2 * 3);
}

TEST_CASE("settings can change the file and switch it off; the end writes what is left") {
  const Folder folder;
  ExampleRecord example;
  {
    AccessLog log;
    put(log, example);
    CHECK(log.totals().lost == 0);
    log.configure({folder.file("a"), Format::combined});
    put(log, example);
    log.configure({folder.file("b"), Format::combined});
    put(log, example);
    log.configure({"", Format::combined});
    put(log, example);
    log.configure({folder.file("c"), Format::combined});
    put(log, example);
  }
  for (const char* name : {"a", "b", "c"}) {
    const std::string text = read_file(folder.file(name));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  }
}

TEST_CASE("a file that can't be opened loses lines, which are counted, until it can be") {
  const Folder folder;
  AccessLog log;
  log.configure({folder.file("missing/log"), Format::combined});
  ExampleRecord example;
  put(log, example);
  log.flush();
  CHECK(log.totals().errors == 1);
  CHECK(log.totals().lost == 1);
  std::filesystem::create_directory(folder.file("missing"));
  log.reopen();
  put(log, example);
  log.flush();
  CHECK(log.totals().lines == 1);
}

TEST_CASE("a full disk loses whole lines and never waits") {
  AccessLog log;
  log.configure({"/dev/full", Format::combined});
  ExampleRecord example;
  const std::string line = combined(example);
  const std::size_t many = 2 * 1'048'576 / line.size();
  for (std::size_t i = 0; i < many; ++i) put(log, example);
  log.flush();
  CHECK(log.totals().lines == 0);
  CHECK(log.totals().errors > 0);
  CHECK(log.totals().lost > many / 3);
  CHECK(log.totals().lost < many);
}

TEST_CASE("a pipe that nobody reads is not waited for, and what it got later are whole lines") {
  const Folder folder;
  const std::string path = folder.file("pipe");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  AccessLog log;
  log.configure({path, Format::combined});
  ExampleRecord example;
  const std::string line = combined(example);
  const std::size_t many = 2 * 1'048'576 / line.size();
  for (std::size_t i = 0; i < many; ++i) put(log, example);
  log.flush();
  CHECK(log.totals().lost > 0);
  std::string got;
  char buffer[4'096];
  for (;;) {
    const ssize_t size = ::read(reader, buffer, sizeof buffer);
    if (size <= 0) {
      log.flush();
      const ssize_t more = ::read(reader, buffer, sizeof buffer);
      if (more <= 0) break;
      got.append(buffer, static_cast<std::size_t>(more));
      continue;
    }
    got.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(reader);
  REQUIRE(got.size() % line.size() == 0);
  CHECK(got.size() / line.size() == log.totals().lines);
  CHECK(log.totals().lines + log.totals().lost == many);
  bool whole = true;
  for (std::size_t at = 0; at < got.size(); at += line.size())
    whole = whole && got.compare(at, line.size(), line) == 0;
  CHECK(whole);
}
