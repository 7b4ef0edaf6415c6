#include "telemetry/key_secret.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace portico::telemetry {
namespace {

constexpr mode_t folder_mode = 0700;
constexpr mode_t file_mode = 0600;
constexpr mode_t other_readers = 0077;

class File {
 public:
  explicit File(int fd) noexcept : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

/// Removes a file that has done its service.
class Temporary {
 public:
  explicit Temporary(std::string path) noexcept : path_(std::move(path)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

std::string reason(int error) { return std::system_category().message(error); }

KeySecret random_secret() {
  KeySecret secret{};
  // So few bytes come whole or not at all.
  while (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    if (errno != EINTR) throw std::system_error(errno, std::system_category(), "getrandom");
  }
  return secret;
}

LoadedSecret only_for_now(std::string_view file, std::string_view why) {
  return {random_secret(),
          fmt::format("{}: {}; the fingerprints of API keys will change with the next start", file, why)};
}

/// Nothing if there is no such file.
std::optional<LoadedSecret> read_secret(const std::string& path) {
  // Not blocking: whatever lies there, a pipe for instance, may not hold up the start.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) {
    if (errno == ENOENT) return std::nullopt;
    return only_for_now(path, reason(errno));
  }
  struct stat about {};
  if (::fstat(file.fd(), &about) != 0) return only_for_now(path, reason(errno));
  if (!S_ISREG(about.st_mode)) return only_for_now(path, "is not a file");
  // One byte more than there should be, to see that the file ends.
  std::array<std::uint8_t, KeySecret{}.size() + 1> bytes{};
  const ssize_t size = ::read(file.fd(), bytes.data(), bytes.size());
  if (size < 0) return only_for_now(path, reason(errno));
  LoadedSecret loaded;
  if (static_cast<std::size_t>(size) != loaded.secret.size())
    return only_for_now(path, "is not 16 bytes long");
  std::copy_n(bytes.begin(), loaded.secret.size(), loaded.secret.begin());
  if ((about.st_mode & other_readers) != 0) {
    loaded.warning = fmt::format(
        "{}: others may read or write it; the secret of the key fingerprints should have mode 0600", path);
  }
  return loaded;
}

/// As `mkdir -p`, but only for the owner. The first error, 0 where the folder is there in the end.
int make_folders(const std::filesystem::path& folder) {
  int error = 0;
  std::filesystem::path made;
  for (const auto& part : folder) {
    made /= part;
    if (::mkdir(made.c_str(), folder_mode) == 0 || errno == EEXIST) {
      error = 0;
    } else if (error == 0) {
      error = errno;
    }
  }
  return error;
}

/// The error, 0 for none. EEXIST: another process was quicker.
int make_secret(const std::string& path) {
  const KeySecret secret = random_secret();
  const KeySecret tag = random_secret();
  // Written beside and then linked: whoever sees the file sees it whole, and the first one to link wins.
  const std::string beside = fmt::format("{}.{:02x}", path, fmt::join(tag, ""));
  const File file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!file.open()) return errno;
  const Temporary temporary(beside);
  const ssize_t written = ::write(file.fd(), secret.data(), secret.size());
  if (written < 0) return errno;
  if (static_cast<std::size_t>(written) != secret.size()) return ENOSPC;
  if (::fsync(file.fd()) != 0) return errno;
  return ::link(beside.c_str(), path.c_str()) == 0 ? 0 : errno;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string default_key_file() {
  std::filesystem::path folder;
  // systemd separates several folders by colons; the first one is the service's own.
  if (std::string state = variable("STATE_DIRECTORY"); !state.empty()) {
    folder = state.substr(0, state.find(':'));
  } else if (std::string xdg = variable("XDG_STATE_HOME"); !xdg.empty()) {
    folder = std::filesystem::path(xdg) / "portico";
  } else if (std::string home = variable("HOME"); !home.empty()) {
    folder = std::filesystem::path(home) / ".local/state/portico";
  }
  return folder.is_absolute() ? (folder / "fingerprint.key").string() : std::string();
}

LoadedSecret load_key_secret(const std::string& file) {
  const std::string path = file.empty() ? default_key_file() : file;
  if (path.empty()) {
    return only_for_now("telemetry.key_file",
                        "neither it nor STATE_DIRECTORY, XDG_STATE_HOME or HOME is set");
  }
  if (auto loaded = read_secret(path)) return *std::move(loaded);
  int error = make_folders(std::filesystem::path(path).parent_path());
  if (error == 0) error = make_secret(path);
  if (error != 0 && error != EEXIST) return only_for_now(path, reason(error));
  if (auto loaded = read_secret(path)) return *std::move(loaded);
  return only_for_now(path, "was removed while it was made");
}

}  // namespace portico::telemetry
