#include "proxy/secure_socket.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace portico::proxy {

namespace {

// A record and what surrounds it, several times over: a peer that makes us answer (key updates, alerts)
// without reading the answers gets no further than this.
constexpr std::size_t most_pending = 65'536;
// What may come in a row without a byte of data: a record holds 16 KiB, so an honest peer's data is among it.
// Key updates cost a peer nothing and us a lot, and OpenSSL goes on with them inside one call.
constexpr std::size_t most_without_data = 49'152;

SecureSocket& socket_of(BIO* bio) noexcept { return *static_cast<SecureSocket*>(BIO_get_data(bio)); }

}  // namespace

const BIO_METHOD* SecureSocket::method() noexcept {
  struct Free {
    void operator()(BIO_METHOD* made) const noexcept { BIO_meth_free(made); }
  };
  static const std::unique_ptr<BIO_METHOD, Free> method = [] {
    std::unique_ptr<BIO_METHOD, Free> made(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "portico socket"));
    if (made) {
      BIO_meth_set_read(made.get(), &SecureSocket::on_read);
      BIO_meth_set_write(made.get(), &SecureSocket::on_write);
      BIO_meth_set_ctrl(made.get(), &SecureSocket::on_control);
    }
    return made;
  }();
  return method.get();
}

SecureSocket::SecureSocket(tls::SslPtr ssl, BufferPool& buffers, int fd, Block early, std::size_t begin,
                           std::size_t end) noexcept
    : ssl_(std::move(ssl)),
      buffers_(buffers),
      fd_(fd),
      early_(std::move(early)),
      early_begin_(begin),
      early_end_(end) {
  BIO* bio = ssl_ && method() != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) {
    error_ = ENOMEM;
    return;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  // One reference serves both directions, and the SSL owns it.
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_read_ahead(ssl_.get(), 1);
}

SecureSocket::~SecureSocket() = default;

int SecureSocket::on_read(BIO* bio, char* out, int size) {
  SecureSocket& self = socket_of(bio);
  BIO_clear_retry_flags(bio);
  const auto room = static_cast<std::size_t>(size);
  if (self.early_begin_ < self.early_end_) {
    const std::size_t n = std::min(room, self.early_end_ - self.early_begin_);
    std::memcpy(out, self.early_.data() + self.early_begin_, n);
    self.early_begin_ += n;
    if (self.early_begin_ == self.early_end_) self.early_.release();
    return static_cast<int>(n);
  }
  if (self.fd_ < 0) return -1;
  ssize_t n = 0;
  do {
    n = ::recv(self.fd_, out, room, 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    self.drained_ = static_cast<std::size_t>(n) < room;
    if (self.established_) self.without_data_ += static_cast<std::size_t>(n);
    if (self.without_data_ > most_without_data) {
      self.error_ = EPROTO;
      return -1;
    }
    return static_cast<int>(n);
  }
  self.drained_ = true;
  if (n == 0) {
    self.ended_ = true;
    return 0;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    BIO_set_retry_read(bio);
  } else {
    self.error_ = errno;
  }
  return -1;
}

int SecureSocket::on_write(BIO* bio, const char* bytes, int size) {
  SecureSocket& self = socket_of(bio);
  BIO_clear_retry_flags(bio);
  const auto length = static_cast<std::size_t>(size);
  std::size_t sent = 0;
  if (self.fd_ < 0) return -1;
  if (self.pending() == 0) {
    ssize_t n = 0;
    do {
      n = ::send(self.fd_, bytes, length, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      self.error_ = errno;
      return -1;
    }
    sent = n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  if (!self.keep(bytes + sent, length - sent)) return -1;
  return size;
}

long SecureSocket::on_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return socket_of(bio).ended_ ? 1 : 0;
    default:
      return 0;
  }
}

/// Keeps encrypted bytes until the socket takes them.
bool SecureSocket::keep(const char* bytes, std::size_t size) noexcept {
  if (size == 0) return true;
  if (pending() + size > most_pending) {
    error_ = ENOBUFS;
    return false;
  }
  if (!pending_) {
    try {
      pending_ = buffers_.borrow(most_pending);
    } catch (const std::bad_alloc&) {
      error_ = ENOMEM;
      return false;
    }
  }
  if (pending_end_ + size > pending_.size()) {
    std::memmove(pending_.data(), pending_.data() + pending_begin_, pending());
    pending_end_ -= pending_begin_;
    pending_begin_ = 0;
  }
  std::memcpy(pending_.data() + pending_end_, bytes, size);
  pending_end_ += size;
  return true;
}

SecureSocket::Result SecureSocket::flush() noexcept {
  while (pending() > 0) {
    const ssize_t n = ::send(fd_, pending_.data() + pending_begin_, pending(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Result::wait;
      error_ = errno;
      return Result::failed;
    }
    pending_begin_ += static_cast<std::size_t>(n);
  }
  pending_begin_ = pending_end_ = 0;
  pending_.release();
  return Result::ok;
}

SecureSocket::Result SecureSocket::result_of(int returned) noexcept {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Result::wait;
    case SSL_ERROR_ZERO_RETURN:
      return Result::end;
    default:
      // An end that TLS did not announce may be an attacker's cut (RFC 8446 section 6.1), whatever became of
      // the alert that says so.
      if (ended_) error_ = ECONNRESET;
      if (error_ == 0) error_ = EPROTO;
      return Result::failed;
  }
}

SecureSocket::Result SecureSocket::handshake() noexcept {
  if (established_) return Result::ok;
  if (error_ != 0) return Result::failed;
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned == 1) {
    established_ = true;
    return Result::ok;
  }
  return result_of(returned);
}

