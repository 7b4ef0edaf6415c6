#include "test/support/chaos_origin.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <utility>

#include "test/support/websocket.hpp"

namespace portico::test {

namespace {

// A backend never ends anything by itself: that is for the plan, or for the other side.
constexpr milliseconds patient{600'000};

std::uint16_t port_of_peer(int fd) {
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length);
  return ntohs(peer.sin_port);
}

std::string head_of(const Plan& plan, std::string_view status, const std::vector<std::string>& lines) {
  std::string out = fmt::format("HTTP/1.1 {}\r\n{}: {:x}\r\n", status, exchange_header, plan.number);
  for (const auto& line : lines) out += line + "\r\n";
  return out + "\r\n";
}

/// The whole response as it goes over the wire, and where its head ends.
std::string wire_form(const Plan& plan, std::size_t& head) {
  std::vector<std::string> lines;
  if (plan.closes) lines.emplace_back("Connection: close");
  lines.emplace_back(plan.kind == Kind::events ? "Content-Type: text/event-stream"
                                               : "Content-Type: application/octet-stream");
  const bool chunked = plan.kind == Kind::chunked || plan.kind == Kind::events;
  if (chunked) lines.emplace_back("Transfer-Encoding: chunked");
  if (plan.trailers) lines.push_back(fmt::format("Trailer: {}", trailer_header));
  if (plan.kind == Kind::length || plan.kind == Kind::early)
    lines.push_back(fmt::format("Content-Length: {}", plan.response_size));
  if (plan.kind == Kind::head) lines.emplace_back("Content-Length: 12345");
  std::string out = head_of(plan, plan.kind == Kind::empty ? "204 No Content" : "200 OK", lines);
  head = out.size();
  const std::string body = marks(Side::response, plan.number, plan.response_size);
  if (!chunked) return out + body;
  std::vector<std::string> trailers;
  if (plan.trailers) trailers.push_back(fmt::format("{}: {:x}", trailer_header, plan.number));
  return out + in_chunks(body, plan.response_piece, trailers);
}

/// Where the response breaks off. Garbage stands between two chunks, else it would be taken for payload.
std::size_t place_of_fault(const Plan& plan, std::size_t head, std::size_t size) {
  const std::size_t at = std::min(plan.fault_at, size - 1);
  if (plan.fault != Fault::garbage) return at;
  const std::size_t wire = chunk(std::string(plan.response_piece, 'x')).size();
  const std::size_t chunks =
      std::min((std::max(at, head) - head) / wire, plan.response_size / plan.response_piece);
  return head + chunks * wire;
}

void break_off(Wire& wire, Fault fault) {
  if (fault == Fault::reset) return wire.reset();
  if (fault == Fault::garbage) wire.send("no size\r\n");
  wire.break_off();
}

}  // namespace

ChaosOrigin::ChaosOrigin(const PlanOptions& plans, const std::optional<TlsServerOptions>& tls)
    : plans_(plans), stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), listener_(Address::ip("127.0.0.1", 0)) {
  if (tls) tls_.emplace(*tls);
  acceptor_ = std::thread([this] { accept_loop(); });
}

ChaosOrigin::~ChaosOrigin() {
  const std::uint64_t one = 1;
  // An eventfd takes 8 bytes or says that it is raised already.
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  acceptor_.join();
  for (Served& served : served_) served.thread.join();
}

