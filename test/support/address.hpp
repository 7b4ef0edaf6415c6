#pragma once
// Places to listen on and connect to: TCP over IPv4 or IPv6 loopback, unix sockets in a temporary folder.
//
// owns:    Fd owns its descriptor, TemporaryFolder its folder
// threads: any, one object one thread
// errors:  std::system_error

#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace portico::test {

/// A descriptor that is closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// A folder below the system's temporary folder, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A socket address of any of the three kinds.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  /// `text` is `127.0.0.1`, `::1` or another plain address.
  static Address ip(const std::string& text, std::uint16_t port);
  static Address unix_path(const std::string& path);
  /// From what Portico prints: `http://127.0.0.1:8080`, `https://[::1]:8443` or `unix:/path`.
  static Address of_url(const std::string& url);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] std::uint16_t port() const;
  /// As of_url takes it, with http:// for TCP.
  [[nodiscard]] std::string url() const;
};

/// A listening socket. Port 0 takes a free one; address() tells which.
class Listener {
 public:
  explicit Listener(const Address& address, int backlog = 4096, bool reuse_port = false);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Address address() const;
  void close() { fd_.close(); }

 private:
  Fd fd_;
};

/// A TCP port of 127.0.0.1 that nothing listened on a moment ago, for a process that must be told one.
std::uint16_t free_port();

}  // namespace portico::test
