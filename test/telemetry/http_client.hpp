#pragma once
// A blocking client for tests: raw bytes over a TCP or unix socket, or over TLS on it, each wait bounded by a
// deadline.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace portico::test {

struct Answer {
  int status = 0;
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string body;
};

class Client {
 public:
  /// `address` is `127.0.0.1:port`, `[::1]:port` or `unix:/path`.
  explicit Client(std::string_view address) : Client() { connect(address); }
  /// A descriptor without a connection, for tests that run out of descriptors in between. TCP over IPv4 only.
  Client() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  void connect(std::string_view address) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (address.starts_with("unix:")) {
      auto* unix_address = reinterpret_cast<sockaddr_un*>(&storage);
      unix_address->sun_family = AF_UNIX;
      const std::string path(address.substr(5));
      std::memcpy(unix_address->sun_path, path.c_str(), path.size() + 1);
      length = sizeof(sockaddr_un);
    } else {
      const std::size_t colon = address.rfind(':');
      const auto port = static_cast<std::uint16_t>(std::stoi(std::string(address.substr(colon + 1))));
      if (address.starts_with('[')) {
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        v6->sin6_addr = in6addr_loopback;
        length = sizeof(sockaddr_in6);
      } else {
        auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        length = sizeof(sockaddr_in);
      }
    }
    if (storage.ss_family != AF_INET) {
      ::close(fd_);
      fd_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&storage), length) != 0) {
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    }
    timeval deadline{5, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  }
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  Client(Client&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        tls_(std::move(other.tls_)),
        received_(std::move(other.received_)) {}
  Client& operator=(Client&&) = delete;

  /// From here on under TLS. Throws with OpenSSL's reason when the handshake fails at this end; that the
  /// other end does not like the client's certificate may show only when reading (TLS 1.3).
  void secure(SSL_CTX& context) {
    // OpenSSL writes without MSG_NOSIGNAL, and the other end may have closed.
    std::signal(SIGPIPE, SIG_IGN);
    tls_.reset(SSL_new(&context));
    SSL_set_fd(tls_.get(), fd_);
    ERR_clear_error();
    if (SSL_connect(tls_.get()) != 1) throw std::runtime_error("handshake: " + tls_reason());
  }
  /// The session under which bytes go; null while they go plain.
  [[nodiscard]] SSL* tls() const { return tls_.get(); }

  /// Sends what the other side takes; a closed connection shows when reading.
  void send(std::string_view bytes) {
    if (tls_) {
      ERR_clear_error();
      SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
      return;
    }
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }

  Answer get(const std::string& path, const std::string& fields = {}) {
    send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
    return read();
  }

  /// Reads one answer with a Content-Length. Throws when the connection ends or the deadline passes first.
  Answer read(bool to_head = false) {
    std::size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) receive();
    Answer answer;
    const std::string head = received_.substr(0, end + 2);
    received_.erase(0, end + 4);
    answer.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t line_end = head.find("\r\n", at);
      const std::size_t colon = head.find(": ", at);
      std::string name = head.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      answer.fields[name] = head.substr(colon + 2, line_end - colon - 2);
      at = line_end + 2;
    }
    if (to_head) return answer;
    const std::size_t size = std::stoul(answer.fields.at("content-length"));
    while (received_.size() < size) receive();
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }

  /// Everything up to and with `mark`. Throws when the connection ends or the deadline passes first.
  std::string read_until(std::string_view mark) {
    std::size_t at = std::string::npos;
    while ((at = received_.find(mark)) == std::string::npos) receive();
    std::string text = received_.substr(0, at + mark.size());
    received_.erase(0, at + mark.size());
    return text;
  }

  /// True when something arrives, or the connection ends, within `milliseconds`.
  [[nodiscard]] bool hears_within(int milliseconds) const {
    pollfd wait{fd_, POLLIN, 0};
    return ::poll(&wait, 1, milliseconds) == 1;
  }

  /// True when the other side ends the connection, under TLS with a close_notify, without sending anything
  /// more.
  bool ended() {
    if (tls_) {
      char unexpected = 0;
      ERR_clear_error();
      const int size = SSL_read(tls_.get(), &unexpected, 1);
      return received_.empty() && SSL_get_error(tls_.get(), size) == SSL_ERROR_ZERO_RETURN;
    }
    char byte = 0;
    const ssize_t size = ::recv(fd_, &byte, 1, 0);
    return received_.empty() && (size == 0 || (size < 0 && errno == ECONNRESET));
  }

 private:
  struct TlsFree {
    void operator()(SSL* session) const noexcept { SSL_free(session); }
  };

  [[nodiscard]] static std::string tls_reason() {
    const char* const text = ERR_reason_error_string(ERR_peek_last_error());
    return text == nullptr ? "the connection ended, or was silent" : text;
  }

  void receive() {
    char buffer[65'536];
    if (tls_) {
      ERR_clear_error();
      const int got = SSL_read(tls_.get(), buffer, sizeof buffer);
      if (got <= 0) throw std::runtime_error("receive: " + tls_reason());
      received_.append(buffer, static_cast<std::size_t>(got));
      return;
    }
    const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size == 0) throw std::runtime_error("the connection ended");
    if (size < 0) throw std::runtime_error(std::string("receive: ") + std::strerror(errno));
    received_.append(buffer, static_cast<std::size_t>(size));
  }

  int fd_ = -1;
  std::unique_ptr<SSL, TlsFree> tls_;
  std::string received_;
};

}  // namespace portico::test
