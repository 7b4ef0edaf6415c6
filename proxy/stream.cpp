#include "proxy/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include <boost/asio/post.hpp>

namespace portico::proxy {

// ---- Input
// -------------------------------------------------------------------------------------------------------

Input::Input(Reactor& reactor) noexcept
    : reactor_(reactor),
      readiness_(
          Direction::read, [](void* self, bool cancelled) { static_cast<Input*>(self)->on_ready(cancelled); },
          this),
      timer_(
          reactor.wheel,
          [](void* self) {
            auto* input = static_cast<Input*>(self);
            input->timed_out_ = input->armed();
            input->cancel();
          },
          this) {}

void Input::consume(std::size_t n) noexcept {
  begin_ += static_cast<std::uint32_t>(n);
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  block_.release();
}

bool Input::make_room(std::size_t limit) {
  if (!full()) return true;
  const std::size_t kept = end_ - begin_;
  if (kept >= limit) return false;
  if (begin_ > 0) {
    std::memmove(block_.data(), block_.data() + begin_, kept);
  } else {
    Block larger = reactor_.buffers.borrow(std::max(kept * 2, BufferPool::large_size));
    std::memcpy(larger.data(), block_.data(), kept);
    block_ = std::move(larger);
  }
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(kept);
  return true;
}

Input::Got Input::receive() noexcept {
  if (port_ != nullptr) return receive_from_port();
  if (secure_ != nullptr) return receive_secure();
  if (!have_block()) return Got::end;
  const std::size_t room = block_.size() - end_;
  ssize_t n = 0;
  do {
    n = ::recv(fd_, block_.data() + end_, room, 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto got = static_cast<std::size_t>(n);
    end_ += static_cast<std::uint32_t>(got);
    ++reads_;
    drained_ = false;
    maybe_more_ = got == room || eager_;
    large_ = got == room || (large_ && got >= BufferPool::small_size);
    return Got::bytes;
  }
  if (begin_ == end_) consume(0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    maybe_more_ = false;
    drained_ = true;
    return Got::nothing;
  }
  return end_with(n == 0 ? Io::eof : Io::failed, n == 0 ? 0 : errno);
}

/// As receive, through TLS. The end of the handshake counts as something that arrived, and so does a flight
/// of it that the socket has not taken yet: whoever waits for the handshake looks after both.
Input::Got Input::receive_secure() noexcept {
  using Result = SecureSocket::Result;
  if (!secure_->established()) {
    switch (secure_->handshake()) {
      case Result::ok:
        maybe_more_ = true;
        return Got::bytes;
      case Result::wait:
        if (secure_->pending() > 0) return Got::bytes;
        maybe_more_ = false;
        drained_ = true;
        return Got::nothing;
      default:
        return end_with(Io::failed, secure_->error());
    }
  }
  if (!have_block()) return Got::end;
  std::size_t got = 0;
  const Result result = secure_->receive({block_.data() + end_, block_.size() - end_}, got);
  if (result == Result::ok) {
    end_ += static_cast<std::uint32_t>(got);
    ++reads_;
    drained_ = false;
    maybe_more_ = secure_->more_at_hand() || eager_;
    return Got::bytes;
  }
  if (begin_ == end_) consume(0);
  if (result == Result::wait) {
    maybe_more_ = false;
    drained_ = true;
    return Got::nothing;
  }
  return end_with(result == Result::end ? Io::eof : Io::failed, secure_->error());
}

/// A port hands over whole blocks, so only when the last one is used up.
Input::Got Input::receive_from_port() noexcept {
  if (!empty()) return port_->gone() ? end_with(Io::failed, ECONNRESET) : Got::nothing;
  const Got got = port_->receive(block_, begin_, end_);
  if (got == Got::end || got == Got::failed)
    return end_with(got == Got::end ? Io::eof : Io::failed, got == Got::end ? 0 : ECONNRESET);
  return got;
}

/// Memory to receive into; without it the input has ended.
bool Input::have_block() noexcept {
  if (block_) return true;
  try {
    block_ = reactor_.buffers.borrow(large_ ? BufferPool::large_size : BufferPool::small_size);
    return true;
  } catch (const std::bad_alloc&) {
    end_with(Io::failed, ENOMEM);
    return false;
  }
}

Input::Got Input::end_with(Io state, int error) noexcept {
  maybe_more_ = false;
  end_state_ = state;
  error_ = error;
  return Got::end;
}

void Input::arm(bool drained) noexcept {
  if (port_ != nullptr) {
    port_armed_ = true;
    // It tells once that its peer goes, and that may have been before.
    if (port_->gone()) port_->wake_input();
    return;
  }
  if (!drained) reactor_.probe_later(*this);
  readiness_.arm(reactor_, fd_, *descriptor_, drained);
}

void Input::port_event() noexcept {
  if (!std::exchange(port_armed_, false)) return;
  // A wait that was cancelled ends as such, unless bytes have come meanwhile.
  on_ready(false);
}

void Input::on_ready(bool cancelled) noexcept {
  const bool asked = std::exchange(cancel_asked_, false) || cancelled;
  const Io given_up = std::exchange(timed_out_, false) ? Io::timeout : Io::cancelled;
  const bool hit = std::exchange(probe_hit_, false);
  // While nothing was armed the reactor may have remembered an edge: the next arm() must ask for it.
  drained_ = false;
  if (fd_ < 0) {
    notify(Io::cancelled);
  } else if (hit) {
    notify(ended() ? end_state_ : Io::ok);
  } else if (cancelled) {
    notify(given_up);
  } else if (holding()) {
    // What is there stays in the kernel until somebody asks for it.
    maybe_more_ = true;
    if (look_for_hangup()) {
      notify(end_state_);
    } else if (asked) {
      notify(given_up);
    } else {
      arm(true);
      watch_for_hangup();
    }
  } else {
    const Got got = receive();
    if (got == Got::bytes) {
      notify(Io::ok);
    } else if (got == Got::end) {
      notify(end_state_);
    } else if (asked) {
      drained_ = false;
      notify(given_up);
    } else {
      arm(true);
    }
  }
}

void Input::notify(Io result) noexcept {
  result_ = result;
  if (const std::coroutine_handle<> waiter = std::exchange(waiter_, nullptr)) {
    timer_.clear();
    waiter.resume();
    return;
  }
  if (watcher_ == nullptr) return;
  // Re-armed before the call, because the watcher may end this object.
  if (result == Io::ok && fd_ >= 0 && !armed()) {
    arm(full());
    if (full()) watch_for_hangup();
  }
  watcher_(watcher_owner_);
}

bool Input::More::await_ready() noexcept {
  Input& in = input_;
  if (in.fd_ < 0) {
    in.result_ = Io::cancelled;
    return true;
  }
  if (in.ended()) {
    in.result_ = in.end_state_;
    return true;
  }
  if (!in.maybe_more_) return false;
  switch (in.receive()) {
    case Got::bytes:
      in.result_ = Io::ok;
      return true;
    case Got::end:
    case Got::failed:
      in.result_ = in.end_state_;
      return true;
    case Got::nothing:
      return false;
  }
  return false;
}

void Input::More::await_suspend(std::coroutine_handle<> waiter) noexcept {
  input_.waiter_ = waiter;
  input_.timer_.set(deadline_);
  if (!input_.armed()) input_.arm(input_.drained_);
}

Io Input::More::await_resume() noexcept { return input_.result_; }

void Input::watch(Watcher fn, void* owner) noexcept {
  watcher_ = fn;
  watcher_owner_ = owner;
  hold_ = false;
  if (fd_ < 0) return;
  while (maybe_more_ && !ended() && !full()) {
    if (receive() == Got::nothing) break;
  }
  if (ended()) return;
  if (!armed()) arm(drained_ || full());
  if (full()) watch_for_hangup();
}

void Input::watch_hangup(Watcher fn, void* owner) noexcept {
  watcher_ = fn;
  watcher_owner_ = owner;
  hold_ = true;
  if (fd_ < 0) return;
  if (!armed()) arm(false);
  watch_for_hangup();
}

/// A port tells of itself when its peer goes; a socket has to be asked.
void Input::watch_for_hangup() noexcept {
  if (port_ == nullptr) reactor_.probe_later(*this);
}

/// The peer's end can't be received while bytes stand before it, but poll(2) tells.
bool Input::look_for_hangup() noexcept {
  if (port_ != nullptr) {
    if (!port_->gone()) return false;
    end_state_ = Io::failed;
    return true;
  }
  pollfd question{fd_, POLLRDHUP, 0};
  if (::poll(&question, 1, 0) <= 0) return false;
  if ((question.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) return false;
  end_state_ = Io::eof;
  return true;
}

bool Input::quiet() noexcept {
  if (fd_ < 0 || ended() || !empty()) return false;
  return drained_ || receive() == Got::nothing;
}

void Input::cancel() noexcept {
  if (fd_ < 0 || !armed()) return;
  cancel_asked_ = true;
  if (port_ != nullptr) {
    port_->wake_input();
    return;
  }
  readiness_.cancel(reactor_, fd_, *descriptor_);
}

void Input::probe() noexcept {
  if (fd_ < 0 || !readiness_.armed()) return;
  if (holding()) {
    if (!look_for_hangup()) {
      reactor_.probe_later(*this);
      return;
    }
  } else {
    if (reads_ != probed_reads_) {
      reactor_.probe_later(*this);
      return;
    }
    if (full() || receive() == Got::nothing) return;
  }
  probe_hit_ = true;
  cancel();
}

// ---- Output
// ------------------------------------------------------------------------------------------------------

Output::Output(Reactor& reactor) noexcept
    : reactor_(reactor),
      readiness_(
          Direction::write,
          [](void* self, bool cancelled) { static_cast<Output*>(self)->on_ready(cancelled); }, this),
      timer_(
          reactor.wheel,
          [](void* self) {
            auto* output = static_cast<Output*>(self);
            output->timed_out_ = true;
            if (output->port_ != nullptr) {
              output->port_->withdraw();
              return;
            }
            output->readiness_.cancel(output->reactor_, output->fd_, *output->descriptor_);
          },
          this) {}

Output::Write Output::write(std::span<const std::string_view> pieces,
                            std::chrono::milliseconds gap) noexcept {
  std::size_t count = 0;
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    // sendmsg takes a pointer to non-const and does not write through it.
    own_pieces_[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  return write_all(std::span(own_pieces_).first(count), gap);
}

Output::Write Output::write_all(std::span<iovec> pieces, std::chrono::milliseconds gap) noexcept {
  pieces_ = pieces;
  gap_ = gap;
  return Write{*this};
}

Output::Put Output::send() noexcept {
  if (port_ != nullptr) return port_->send(pieces_, sent_);
  if (secure_ != nullptr) return send_secure();
  while (!pieces_.empty()) {
    ssize_t n = 0;
    if (pieces_.size() == 1) {
      n = ::send(fd_, pieces_.front().iov_base, pieces_.front().iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = pieces_.data();
      message.msg_iovlen = std::min<std::size_t>(pieces_.size(), IOV_MAX);
      n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Put::nothing;
      error_ = errno;
      return Put::failed;
    }
    auto sent = static_cast<std::size_t>(n);
    sent_ += sent;
    while (!pieces_.empty() && sent >= pieces_.front().iov_len) {
      sent -= pieces_.front().iov_len;
      pieces_ = pieces_.subspan(1);
    }
    if (pieces_.empty()) return Put::all;
    pieces_.front().iov_base = static_cast<char*>(pieces_.front().iov_base) + sent;
    pieces_.front().iov_len -= sent;
    // A short write means that the socket's buffer is full; the kernel will say when it is not.
    return Put::some;
  }
  return Put::all;
}

Output::Put Output::send_secure() noexcept {
  const std::uint64_t before = sent_;
  const std::size_t waiting = secure_->pending();
  const SecureSocket::Result result = secure_->send(pieces_, sent_);
  while (!pieces_.empty() && pieces_.front().iov_len == 0) pieces_ = pieces_.subspan(1);
  if (result == SecureSocket::Result::ok) return Put::all;
  if (result == SecureSocket::Result::wait)
    return sent_ > before || secure_->pending() < waiting ? Put::some : Put::nothing;
  error_ = secure_->error();
  return Put::failed;
}

void Output::arm() noexcept {
  if (port_ != nullptr) {
    port_armed_ = true;
  } else {
    readiness_.arm(reactor_, fd_, *descriptor_, true);
  }
}

void Output::port_event(bool withdrawn) noexcept {
  if (std::exchange(port_armed_, false)) on_ready(withdrawn);
}

bool Output::Write::await_ready() noexcept {
  Output& out = output_;
  if (out.fd_ < 0) {
    out.result_ = Io::cancelled;
    return true;
  }
  switch (out.send()) {
    case Put::all:
      out.result_ = Io::ok;
      return true;
    case Put::failed:
      out.result_ = Io::failed;
      return true;
    default:
      return false;
  }
}

void Output::Write::await_suspend(std::coroutine_handle<> waiter) noexcept {
  Output& out = output_;
  out.waiter_ = waiter;
  out.timer_.set(out.reactor_.wheel.in(out.gap_));
  out.arm();
}

void Output::on_ready(bool cancelled) noexcept {
  // The timer may have fired when this completion was on its way already.
  const bool timed_out = std::exchange(timed_out_, false);
  if (cancelled || fd_ < 0) {
    finish(timed_out ? Io::timeout : Io::cancelled);
    return;
  }
  if (connecting_) {
    // connect(2) again is the one question that answers "connected", "not yet" and "failed" alike.
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(address_), address_length_) == 0 ||
        errno == EISCONN) {
      finish(Io::ok);
      return;
    }
    if (errno != EALREADY && errno != EINPROGRESS && errno != EINTR) {
      error_ = errno;
      finish(Io::failed);
      return;
    }
  } else {
    const Put put = send();
    if (put == Put::all || put == Put::failed) {
      finish(put == Put::all ? Io::ok : Io::failed);
      return;
    }
    if (put == Put::some) {
      timer_.set(reactor_.wheel.in(gap_));
      arm();
      return;
    }
  }
  if (timed_out) {
    finish(Io::timeout);
  } else {
    arm();
  }
}

void Output::finish(Io result) noexcept {
  result_ = result;
  connecting_ = false;
  timer_.clear();
  if (const std::coroutine_handle<> waiter = std::exchange(waiter_, nullptr)) waiter.resume();
}

void Output::Connect::await_suspend(std::coroutine_handle<> waiter) noexcept {
  output_.waiter_ = waiter;
  output_.timer_.set(deadline_);
  output_.readiness_.arm(output_.reactor_, output_.fd_, *output_.descriptor_, true);
}

// ---- Stream
// ------------------------------------------------------------------------------------------------------

Stream::~Stream() { close(); }

bool Stream::adopt(int fd) noexcept {
  if (reactor_.add(fd, descriptor_) != 0) {
    ::close(fd);
    return false;
  }
  fd_ = input.fd_ = output.fd_ = fd;
  input.descriptor_ = output.descriptor_ = &descriptor_;
  return true;
}

void Stream::attach(Port& port) noexcept {
  // No descriptor, but not closed either.
  fd_ = input.fd_ = output.fd_ = std::numeric_limits<int>::max();
  input.port_ = output.port_ = &port;
}

void Stream::secure(tls::SslPtr ssl) {
  secure_ = std::make_unique<SecureSocket>(std::move(ssl), reactor_.buffers, fd_, std::move(input.block_),
                                           input.begin_, input.end_);
  input.begin_ = input.end_ = 0;
  input.maybe_more_ = true;
  input.secure_ = output.secure_ = secure_.get();
}

Task<Io> Stream::handshake(Deadline deadline) {
  // Of one write of a flight; the whole is bounded by the deadline.
  constexpr std::chrono::milliseconds gap{5'000};
  while (!secure_->established()) {
    Io io = co_await input.more(deadline);
    // A flight that the socket did not take at once.
    if (io == Io::ok && secure_->pending() > 0) io = co_await output.write_all({}, gap);
    if (io != Io::ok) co_return io;
  }
  co_return Io::ok;
}

Output::Connect Stream::connect(const sockaddr_storage& address, socklen_t length,
                                Deadline deadline) noexcept {
  output.connecting_ = false;
  output.result_ = Io::failed;
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    output.error_ = errno;
    return {output, deadline};
  }
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  // Before the reactor knows it: an unconnected socket would report a hang-up.
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  if (!connected && errno != EINPROGRESS) {
    output.error_ = errno;
    ::close(fd);
    return {output, deadline};
  }
  if (!adopt(fd)) {
    output.error_ = EMFILE;
    return {output, deadline};
  }
  output.result_ = Io::ok;
  output.connecting_ = !connected;
  output.address_ = &address;
  output.address_length_ = length;
  return {output, deadline};
}

void Stream::shutdown_write() noexcept {
  if (fd_ < 0) return;
  if (input.port_ != nullptr) {
    input.port_->shutdown_write();
    return;
  }
  if (secure_) secure_->close_notify();
  ::shutdown(fd_, SHUT_WR);
}

void Stream::close() noexcept { close(false); }

void Stream::reset() noexcept {
  if (fd_ >= 0 && input.port_ == nullptr) {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close(true);
}

void Stream::close(bool reset) noexcept {
  if (fd_ < 0) return;
  if (Port* port = input.port_) {
    fd_ = input.fd_ = output.fd_ = -1;
    port->close(reset);
    if (input.port_armed_) port->wake_input();
    if (output.port_armed_) port->withdraw();
    return;
  }
  if (secure_) {
    // Without this word the peer knows that what it got is not the whole.
    if (!reset) secure_->close_notify();
    secure_->detach();
  }
  reactor_.remove(fd_, descriptor_);
  ::close(fd_);
  fd_ = input.fd_ = output.fd_ = -1;
}

std::size_t Stream::unacknowledged() const noexcept {
  int bytes = 0;
  if (fd_ < 0 || input.port_ != nullptr || ::ioctl(fd_, TIOCOUTQ, &bytes) != 0) return 0;
  return static_cast<std::size_t>(bytes);
}

void Stream::Closed::await_suspend(std::coroutine_handle<> waiter) const noexcept {
  stream_.input.unwatch();
  stream_.input.waiter_ = waiter;
}

void Yield::await_suspend(std::coroutine_handle<> waiter) const {
  boost::asio::post(reactor_.context, waiter);
}

}  // namespace portico::proxy
