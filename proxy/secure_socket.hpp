#pragma once
// TLS on one connected socket: what lies between the socket and the Input and Output of a Stream.
//
// OpenSSL reads and writes through a BIO of ours straight on the descriptor. Reading, it takes what the
// socket has in one call and decrypts in place. Writing, it never has to be asked twice: what the socket
// does not take waits in a block of ours, and nothing more is encrypted before that has left.
//
// owns:    the SSL, the bytes that came before TLS began, the encrypted bytes that wait; not the descriptor
// threads: its worker
// bytes:   received into the caller's memory; sent from the caller's memory, encrypted at once
// memory:  OpenSSL gives its own buffers back when they are empty (SSL_MODE_RELEASE_BUFFERS)
// errors:  results, and error() for errno or EPROTO

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proxy/buffer_pool.hpp"
#include "proxy/tls/openssl.hpp"

namespace portico::proxy {

class SecureSocket {
 public:
  /// Bytes of one TLS record at most (RFC 8446 section 5.1).
  static constexpr std::size_t max_record = 16'384;

  /// `ssl` is set to accept or to connect. Takes over `early`, whose bytes from `begin` to `end` were
  /// received on `fd` already.
  SecureSocket(tls::SslPtr ssl, BufferPool& buffers, int fd, Block early, std::size_t begin,
               std::size_t end) noexcept;
  SecureSocket(const SecureSocket&) = delete;
  SecureSocket& operator=(const SecureSocket&) = delete;
  ~SecureSocket();

  enum class Result : std::uint8_t {
    ok,
    wait,    ///< nothing more without the socket: it has to become readable, or writable while pending()
    end,     ///< the peer's close_notify
    failed,  ///< error() says why; an end without close_notify is ECONNRESET
  };

  [[nodiscard]] bool established() const noexcept { return established_; }
  /// Goes on with the handshake; ok once established.
  Result handshake() noexcept;
  /// Decrypts into `room`, at most one record; `got` is set with ok. Precondition: established().
  Result receive(std::span<char> room, std::size_t& got) noexcept;
  /// True when another receive() may find something without the socket becoming readable first.
  [[nodiscard]] bool more_at_hand() const noexcept;

  /// Encrypts and sends `pieces` record by record as long as the socket takes all, moving each piece's
  /// beginning; `sent` grows by what was encrypted. ok: all of it has left. Pieces too small for a record of
  /// their own share one.
  Result send(std::span<iovec> pieces, std::uint64_t& sent) noexcept;
  /// Encrypted bytes wait for the socket.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_end_ - pending_begin_; }
  /// Tells the peer that we have said all (RFC 8446 section 6.1), as far as the socket takes it.
  void close_notify() noexcept;

  [[nodiscard]] int error() const noexcept { return error_; }
  /// The descriptor is about to be closed.
  void detach() noexcept { fd_ = -1; }
  /// The protocol that ALPN agreed on; empty when none.
  [[nodiscard]] std::string_view alpn() const noexcept;
  [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }

 private:
  static const BIO_METHOD* method() noexcept;
  static int on_read(BIO* bio, char* out, int size);
  static int on_write(BIO* bio, const char* bytes, int size);
  static long on_control(BIO* bio, int command, long number, void* pointer);
  Result result_of(int returned) noexcept;
  Result flush() noexcept;
  bool keep(const char* bytes, std::size_t size) noexcept;

  tls::SslPtr ssl_;
  BufferPool& buffers_;
  int fd_;
  int error_ = 0;
  bool established_ = false;
  bool drained_ = false;          // the last receive took all that the socket had
  std::size_t without_data_ = 0;  // received since the last byte of data
  bool ended_ = false;            // the socket's end was seen
  bool said_all_ = false;
  Block early_;
  std::size_t early_begin_;
  std::size_t early_end_;
  Block pending_;
  std::size_t pending_begin_ = 0;
  std::size_t pending_end_ = 0;
};

}  // namespace portico::proxy
