#include "proxy/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>

#include "proxy/session.hpp"
#include "proxy/worker.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

int UniqueFd::release() noexcept { return std::exchange(fd_, -1); }

// ---- opening
// -----------------------------------------------------------------------------------------------------

namespace {

// The kernel cuts it to net.core.somaxconn.
constexpr int backlog = 65'535;

[[noreturn]] void fail(const conf::ListenAddress& address, int error) {
  throw std::runtime_error(fmt::format("cannot listen on {}: {}", address.text(), std::strerror(error)));
}

socklen_t to_sockaddr(const conf::ListenAddress& address, sockaddr_storage& out) {
  out = {};
  if (address.is_unix) {
    auto& un = reinterpret_cast<sockaddr_un&>(out);
    un.sun_family = AF_UNIX;
    if (address.path.size() >= sizeof un.sun_path) fail(address, ENAMETOOLONG);
    std::memcpy(un.sun_path, address.path.c_str(), address.path.size() + 1);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
  }
  if (!address.any && address.ip.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(out);
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, address.ip.bytes().data() + 12, 4);
    return sizeof in;
  }
  auto& in6 = reinterpret_cast<sockaddr_in6&>(out);
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(address.port);
  if (!address.any) std::memcpy(&in6.sin6_addr, address.ip.bytes().data(), 16);
  return sizeof in6;
}

/// A socket file that nobody listens on any more is left from a process that was killed: it may be removed.
void remove_stale(const conf::ListenAddress& address, const sockaddr_storage& name, socklen_t length) {
  struct stat info {};
  if (::lstat(address.path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(address.path.c_str());
  }
}

UniqueFd open_one(conf::ListenAddress& address) {
  sockaddr_storage name{};
  const socklen_t length = to_sockaddr(address, name);
  if (address.is_unix) remove_stale(address, name, length);
  UniqueFd fd(::socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail(address, errno);
  const int on = 1;
  if (!address.is_unix) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // Linux hands it on to accepted sockets, which saves a call for each.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (name.ss_family == AF_INET6) {
      const int v6_only = address.any ? 0 : 1;
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    }
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) fail(address, errno);
  if (::listen(fd.get(), backlog) != 0) fail(address, errno);
  if (!address.is_unix && address.port == 0) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address.port = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(bound).sin_port
                                                    : reinterpret_cast<sockaddr_in6&>(bound).sin6_port);
  }
  return fd;
}

conf::IpAddress ip_of(const sockaddr_storage& name) noexcept {
  if (name.ss_family == AF_INET) {
    return conf::IpAddress::v4(ntohl(reinterpret_cast<const sockaddr_in&>(name).sin_addr.s_addr));
  }
  std::array<std::uint8_t, 16> bytes{};
  if (name.ss_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(name).sin6_addr, bytes.size());
  }
  return conf::IpAddress(bytes);
}

long environment_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return -1;
  long value = -1;
  const char* end = text + std::strlen(text);
  if (std::from_chars(text, end, value).ptr != end) return -1;
  return value;
}

/// What stands between colons.
std::vector<std::string> environment_list(const char* name) {
  std::vector<std::string> items;
  const char* text = std::getenv(name);
  for (std::string_view rest = text == nullptr ? "" : text; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    items.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return items;
}

}  // namespace

std::vector<UniqueFd> open_listeners(conf::ListenAddress& address, std::size_t workers) {
  std::vector<UniqueFd> fds;
  fds.push_back(open_one(address));
  while (fds.size() < workers) {
    if (address.is_unix) {
      UniqueFd copy(::fcntl(fds.front().get(), F_DUPFD_CLOEXEC, 0));
      if (copy.get() < 0) fail(address, errno);
      fds.push_back(std::move(copy));
    } else {
      fds.push_back(open_one(address));
    }
  }
  return fds;
}

std::vector<PassedSocket> take_passed_sockets() {
  // The protocol of sd_listen_fds(3): descriptors from 3 on, if LISTEN_PID is this process.
  constexpr int first = 3;
  constexpr long most = 64;
  const long pid = environment_number("LISTEN_PID");
  const long count = environment_number("LISTEN_FDS");
  std::vector<std::string> names = environment_list("LISTEN_FDNAMES");
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  std::vector<PassedSocket> sockets;
  if (pid != ::getpid() || count < 1 || count > most) return sockets;
  names.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const int fd = first + i;
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    int accepts = 0;
    socklen_t accepts_size = sizeof accepts;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 ||
        ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &accepts_size) != 0 || accepts == 0) {
      throw std::runtime_error(fmt::format("descriptor {} that was passed in is no listening socket", fd));
    }
    PassedSocket socket{UniqueFd(fd), {}, std::move(names[static_cast<std::size_t>(i)])};
    if (name.ss_family == AF_UNIX) {
      socket.address.is_unix = true;
      socket.address.path = reinterpret_cast<const sockaddr_un&>(name).sun_path;
    } else {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      socket.address.ip = ip_of(name);
      socket.address.port =
          ntohs(name.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(name).sin_port
                                          : reinterpret_cast<sockaddr_in6&>(name).sin6_port);
    }
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

