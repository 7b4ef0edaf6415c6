#include "proxy/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <exception>

#include "proxy/h2/request_stream.hpp"
#include "proxy/http/acme_file.hpp"
#include "proxy/http/forward.hpp"
#include "proxy/http/presented_key.hpp"
#include "proxy/http/redirect.hpp"
#include "proxy/tap_facts.hpp"

namespace portico::proxy {

using http::AnswerCode;
using telemetry::Ended;

namespace {

/// Methods that may be sent again without harm (RFC 9110 section 9.2.2).
bool is_idempotent(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

/// How an exchange that met `cause` is counted, and the status it gets where none went to the client.
struct CauseWords {
  Ended how;
  int status;
  std::optional<AnswerCode> answer;  ///< none: the client can't be told
  std::string_view sentence;         ///< instead of the answer's own
};

CauseWords words_of(Cause cause) noexcept {
  switch (cause) {
    case Cause::client_gone:
      return {Ended::client_gone, 499, std::nullopt, {}};
    case Cause::client_stalled:
      return {Ended::timeout, 499, std::nullopt, {}};
    case Cause::request_timeout:
      return {Ended::timeout, 408, AnswerCode::request_timeout, {}};
    case Cause::request_malformed:
      return {Ended::refused, 400, AnswerCode::bad_request,
              "The request body breaks the rules of the chunked coding."};
    case Cause::request_too_large:
      return {Ended::refused, 413, AnswerCode::body_too_large, {}};
    case Cause::upstream_unreachable:
      return {Ended::refused, 502, AnswerCode::upstream_unreachable, {}};
    case Cause::upstream_insecure:
      return {
          Ended::refused, 502, AnswerCode::upstream_unreachable,
          "Portico could not set up TLS with the backend that owns this path; its log says why. Check the "
          "backend's certificate, and its URL, ca_file and tls_name in Portico's settings."};
    case Cause::out_of_descriptors:
      return {
          Ended::refused, 503, AnswerCode::too_many_connections,
          "Portico has no file descriptor left for a connection to the backend; raise its limit (ulimit -n, "
          "LimitNOFILE=) or lower limits.connections."};
    case Cause::connect_timeout:
      return {Ended::timeout, 504, AnswerCode::upstream_timeout,
              "The backend did not accept a connection in time; check that it runs, that its URL in "
              "Portico's settings "
              "is right, and timeouts.connect."};
    case Cause::response_head_timeout:
      return {Ended::timeout, 504, AnswerCode::upstream_timeout,
              "The backend sent no response in time; see its log, or raise timeouts.response_head in "
              "Portico's settings."};
    case Cause::response_body_timeout:
      return {Ended::timeout, 504, AnswerCode::upstream_timeout, {}};
    case Cause::response_malformed:
      return {Ended::backend_broke_off, 502, AnswerCode::upstream_bad_response, {}};
    case Cause::upstream_broke_off:
      return {Ended::backend_broke_off, 502, AnswerCode::upstream_bad_response,
              "The backend closed the connection before it had sent a complete response; see its log."};
    case Cause::cut:
      return {Ended::backend_broke_off, 503, AnswerCode::shutting_down, {}};
    case Cause::none:
      break;
  }
  return {Ended::complete, 0, std::nullopt, {}};
}

/// What the log says of a fault of the backend's or of the machine's; empty for a client's.
std::string_view log_words_of(Cause cause) noexcept {
  switch (cause) {
    case Cause::upstream_unreachable:
      return "no endpoint could be connected to";
    case Cause::upstream_insecure:
      return "TLS could not be set up";
    case Cause::out_of_descriptors:
      return "no file descriptor is left for a connection";
    case Cause::connect_timeout:
      return "no connection within timeouts.connect";
    case Cause::response_head_timeout:
      return "no response within timeouts.response_head";
    case Cause::response_body_timeout:
      return "the response stood still for timeouts.response_body";
    case Cause::response_malformed:
      return "the response breaks the rules of HTTP";
    case Cause::upstream_broke_off:
      return "the connection ended before the response was complete";
    default:
      return {};
  }
}

/// The time-out that a cause stands for.
telemetry::Timer timer_of(Cause cause) noexcept {
  switch (cause) {
    case Cause::client_stalled:
      return telemetry::Timer::client_write;
    case Cause::request_timeout:
      return telemetry::Timer::request_body;
    case Cause::connect_timeout:
      return telemetry::Timer::connect;
    case Cause::response_head_timeout:
      return telemetry::Timer::response_head;
    case Cause::response_body_timeout:
      return telemetry::Timer::response_body;
    default:
      return telemetry::Timer::none;
  }
}

AnswerCode answer_of(h1::HeadError error) noexcept {
  switch (h1::status_of(error)) {
    case 414:
      return AnswerCode::uri_too_long;
    case 431:
      return AnswerCode::header_too_large;
    case 505:
      return AnswerCode::version_not_supported;
    default:
      return AnswerCode::bad_request;
  }
}

/// As much of the path as can be told of a target that has no reading: enough to choose an error's shape.
std::string_view rough_path(std::string_view target) noexcept { return target.substr(0, target.find('?')); }

std::string_view accept_of(const h1::HeadFields& fields) noexcept {
  const h1::Field* accept = fields.find(h1::FieldId::accept);
  return accept == nullptr ? std::string_view() : accept->value;
}

}  // namespace

Exchange::Exchange(Client& client, std::size_t head_size) noexcept
    : side_(client),
      worker_(client.worker),
      client_(client.stream),
      h2_(client.h2),
      config_(client.worker.config()),
      head_size_(head_size) {}

Task<bool> Exchange::run() {
  side_.exchange = this;
  worker_.cells.streams.add();
  bool again = false;
  std::exception_ptr exception;
  try {
    const std::optional<OwnAnswer> own = admit();
    if (own) {
      again = co_await answer(*own);
    } else {
      again = co_await relay();
    }
  } catch (...) {
    // For want of memory. The request side must not outlive this frame.
    exception = std::current_exception();
    abort(Cause::cut);
  }
  if (exception) {
    co_await stop_upload();
    lease_.drop();
    if (!finished_) finish_with_cause();
  }
  client_.input.unwatch();
  worker_.cells.streams.sub();
  side_.exchange = nullptr;
  assert(finished_);
  if (exception) std::rethrow_exception(exception);
  co_return again;
}

void Exchange::abort(Cause cause) noexcept {
  if (cause_ == Cause::none) cause_ = cause;
  if (connecting_ != nullptr) {
    connecting_->close();
    connecting_ = nullptr;
  }
  if (lease_) lease_.stream().close();
}

std::optional<Exchange::OwnAnswer> Exchange::admit() {
  const std::string_view head = client_.input.data().substr(0, head_size_);
  const conf::Settings& settings = config_->settings;
  h1::RequestHead request;
  const h1::HeadError error = h1::parse_request(
      head, {settings.limits.request_target, settings.limits.request_fields}, worker_.fields, request);
  if (error != h1::HeadError::none) {
    // Nothing after a head that can't be trusted can be trusted to be a request.
    close_client_ = true;
    char id[32];
    const std::string_view made = worker_.request_ids.next(id);
    std::memcpy(request_id_, made.data(), made.size());
    request_id_length_ = static_cast<std::uint8_t>(made.size());
    shape_ = http::shape_for(rough_path(request.target), false, {});
    worker_.fields.clear();
    request.fields = &worker_.fields;
    worker_.chain.assign(side_.peer);
    start_tap(request, {});
    return OwnAnswer{answer_of(error), h1::sentence_of(error), nullptr};
  }
  const h1::HeadFields& fields = worker_.fields;
  std::string_view id = http::kept_request_id(fields);
  char made[32];
  if (id.empty()) id = worker_.request_ids.next(made);
  std::memcpy(request_id_, id.data(), id.size());
  request_id_length_ = static_cast<std::uint8_t>(id.size());

  client_minor_ = request.minor;
  client_keep_alive_ = request.keep_alive;
  te_trailers_ = request.te_trailers;
  head_request_ = request.method == "HEAD";
  idempotent_ = is_idempotent(request.method);
  has_body_ = request.framing == h1::Framing::chunked || request.content_length > 0;
  request_body_ = h1::BodyReader(request.framing, request.content_length);

  const routing::Decision decision = config_->table.decide(request.target, worker_.path_scratch);
  shape_ = http::shape_for(decision.path, fields.has(h1::FieldId::anthropic_version), accept_of(fields));
  const bool to_https = side_.kind == ListenerKind::redirect;
  const bool routed = !to_https && decision.refusal == routing::Refusal::none && !decision.is_asterisk;
  if (routed) {
    route_ = decision.route;
    dialect_ = telemetry::dialect_of(decision.path);
    management_ = decision.path.starts_with("/v0/management");
  }
  find_client(request);
  // A path that was refused belongs to no API, here as in the counters.
  start_tap(request, routed ? decision.path : std::string_view());
  if (std::optional<OwnAnswer> refused = admit_body()) return refused;
  if (std::optional<OwnAnswer> refused = admit_client(request)) return refused;
  if (to_https) return send_to_https(request);

  if (request.method == "CONNECT" || request.method == "TRACE")
    return OwnAnswer{AnswerCode::method_not_allowed, {}, nullptr};
  if (decision.is_asterisk) {
    if (request.method == "OPTIONS") return OwnAnswer{};
    return OwnAnswer{AnswerCode::bad_request, "Only OPTIONS may have `*` as its target.", nullptr};
  }
  if (decision.refusal != routing::Refusal::none) {
    const bool ambiguous = decision.refusal == routing::Refusal::ambiguous_path;
    std::string_view sentence = ambiguous ? std::string_view() : routing::describe(decision.refusal);
    const std::optional<routing::Objection> objection =
        ambiguous ? config_->table.objection(request.target, worker_.path_scratch) : std::nullopt;
    if (objection && objection->guarded) {
      sentence =
          "This path belongs to the backend's own management and is not served here; the panel's pages and "
          "management paths are /management.html and those under /v0/management/.";
    }
    return OwnAnswer{ambiguous ? AnswerCode::ambiguous_path : AnswerCode::bad_request, sentence, nullptr};
  }
  if (!route_->upstream) return OwnAnswer{std::nullopt, {}, route_};

  body_limit_ = route_->settings.request_body.value_or(settings.limits.request_body);
  if (request.framing == h1::Framing::length && request.content_length > body_limit_) {
    return OwnAnswer{AnswerCode::body_too_large, {}, nullptr};
  }
  if (request_payload_ > body_limit_) return OwnAnswer{AnswerCode::body_too_large, {}, nullptr};

  if (request.websocket) {
    const h1::Field* key = fields.find(h1::FieldId::sec_websocket_key);
    websocket_key_.assign(key->value);
    websocket_ = true;
  }
  write_head(request);
  return std::nullopt;
}

/// Looks at the part of the body that arrived with the head.
std::optional<Exchange::OwnAnswer> Exchange::admit_body() {
  request_consumed_ = request_body_.done();
  if (request_consumed_) return std::nullopt;
  body_limit_ = UINT64_MAX;
  const std::string_view rest = client_.input.data().substr(head_size_);
  const Fed fed = feed_request(rest);
  initial_ = fed.consumed;
  initial_forward_ = fed.forward;
  request_consumed_ = request_body_.done();
  if (fed.status == h1::BodyReader::Status::error) {
    close_client_ = true;
    return OwnAnswer{AnswerCode::bad_request, words_of(Cause::request_malformed).sentence, nullptr};
  }
  return std::nullopt;
}

/// A listener that only sends clients to https:// still serves the challenges by which certificates are got.
Exchange::OwnAnswer Exchange::send_to_https(const h1::RequestHead& request) {
  const std::string& webroot = config_->settings.tls.acme_webroot;
  OwnAnswer own;
  own.written = true;
  if (!webroot.empty() && http::asks_for_challenge(request.target)) {
    text_ = http::answer_challenge(webroot, request.method, request.target, answer_facts());
  } else {
    text_ = http::answer_redirect(request, config_->redirect_port, answer_facts());
  }
  return own;
}

/// A client that asks too fast, or that has to pause for guessing keys, is turned away.
std::optional<Exchange::OwnAnswer> Exchange::admit_client(const h1::RequestHead& request) {
  const std::optional<Brakes::Refusal> refusal = worker_.brakes.admit(
      worker_.chain.address(), config_->trusted, config_->settings, begun_, worker_.cells, failing_client_);
  key_presented_ = http::presents_key(request);
  if (!refusal) return std::nullopt;
  return OwnAnswer{refusal->code, {}, nullptr, refusal->retry_after};
}

/// Whom the backend is told, and the record: the peer, or whom a trusted one names.
void Exchange::find_client(const h1::RequestHead& request) {
  const conf::Settings& settings = config_->settings;
  const http::Peer& peer = side_.peer;
  const bool trusted = peer.is_unix ? config_->trusted.trusts_unix() : config_->trusted.trusts(peer.ip);
  if (trusted) {
    worker_.chain.assign(peer, *request.fields, settings.client_address_header, config_->trusted);
  } else {
    worker_.chain.assign(peer);
  }
  peer_trusted_ = trusted;
}

void Exchange::start_tap(const h1::RequestHead& request, std::string_view path) {
  telemetry::RequestFacts facts = request_facts(request);
  facts.path = path;
  facts.dialect = dialect_;
  facts.request_id = request_id();
  facts.client = worker_.chain.client();
  if (route_ != nullptr && route_->upstream) facts.owner = config_->table.upstream_name(*route_->upstream);
  facts.worker = static_cast<std::uint16_t>(worker_.index());
  facts.listener = static_cast<std::uint16_t>(side_.listener);
  facts.http_version = http_version();
  facts.route = static_cast<std::uint16_t>(route_label());
  facts.start_unix_us = worker_.unix_time_us(begun_);
  tap_.request_head(worker_.tap, facts);
}

void Exchange::write_head(const h1::RequestHead& request) {
  const conf::Settings& settings = config_->settings;
  const h1::HeadFields& fields = worker_.fields;
  http::UpstreamHeadFacts facts;
  facts.host = request.host;
  facts.request_id = request_id();
  facts.via = settings.via;
  facts.http_version = http_version();
  facts.proto = side_.kind == ListenerKind::tls ? "https" : "http";
  if (peer_trusted_) {
    facts.proto = http::forwarded_proto(fields, facts.proto);
    facts.host = http::forwarded_host(fields, request.host);
  }
  facts.client = worker_.chain.client();
  facts.chain = worker_.chain.chain();
  const conf::UpstreamSettings& upstream = settings.upstreams[static_cast<std::size_t>(*route_->upstream)];
  std::string authority;
  if (request.host.empty()) {
    authority = upstream.endpoints.front().authority();
    facts.upstream_authority = authority;
  }
  head_out_ = worker_.reactor.buffers.borrow(head_size_ + http::max_added_bytes);
  head_out_size_ = http::write_upstream_head(request, facts, {head_out_.data(), head_out_.size()});
  assert(head_out_size_ > 0);
}

Task<bool> Exchange::relay() {
  bool fresh = false;
  for (;;) {
    const bool connected = co_await acquire(fresh);
    if (!connected) break;
    co_await send_request();
    const HeadResult head = co_await read_response_head();
    if (head == HeadResult::final) {
      const bool again = co_await relay_response();
      co_return again;
    }
    if (head == HeadResult::tunnel) {
      co_await tunnel();
      co_return false;
    }
    if (head == HeadResult::died && cause_ == Cause::none) {
      if (lease_.reused() && may_replay()) {
        co_await stop_upload();
        lease_.endpoint().cells().retries.add();
        lease_.drop();
        fresh = true;
        waited_ += now() - request_out_;
        if (cause_ != Cause::none) break;
        continue;
      }
      cause_ = Cause::upstream_broke_off;
    }
    break;
  }
  const bool again = co_await answer_cause();
  co_return again;
}

/// No byte of a final response went to the client yet: tell it what happened, if it can be told.
Task<bool> Exchange::answer_cause() {
  co_await stop_upload();
  if (lease_) {
    if (cause_ == Cause::upstream_broke_off || cause_ == Cause::response_malformed ||
        cause_ == Cause::response_head_timeout) {
      lease_.endpoint().cells().up.set(0);
      lease_.endpoint().cells().codes[words_of(cause_).status].add();
    }
    lease_.drop();
  }
  complain();
  const CauseWords words = words_of(cause_);
  if (!words.answer || worker_.cutting()) {
    finish(words.how, words.status);
    side_.end = Client::End::reset;
    co_return false;
  }
  const bool again = co_await answer(OwnAnswer{*words.answer, words.sentence, nullptr});
  co_return again;
}

/// What every answer of Portico's own says of this request.
http::AnswerFacts Exchange::answer_facts() noexcept {
  http::AnswerFacts facts;
  facts.shape = shape_;
  facts.request_id = request_id();
  facts.date = worker_.http_date();
  facts.head_request = head_request_;
  facts.close = close_client_ || !client_keep_alive_ || !request_consumed_ || worker_.draining();
  facts.client_minor = client_minor_;
  return facts;
}

Task<bool> Exchange::answer(OwnAnswer own) {
  // What of the body has come is thrown away; if more is to come, the connection ends after the answer.
  if (!input_released_) client_.input.consume(head_size_ + initial_);
  input_released_ = true;
  http::AnswerFacts facts = answer_facts();
  facts.sentence = own.sentence;
  facts.retry_after = own.retry_after;
  const bool close = facts.close;
  std::string text;
  Ended how = Ended::complete;
  if (own.written) {
    text = std::move(text_);
    status_ = http::status_of(text);
  } else if (own.error) {
    const http::AnswerWords& words = http::words_of(*own.error);
    status_ = words.status;
    text = http::format_answer(*own.error, facts);
    how = cause_ == Cause::none ? Ended::refused : words_of(cause_).how;
    own_code_ = words.code;
  } else if (own.route == nullptr) {
    status_ = 204;
    text = http::format_fixed(status_, {}, {}, facts);
  } else if (own.route->settings.action == conf::RouteSettings::Action::redirect) {
    status_ = own.route->settings.status;
    text = http::format_redirect(status_, own.route->settings.location, facts);
  } else {
    const conf::RouteSettings& fixed = own.route->settings;
    status_ = fixed.status;
    text = http::format_fixed(status_, fixed.content_type, fixed.body, facts);
  }
  own_answer_ = true;
  if (response_in_ == 0) response_in_ = now();
  const Io written = co_await write_answer(side_, text, timeouts().client_write);
  finish(how, status_);
  if (written != Io::ok) {
    side_.end = Client::End::reset;
    co_return false;
  }
  if (close) side_.end = Client::End::linger;
  co_return !close;
}

/// An answer of Portico's own, head and body in one text that stays until it is written.
Output::Write Exchange::write_answer(Client& client, std::string& text, std::chrono::milliseconds gap) {
  if (client.h2 == nullptr) return client.stream.output.write(text, gap);
  const std::size_t head = text.find("\r\n\r\n") + 4;
  const bool bodiless = head == text.size();
  client.h2->respond({text.data(), head}, bodiless);
  client.h2->finish({});
  return client.stream.output.write(std::string_view(text).substr(head), gap);
}

Task<void> Exchange::refuse_head(Client& client, AnswerCode code, std::string_view sentence,
                                 std::string_view head) {
  // The request line may be whole even though the head is not: its path decides the answer's shape.
  const std::size_t line_end = std::min(head.find_first_of("\r\n"), head.size());
  const std::string_view line = head.substr(0, line_end);
  const std::size_t target = line.find(' ');
  const std::string_view path =
      target == std::string_view::npos ? std::string_view() : rough_path(line.substr(target + 1));
  char id[32];
  http::AnswerFacts facts;
  facts.shape = http::shape_for(path.substr(0, path.find(' ')), false, {});
  facts.sentence = sentence;
  facts.request_id = client.worker.request_ids.next(id);
  facts.date = client.worker.http_date();
  facts.close = true;
  std::string text = http::format_answer(code, facts);
  const conf::Settings& settings = client.worker.config()->settings;
  const std::size_t method = line.find(' ') == std::string_view::npos ? 0 : line.find(' ');
  account_for_refusal(client.worker, client.listener, client.peer, line.substr(0, method), path,
                      facts.request_id, code);
  const std::chrono::milliseconds gap = settings.timeouts.client_write;
  const Io written = co_await write_answer(client, text, gap);
  client.end = written == Io::ok ? Client::End::linger : Client::End::reset;
}

void Exchange::account_for_refusal(Worker& worker, telemetry::ListenerLabel listener, const http::Peer& peer,
                                   std::string_view method, std::string_view target,
                                   std::string_view request_id, http::AnswerCode code) {
  const http::AnswerWords& words = http::words_of(code);
  const telemetry::RouteLabel route = worker.config()->no_route;
  telemetry::EndFacts end;
  end.how = code == AnswerCode::request_timeout ? Ended::timeout : Ended::refused;
  if (code == AnswerCode::request_timeout) end.timer = telemetry::Timer::request_head;
  end.status = words.status;
  end.own_answer = true;
  end.own_code = words.code;
  worker.cells.requests(route, telemetry::Dialect::other, words.status).add();
  worker.cells.ended[static_cast<std::size_t>(end.how)].add();

  worker.chain.assign(peer);
  telemetry::RequestFacts facts;
  facts.method = method;
  facts.target = target;
  facts.request_id = request_id;
  facts.client = worker.chain.client();
  facts.worker = static_cast<std::uint16_t>(worker.index());
  facts.listener = static_cast<std::uint16_t>(listener);
  facts.route = static_cast<std::uint16_t>(route);
  facts.start_unix_us = worker.unix_time_us(now());
  telemetry::Tap tap;
  tap.request_head(worker.tap, facts);
  tap.end(end);
}

/// 10, 11 or 20.
std::uint8_t Exchange::http_version() const noexcept {
  return h2_ != nullptr ? 20 : static_cast<std::uint8_t>(10 + client_minor_);
}

telemetry::RouteLabel Exchange::route_label() const noexcept {
  return route_ == nullptr ? config_->no_route : config_->route_labels[static_cast<std::size_t>(route_->id)];
}

void Exchange::finish(Ended how, int status) noexcept {
  assert(!finished_);
  finished_ = true;
  how = tap_.settled(how);
  worker_.cells.requests(route_label(), dialect_, status).add();
  worker_.cells.ended[static_cast<std::size_t>(how)].add();

  telemetry::EndFacts end;
  end.how = how;
  end.timer = tunnel_timed_out_ ? telemetry::Timer::websocket_idle : timer_of(cause_);
  end.status = status;
  end.own_answer = own_answer_;
  end.own_code = own_code_;
  end.endpoint = static_cast<std::uint16_t>(endpoint_);
  end.reused_connection = reused_;
  end.duration_us = since_begun((ended_ != 0) ? ended_ : now());
  if (response_in_ != 0) end.first_byte_us = since_begun(response_in_);
  if (first_token_ != 0) end.first_token_us = since_begun(first_token_);
  if (request_out_ != 0 && response_out_ != 0)
    end.overhead_us = (request_out_ - begun_ - waited_ + response_out_ - response_in_) / 1000;
  tap_.end(end);
}

void Exchange::finish_with_cause() noexcept {
  complain();
  finish(words_of(cause_).how, status_);
}

/// Says in the log what a backend did to this exchange. What clients do is theirs, and only counted.
void Exchange::complain() const noexcept {
  const std::string_view what = log_words_of(cause_);
  if (what.empty()) return;
  const auto upstream = static_cast<std::size_t>(*route_->upstream);
  const std::string& name = config_->settings.upstreams[upstream].name;
  try {
    worker_.complain(fmt::format("{}: {}{}{} (request {}, route {}{})", name, what,
                                 detail_.empty() ? "" : ": ", detail_,
                                 std::string_view(request_id_, request_id_length_), route_->label,
                                 relayed_ ? ", after its response had begun" : ""));
  } catch (const std::exception&) {
    // Without memory for a line there is none; the exchange is counted all the same.
    return;
  }
}

}  // namespace portico::proxy
