#include "proxy/tls/file_watch.hpp"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

using namespace portico::test;
using portico::proxy::tls::FileWatch;

namespace {

struct Watched {
  Watched() {
    replace_file(one, "one");
    replace_file(two, "two");
    watch = FileWatch({one, two});
  }
  void append(const std::string& text) const { std::ofstream(one, std::ios::app) << text; }

  TemporaryFolder folder;
  std::string one = folder.file("one");
  std::string two = folder.file("two");
  FileWatch watch;
};

}  // namespace

TEST_CASE("files that nobody touches have not changed") {
  Watched files;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(files.watch.changed());
  FileWatch nothing;
  CHECK(nothing.empty());
  CHECK_FALSE(nothing.changed());
}

TEST_CASE("a change is told once, when two looks in a row have seen the same") {
  Watched files;
  replace_file(files.two, "other");
  CHECK_FALSE(files.watch.changed());
  CHECK(files.watch.changed());
  CHECK_FALSE(files.watch.changed());
  CHECK_FALSE(files.watch.changed());
}

TEST_CASE("a file that is still being written is waited for") {
  Watched files;
  for (int i = 0; i < 5; ++i) {
    files.append("more");
    CHECK_FALSE(files.watch.changed());
  }
  CHECK(files.watch.changed());
}

TEST_CASE("a file of the same size and time that is another one has changed") {
  Watched files;
  const auto time = std::filesystem::last_write_time(files.one);
  replace_file(files.one, "eno");
  std::filesystem::last_write_time(files.one, time);
  files.watch.changed();
  CHECK(files.watch.changed());
}

TEST_CASE("a change that was taken back is none") {
  Watched files;
  const std::string aside = files.folder.file("aside");
  std::filesystem::rename(files.one, aside);
  CHECK_FALSE(files.watch.changed());
  std::filesystem::rename(aside, files.one);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(files.watch.changed());
}

TEST_CASE("a file that goes and one that comes have changed") {
  Watched files;
  std::filesystem::remove(files.one);
  files.watch.changed();
  CHECK(files.watch.changed());
  replace_file(files.one, "one");
  files.watch.changed();
  CHECK(files.watch.changed());
}

TEST_CASE("a symbolic link is followed, so that another target is a change") {
  Watched files;
  const std::string link = files.folder.file("link");
  std::filesystem::create_symlink("one", link);
  FileWatch watch({link});
  std::filesystem::remove(link);
  std::filesystem::create_symlink("two", link);
  watch.changed();
  CHECK(watch.changed());
  files.append("more");
  for (int i = 0; i < 3; ++i) CHECK_FALSE(watch.changed());
}

TEST_CASE("a file whose permissions have changed has changed: now it may be readable") {
  Watched files;
  using std::filesystem::perms;
  std::filesystem::permissions(files.one, perms::owner_read | perms::group_read);
  CHECK_FALSE(files.watch.changed());
  CHECK(files.watch.changed());
  CHECK_FALSE(files.watch.changed());
}
