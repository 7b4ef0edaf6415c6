#include "test/support/gate.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

namespace portico::test {

namespace {

// What a direction holds at most; beyond that its sender has to wait.
constexpr std::size_t most_held = 131'072;
constexpr std::size_t largest_read = 16'384;
// Small pieces are up to so large, and so many of them follow each other.
constexpr std::size_t small_piece = 60;
constexpr unsigned most_small = 24;
// After a FIN to both sides each may say something still, which nobody hears; after bytes that came twice,
// what both make of them.
constexpr milliseconds last_words{1'000};

std::uint32_t ip_of(const sockaddr_in& address) { return ntohl(address.sin_addr.s_addr); }

std::uint32_t ip_of(const std::string& text) {
  return ip_of(*reinterpret_cast<const sockaddr_in*>(Address::ip(text, 0).get()));
}

void make_prompt(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void reset(Fd& fd) {
  const linger now{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.close();
}

enum class Fate : std::uint8_t { none, fin, reset, stall, duplicate };

}  // namespace

const char* name_of(Harm harm) {
  switch (harm) {
    case Harm::none:
      return "none";
    case Harm::cut:
      return "cut";
    case Harm::ended:
      return "ended";
    case Harm::duplicated:
      return "duplicated";
  }
  return "?";
}

/// One connection through the gate: both of its sockets, and what is on its way.
class Gate::Link {
 public:
  Link(Gate& gate, Fd near, Fd far, std::uint32_t source, std::uint64_t number)
      : gate_(gate),
        sockets_{std::move(near), std::move(far)},
        dice_(gate.seed_ + number * 0x9e3779b97f4a7c15ULL),
        source_(source),
        number_(number) {
    sockaddr_in own{};
    socklen_t length = sizeof own;
    ::getsockname(sockets_[1].get(), reinterpret_cast<sockaddr*>(&own), &length);
    port_ = ntohs(own.sin_port);
    choose_fate();
    gate_.by_source_[source_] = {number_, Harm::none};
    gate_.by_port_[port_] = {number_, Harm::none};
  }

  /// What to poll its sockets for; -1 stands for a socket that nothing is wanted of.
  void ask(std::vector<pollfd>& polls) const {
    for (std::size_t side = 0; side < 2; ++side) {
      const Pipe& in = pipes_[side];
      const Pipe& out = pipes_[1 - side];
      short events = 0;
      if (!silent_until_ && !in.ended && in.held.size() < most_held) events |= POLLIN;
      if (!silent_until_ && out.blocked) events |= POLLOUT;
      polls.push_back({events != 0 ? sockets_[side].get() : -1, events, 0});
    }
  }

  /// When it has to be looked at although no socket has news.
  [[nodiscard]] std::optional<Clock::time_point> due() const {
    if (silent_until_) return silent_until_;
    std::optional<Clock::time_point> out = farewell_until_ ? farewell_until_ : doomed_at_;
    for (const Pipe& pipe : pipes_)
      if (!pipe.held.empty() && !pipe.blocked && (!out || pipe.due < *out)) out = pipe.due;
    return out;
  }

  /// Goes on with whatever can go on; `polled` is what ask() added. False when the connection is over.
  bool step(const pollfd* polled) {
    if (silent_until_) {
      if (Clock::now() < *silent_until_) return true;
      silent_until_.reset();
      return cut(one_in(2) ? Fate::fin : Fate::reset);
    }
    if (farewell_until_) return listen_to_last_words();
    if (doomed_at_ && Clock::now() >= *doomed_at_) return cut(Fate::reset);
    if (fate_ != Fate::none && fate_at_ == 0 && !meet_fate()) return false;
    for (std::size_t from = 0; from < 2 && !silent_until_ && !farewell_until_; ++from) {
      if ((polled[from].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !receive(from)) return false;
      if ((polled[1 - from].revents & (POLLOUT | POLLHUP | POLLERR)) != 0) pipes_[from].blocked = false;
      if (!pipes_[from].blocked && !forward(from)) return false;
    }
    return farewell_until_ || silent_until_ || !(pipes_[0].told && pipes_[1].told);
  }

 private:
  /// One direction.
  struct Pipe {
    std::string held;
    Clock::time_point due{};
    unsigned small = 0;      // so many small pieces are to come
    std::size_t passed = 0;  // bytes
    bool ended = false;      // its sender has said all
    bool told = false;       // and its receiver knows
    bool blocked = false;    // the receiver's socket has no room
  };

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(dice_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  bool happens(double probability) { return std::uniform_real_distribution<>(0, 1)(dice_) < probability; }

  void choose_fate() {
    const GateOptions& options = gate_.options_;
    double die = std::uniform_real_distribution<>(0, 1)(dice_);
    const auto hits = [&die](double probability) {
      die -= probability;
      return die < 0;
    };
    fate_from_ = below(2);
    if (hits(options.fin)) {
      fate_ = Fate::fin;
    } else if (hits(options.reset)) {
      fate_ = Fate::reset;
    } else if (hits(options.stall)) {
      fate_ = Fate::stall;
    } else if (hits(options.duplicate_up) || hits(options.duplicate_down)) {
      fate_ = Fate::duplicate;
      fate_from_ = die + options.duplicate_down < 0 ? 0 : 1;
    }
    // As many before 10 bytes as between 1,000 and 10,000: handshakes and heads are short.
    const double place =
        std::uniform_real_distribution<>(0, std::log(static_cast<double>(options.within)))(dice_);
    fate_at_ = static_cast<std::size_t>(std::exp(place)) - (fate_ == Fate::duplicate ? 0 : 1);
  }

  void mark(Harm harm) {
    const std::scoped_lock lock(gate_.mutex_);
    if (harm_ == Harm::duplicated) return;
    if (harm_ != Harm::none) --gate_.harmed_[harm_];
    ++gate_.harmed_[harm];
    harm_ = harm;
    // A newer connection may have come from the same place.
    for (Known* known : {&gate_.by_source_[source_], &gate_.by_port_[port_]})
      if (known->number == number_) known->harm = harm;
  }

  /// False when the connection is over.
  bool meet_fate() {
    switch (std::exchange(fate_, Fate::none)) {
      case Fate::fin:
        return cut(Fate::fin);
      case Fate::reset:
        return cut(Fate::reset);
      case Fate::stall:
        // A FIN is the worse of what may come: it can look like an end.
        mark(Harm::ended);
        silent_until_ = Clock::now() +
                        milliseconds(below(static_cast<std::size_t>(gate_.options_.longest_stall.count())));
        return true;
      default:
        return true;
    }
  }

  bool cut(Fate how) {
    mark(how == Fate::fin ? Harm::ended : Harm::cut);
    if (how == Fate::reset) {
      for (Fd& socket : sockets_) reset(socket);
      return false;
    }
    for (const Fd& socket : sockets_) ::shutdown(socket.get(), SHUT_WR);
    for (Pipe& pipe : pipes_) pipe.held.clear();
    farewell_until_ = Clock::now() + last_words;
    return true;
  }

  /// A close with bytes unread would be a RST, which overtakes what was sent before.
  bool listen_to_last_words() {
    std::array<char, largest_read> nobody_hears{};
    for (std::size_t side = 0; side < 2; ++side) {
      while (!pipes_[side].ended) {
        const ssize_t got = ::recv(sockets_[side].get(), nobody_hears.data(), nobody_hears.size(), 0);
        if (got < 0 && errno == EAGAIN) break;
        pipes_[side].ended = got <= 0;
      }
    }
    return !(pipes_[0].ended && pipes_[1].ended) && Clock::now() < *farewell_until_;
  }

  bool receive(std::size_t from) {
    Pipe& pipe = pipes_[from];
    if (pipe.ended || pipe.held.size() >= most_held) return true;
    std::array<char, largest_read> bytes{};
    const ssize_t got = ::recv(sockets_[from].get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 0) return pass_reset(from);
    if (got == 0) {
      pipe.ended = true;
      return true;
    }
    const bool first = pipe.held.empty();
    pipe.held.append(bytes.data(), static_cast<std::size_t>(got));
    const GateOptions& options = gate_.options_;
    const auto later =
        Clock::now() + milliseconds(below(static_cast<std::size_t>(options.longest_delay.count()) + 1));
    // What is behind a held piece waits with it, and so joins it.
    if (first) pipe.due = happens(options.delay) || happens(options.join) ? later : Clock::now();
    if (happens(options.split)) pipe.small = 1 + static_cast<unsigned>(below(most_small));
    return true;
  }

  /// One side has reset its connection: the other gets what was on its way, and is reset.
  bool pass_reset(std::size_t from) {
    const std::string& held = pipes_[from].held;
    // As much as there is room for: nobody can tell it from a reset that came a moment earlier.
    static_cast<void>(
        ::send(sockets_[1 - from].get(), held.data(), held.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    for (Fd& socket : sockets_) reset(socket);
    return false;
  }

  bool forward(std::size_t from) {
    Pipe& pipe = pipes_[from];
    while (!pipe.held.empty() && Clock::now() >= pipe.due) {
      std::size_t size = pipe.held.size();
      if (pipe.small > 0) size = std::min(size, 1 + below(small_piece));
      const bool fated = fate_ != Fate::none && fate_from_ == from && pipe.passed + size >= fate_at_;
      if (fated) size = fate_at_ - pipe.passed;
      const ssize_t sent =
          ::send(sockets_[1 - from].get(), pipe.held.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
      pipe.blocked = sent < 0 && errno == EAGAIN;
      if (pipe.blocked) return true;
      if (sent < 0) return pass_reset(1 - from);
      const auto passed = static_cast<std::size_t>(sent);
      pipe.passed += passed;
      if (fated && passed == size) {
        if (fate_ != Fate::duplicate) {
          pipe.held.erase(0, passed);
          return meet_fate();
        }
        fate_ = Fate::none;
        mark(Harm::duplicated);
        // Both sides may now wait for what the other has said already.
        doomed_at_ = Clock::now() + last_words;
        // The piece stays at the front but for its beginning, and so goes on once more.
        pipe.held.erase(0, below(passed));
        pipe.due = Clock::now();
        continue;
      }
      pipe.held.erase(0, passed);
      if (pipe.small > 0) {
        --pipe.small;
        pipe.due = Clock::now() + std::chrono::microseconds(below(600));
      }
    }
    if (pipe.ended && pipe.held.empty() && !std::exchange(pipe.told, true))
      ::shutdown(sockets_[1 - from].get(), SHUT_WR);
    return true;
  }

  Gate& gate_;
  std::array<Fd, 2> sockets_;  // who connected, and the target
  std::array<Pipe, 2> pipes_;  // from there
  std::mt19937_64 dice_;
  std::uint32_t source_;
  std::uint16_t port_ = 0;
  std::uint64_t number_;
  Harm harm_ = Harm::none;
  Fate fate_ = Fate::none;
  std::size_t fate_at_ = 0;    // bytes
  std::size_t fate_from_ = 0;  // of which direction
  std::optional<Clock::time_point> silent_until_;
  std::optional<Clock::time_point> farewell_until_;
  std::optional<Clock::time_point> doomed_at_;
};

Gate::Gate(const Address& target, const GateOptions& options, std::uint64_t seed)
    : target_(target),
      options_(options),
      seed_(seed),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      listener_(Address::ip("127.0.0.1", 0)),
      thread_([this] { run(); }) {}

Gate::~Gate() {
  const std::uint64_t one = 1;
  // An eventfd takes 8 bytes or says that it is raised already.
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Gate::run() {
  std::vector<pollfd> polls;
  while (true) {
    polls.assign({{stop_.get(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}});
    std::optional<Clock::time_point> due;
    for (const auto& link : links_) {
      link->ask(polls);
      const auto its = link->due();
      if (its && (!due || *its < *due)) due = its;
    }
    int wait = -1;
    if (due) {
      const auto left = std::chrono::ceil<milliseconds>(*due - Clock::now()).count();
      wait = static_cast<int>(std::max<std::int64_t>(left, 0));
    }
    ::poll(polls.data(), polls.size(), wait);
    if (polls[0].revents != 0) return;
    const pollfd* polled = polls.data() + 2;
    std::erase_if(links_,
                  [&polled](const auto& link) { return !link->step(std::exchange(polled, polled + 2)); });
    if (polls[1].revents != 0) accept();
  }
}

void Gate::accept() {
  sockaddr_in from{};
  socklen_t length = sizeof from;
  Fd near(
      ::accept4(listener_.fd(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!near) return;
  Fd far(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // On loopback a connection is there at once, or refused.
  if (::connect(far.get(), target_.get(), target_.length) != 0) {
    reset(near);
    return;
  }
  ::fcntl(far.get(), F_SETFL, O_NONBLOCK);
  make_prompt(near.get());
  make_prompt(far.get());
  const std::scoped_lock lock(mutex_);
  links_.push_back(
      std::make_unique<Link>(*this, std::move(near), std::move(far), ip_of(from), connections_++));
}

Harm Gate::harm_from(const std::string& source) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_source_.find(ip_of(source));
  return found == by_source_.end() ? Harm::none : found->second.harm;
}

Harm Gate::harm_at(std::uint16_t port) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_port_.find(port);
  return found == by_port_.end() ? Harm::none : found->second.harm;
}

std::size_t Gate::connections() const {
  const std::scoped_lock lock(mutex_);
  return connections_;
}

std::size_t Gate::harmed() const {
  return harmed(Harm::cut) + harmed(Harm::ended) + harmed(Harm::duplicated);
}

std::size_t Gate::harmed(Harm how) const {
  const std::scoped_lock lock(mutex_);
  const auto found = harmed_.find(how);
  return found == harmed_.end() ? 0 : found->second;
}

}  // namespace portico::test
