#include "test/support/wire.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace portico::test {

namespace {

// The most that one record of TLS carries.
constexpr std::size_t record = 16'384;

}  // namespace

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::data:
      return "data";
    case Outcome::fin:
      return "closed by the peer";
    case Outcome::truncated:
      return "closed by the peer without close_notify";
    case Outcome::alert:
      return "TLS failed";
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

Outcome Wire::send_raw(std::string_view& bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, segment_ > 0 ? segment_ : bytes.size());
    const ssize_t sent = ::send(fd_.get(), part.data(), part.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      // Not a wait for anything: it only keeps the pieces apart on their way.
      if (segment_ > 0) std::this_thread::sleep_for(std::chrono::microseconds(150));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return Outcome::rst;
    const Outcome outcome = wait(POLLOUT, deadline);
    if (outcome != Outcome::data) return outcome;
  }
  return Outcome::data;
}

Outcome Wire::flush_tls(Deadline deadline) {
  unsent_ += tls_->take_output();
  std::string_view rest(unsent_);
  const Outcome outcome = send_raw(rest, deadline);
  unsent_.erase(0, unsent_.size() - rest.size());
  return outcome;
}

void Wire::send(std::string_view bytes, Deadline deadline) {
  Outcome outcome = Outcome::data;
  if (tls_) {
    do {
      tls_->write(bytes.substr(0, record));
      bytes.remove_prefix(std::min(record, bytes.size()));
      outcome = flush_tls(deadline);
    } while (!bytes.empty() && outcome == Outcome::data);
  } else {
    outcome = send_raw(bytes, deadline);
  }
  if (outcome != Outcome::data) throw WireError(outcome, "send");
}

std::size_t Wire::send_until_stuck(std::string_view bytes, milliseconds idle) {
  if (!tls_) {
    std::string_view rest(bytes);
    // The deadline is for the time in which nothing moves, so it begins anew with each piece.
    while (!rest.empty()) {
      const std::size_t before = rest.size();
      if (send_raw(rest, Deadline{idle}) != Outcome::data && rest.size() == before) break;
    }
    return bytes.size() - rest.size();
  }
  std::size_t total = 0;
  while (flush_tls(Deadline{idle}) == Outcome::data && total < bytes.size()) {
    const auto part = bytes.substr(total, record);
    tls_->write(part);
    total += part.size();
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

Outcome Wire::receive(std::string& into, Deadline deadline, std::size_t limit) {
  while (true) {
    const std::size_t old = into.size();
    into.resize(old + limit);
    const ssize_t got = ::recv(fd_.get(), into.data() + old, limit, MSG_DONTWAIT);
    const int error = errno;
    into.resize(old + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) return Outcome::data;
    if (got == 0) return Outcome::fin;
    if (error == EINTR) continue;
    if (error != EAGAIN) return Outcome::rst;
    const Outcome outcome = wait(POLLIN, deadline);
    if (outcome != Outcome::data) return outcome;
  }
}

Outcome Wire::receive_tls(Deadline deadline, std::size_t limit) {
  std::string records;
  while (true) {
    const TlsStep step = tls_->read(buffer_, limit);
    // An alert, or the answer to a change of keys; a peer that does not read must not hold up this side.
    flush_tls(Deadline{0ms});
    if (step == TlsStep::done) return Outcome::data;
    if (step == TlsStep::closed) return Outcome::fin;
    if (step == TlsStep::broken) return Outcome::alert;
    records.clear();
    const Outcome outcome = receive(records, deadline, limit);
    if (outcome != Outcome::data) return outcome == Outcome::fin ? Outcome::truncated : outcome;
    tls_->feed(records);
  }
}

Outcome Wire::fill(Deadline deadline, std::size_t limit) {
  if (!fd_) return Outcome::fin;
  if (taken_ == buffer_.size()) {
    buffer_.clear();
    taken_ = 0;
  }
  const std::size_t old = buffer_.size();
  const Outcome outcome = tls_ ? receive_tls(deadline, limit) : receive(buffer_, deadline, limit);
  if (outcome == Outcome::data && on_received_) on_received_(std::string_view(buffer_).substr(old));
  return outcome;
}

void Wire::start_tls(const TlsClientOptions& options, Deadline deadline) {
  segment_ = options.segment;
  tls_ = std::make_unique<TlsSession>(options);
  shake_hands(deadline);
}

void Wire::start_tls(const TlsServer& server, Deadline deadline) {
  tls_ = std::make_unique<TlsSession>(server);
  shake_hands(deadline);
}

void Wire::shake_hands(Deadline deadline) {
  std::string records;
  while (true) {
    const TlsStep step = tls_->handshake();
    const Outcome sent = flush_tls(deadline);
    if (step == TlsStep::done && sent == Outcome::data) return;
    if (step == TlsStep::broken || step == TlsStep::closed)
      throw WireError(Outcome::alert, "TLS handshake, " + tls_->error());
    records.clear();
    // A peer that refuses says so before it stops reading, so what it sent comes before what it did not take.
    const Outcome outcome = receive(records, deadline, 65'536);
    if (outcome != Outcome::data) throw WireError(outcome, "TLS handshake");
    tls_->feed(records);
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

void Wire::half_close() {
  if (tls_) {
    tls_->close_notify();
    flush_tls(patience());
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

void Wire::close() {
  if (tls_ && fd_) {
    tls_->close_notify();
    flush_tls(Deadline{0ms});
  }
  fd_.close();
}

void Wire::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.close();
}

void Wire::set_receive_buffer(int bytes) {
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

}  // namespace portico::test
