#pragma once
// One connected socket as the session sees it: an input that keeps what was received until it is consumed,
// and an output that writes from where the bytes lie.
//
// The session, the exchange and the tunnel are written once against Stream. What carries it is one of three:
// the socket itself, TLS on the socket (secure()), or a stream of an HTTP/2 connection (attach()); the input
// is filled and the output emptied behind the same functions.
//
// owns:     the descriptor and what TLS keeps; the input owns at most one Block, borrowed when bytes are
//           there and given back when empty
// threads:  one worker
// bytes:    received once into the block; data() is valid until consume(), more() or make_room()
// lifetime: armed operations must have completed before a Stream ends: co_await closed()

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <coroutine>
#include <memory>
#include <span>
#include <string_view>

#include <boost/intrusive/list_hook.hpp>

#include "proxy/port.hpp"
#include "proxy/reactor.hpp"
#include "proxy/secure_socket.hpp"
#include "proxy/task.hpp"
#include "proxy/timer_wheel.hpp"

namespace portico::proxy {

/// Outcome of one wait or transfer.
enum class Io : std::uint8_t {
  ok,
  eof,        ///< the peer ended its direction
  timeout,    ///< the deadline passed
  cancelled,  ///< cancel() or close() was called
  failed,     ///< error() has errno
};

class Input : public ProbeLink {
 public:
  explicit Input(Reactor& reactor) noexcept;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// What was received and not consumed.
  [[nodiscard]] std::string_view data() const noexcept { return {block_.data() + begin_, end_ - begin_}; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  /// Takes `n` bytes off the front; the block is given back when nothing is left.
  void consume(std::size_t n) noexcept;
  /// Makes room for at least one more byte while keeping data() contiguous, up to `limit` bytes in all. False
  /// when data() already has that many.
  bool make_room(std::size_t limit);
  /// True when a read would have no room.
  [[nodiscard]] bool full() const noexcept { return block_ && end_ == block_.size(); }

  /// Looks whether the peer has ended or said something, unless the last look is known to have come last.
  /// Costs a system call only after a short read that nothing has followed up yet.
  bool quiet() noexcept;

  /// The peer's end or an error has been seen; what was received before is still in data().
  [[nodiscard]] bool ended() const noexcept { return end_state_ != Io::ok; }
  [[nodiscard]] Io end_state() const noexcept { return end_state_; }
  [[nodiscard]] int error() const noexcept { return error_; }

  class More {
   public:
    [[nodiscard]] bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    [[nodiscard]] Io await_resume() noexcept;

   private:
    friend class Input;
    More(Input& input, Deadline deadline) noexcept : input_(input), deadline_(deadline) {}
    Input& input_;
    Deadline deadline_;
  };
  /// Awaitable: waits until more bytes are in data() (ok), or says why there will be none. Precondition: not
  /// full().
  [[nodiscard]] More more(Deadline deadline) noexcept { return {*this, deadline}; }

  /// Keeps a read armed while nobody waits, and calls `fn` after each event (bytes, end, cancel): see data()
  /// and ended(). It stays until unwatch(); a more() takes precedence for its event. Never calls `fn` itself:
  /// look at ended() and data() afterwards.
  using Watcher = void (*)(void* owner);
  void watch(Watcher fn, void* owner) noexcept;
  /// As watch, but reads nothing: only the peer's leaving is looked for, also behind bytes that wait in the
  /// kernel. A watch whose block is full goes on in this way too.
  void watch_hangup(Watcher fn, void* owner) noexcept;
  void unwatch() noexcept {
    watcher_ = nullptr;
    hold_ = false;
  }

  /// Ends the present wait as cancelled: a more(), or else the watch. What is armed for a watch that is
  /// over already would end the next more() in its place.
  void cancel() noexcept;
  /// Somebody waits in a more().
  [[nodiscard]] bool waited_for() const noexcept { return static_cast<bool>(waiter_); }
  [[nodiscard]] bool armed() const noexcept { return readiness_.armed() || port_armed_; }
  /// After a short read, look for more at once instead of at the next tick: where the peer's end is the
  /// message's end.
  void set_eager(bool eager) noexcept {
    eager_ = eager;
    if (eager) maybe_more_ = true;
  }
  /// When nobody has read for this long, a watched input is cancelled.
  void set_idle_deadline(Deadline deadline) noexcept { timer_.set(deadline); }

  /// Used by a Port: there may be something to receive, or wake_input() was asked for.
  void port_event() noexcept;

  /// Used by Reactor: see Reactor::probe_later.
  void probe() noexcept;
  void mark_probe() noexcept { probed_reads_ = reads_; }

 private:
  friend class Stream;
  using Got = Port::Got;
  Got receive() noexcept;
  Got receive_secure() noexcept;
  Got receive_from_port() noexcept;
  bool have_block() noexcept;
  Got end_with(Io state, int error) noexcept;
  void arm(bool drained) noexcept;
  void on_ready(bool cancelled) noexcept;
  void notify(Io result) noexcept;
  /// Nobody waits for bytes and none can or shall be read.
  [[nodiscard]] bool holding() const noexcept { return !waiter_ && (hold_ || full()); }
  bool look_for_hangup() noexcept;
  void watch_for_hangup() noexcept;

  Reactor& reactor_;
  Reactor::Descriptor* descriptor_ = nullptr;
  int fd_ = -1;
  SecureSocket* secure_ = nullptr;
  Port* port_ = nullptr;
  Block block_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  std::uint32_t reads_ = 0;
  std::uint32_t probed_reads_ = 0;
  int error_ = 0;
  Io end_state_ = Io::ok;
  Io result_ = Io::ok;
  bool maybe_more_ = true;  // a receive may find something without waiting
  bool drained_ = false;    // the last receive said EAGAIN
  bool large_ = false;      // the last read filled its block
  bool eager_ = false;
  bool hold_ = false;
  bool timed_out_ = false;
  bool cancel_asked_ = false;  // also where the completion was on its way already
  bool probe_hit_ = false;
  bool port_armed_ = false;
  std::coroutine_handle<> waiter_;
  Watcher watcher_ = nullptr;
  void* watcher_owner_ = nullptr;
  Readiness readiness_;
  Timer timer_;
};

class Output {
 public:
  static constexpr std::size_t max_pieces = 8;

