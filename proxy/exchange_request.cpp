// The request side of an exchange: a connection to the owner, the head, the body as it comes, and a watch on
// the client while the response is awaited.

#include <array>

#include "proxy/exchange.hpp"
#include "telemetry/log.hpp"

namespace portico::proxy {

namespace {
// After so many reads that found bytes at once, other connections of the worker get their turn.
constexpr unsigned reads_in_a_row = 16;
// A request tries at most so many endpoints of its upstream.
constexpr std::size_t most_endpoints = 8;
}  // namespace

/// Follows the framing over `input`, counts and shows the payload to the tap.
Exchange::Fed Exchange::feed_request(std::string_view input) noexcept {
  Fed fed;
  while (fed.consumed < input.size() && !request_body_.done()) {
    const h1::BodyReader::Piece piece = request_body_.next(input.substr(fed.consumed));
    fed.consumed += piece.consumed;
    fed.forward += piece.forward;
    fed.status = piece.status;
    if (!piece.payload.empty()) {
      request_payload_ += piece.payload.size();
      worker_.cells.request_body_bytes.add(piece.payload.size());
      tap_.request_body(piece.payload);
    }
    if (piece.status == h1::BodyReader::Status::error) break;
  }
  if (request_body_.done()) {
    fed.status = h1::BodyReader::Status::done;
    tap_.request_end();
  }
  return fed;
}

/// Takes a pooled connection of the owner, or connects; an endpoint that can't be connected to gives way to
/// the next.
Task<bool> Exchange::acquire(bool fresh) {
  Upstream& upstream = config_->upstreams[static_cast<std::size_t>(*route_->upstream)];
  std::array<Endpoint*, most_endpoints> tried{};
  std::size_t count = 0;
  Cause cause = Cause::upstream_unreachable;
  // The client may leave while a connection is being made. With a body still to come that is seen when it is
  // read.
  watch_client();
  while (cause_ == Cause::none && count < tried.size()) {
    Endpoint* endpoint = upstream.choose({tried.data(), count});
    if (endpoint == nullptr) break;
    if (!fresh) {
      lease_ = endpoint->take_idle(!idempotent_ || management_);
      if (lease_) co_return true;
    }
    // A record names whom it was tried with, should it come to no more.
    endpoint_ = endpoint->label();
    const Deadline deadline = worker_.reactor.wheel.in(timeouts().connect);
    const Moment asked = now();
    Endpoint::Connected connected = co_await endpoint->connect(deadline, &connecting_);
    waited_ += now() - asked;
    if (connected.result == Io::ok) {
      endpoint->report_success();
      lease_ = std::move(connected.lease);
      // What was wrong with another endpoint concerns nobody any more.
      text_.clear();
      detail_ = {};
      co_return cause_ == Cause::none;
    }
    if (connected.result == Io::cancelled) break;
    if (connected.result == Io::failed && is_local_shortage(connected.error)) {
      cause = Cause::out_of_descriptors;
      break;
    }
    endpoint->report_failure(connected.insecure);
    cause = connected.result == Io::timeout ? Cause::connect_timeout : Cause::upstream_unreachable;
    if (connected.insecure && cause == Cause::upstream_unreachable) {
      cause = Cause::upstream_insecure;
      text_ = endpoint->objection();
      detail_ = text_;
    }
    tried[count++] = endpoint;
  }
  if (cause_ == Cause::none) cause_ = cause;
  co_return false;
}

/// Sends the head and what of the body came with it, then starts the upload of the rest or the watch on the
/// client. What goes wrong here shows when the response is read: a backend may answer and close before it has
/// read everything.
Task<void> Exchange::send_request() {
  head_deadline_ = worker_.reactor.wheel.in(timeouts().response_head);
  body_began_ = false;
  Stream& upstream = lease_.stream();
  endpoint_ = lease_.endpoint().label();
  reused_ = lease_.reused();
  const std::uint64_t before = upstream.output.sent();
  std::string trailers;
  std::array<std::string_view, 3> pieces{std::string_view(head_out_.data(), head_out_size_)};
  if (initial_ > 0 && !input_released_) {
    pieces[1] = client_.input.data().substr(head_size_, initial_forward_);
    if (request_body_.done() && request_body_.has_trailers()) {
      trailers = request_body_.write_trailers(te_trailers_);
      pieces[2] = trailers;
    }
  }
  const Io io = co_await upstream.output.write(pieces, timeouts().response_body);
  request_out_ = now();
  const std::uint64_t sent = upstream.output.sent() - before;
  head_began_ = sent > 0;
  body_began_ = sent > head_out_size_;
  request_sent_ = io == Io::ok && request_body_.done();
  if (cause_ != Cause::none) co_return;
  if (request_consumed_ || io != Io::ok) {
    watch_client();
    co_return;
  }
  // What is still to come can't be replayed, so the head need not stay either.
  client_.input.unwatch();
  if (!input_released_) {
    client_.input.consume(head_size_ + initial_);
    input_released_ = true;
  }
  upload_stopped_ = false;
  upload_.start(upload());
}

/// Whether the request may go out once more after its pooled connection died without a byte of response. A
/// request that may have been processed is never sent twice, unless its method makes that harmless.
bool Exchange::may_replay() const noexcept {
  if (management_ || relayed_) return false;
  // Bytes of the body are gone from the input.
  if (input_released_ && (initial_ > 0 || body_began_)) return false;
  if (!head_began_) return true;
  if (has_body_ && !body_began_) return true;
  return idempotent_ && (!has_body_ || !input_released_);
}

/// Relays the rest of the body as it comes, one read in flight; ends when it is complete, then watches the
/// client.
Task<void> Exchange::upload() {
  Stream& upstream = lease_.stream();
  Input& input = client_.input;
  bool upstream_takes = true;
  for (unsigned reads = 1;; ++reads) {
    if (input.empty()) {
      const Deadline deadline = worker_.reactor.wheel.in(timeouts().request_body);
      const Io io = co_await input.more(deadline);
      if (upload_stopped_ || cause_ != Cause::none) co_return;
      // A response that is on its way already goes on without the rest of the request.
      if (io == Io::timeout && relayed_) co_return;
      if (io == Io::timeout) abort(Cause::request_timeout);
      if (io == Io::eof || io == Io::failed) abort(Cause::client_gone);
      if (io != Io::ok) co_return;
    }
    const std::string_view bytes = input.data();
    const Fed fed = feed_request(bytes);
    if (fed.status == h1::BodyReader::Status::error) {
      abort(Cause::request_malformed);
      co_return;
    }
    if (request_payload_ > body_limit_) {
      abort(Cause::request_too_large);
      co_return;
    }
    if (upstream_takes) {
      std::string trailers;
      if (request_body_.done() && request_body_.has_trailers())
        trailers = request_body_.write_trailers(te_trailers_);
      const std::array<std::string_view, 2> pieces{bytes.substr(0, fed.forward), trailers};
      body_began_ = true;
      // The backend may have no room for long, and the client may leave meanwhile.
      input.watch_hangup(&Exchange::on_client_event, this);
      const Io io = co_await upstream.output.write(pieces, timeouts().response_body);
      input.unwatch();
      if (upload_stopped_ || cause_ != Cause::none) co_return;
      // The backend may have answered before it stopped reading: the response side finds out.
      upstream_takes = io == Io::ok;
    }
    input.consume(fed.consumed);
    if (request_body_.done()) break;
    if (!upstream_takes) {
      watch_client();
      co_return;
    }
    if (reads % reads_in_a_row == 0) {
      co_await Yield(worker_.reactor);
      if (upload_stopped_ || cause_ != Cause::none) co_return;
    }
  }
  request_consumed_ = true;
  request_sent_ = upstream_takes;
  head_deadline_ = worker_.reactor.wheel.in(timeouts().response_head);
  watch_client();
}

/// Ends the upload, if there is one, before its exchange or its upstream connection ends.
Task<void> Exchange::stop_upload() {
  upload_stopped_ = true;
  if (!upload_.running()) co_return;
  if (lease_) lease_.stream().close();
  // An upload that waits for the backend alone is woken by its close. A cancel would then reach whoever reads
  // the client next: the lingering close, which must hear it out.
  if (client_.input.waited_for()) client_.input.cancel();
  co_await upload_.join();
}

/// Keeps reading the client while the response is awaited: a next request waits in the input, an end ends the
/// exchange.
void Exchange::watch_client() noexcept {
  client_.input.watch(&Exchange::on_client_event, this);
  if (client_.input.ended()) abort(Cause::client_gone);
}

void Exchange::on_client_event(void* self) noexcept {
  auto* exchange = static_cast<Exchange*>(self);
  if (!exchange->client_.input.ended()) return;
  exchange->abort(Cause::client_gone);
  // A write that waits for this client to read waits in vain.
  exchange->client_.close();
}

}  // namespace portico::proxy
