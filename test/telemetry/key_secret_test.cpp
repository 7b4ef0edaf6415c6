#include "telemetry/key_secret.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico::telemetry;
namespace fs = std::filesystem;

namespace {

/// A folder of its own for one test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "portico-key-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Sets a variable of the environment while it lives; no value: it is not there.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_); }

 private:
  void set(const std::optional<std::string>& value) {
    if (value) {
      ::setenv(name_, value->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  const char* name_;
  std::optional<std::string> before_;
};

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

mode_t mode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  return about.st_mode & 07777;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a secret that is not there is made, for its owner only, and found again") {
  const Folder folder;
  const std::string file = folder / "a/b/fingerprint.key";
  const LoadedSecret made = load_key_secret(file);
  CHECK(made.warning.empty());
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(folder / "a") == 0700);
  CHECK(mode_of(folder / "a/b") == 0700);
  CHECK(files_in(folder.path() / "a/b") == 1);

  const LoadedSecret again = load_key_secret(file);
  CHECK(again.warning.empty());
  CHECK(again.secret == made.secret);
  CHECK(load_key_secret(folder / "other.key").secret != made.secret);
}

TEST_CASE("processes that start at once agree on one secret") {
  for (int round = 0; round < 20; ++round) {
    const Folder folder;
    const std::string file = folder / "state/fingerprint.key";
    std::vector<LoadedSecret> loaded(8);
    std::atomic<bool> go = false;
    std::vector<std::thread> threads;
    threads.reserve(loaded.size());
    for (LoadedSecret& mine : loaded) {
      threads.emplace_back([&mine, &file, &go] {
        while (!go) std::this_thread::yield();
        mine = load_key_secret(file);
      });
    }
    go = true;
    for (std::thread& thread : threads) thread.join();
    for (const LoadedSecret& one : loaded) {
      CHECK(one.warning.empty());
      CHECK(one.secret == loaded.front().secret);
    }
    CHECK(files_in(folder.path() / "state") == 1);
  }
}

TEST_CASE("a file that others may read is used with a warning") {
  const Folder folder;
  const std::string file = folder / "open.key";
  write(file, "0123456789abcdef");
  ::chmod(file.c_str(), 0644);
  const LoadedSecret loaded = load_key_secret(file);
  CHECK(std::string(loaded.secret.begin(), loaded.secret.end()) == "0123456789abcdef");
  CHECK(loaded.warning.find("0600") != std::string::npos);
  ::chmod(file.c_str(), 0400);
  CHECK(load_key_secret(file).warning.empty());
}

TEST_CASE("a file of the wrong size is left as it is, and the secret is one for now") {
  const Folder folder;
  const std::string file = folder / "wrong.key";
  for (const std::string& text : {std::string(), std::string("short"), std::string(17, 'x')}) {
    write(file, text);
    const LoadedSecret one = load_key_secret(file);
    const LoadedSecret two = load_key_secret(file);
    CHECK(one.warning.find("16 bytes") != std::string::npos);
    CHECK(one.secret != two.secret);
    CHECK(fs::file_size(file) == text.size());
  }
}

TEST_CASE("where no file can be made the secret is one for now") {
  const Folder folder;
  write(folder / "file", "");
  const LoadedSecret below_a_file = load_key_secret(folder / "file/fingerprint.key");
  CHECK_FALSE(below_a_file.warning.empty());
  CHECK(below_a_file.secret != KeySecret{});
  CHECK(load_key_secret(folder.path().string()).warning.find("is not a file") != std::string::npos);
}

TEST_CASE("a pipe in the file's place does not hold up the start") {
  const Folder folder;
  const std::string file = folder / "pipe.key";
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK(load_key_secret(file).warning.find("is not a file") != std::string::npos);
}

TEST_CASE("the secret's place is the state folder that the environment names") {
  const Variable state("STATE_DIRECTORY", "/var/lib/portico:/var/lib/other");
  const Variable xdg("XDG_STATE_HOME", "/xdg");
  const Variable home("HOME", "/users/me");
  CHECK(default_key_file() == "/var/lib/portico/fingerprint.key");
  {
    const Variable none("STATE_DIRECTORY", std::nullopt);
    CHECK(default_key_file() == "/xdg/portico/fingerprint.key");
    const Variable empty("XDG_STATE_HOME", "");
    CHECK(default_key_file() == "/users/me/.local/state/portico/fingerprint.key");
    const Variable relative("HOME", "me");
    CHECK(default_key_file().empty());
    const LoadedSecret loaded = load_key_secret("");
    CHECK(loaded.warning.find("telemetry.key_file") != std::string::npos);
    CHECK(loaded.secret != KeySecret{});
  }
  const Folder folder;
  const Variable here("STATE_DIRECTORY", folder.path().string());
  const LoadedSecret made = load_key_secret("");
  CHECK(made.warning.empty());
  CHECK(load_key_secret(folder / "fingerprint.key").secret == made.secret);
}
