#include "proxy/listener_set.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "telemetry/log.hpp"

namespace portico::proxy {

using telemetry::Level;
using telemetry::log;

namespace {

using OpenListener = ListenerSet::OpenListener;

std::uint64_t inode_of(const conf::ListenAddress& address) {
  struct stat info {};
  if (!address.is_unix || ::lstat(address.path.c_str(), &info) != 0) return 0;
  return info.st_ino;
}

/// As an operator can paste it.
std::string link_to(const OpenListener& listener) {
  const bool tls = listener.kind == ListenerKind::tls;
  const std::string address = listener.bound.text();
  if (listener.bound.is_unix) return tls ? address + " (TLS)" : address;
  return fmt::format("{}://{}", tls ? "https" : "http", address);
}

std::string told(const OpenListener& listener) {
  if (listener.kind == ListenerKind::redirect)
    return fmt::format("redirecting {} to https", link_to(listener));
  return "listening on " + link_to(listener);
}

std::vector<OpenListener> wanted_by(const conf::Settings& settings) {
  std::vector<OpenListener> wanted;
  const auto add = [&](const std::vector<conf::ListenAddress>& addresses, ListenerKind kind) {
    for (const conf::ListenAddress& address : addresses) wanted.push_back({kind, address, address});
  };
  add(settings.listen, ListenerKind::plain);
  add(settings.tls.listen, ListenerKind::tls);
  add(settings.tls.redirect_listen, ListenerKind::redirect);
  return wanted;
}

/// Whether `open` is what the settings ask for with `wanted`.
bool serves(const OpenListener& open, const OpenListener& wanted) {
  return open.kind == wanted.kind && (open.written == wanted.written || open.bound == wanted.written);
}

void remove_file(const OpenListener& listener) {
  if (listener.inode != 0 && inode_of(listener.bound) == listener.inode)
    ::unlink(listener.bound.path.c_str());
}

/// The name that the service manager gave it decides, or else the address.
ListenerKind kind_of(const PassedSocket& socket, const conf::TlsSettings& tls) {
  if (socket.name == "tls") return ListenerKind::tls;
  if (socket.name == "redirect") return ListenerKind::redirect;
  const auto among = [&](const std::vector<conf::ListenAddress>& addresses) {
    return std::any_of(addresses.begin(), addresses.end(), [&](const conf::ListenAddress& address) {
      const conf::ListenAddress& passed = socket.address;
      if (address.is_unix || passed.is_unix) return address == passed;
      return address.ip == passed.ip && address.port == passed.port;
    });
  };
  if (among(tls.listen)) return ListenerKind::tls;
  if (among(tls.redirect_listen)) return ListenerKind::redirect;
  return ListenerKind::plain;
}

}  // namespace

ListenerSet::Change ListenerSet::first(const conf::Settings& settings) {
  const std::vector<PassedSocket> passed = take_passed_sockets();
  if (passed.empty()) return prepare(settings);
  log(Level::info, "listening on {} sockets that were passed in, instead of those in the settings",
      passed.size());
  Change change;
  change.opened.resize(registry_.workers());
  for (const PassedSocket& socket : passed) {
    const ListenerKind kind = kind_of(socket, settings.tls);
    const telemetry::ListenerLabel label = registry_.listener(socket.address.text());
    change.open.push_back({kind, socket.address, socket.address, label, true, 0});
    for (std::vector<ListenerSocket>& sockets : change.opened) {
      UniqueFd copy(::fcntl(socket.fd.get(), F_DUPFD_CLOEXEC, 0));
      if (copy.get() < 0)
        throw std::system_error(errno, std::generic_category(), "a socket that was passed in");
      sockets.push_back({std::move(copy), label, socket.address.is_unix, kind});
    }
  }
  if (!settings.tls.listen.empty() && !speaks_tls(change.open)) {
    log(Level::warn,
        "tls.listen is set, and none of the sockets that were passed in speaks TLS: name one tls "
        "(FileDescriptorName=), or let its address stand in tls.listen");
  }
  return change;
}

ListenerSet::Change ListenerSet::prepare(const conf::Settings& settings) {
  const std::vector<OpenListener> wanted = wanted_by(settings);
  Change change;
  for (const OpenListener& listener : open_) {
    const bool stays =
        listener.passed ||
        std::any_of(wanted.begin(), wanted.end(), [&](const OpenListener& w) { return serves(listener, w); });
    if (stays) {
      change.open.push_back(listener);
    } else {
      change.closed.push_back(listener.label);
    }
  }
  const bool passed =
      std::any_of(change.open.begin(), change.open.end(), [](const OpenListener& l) { return l.passed; });
  std::vector<OpenListener> added;
  for (const OpenListener& listener : wanted) {
    const bool known = std::any_of(change.open.begin(), change.open.end(),
                                   [&](const OpenListener& l) { return serves(l, listener); });
    if (!known && !passed) added.push_back(listener);
  }
  change.opened = open_all(added, change.open);
  return change;
}

/// Opens each address for every worker; all or, with an exception, none.
ListenerSet::Sockets ListenerSet::open_all(const std::vector<OpenListener>& wanted,
                                           std::vector<OpenListener>& opened) {
  Sockets sockets(registry_.workers());
  for (OpenListener listener : wanted) {
    std::vector<UniqueFd> fds = open_listeners(listener.bound, sockets.size());
    listener.label = registry_.listener(listener.bound.text());
    listener.inode = inode_of(listener.bound);
    for (std::size_t i = 0; i < sockets.size(); ++i)
      sockets[i].push_back({std::move(fds[i]), listener.label, listener.bound.is_unix, listener.kind});
    opened.push_back(listener);
  }
  return sockets;
}

void ListenerSet::commit(const Change& change) {
  // The same address may have been opened anew for something else.
  const auto in = [](const std::vector<OpenListener>& all, const OpenListener& one) {
    return std::any_of(all.begin(), all.end(), [&](const OpenListener& other) {
      return other.label == one.label && other.kind == one.kind;
    });
  };
  const bool running = !open_.empty();
  for (const OpenListener& listener : open_) {
    if (in(change.open, listener)) continue;
    log(Level::info, "no longer {}", told(listener));
    remove_file(listener);
  }
  for (const OpenListener& listener : change.open) {
    if (running && !in(open_, listener)) log(Level::info, "now {}", told(listener));
  }
  open_ = change.open;
}

std::string ListenerSet::announcement() const {
  std::string text;
  for (const OpenListener& listener : open_) text += told(listener) + "\n";
  return text;
}

void ListenerSet::remove_files() const {
  for (const OpenListener& listener : open_) remove_file(listener);
}

bool speaks_tls(const std::vector<OpenListener>& open) noexcept {
  return std::any_of(open.begin(), open.end(),
                     [](const OpenListener& listener) { return listener.kind == ListenerKind::tls; });
}

std::uint16_t redirect_port(const std::vector<OpenListener>& open) noexcept {
  constexpr std::uint16_t usual = 443;  // RFC 9110 section 4.2.2
  const auto found = std::find_if(open.begin(), open.end(), [](const OpenListener& listener) {
    return listener.kind == ListenerKind::tls && !listener.bound.is_unix;
  });
  return found == open.end() ? usual : found->bound.port;
}

}  // namespace portico::proxy
