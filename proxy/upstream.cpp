#include "proxy/upstream.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "proxy/tls/handshake_failure.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

// ---- Lease
// -------------------------------------------------------------------------------------------------------

Lease::Lease(Lease&& other) noexcept
    : endpoint_(other.endpoint_),
      connection_(std::exchange(other.connection_, nullptr)),
      reused_(other.reused_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    drop();
    endpoint_ = other.endpoint_;
    connection_ = std::exchange(other.connection_, nullptr);
    reused_ = other.reused_;
  }
  return *this;
}

void Lease::give_back() noexcept {
  if (connection_ == nullptr) return;
  --endpoint_->leased_;
  endpoint_->cells_.active.sub();
  endpoint_->put_idle(*std::exchange(connection_, nullptr));
}

void Lease::drop() noexcept {
  if (connection_ == nullptr) return;
  --endpoint_->leased_;
  endpoint_->cells_.active.sub();
  Endpoint::retire(*std::exchange(connection_, nullptr));
}

// ---- Endpoint
// ----------------------------------------------------------------------------------------------------

namespace {
constexpr std::chrono::milliseconds first_aside{500};
constexpr std::uint32_t most_doublings = 6;  // 32 s
// A unix socket whose backlog is full refuses at once instead of waiting as TCP does.
constexpr std::chrono::milliseconds unix_retry{50};

}  // namespace

