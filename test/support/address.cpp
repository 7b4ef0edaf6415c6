#include "test/support/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace portico::test {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "portico-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Address Address::ip(const std::string& text, std::uint16_t port) {
  Address out;
  if (text.find(':') != std::string::npos) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1) throw std::invalid_argument(text);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.length = sizeof v6;
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) != 1) throw std::invalid_argument(text);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.length = sizeof v4;
  }
  return out;
}

Address Address::unix_path(const std::string& path) {
  Address out;
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.size() >= sizeof un.sun_path) throw std::invalid_argument(path);
  std::memcpy(un.sun_path, path.data(), path.size());
  std::memcpy(&out.storage, &un, sizeof un);
  out.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

Address Address::of_url(const std::string& url) {
  if (url.starts_with("unix:")) return unix_path(url.substr(5));
  const std::string prefix = url.starts_with("https://") ? "https://" : "http://";
  const auto colon = url.rfind(':');
  if (!url.starts_with(prefix) || colon <= prefix.size()) throw std::invalid_argument(url);
  std::string host = url.substr(prefix.size(), colon - prefix.size());
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return ip(host, static_cast<std::uint16_t>(std::stoi(url.substr(colon + 1))));
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

std::string Address::url() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text, sizeof text);
    return "http://" + std::string(text) + ":" + std::to_string(port());
  }
  if (family() == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, text, sizeof text);
    return "http://[" + std::string(text) + "]:" + std::to_string(port());
  }
  return "unix:" + std::string(reinterpret_cast<const sockaddr_un*>(&storage)->sun_path);
}

Listener::Listener(const Address& address, int backlog, bool reuse_port)
    : fd_(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  if (!fd_) fail("socket");
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd_.get(), address.get(), address.length) != 0) fail("bind");
  if (::listen(fd_.get(), backlog) != 0) fail("listen");
}

Address Listener::address() const {
  Address out;
  out.length = sizeof out.storage;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&out.storage), &out.length) != 0)
    fail("getsockname");
  return out;
}

std::uint16_t free_port() { return Listener(Address::ip("127.0.0.1", 0), 1).address().port(); }

}  // namespace portico::test