SecureSocket::Result SecureSocket::receive(std::span<char> room, std::size_t& got) noexcept {
  if (error_ != 0) return Result::failed;
  ERR_clear_error();
  const int returned = SSL_read_ex(ssl_.get(), room.data(), room.size(), &got);
  if (returned != 1) return result_of(returned);
  without_data_ = 0;
  return Result::ok;
}

bool SecureSocket::more_at_hand() const noexcept {
  return early_begin_ < early_end_ || !drained_ || SSL_has_pending(ssl_.get()) == 1;
}

SecureSocket::Result SecureSocket::send(std::span<iovec> pieces, std::uint64_t& sent) noexcept {
  if (error_ != 0) return Result::failed;
  ERR_clear_error();
  Block shared;
  std::size_t first = 0;
  for (;;) {
    if (const Result flushed = flush(); flushed != Result::ok) return flushed;
    while (first < pieces.size() && pieces[first].iov_len == 0) ++first;
    if (first == pieces.size()) return Result::ok;
    const char* bytes = static_cast<const char*>(pieces[first].iov_base);
    std::size_t size = std::min(pieces[first].iov_len, max_record);
    if (size < max_record && first + 1 < pieces.size()) {
      if (!shared) {
        try {
          shared = buffers_.borrow(max_record);
        } catch (const std::bad_alloc&) {
          error_ = ENOMEM;
          return Result::failed;
        }
      }
      size = 0;
      for (std::size_t i = first; i < pieces.size() && size < max_record; ++i) {
        const std::size_t part = std::min(pieces[i].iov_len, max_record - size);
        std::memcpy(shared.data() + size, pieces[i].iov_base, part);
        size += part;
      }
      bytes = shared.data();
    }
    std::size_t written = 0;
    // Our BIO takes everything, so a record is written whole or the connection is broken. It may hold less
    // than was offered: the peer may have asked for small ones (RFC 6066 section 4).
    if (SSL_write_ex(ssl_.get(), bytes, size, &written) != 1) {
      static_cast<void>(result_of(0));
      if (error_ == 0) error_ = EPROTO;
      return Result::failed;
    }
    sent += written;
    for (std::size_t left = written; left > 0;) {
      const std::size_t part = std::min(pieces[first].iov_len, left);
      pieces[first].iov_base = static_cast<char*>(pieces[first].iov_base) + part;
      pieces[first].iov_len -= part;
      left -= part;
      if (pieces[first].iov_len == 0) ++first;
    }
  }
}

void SecureSocket::close_notify() noexcept {
  if (said_all_ || !established_ || error_ != 0 || fd_ < 0 || pending() > 0) return;
  said_all_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string_view SecureSocket::alpn() const noexcept {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace portico::proxy
