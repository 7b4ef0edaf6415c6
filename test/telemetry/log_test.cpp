#include "telemetry/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <regex>
#include <string>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

// Standard error goes into a pipe while this lives. A pipe holds 64 KiB, so a few lines never block.
class CapturedStderr {
 public:
  CapturedStderr() : saved_(::dup(STDERR_FILENO)) {
    REQUIRE(::pipe2(pipe_.data(), O_CLOEXEC) == 0);
    ::dup2(pipe_[1], STDERR_FILENO);
  }
  ~CapturedStderr() {
    restore();
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

  std::string take() {
    restore();
    ::fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
    std::string text(65'536, '\0');
    const ssize_t size = ::read(pipe_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    saved_ = -1;
  }

  std::array<int, 2> pipe_{};
  int saved_;
};

}  // namespace

TEST_CASE("a line has a time, a level and a message") {
  CapturedStderr captured;
  log(Level::warn, "listening on {}", 8080);
  REQUIRE(std::regex_match(captured.take(),
                           std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn listening on 8080\n)")));
}

TEST_CASE("lines below the level are dropped") {
  CapturedStderr captured;
  set_log_level(Level::error);
  log(Level::warn, "quiet");
  REQUIRE_FALSE(log_enabled(Level::warn));
  log(Level::error, "loud");
  set_log_level(Level::info);
  const std::string text = captured.take();
  REQUIRE(text.find("quiet") == std::string::npos);
  REQUIRE(text.find("error loud\n") != std::string::npos);
}

TEST_CASE("a message cannot start a line of its own or drive a terminal") {
  CapturedStderr captured;
  log(Level::error, "{}",
      std::string("a\nb\r\x1b[31m\x7f\t\xc2\x9b"
                  "c\xc3\xa9",
                  16));
  const std::string text = captured.take();
  REQUIRE(text.ends_with(" error a?b??[31m????c\xc3\xa9\n"));
}

TEST_CASE("a long line is cut at 2 KiB and at a whole character") {
  CapturedStderr captured;
  std::string message(1, 'x');
  while (message.size() < 4000) message += "\xe2\x82\xac";
  log(Level::error, "{}", message);
  const std::string text = captured.take();
  REQUIRE(text.size() <= 2048);
  REQUIRE(text.size() > 2048 - 4);
  REQUIRE(text.ends_with("\xe2\x82\xac\n"));
}