void ChaosOrigin::accept_loop() {
  while (true) {
    pollfd polls[2] = {{listener_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(polls, 2, -1);
    if (polls[1].revents != 0) return;
    served_.remove_if([](Served& served) {
      if (served.over) served.thread.join();
      return !served.thread.joinable();
    });
    Fd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    ++open_;
    Served& served = served_.emplace_back();
    served.thread = std::thread([this, &served, held = std::move(fd)]() mutable {
      run(std::move(held));
      --open_;
      served.over = true;
    });
  }
}

void ChaosOrigin::run(Fd fd) {
  const std::uint16_t port = port_of_peer(fd.get());
  Wire wire(std::move(fd), stop_.get());
  try {
    if (tls_) wire.start_tls(*tls_);
    while ((!wire.buffered().empty() || wire.fill(Deadline{patient}) == Outcome::data) &&
           serve_one(wire, port)) {
    }
  } catch (const WireError&) {
    // The other side has ended the connection: what the client of the exchange is asked about.
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    errors_.emplace_back(error.what());
  }
  // Under TLS with a close_notify, unless it was broken off.
  wire.close();
}

/// One request and its answer. False when the connection is not to be used again.
bool ChaosOrigin::serve_one(Wire& wire, std::uint16_t port) {
  Message request = read_request_head(wire, Deadline{patient});
  const auto number = exchange_in(request.target);
  if (!number) throw ProtocolError("a target that no client sent: " + request.target);
  const Plan plan = plan_of(plans_, *number);
  // One of the two was changed on its way.
  if (request.one("X-Request-Id") != plan.id())
    throw ProtocolError(fmt::format("{} with the id {}", request.target, request.one("X-Request-Id")));
  {
    const std::scoped_lock lock(mutex_);
    Seen& seen = seen_[*number];
    ++seen.heads;
    seen.ports.push_back(port);
  }
  if (request.target != plan.target || request.method != plan.method)
    object(*number, fmt::format("it became {} {}", request.method, request.target));
  if (plan.interim) wire.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
  if (plan.kind == Kind::websocket) {
    tunnel(wire, request, plan);
    return false;
  }
  if (request.has("Expect")) wire.send("HTTP/1.1 100 Continue\r\n\r\n");
  if (plan.kind == Kind::early) {
    // A close with bytes unread would be a RST, which overtakes the response.
    const bool again = respond(wire, plan);
    return read_body(wire, request, plan) && again;
  }
  return read_body(wire, request, plan) && respond(wire, plan);
}

/// False when it was cut.
bool ChaosOrigin::read_body(Wire& wire, Message& request, const Plan& plan) {
  MarkReader reader(Side::request, plan.number);
  read_request_body(
      wire, request, [&](std::string_view bytes) { reader.take(bytes); }, patient);
  if (reader.size() > 0 || request.end == End::complete) {
    const std::scoped_lock lock(mutex_);
    ++seen_[plan.number].begun;
  }
  if (!reader.good()) object(plan.number, reader.complaint());
  if (reader.size() > plan.request_size)
    object(plan.number, fmt::format("its body has {} bytes", reader.size()));
  if (request.end != End::complete) return false;
  if (reader.size() != plan.request_size)
    object(plan.number,
           fmt::format("{} of {} bytes of its body look whole", reader.size(), plan.request_size));
  return true;
}

bool ChaosOrigin::respond(Wire& wire, const Plan& plan) {
  std::size_t head = 0;
  const std::string text = wire_form(plan, head);
  const std::size_t end = plan.fault == Fault::none ? text.size() : place_of_fault(plan, head, text.size());
  std::minstd_rand dice(plan.number);
  std::string_view rest = std::string_view(text).substr(0, end);
  // An event goes with its chunk's framing.
  const std::size_t each = plan.response_piece + (plan.kind == Kind::events ? 6 : 0);
  for (std::size_t piece = head + each; !rest.empty(); piece = each) {
    const std::size_t size = std::min(rest.size(), piece);
    wire.send(rest.substr(0, size), Deadline{patient});
    rest.remove_prefix(size);
    // The time in which a model thinks, not a wait for anything.
    if (plan.pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(dice() % plan.pause_us));
  }
  if (plan.fault == Fault::none) return !plan.closes;
  break_off(wire, plan.fault);
  return false;
}

/// Each message is checked and answered with as many bytes of the response's marks.
void ChaosOrigin::tunnel(Wire& wire, const Message& request, const Plan& plan) {
  wire.send(websocket::accepted(request, {fmt::format("{}: {:x}", exchange_header, plan.number)}));
  MarkReader reader(Side::request, plan.number);
  while (true) {
    const websocket::Frame frame = websocket::read_frame(wire, Deadline{patient});
    if (frame.opcode == websocket::Opcode::close) {
      wire.send(websocket::server_frame(frame.opcode, frame.payload));
      return;
    }
    const std::size_t position = reader.size();
    reader.take(frame.payload);
    if (!reader.good()) return object(plan.number, reader.complaint());
    wire.send(websocket::server_frame(websocket::Opcode::binary,
                                      marks(Side::response, plan.number, frame.payload.size(), position)),
              Deadline{patient});
  }
}

void ChaosOrigin::object(ExchangeNumber exchange, std::string problem) {
  const std::scoped_lock lock(mutex_);
  seen_[exchange].problems.push_back(fmt::format("at the backend: {}", std::move(problem)));
}

Seen ChaosOrigin::seen(ExchangeNumber exchange) const {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(exchange);
  return found == seen_.end() ? Seen{} : found->second;
}

void ChaosOrigin::forget(ExchangeNumber exchange) {
  const std::scoped_lock lock(mutex_);
  seen_.erase(exchange);
}

std::vector<std::string> ChaosOrigin::errors() const {
  const std::scoped_lock lock(mutex_);
  return errors_;
}

}  // namespace portico::test