  explicit Output(Reactor& reactor) noexcept;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  class Write {
   public:
    [[nodiscard]] bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    [[nodiscard]] Io await_resume() const noexcept { return output_.result_; }

   private:
    friend class Output;
    explicit Write(Output& output) noexcept : output_(output) {}
    Output& output_;
  };
  /// Awaitable: sends all pieces in order, at once where the socket takes them. The bytes must stay where
  /// they are until it completes. Fails with timeout when nothing moved for `gap`. At most max_pieces pieces.
  [[nodiscard]] Write write(std::span<const std::string_view> pieces, std::chrono::milliseconds gap) noexcept;
  [[nodiscard]] Write write(std::string_view bytes, std::chrono::milliseconds gap) noexcept {
    return write({&bytes, 1}, gap);
  }
  /// The same for any number of pieces, which stand in the caller's own array and are used up there.
  [[nodiscard]] Write write_all(std::span<iovec> pieces, std::chrono::milliseconds gap) noexcept;

  class Connect {
   public:
    [[nodiscard]] bool await_ready() const noexcept {
      return output_.result_ != Io::ok || !output_.connecting_;
    }
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    [[nodiscard]] Io await_resume() const noexcept { return output_.result_; }

   private:
    friend class Stream;
    Connect(Output& output, Deadline deadline) noexcept : output_(output), deadline_(deadline) {}
    Output& output_;
    Deadline deadline_;
  };

  [[nodiscard]] bool armed() const noexcept { return readiness_.armed() || port_armed_; }
  [[nodiscard]] int error() const noexcept { return error_; }
  /// Bytes handed on so far, to the kernel or to TLS, over the life of the connection.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

  /// Used by a Port: what was offered has gone on, or was let go of.
  void port_event(bool withdrawn) noexcept;

