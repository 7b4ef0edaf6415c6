#pragma once
// One end of a stream socket with blocking calls that all have deadlines, in plain text or under TLS.
//
// owns:    its descriptor, its TLS session, the bytes received but not yet taken
// threads: one at a time, except stop(), which any thread may call through the shared stop descriptor.
// Without
//          TLS one thread may send while another reads.
// errors:  WireError when the peer closes, resets or stays silent where the caller asked for bytes

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "test/support/address.hpp"
#include "test/support/deadline.hpp"
#include "test/support/tls.hpp"

namespace portico::test {

/// What became of a wait for the peer.
enum class Outcome : std::uint8_t {
  data,       ///< bytes arrived
  fin,        ///< the peer ended its side in order; under TLS: with a close_notify
  truncated,  ///< the peer ended its side, but TLS's close_notify was missing
  alert,      ///< TLS failed: an alert of the peer, or bytes that are no TLS
  rst,        ///< the peer cut the connection
  timeout,    ///< nothing until the deadline
  stopped,    ///< the owner is going down
};
const char* name_of(Outcome outcome);

/// A wait that did not give what was asked for.
class WireError : public std::runtime_error {
 public:
  WireError(Outcome outcome, const std::string& what)
      : std::runtime_error(what + ": " + name_of(outcome)), outcome_(outcome) {}
  [[nodiscard]] Outcome outcome() const { return outcome_; }

 private:
  Outcome outcome_;
};

class Wire {
 public:
  using Observer = std::function<void(std::string_view)>;

  Wire() = default;
  /// Takes a connected stream socket. A wait ends as `stopped` once `stop_fd` (borrowed, or -1) is readable.
  explicit Wire(Fd fd, int stop_fd = -1, Observer on_received = {});

  /// Makes this end a client of TLS. Throws WireError when the handshake fails, with its reason: `alert` when
  /// either end refused the other, else what became of the connection.
  void start_tls(const TlsClientOptions& options, Deadline deadline = patience());
  /// As the former, as the server.
  void start_tls(const TlsServer& server, Deadline deadline = patience());
  /// What TLS agreed on; empty in plain text.
  [[nodiscard]] TlsFacts tls() const { return tls_ ? tls_->facts() : TlsFacts{}; }
  /// The newest session to resume; empty before the server gave one.
  [[nodiscard]] TlsTicket ticket() const { return tls_ ? tls_->ticket() : TlsTicket{}; }

  /// Sends all of it, or throws.
  void send(std::string_view bytes, Deadline deadline = patience());
  /// Sends what the kernel takes until the peer stops reading for `idle`; returns the bytes taken.
  std::size_t send_until_stuck(std::string_view bytes, milliseconds idle);
  /// In pieces of `every` bytes, each its own segment, with a short pause so that they arrive apart.
  void send_split(std::string_view bytes, std::size_t every, Deadline deadline = patience());

  /// Waits for bytes and adds them to buffered(). At most `limit` bytes at once.
  Outcome fill(Deadline deadline = patience(), std::size_t limit = 256 * 1024);
  /// Received and not yet taken.
  [[nodiscard]] std::string_view buffered() const { return std::string_view(buffer_).substr(taken_); }
  /// Removes the first `n` buffered bytes.
  void drop(std::size_t n);
  std::string take(std::size_t n);

  /// Exactly `n` bytes, or throws.
  std::string read_exact(std::size_t n, Deadline deadline = patience());
  /// Everything up to and including `text`, or throws.
  std::string read_until(std::string_view text, Deadline deadline = patience());
  /// Reads and buffers until the connection ends; says how.
  Outcome wait_closed(Deadline deadline = patience());
  /// True when the peer sends nothing and keeps the connection for `time`.
  bool stays_silent(milliseconds time);

  /// Ends this side and goes on reading; under TLS with a close_notify.
  void half_close();
  /// Under TLS a close_notify goes out first, unless the peer does not read.
  void close();
  /// Closes without a close_notify: under TLS a cut, in plain text the same as close(). So does the
  /// destructor.
  void break_off() { fd_.close(); }
  /// Closes with a RST.
  void reset();
  /// Size of the kernel's buffer in bytes, for back-pressure tests.
  void set_receive_buffer(int bytes);

  [[nodiscard]] bool open() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Outcome wait(short events, Deadline deadline) const;
  Outcome receive(std::string& into, Deadline deadline, std::size_t limit);
  Outcome receive_tls(Deadline deadline, std::size_t limit);
  Outcome send_raw(std::string_view& bytes, Deadline deadline);
  Outcome flush_tls(Deadline deadline);
  void shake_hands(Deadline deadline);

  Fd fd_;
  int stop_fd_ = -1;
  Observer on_received_;
  std::string buffer_;
  std::size_t taken_ = 0;
  std::unique_ptr<TlsSession> tls_;
  std::string unsent_;       // records that the kernel did not take yet
  std::size_t segment_ = 0;  // as TlsClientOptions
};

}  // namespace portico::test
