// What comes before HTTP on a connection: the PROXY header, TLS, and with it the choice of a version.

#include <fmt/format.h>

#include "proxy/exchange.hpp"
#include "proxy/http/proxy_header.hpp"
#include "proxy/session.hpp"
#include "proxy/tls/server_contexts.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

using namespace std::string_view_literals;

namespace {
// The first byte of a TLS record that holds a handshake (RFC 8446 section 5.1).
constexpr char tls_handshake = '\x16';
}  // namespace

Task<Session::Opened> Session::open() {
  const ConfigPtr config = worker.config();
  const bool announced = config->announces(peer);
  if (!announced && kind != ListenerKind::tls) co_return Opened::http1;
  const Deadline deadline = worker.reactor.wheel.in(config->settings.timeouts.handshake);
  if (announced) {
    const bool named = co_await read_proxy_header(deadline);
    if (!named) co_return Opened::closed;
  }
  if (kind != ListenerKind::tls) co_return Opened::http1;
  const Opened opened = co_await open_tls(deadline);
  co_return opened;
}

/// Waits for bytes of the client. While there are none yet, draining ends the wait.
Task<Io> Session::read_more(Deadline deadline) {
  waiting_ = stream.input.empty();
  if (waiting_ && worker.draining()) co_return Io::cancelled;
  const Io io = co_await stream.input.more(deadline);
  waiting_ = false;
  co_return io;
}

/// The peer is a proxy that says for whom the connection is. False: the connection ends.
Task<bool> Session::read_proxy_header(Deadline deadline) {
  using State = http::ProxyHeader::State;
  Input& input = stream.input;
  http::ProxyHeader header;
  for (;;) {
    header = http::read_proxy_header(input.data());
    if (header.state != State::need_more) break;
    input.make_room(http::max_proxy_header + 1);
    const Io io = co_await read_more(deadline);
    if (io != Io::ok) co_return false;
  }
  if (header.state == State::bad) {
    co_await Exchange::refuse_head(*this, http::AnswerCode::bad_request, header.sentence, {});
    co_return false;
  }
  input.consume(header.size);
  if (header.source == http::ProxyHeader::Source::peer) co_return true;
  peer.is_unix = false;
  // A client without an address is one that nobody can name: never the proxy, which may be local.
  peer.ip = header.source == http::ProxyHeader::Source::address ? header.address : conf::IpAddress::v4(0);
  const ConnectionLimits::Verdict verdict = take_place();
  if (verdict == ConnectionLimits::Verdict::admitted) co_return true;
  worker.cells.listener(listener).refused.add();
  co_await Exchange::refuse_head(*this,
                                 verdict == ConnectionLimits::Verdict::too_many
                                     ? http::AnswerCode::too_many_connections
                                     : http::AnswerCode::too_many_connections_from_client,
                                 {}, {});
  co_return false;
}

/// The connection counts as one of the client that the header has named.
ConnectionLimits::Verdict Session::take_place() noexcept {
  const ConfigPtr config = worker.config();
  const conf::Limits& limits = config->settings.limits;
  const bool limited = peer.ip != conf::IpAddress::v4(0) && !config->trusted.trusts(peer.ip);
  worker.limits.leave(place_);
  return worker.limits.enter(limited ? &peer.ip : nullptr, limits.connections, limits.connections_per_client,
                             place_);
}

/// A proxy that sends the header unasked is a mistake in its settings or in ours, and both ends only see that
/// nothing works.
void Session::complain_of_proxy_header() {
  const std::string_view begin = stream.input.data().substr(0, 6);
  if (begin != "PROXY "sv && begin != "\r\n\r\n\0\r"sv) return;
  worker.complain(fmt::format("{} sent a PROXY header, and is not in proxy_protocol_from",
                              peer.is_unix ? std::string("a peer on a unix socket") : peer.ip.text()));
}

/// Completes the handshake, and goes on with what ALPN chose.
Task<Session::Opened> Session::open_tls(Deadline deadline) {
  const ConfigPtr config = worker.config();
  Input& input = stream.input;
  while (input.empty()) {
    const Io io = co_await read_more(deadline);
    if (io == Io::timeout) worker.cells.listener(listener).handshake_failures.add();
    if (io != Io::ok) co_return Opened::closed;
  }
  if (input.data().front() != tls_handshake) {
    complain_of_proxy_header();
    if (h1::may_start_request(input.data().front())) co_await answer_plain_http();
    co_return Opened::closed;
  }
  tls::SslPtr ssl = config->tls == nullptr ? nullptr : config->tls->new_session();
  if (ssl == nullptr) co_return Opened::closed;
  stream.secure(std::move(ssl));
  const Io io = co_await stream.handshake(deadline);
  if (io != Io::ok) {
    worker.cells.listener(listener).handshake_failures.add();
    // OpenSSL has told the client why, where there is a word for it.
    if (io == Io::failed) end = End::linger;
    co_return Opened::closed;
  }
  co_return stream.secured()->alpn() == "h2" ? Opened::http2 : Opened::http1;
}

/// Plain HTTP where TLS is spoken: says so in words that a person with curl or a browser can read.
Task<void> Session::answer_plain_http() {
  char id[32];
  http::AnswerFacts facts;
  facts.request_id = worker.request_ids.next(id);
  facts.date = worker.http_date();
  facts.close = true;
  const std::string text = http::format_fixed(
      400, "text/plain; charset=utf-8",
      "This port speaks HTTPS, and the request was plain HTTP; use https:// in the URL.\n", facts);
  Exchange::account_for_refusal(worker, listener, peer, {}, {}, facts.request_id,
                                http::AnswerCode::bad_request);
  const Io io = co_await stream.output.write(text, worker.config()->settings.timeouts.client_write);
  end = io == Io::ok ? End::linger : End::reset;
}

}  // namespace portico::proxy