 private:
  friend class Stream;
  using Put = Port::Put;
  Put send() noexcept;
  Put send_secure() noexcept;
  void arm() noexcept;
  void on_ready(bool cancelled) noexcept;
  void finish(Io result) noexcept;

  Reactor& reactor_;
  Reactor::Descriptor* descriptor_ = nullptr;
  int fd_ = -1;
  SecureSocket* secure_ = nullptr;
  Port* port_ = nullptr;
  std::array<iovec, max_pieces> own_pieces_;
  std::span<iovec> pieces_;  // what is still to be sent
  Io result_ = Io::ok;
  bool timed_out_ = false;
  bool connecting_ = false;
  bool port_armed_ = false;
  int error_ = 0;
  std::uint64_t sent_ = 0;
  std::chrono::milliseconds gap_{0};
  sockaddr_storage const* address_ = nullptr;
  socklen_t address_length_ = 0;
  std::coroutine_handle<> waiter_;
  Readiness readiness_;
  Timer timer_;
};

class Stream {
 public:
  explicit Stream(Reactor& reactor) noexcept : input(reactor), output(reactor), reactor_(reactor) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  /// Takes a connected, non-blocking descriptor. False (and closed) when the reactor can't take it.
  bool adopt(int fd) noexcept;
  /// Awaitable: makes a socket and connects it. `address` must stay until it completes. Io::failed:
  /// output.error().
  [[nodiscard]] Output::Connect connect(const sockaddr_storage& address, socklen_t length,
                                        Deadline deadline) noexcept;

  /// Becomes one stream of something that carries many. `port` must outlive it.
  void attach(Port& port) noexcept;

  /// From here on everything goes through TLS; what the input holds already is the beginning of it.
  /// Precondition: open, nothing is armed.
  void secure(tls::SslPtr ssl);
  /// Completes the handshake. failed: secured()->error(), and OpenSSL's own verdict in its SSL.
  Task<Io> handshake(Deadline deadline);
  /// The TLS on it, or null.
  [[nodiscard]] SecureSocket* secured() const noexcept { return secure_.get(); }

  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Ends our direction: the peer reads to the end of what was sent.
  void shutdown_write() noexcept;
  /// Closes; a peer that is still reading gets what was sent. Present and later operations end as cancelled.
  void close() noexcept;
  /// Closes with a reset, so that the peer can't take what it got for the whole.
  void reset() noexcept;
  /// Bytes that the peer has not acknowledged yet.
  [[nodiscard]] std::size_t unacknowledged() const noexcept;

  class Closed {
   public:
    [[nodiscard]] bool await_ready() const noexcept { return !stream_.input.armed(); }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept;
    void await_resume() const noexcept {}

   private:
    friend class Stream;
    explicit Closed(Stream& stream) noexcept : stream_(stream) {}
    Stream& stream_;
  };
  /// Awaitable: closes, and resumes when no operation is outstanding. Nobody may be waiting on the stream.
  [[nodiscard]] Closed closed() noexcept {
    close();
    return Closed{*this};
  }

  Input input;
  Output output;

 private:
  void close(bool reset) noexcept;

  Reactor& reactor_;
  Reactor::Descriptor descriptor_ = nullptr;
  int fd_ = -1;
  std::unique_ptr<SecureSocket> secure_;
};

/// Awaitable: lets other events of the worker run first.
class Yield {
 public:
  explicit Yield(Reactor& reactor) noexcept : reactor_(reactor) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const;
  void await_resume() const noexcept {}

 private:
  Reactor& reactor_;
};

/// Awaitable: resumes when `deadline` has passed.
class Sleep {
 public:
  Sleep(Reactor& reactor, Deadline deadline) noexcept
      : timer_(
            reactor.wheel, [](void* self) { static_cast<Sleep*>(self)->waiter_.resume(); }, this),
        deadline_(deadline) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    timer_.set(deadline_);
  }
  void await_resume() const noexcept {}

 private:
  std::coroutine_handle<> waiter_;
  Timer timer_;
  Deadline deadline_;
};

}  // namespace portico::proxy