bool is_local_shortage(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

Endpoint::Endpoint(Reactor& reactor, const conf::Url& url, telemetry::EndpointLabel label,
                   telemetry::EndpointCells& cells) noexcept
    : reactor_(reactor), url_(url), authority_(url.authority()), label_(label), cells_(cells) {}

Endpoint::~Endpoint() { close_idle(); }

void Endpoint::configure(std::size_t keep_alive_connections,
                         std::chrono::milliseconds keep_alive_timeout) noexcept {
  max_idle_ = keep_alive_connections;
  idle_timeout_ = keep_alive_timeout;
  while (idle_.size() > max_idle_) {
    UpstreamConnection& oldest = idle_.back();
    idle_.pop_back();
    cells_.idle.sub();
    retire(oldest);
  }
}

void Endpoint::secure_with(std::shared_ptr<const tls::ClientContext> context, const std::string& name) {
  // What was verified as somebody else is not used again.
  if (tls_ != context) close_idle();
  tls_ = std::move(context);
  tls_name_ = name.empty() ? url_.host : name;
}

void Endpoint::close_idle() noexcept {
  while (!idle_.empty()) {
    UpstreamConnection& connection = idle_.front();
    idle_.pop_front();
    cells_.idle.sub();
    retire(connection);
  }
}

void Endpoint::retire(UpstreamConnection& connection) noexcept {
  // Whoever wrote has been woken and joined before the lease ended; only a read may be outstanding.
  assert(!connection.stream.output.armed());
  connection.stream.close();
  // From here on it owns itself, until its last event.
  const auto end = [](void* self) {
    std::default_delete<UpstreamConnection>()(static_cast<UpstreamConnection*>(self));
  };
  if (connection.stream.input.armed()) {
    connection.stream.input.watch(end, &connection);
  } else {
    end(&connection);
  }
}

void Endpoint::put_idle(UpstreamConnection& connection) noexcept {
  Input& input = connection.stream.input;
  if (max_idle_ == 0 || !input.empty() || input.ended()) {
    retire(connection);
    return;
  }
  if (idle_.size() >= max_idle_) {
    UpstreamConnection& oldest = idle_.back();
    idle_.pop_back();
    cells_.idle.sub();
    retire(oldest);
  }
  idle_.push_front(connection);
  cells_.idle.add();
  input.set_eager(false);
  // Whatever arrives now, bytes or the end, nobody asked for: the watch closes it before it can be taken.
  input.watch(
      [](void* self) {
        auto& idle = *static_cast<UpstreamConnection*>(self);
        idle.endpoint_.on_idle_event(idle);
      },
      &connection);
  if (input.ended() || !input.empty()) {
    on_idle_event(connection);
    return;
  }
  input.set_idle_deadline(reactor_.wheel.in(idle_timeout_));
}

void Endpoint::on_idle_event(UpstreamConnection& connection) noexcept {
  idle_.erase(idle_.iterator_to(connection));
  cells_.idle.sub();
  retire(connection);
}

Lease Endpoint::take_idle(bool surely_open) noexcept {
  const auto unfit = [surely_open](Input& input) {
    // A look at a quiet connection may have found something whose event is still on its way.
    return !input.empty() || input.ended() || (surely_open && !input.quiet());
  };
  while (!idle_.empty() && unfit(idle_.front().stream.input)) on_idle_event(idle_.front());
  if (idle_.empty()) return {};
  UpstreamConnection& connection = idle_.front();
  idle_.pop_front();
  connection.stream.input.unwatch();
  connection.stream.input.set_idle_deadline(Deadline::never);
  cells_.idle.sub();
  cells_.active.add();
  cells_.reused.add();
  ++leased_;
  return {*this, connection, true};
}

Task<Endpoint::Connected> Endpoint::connect(Deadline deadline, Stream** canceller) {
  Connected outcome;
  // A copy: a new resolution may arrive while one of these is being tried.
  const std::vector<SocketAddress> addresses = addresses_;
  ++leased_;
  cells_.active.add();
  cells_.connecting.add();
  const TimerWheel::Clock::time_point began = TimerWheel::Clock::now();
  auto connection = std::make_unique<UpstreamConnection>(reactor_, *this);
  Stream& stream = connection->stream;
  *canceller = &stream;
  for (std::size_t i = 0; i < addresses.size();) {
    const SocketAddress& address = addresses[(next_address_ + i) % addresses.size()];
    Output::Connect attempt = stream.connect(address.storage, address.length, deadline);
    outcome.result = co_await attempt;
    outcome.error = stream.output.error();
    if (outcome.result != Io::failed) break;
    stream.close();
    if (outcome.error == EAGAIN && address.storage.ss_family == AF_UNIX) {
      if (reactor_.wheel.passed(deadline)) {
        outcome.result = Io::timeout;
        break;
      }
      Sleep pause(reactor_, reactor_.wheel.in(unix_retry));
      co_await pause;
      if (*canceller == nullptr) {
        outcome.result = Io::cancelled;
        break;
      }
      continue;
    }
    ++i;
  }
  if (outcome.result == Io::ok && url_.scheme == conf::Url::Scheme::https) {
    co_await secure(stream, deadline, outcome);
    if (*canceller == nullptr) outcome.result = Io::cancelled;
  }
  *canceller = nullptr;
  cells_.connecting.sub();
  if (outcome.result == Io::ok) {
    cells_.connects.add();
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(TimerWheel::Clock::now() - began);
    cells_.connect_time.observe_us(static_cast<std::uint64_t>(took.count()));
    outcome.lease = Lease(*this, *connection.release(), false);
    co_return outcome;
  }
  --leased_;
  cells_.active.sub();
  if (outcome.result != Io::cancelled && !is_local_shortage(outcome.error)) {
    cells_.connect_failures.add();
    ++next_address_;
  }
  stream.close();
  co_return outcome;
}

/// TLS on a connection that has just been made.
Task<void> Endpoint::secure(Stream& stream, Deadline deadline, Connected& outcome) {
  tls::SslPtr ssl = tls_ == nullptr ? nullptr : tls_->new_session(tls_name_);
  if (ssl == nullptr) {
    outcome.result = Io::failed;
    outcome.error = ENOMEM;
    co_return;
  }
  stream.secure(std::move(ssl));
  outcome.result = co_await stream.handshake(deadline);
  if (outcome.result == Io::ok) co_return;
  outcome.error = EPROTO;
  if (outcome.result == Io::cancelled) co_return;
  outcome.insecure = true;
  if (outcome.result == Io::timeout) {
    objection_ = "it did not complete the TLS handshake in time";
  } else {
    outcome.result = Io::failed;
    objection_ = tls::handshake_failure(*stream.secured()->ssl());
  }
}

void Endpoint::report_failure(bool insecure) noexcept {
  const auto aside = first_aside * (1U << std::min(failures_, most_doublings));
  if (failures_++ == 0) {
    telemetry::log(telemetry::Level::warn, "{} can't be connected to{}{}: set aside, tried again",
                   url_.text(), insecure ? ": " : "",
                   insecure ? std::string_view(objection_) : std::string_view());
  }
  cells_.up.set(0);
  aside_until_ = reactor_.wheel.in(aside);
}

void Endpoint::report_success() noexcept {
  if (failures_ > 0) telemetry::log(telemetry::Level::info, "{} works again", url_.text());
  failures_ = 0;
  aside_until_ = Deadline{};
  cells_.up.set(1);
}

bool Endpoint::set_aside() noexcept { return failures_ > 0 && !reactor_.wheel.passed(aside_until_); }

// ---- Upstream
// ----------------------------------------------------------------------------------------------------

Endpoint* Upstream::choose(std::span<Endpoint* const> tried) noexcept {
  Endpoint* best = nullptr;
  Endpoint* soonest = nullptr;
  ++turn_;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    Endpoint* candidate = endpoints_[(turn_ + i) % endpoints_.size()];
    if (std::find(tried.begin(), tried.end(), candidate) != tried.end()) continue;
    if (candidate->set_aside()) {
      if (soonest == nullptr || candidate->aside_until() < soonest->aside_until()) soonest = candidate;
    } else if (best == nullptr || candidate->outstanding() < best->outstanding()) {
      best = candidate;
    }
  }
  return best != nullptr ? best : soonest;
}

}  // namespace portico::proxy
