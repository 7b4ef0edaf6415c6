#include "test/support/origin.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

namespace portico::test {

namespace {

constexpr std::size_t record_limit = 4U << 20;

void raise(const Fd& event) {
  const std::uint64_t one = 1;
  // An eventfd takes 8 bytes or says that it is raised already.
  [[maybe_unused]] const auto written = ::write(event.get(), &one, sizeof one);
}

std::string with_scheme(const std::string& url, bool tls) {
  return tls ? "https" + url.substr(url.find(':')) : url;
}

}  // namespace

Connection::Connection(Origin& origin, std::size_t number, Fd fd, int stop_fd)
    : Wire(std::move(fd), stop_fd,
           [&origin, number](std::string_view bytes) { origin.record(number, bytes); }),
      origin_(origin),
      number_(number) {}

Message Connection::read_head(Deadline deadline) {
  Message out = read_request_head(*this, deadline);
  origin_.record(out);
  return out;
}

Message Connection::read_request(Deadline deadline) {
  Message out = test::read_request(*this, deadline);
  if (out.end != End::complete) throw WireError(Outcome::fin, "request body");
  origin_.record(out);
  return out;
}

Outcome Connection::stall_until_closed() {
  // Reading discards nothing the record does not keep, and sees the end of the connection.
  while (true) {
    const Outcome outcome = fill(Deadline{600s});
    if (outcome != Outcome::data) return outcome;
    drop(buffered().size());
  }
}

Origin::Origin(Script script) : Origin(Address::ip("127.0.0.1", 0), std::move(script)) {}

Origin::Origin(const Address& address, Script script) : Origin(address, std::nullopt, std::move(script)) {}

Origin::Origin(const TlsServerOptions& tls, Script script)
    : Origin(Address::ip("127.0.0.1", 0), TlsServer(tls), std::move(script)) {}

Origin::Origin(const Address& address, std::optional<TlsServer> tls, Script script)
    : script_(std::move(script)),
      tls_(std::move(tls)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      listener_(address),
      url_(with_scheme(listener_.address().url(), tls_.has_value())),
      acceptor_([this] { accept_loop(); }) {}

Origin::~Origin() {
  raise(stop_);
  acceptor_.join();
  // No entry is added any more.
  for (const auto& entry : entries_) entry->thread.join();
}

Origin::Script Origin::serve(std::string response) {
  return serve([response = std::move(response)](const Message&) { return response; });
}

Origin::Script Origin::serve(std::function<std::string(const Message&)> answer) {
  return [answer = std::move(answer)](Connection& connection) {
    while (!connection.buffered().empty() || connection.fill(Deadline{600s}) == Outcome::data)
      connection.send(answer(connection.read_request()));
  };
}

void Origin::accept_loop() {
  while (true) {
    pollfd polls[2] = {{listener_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(polls, 2, -1);
    if (polls[1].revents != 0) return;
    Fd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    const std::scoped_lock lock(mutex_);
    auto& entry = *entries_.emplace_back(std::make_unique<Entry>());
    entry.connection = std::make_unique<Connection>(*this, entries_.size() - 1, std::move(fd), stop_.get());
    entry.thread = std::thread([this, &entry] { run(entry); });
    changed_.notify_all();
  }
}

void Origin::run(Entry& entry) {
  Connection& connection = *entry.connection;
  try {
    if (!tls_ || shake_hands(connection)) script_(connection);
  } catch (const WireError&) {
    // The proxy ended the connection under the script: what a test looks for on the client's side.
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    errors_.emplace_back(error.what());
  }
  const std::scoped_lock lock(mutex_);
  if (!connection.kept_) {
    connection.close();
    entry.open = false;
  }
  changed_.notify_all();
}

bool Origin::shake_hands(Connection& connection) {
  try {
    connection.start_tls(*tls_);
    return true;
  } catch (const WireError& error) {
    const std::scoped_lock lock(mutex_);
    failed_handshakes_.emplace_back(error.what());
    return false;
  }
}

void Origin::record(std::size_t connection, std::string_view bytes) {
  const std::scoped_lock lock(mutex_);
  auto& kept = entries_[connection]->bytes;
  kept += bytes.substr(0, record_limit - kept.size());
}

void Origin::record(const Message& request) {
  const std::scoped_lock lock(mutex_);
  requests_.push_back(request);
  changed_.notify_all();
}

std::size_t Origin::connections() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

std::size_t Origin::open_connections() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) { return entry->open; }));
}

std::size_t Origin::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_.size();
}

Message Origin::request(std::size_t index) const {
  const std::scoped_lock lock(mutex_);
  return requests_.at(index);
}

std::string Origin::all_bytes() const {
  const std::scoped_lock lock(mutex_);
  std::string out;
  for (const auto& entry : entries_) out += entry->bytes;
  return out;
}

std::vector<std::string> Origin::errors() const {
  const std::scoped_lock lock(mutex_);
  return errors_;
}

std::vector<std::string> Origin::failed_handshakes() const {
  const std::scoped_lock lock(mutex_);
  return failed_handshakes_;
}

Message Origin::wait_request(std::size_t index, Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline.at(), [&] { return requests_.size() > index; }))
    throw WireError(Outcome::timeout, "request number " + std::to_string(index));
  return requests_[index];
}

Connection& Origin::connection(std::size_t index) {
  const std::scoped_lock lock(mutex_);
  return *entries_.at(index)->connection;
}

BlackHole::BlackHole() : listener_(Address::ip("127.0.0.1", 0), 0) {
  // The first connection fills the queue of one; the kernel then drops every further SYN.
  const Address address = listener_.address();
  for (int i = 0; i < 8; ++i) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    static_cast<void>(::connect(fd.get(), address.get(), address.length));  // under way, or done
    pollfd polled{fd.get(), POLLOUT, 0};
    const bool connected = ::poll(&polled, 1, 100) == 1;
    fillers_.push_back(std::move(fd));
    if (!connected) return;
  }
}

void Baton::pass() {
  const std::scoped_lock lock(mutex_);
  ++count_;
  changed_.notify_all();
}

bool Baton::wait(std::size_t count, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return count_ >= count; });
}

}  // namespace portico::test
