#include "test/support/wire.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace portico::test {

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::data:
      return "data";
    case Outcome::fin:
      return "closed by the peer";
    case Outcome::rst:
      return "reset by the peer";
    case Outcome::timeout:
      return "nothing until the deadline";
    case Outcome::stopped:
      return "stopped";
  }
  return "?";
}

Wire::Wire(Fd fd, int stop_fd, Observer on_received)
    : fd_(std::move(fd)), stop_fd_(stop_fd), on_received_(std::move(on_received)) {
  const int on = 1;
  // Fails on a unix socket, where it has no meaning.
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Outcome Wire::wait(short events, Deadline deadline) const {
  while (true) {
    pollfd polls[2] = {{fd_.get(), events, 0}, {stop_fd_, POLLIN, 0}};
    const int ready = ::poll(polls, stop_fd_ >= 0 ? 2 : 1, deadline.remaining_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (polls[0].revents != 0) return Outcome::data;
    if (polls[1].revents != 0) return Outcome::stopped;
    if (deadline.expired()) return Outcome::timeout;
  }
}

void Wire::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) throw WireError(Outcome::rst, "send");
    const Outcome outcome = wait(POLLOUT, deadline);
    if (outcome != Outcome::data) throw WireError(outcome, "send");
  }
}

std::size_t Wire::send_until_stuck(std::string_view bytes, milliseconds idle) {
  std::size_t total = 0;
  while (total < bytes.size()) {
    const ssize_t sent =
        ::send(fd_.get(), bytes.data() + total, bytes.size() - total, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      total += static_cast<std::size_t>(sent);
    } else if (errno != EAGAIN || wait(POLLOUT, Deadline{idle}) != Outcome::data) {
      return total;
    }
  }
  return total;
}

void Wire::send_split(std::string_view bytes, std::size_t every, Deadline deadline) {
  while (!bytes.empty()) {
    const std::size_t n = std::min(every, bytes.size());
    send(bytes.substr(0, n), deadline);
    bytes.remove_prefix(n);
    // Not a wait for anything: it only keeps the pieces apart on their way.
    if (!bytes.empty()) std::this_thread::sleep_for(std::chrono::microseconds(150));
  }
}

Outcome Wire::fill(Deadline deadline, std::size_t limit) {
  if (!fd_) return Outcome::fin;
  if (taken_ == buffer_.size()) {
    buffer_.clear();
    taken_ = 0;
  }
  while (true) {
    const std::size_t old = buffer_.size();
    buffer_.resize(old + limit);
    const ssize_t got = ::recv(fd_.get(), buffer_.data() + old, limit, MSG_DONTWAIT);
    const int error = errno;
    buffer_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) {
      if (on_received_) on_received_(std::string_view(buffer_).substr(old));
      return Outcome::data;
    }
    if (got == 0) return Outcome::fin;
    if (error == EINTR) continue;
    if (error != EAGAIN) return Outcome::rst;
    const Outcome outcome = wait(POLLIN, deadline);
    if (outcome != Outcome::data) return outcome;
  }
}

void Wire::drop(std::size_t n) { taken_ += std::min(n, buffered().size()); }

std::string Wire::take(std::size_t n) {
  std::string out(buffered().substr(0, n));
  drop(n);
  return out;
}

std::string Wire::read_exact(std::size_t n, Deadline deadline) {
  while (buffered().size() < n) {
    const Outcome outcome = fill(deadline);
    if (outcome != Outcome::data) throw WireError(outcome, "read of " + std::to_string(n) + " bytes");
  }
  return take(n);
}

std::string Wire::read_until(std::string_view text, Deadline deadline) {
  std::size_t from = 0;
  while (true) {
    const auto found = buffered().find(text, from);
    if (found != std::string_view::npos) return take(found + text.size());
    from = buffered().size() >= text.size() ? buffered().size() - text.size() + 1 : 0;
    const Outcome outcome = fill(deadline);
    if (outcome != Outcome::data)
      throw WireError(outcome, "read until '" + std::string(text) + "', got '" +
                                   std::string(buffered().substr(0, 2000)) + "'");
  }
}

Outcome Wire::wait_closed(Deadline deadline) {
  while (true) {
    const Outcome outcome = fill(deadline);
    if (outcome != Outcome::data) return outcome;
  }
}

bool Wire::stays_silent(milliseconds time) {
  return buffered().empty() && fill(Deadline{time}) == Outcome::timeout;
}

void Wire::half_close() { ::shutdown(fd_.get(), SHUT_WR); }

void Wire::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.close();
}

void Wire::set_receive_buffer(int bytes) {
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

}  // namespace portico::test
