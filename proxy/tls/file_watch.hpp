#pragma once
// Tells when files have changed: certificates that a tool renews while the process runs.
//
// owns:    what it saw of each file: time, size, inode and who may read it, never the content
// threads: one
// errors:  none; a file that is missing or can't be looked at is in a state like any other
// It is asked now and then, because a notification of the kernel follows an inode and not a path, and loses
// what is renewed by links (as certbot does) or in a mounted volume.

#include <cstdint>
#include <string>
#include <vector>

namespace portico::proxy::tls {

class FileWatch {
 public:
  FileWatch() = default;
  /// What the files are now counts as known: make it before they are read, so that no change is missed.
  /// Symbolic links are followed.
  explicit FileWatch(std::vector<std::string> files);

  /// Looks. True, once for each change, when some file is not as it was known and all are as at the look
  /// before, so that nobody is in the middle of writing them; then that state counts as known.
  bool changed();
  [[nodiscard]] bool empty() const noexcept { return files_.empty(); }

 private:
  struct Look {
    std::int64_t modified_ns = 0;
    std::int64_t size = -1;  // of a file that is not there
    std::uint64_t inode = 0;
    std::uint64_t device = 0;
    // A file that could not be read and now can is one that has changed.
    std::uint32_t mode = 0;
    std::uint32_t owner = 0;
    std::uint32_t group = 0;
    friend bool operator==(const Look&, const Look&) = default;
  };
  [[nodiscard]] std::vector<Look> look() const;

  std::vector<std::string> files_;
  std::vector<Look> known_;
  std::vector<Look> seen_;
};

}  // namespace portico::proxy::tls