// ---- accepting
// ---------------------------------------------------------------------------------------------------

namespace {
// A burst of new connections must not keep the running ones waiting.
constexpr std::size_t accepts_in_a_row = 64;
constexpr std::chrono::milliseconds pause_time{100};

/// Accepting stops here, so that what was accepted can be served and the endpoint for operators answers.
int descriptor_threshold() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  const rlim_t all = std::min<rlim_t>(limit.rlim_cur, 1U << 30);
  return static_cast<int>(all - std::clamp<rlim_t>(all / 8, 1, 256));
}

}  // namespace

Listener::Listener(Worker& worker, ListenerSocket socket)
    : worker_(worker),
      fd_(std::move(socket.fd)),
      label_(socket.label),
      cells_(worker.cells.listener(socket.label)),
      unix_(socket.is_unix),
      kind_(socket.kind),
      readiness_(
          Direction::read,
          [](void* self, bool cancelled) { static_cast<Listener*>(self)->on_ready(cancelled); }, this),
      retry_(
          worker.reactor.wheel, [](void* self) { static_cast<Listener*>(self)->on_ready(false); }, this),
      last_descriptor_(descriptor_threshold()) {}

Listener::~Listener() {
  if (descriptor_ != nullptr) worker_.reactor.remove(fd_.get(), descriptor_);
}

void Listener::start() noexcept {
  if (worker_.reactor.add(fd_.get(), descriptor_) != 0) return;
  readiness_.arm(worker_.reactor, fd_.get(), descriptor_, false);
}

void Listener::stop() noexcept {
  if (stopped_) return;
  stopped_ = true;
  retry_.clear();
  while (accept_some(accepts_in_a_row) == Accepted::some) {
  }
  worker_.reactor.remove(fd_.get(), descriptor_);
  descriptor_ = nullptr;
  fd_ = UniqueFd();
}

void Listener::on_ready(bool cancelled) noexcept {
  if (cancelled || stopped_) return;
  switch (accept_some(accepts_in_a_row)) {
    case Accepted::all:
      paused_ = false;
      readiness_.arm(worker_.reactor, fd_.get(), descriptor_, true);
      return;
    case Accepted::some:
      posted_ = true;
      boost::asio::post(worker_.context, [this] {
        posted_ = false;
        on_ready(false);
      });
      return;
    case Accepted::out_of_descriptors:
      if (!paused_) {
        worker_.cells.accept_paused.add();
        worker_.complain(
            "out of file descriptors: accepting pauses; raise the limit (ulimit -n, LimitNOFILE=)");
      }
      paused_ = true;
      retry_.set(worker_.reactor.wheel.in(pause_time));
      return;
  }
}

/// Whether the next descriptor would be one of the reserve.
bool Listener::short_of_descriptors() const noexcept {
  const UniqueFd next(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  return next.get() < 0 || next.get() >= last_descriptor_;
}

Listener::Accepted Listener::accept_some(std::size_t most) noexcept {
  if (paused_ && !stopped_ && short_of_descriptors()) return Accepted::out_of_descriptors;
  for (std::size_t i = 0; i < most; ++i) {
    sockaddr_storage name;
    socklen_t size = sizeof name;
    const int fd =
        ::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Accepted::all;
      // The connection died while it waited, or a filter refused it: the next one may be fine.
      if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM) continue;
      return Accepted::out_of_descriptors;
    }
    cells_.accepted.add();
    http::Peer peer;
    peer.is_unix = unix_;
    if (!unix_) peer.ip = ip_of(name);
    admit(fd, peer);
    // A connection that was accepted needs a second descriptor, for its backend.
    if (fd >= last_descriptor_ && !stopped_) return Accepted::out_of_descriptors;
  }
  return Accepted::some;
}

/// Limits first; then the connection is a session's.
void Listener::admit(int fd, const http::Peer& peer) noexcept {
  const WorkerConfig& config = *worker_.config();
  const conf::Limits& limits = config.settings.limits;
  // A trusted proxy stands for many clients, and so does one whose PROXY header will name the client.
  const bool limited = !peer.is_unix && !config.trusted.trusts(peer.ip) && !config.announces(peer);
  ConnectionLimits::Place place;
  switch (worker_.limits.enter(limited ? &peer.ip : nullptr, limits.connections,
                               limits.connections_per_client, place)) {
    case ConnectionLimits::Verdict::admitted:
      serve(worker_, label(), kind_, fd, peer, place);
      return;
    case ConnectionLimits::Verdict::too_many:
      cells_.refused.add();
      turn_away(worker_, label(), fd, peer, http::AnswerCode::too_many_connections);
      return;
    case ConnectionLimits::Verdict::too_many_from_client:
      cells_.refused.add();
      turn_away(worker_, label(), fd, peer, http::AnswerCode::too_many_connections_from_client);
      return;
  }
}

}  // namespace portico::proxy
