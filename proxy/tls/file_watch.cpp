#include "proxy/tls/file_watch.hpp"

#include <sys/stat.h>

#include <utility>

namespace portico::proxy::tls {

FileWatch::FileWatch(std::vector<std::string> files)
    : files_(std::move(files)), known_(look()), seen_(known_) {}

bool FileWatch::changed() {
  std::vector<Look> now = look();
  const bool settled = now == seen_;
  seen_ = std::move(now);
  if (!settled || seen_ == known_) return false;
  known_ = seen_;
  return true;
}

std::vector<FileWatch::Look> FileWatch::look() const {
  std::vector<Look> looks(files_.size());
  for (std::size_t i = 0; i < files_.size(); ++i) {
    struct stat about {};
    if (::stat(files_[i].c_str(), &about) != 0) continue;
    looks[i] = {about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec,
                about.st_size,
                about.st_ino,
                about.st_dev,
                about.st_mode,
                about.st_uid,
                about.st_gid};
  }
  return looks;
}

}  // namespace portico::proxy::tls
