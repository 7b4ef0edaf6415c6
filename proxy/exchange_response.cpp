// The response side of an exchange: the head, interim responses, and the body as it comes.

#include <array>
#include <cassert>
#include <utility>

#include "proxy/exchange.hpp"
#include "proxy/h2/request_stream.hpp"
#include "proxy/http/forward.hpp"
#include "proxy/tap_facts.hpp"

namespace portico::proxy {

namespace {
constexpr unsigned reads_in_a_row = 16;
// A backend that has more to say before its answer than this never comes to it.
constexpr unsigned most_interims = 100;
}  // namespace

/// Waits for the head of a final response and relays interim ones. After `final` the head is the first
/// response_head_size_ bytes of the upstream's input, cut into worker_.fields; nothing may suspend before it
/// is used.
Task<Exchange::HeadResult> Exchange::read_response_head() {
  Input& input = lease_.stream().input;
  const std::size_t limit = config_->settings.limits.response_head;
  h1::HeadScanner scanner;
  bool any = false;
  unsigned interims = 0;
  while (cause_ == Cause::none) {
    h1::HeadScanner::State state = h1::HeadScanner::State::need_more;
    if (!input.empty()) {
      any = true;
      state = scanner.scan(input.data());
      if (state == h1::HeadScanner::State::bad || scanner.size() > limit) {
        detail_ = h1::sentence_of(state == h1::HeadScanner::State::bad ? scanner.error()
                                                                       : h1::HeadError::too_large);
        cause_ = Cause::response_malformed;
        break;
      }
    }
    if (state == h1::HeadScanner::State::need_more) {
      if (!input.make_room(limit + 1)) {
        detail_ = h1::sentence_of(h1::HeadError::too_large);
        cause_ = Cause::response_malformed;
        break;
      }
      const Io io = co_await input.more(head_deadline_);
      if (cause_ != Cause::none) break;
      if (io == Io::ok) continue;
      if (io == Io::timeout) {
        // An upload in progress, or one that has just ended, starts the wait anew.
        if (upload_.running()) head_deadline_ = worker_.reactor.wheel.in(timeouts().response_head);
        if (!worker_.reactor.wheel.passed(head_deadline_)) continue;
        cause_ = Cause::response_head_timeout;
        break;
      }
      if (!any) co_return HeadResult::died;
      cause_ = Cause::upstream_broke_off;
      break;
    }

    response_head_size_ = scanner.size();
    const std::string_view head = input.data().substr(0, response_head_size_);
    response_ = {};
    if (const h1::HeadError error = h1::parse_response(head, head_request_, worker_.fields, response_);
        error != h1::HeadError::none) {
      detail_ = h1::sentence_of(error);
      cause_ = Cause::response_malformed;
      break;
    }
    // An interim response is not the one that the client waits for.
    if (response_.status >= 200 || response_.status == 101) response_in_ = now();
    if (response_.status >= 200) {
      // RFC 8441 section 5: there a 2xx is what a 101 is here, and no WebSocket would follow it.
      if (h2_ == nullptr || !websocket_ || response_.status >= 300) co_return HeadResult::final;
      detail_ = "a WebSocket was asked for, and an ordinary success came";
      cause_ = Cause::response_malformed;
      break;
    }
    if (response_.status == 101) {
      const h1::Field* accept = worker_.fields.find(h1::FieldId::sec_websocket_accept);
      if (!websocket_ || !response_.websocket || accept == nullptr ||
          !worker_.fields.once(h1::FieldId::sec_websocket_accept) ||
          !http::accept_matches(websocket_key_, accept->value)) {
        detail_ = "a 101 that was not asked for, or that does not match the request";
        cause_ = Cause::response_malformed;
        break;
      }
      co_return HeadResult::tunnel;
    }
    if (++interims > most_interims) {
      detail_ = "too many interim responses";
      cause_ = Cause::response_malformed;
      break;
    }
    const bool relayed = co_await relay_interim(response_);
    if (!relayed) break;
    input.consume(response_head_size_);
    scanner.reset();
  }
  co_return HeadResult::failed;
}

/// A 1xx goes on to an HTTP/1.1 client as it is.
Task<bool> Exchange::relay_interim(const h1::ResponseHead& head) {
  if (client_minor_ == 0) co_return true;
  Block out = worker_.reactor.buffers.borrow(response_head_size_ + http::max_added_bytes);
  http::ClientHeadFacts facts;
  facts.client_minor = client_minor_;
  const std::size_t size = http::write_client_head(head, facts, {out.data(), out.size()});
  if (h2_ != nullptr) {
    h2_->interim({out.data(), size});
    co_return true;
  }
  const Io io = co_await client_.output.write(std::string_view(out.data(), size), timeouts().client_write);
  if (io == Io::ok) co_return true;
  abort(io == Io::timeout ? Cause::client_stalled : Cause::client_gone);
  co_return false;
}

/// Whether the client's connection outlives this response: decided before its head is written, because the
/// head says so.
void Exchange::decide_connection() noexcept {
  if (h2_ != nullptr) {
    // Streams end by themselves there, and the connection by its own rules.
    payload_only_ = true;
    close_client_ = false;
    return;
  }
  payload_only_ = client_minor_ == 0 && response_.framing == h1::Framing::chunked;
  close_client_ = !client_keep_alive_ || worker_.draining() || !request_consumed_ || payload_only_ ||
                  response_.framing == h1::Framing::until_close;
}

/// Relays the final response whose head read_response_head() found. True when the client's connection goes
/// on.
Task<bool> Exchange::relay_response() {
  Stream& upstream = lease_.stream();
  Input& input = upstream.input;
  const bool until_close = response_.framing == h1::Framing::until_close;
  status_ = response_.status;
  if (status_ == 401) note_refused_key();
  decide_connection();
  response_body_ = h1::BodyReader(response_.framing, response_.content_length);
  // The peer's end is then the message's end, so it must be seen at once.
  input.set_eager(until_close);
  lease_.endpoint().cells().codes[status_].add();
  lease_.endpoint().report_success();

  // What the request needs no more is given back before what may be a long stream.
  head_out_.release();
  if (!input_released_) {
    client_.input.consume(head_size_ + initial_);
    input_released_ = true;
  }
  Block head = write_response_head();
  input.consume(response_head_size_);
  const bool whole = co_await relay_body(std::move(head));
  if (!whole && !relayed_) {
    const bool again = co_await answer_cause();
    co_return again;
  }
  co_await stop_upload();
  if (!whole) {
    lease_.drop();
    finish_with_cause();
    side_.end = Client::End::reset;
    co_return false;
  }
  if (upstream.open() && response_.keep_alive && input.empty() && !input.ended() && request_sent_) {
    lease_.give_back();
  } else {
    lease_.drop();
  }
  finish(telemetry::Ended::complete, status_);
  if (!close_client_) co_return true;
  side_.end = request_consumed_ && client_.input.empty() ? Client::End::close : Client::End::linger;
  co_return false;
}

/// A 401 counts against the client whose key it is about; who shows none (a panel that is logged out) guesses
/// none. Where CPA has chosen an account, which its trace id says, it is that account's credential that a
/// provider refused, and the client's key was right.
void Exchange::note_refused_key() {
  if (!key_presented_ || response_.fields->has(h1::FieldId::x_cpa_trace_id)) return;
  const std::string line = worker_.brakes.failed(failing_client_, config_->settings.key_guard, response_in_);
  if (!line.empty()) worker_.complain(line);
}

/// The final response's head as the client gets it; response_head_out_ says how long it is.
Block Exchange::write_response_head() {
  http::ClientHeadFacts facts;
  facts.request_id = {request_id_, request_id_length_};
  facts.via = config_->settings.via;
  facts.client_minor = client_minor_;
  facts.close = close_client_;
  facts.keep_alive = !close_client_ && client_minor_ == 0;
  facts.relay_trailers = te_trailers_;
  facts.dechunk = payload_only_ || client_minor_ == 0;
  Block out = worker_.reactor.buffers.borrow(response_head_size_ + http::max_added_bytes);
  response_head_out_ = http::write_client_head(response_, facts, {out.data(), out.size()});
  assert(response_head_out_ > 0);
  telemetry::ResponseFacts facts_for_tap = response_facts(response_);
  facts_for_tap.endpoint = static_cast<std::uint16_t>(endpoint_);
  tap_.response_head(facts_for_tap);
  return out;
}

/// Follows the framing over `input` and shows the payload to the tap, and to `take`, which says whether it
/// has room for another run of it.
template <class Take>
Exchange::Fed Exchange::feed_response(std::string_view input, Take take) noexcept {
  Fed fed;
  bool room = true;
  while (room && fed.consumed < input.size() && !response_body_.done()) {
    const h1::BodyReader::Piece piece = response_body_.next(input.substr(fed.consumed));
    fed.consumed += piece.consumed;
    fed.forward += piece.forward;
    fed.status = piece.status;
    if (!piece.payload.empty()) {
      worker_.cells.response_body_bytes.add(piece.payload.size());
      tap_.response_body(piece.payload);
      room = take(piece.payload);
    }
    if (piece.status == h1::BodyReader::Status::error) break;
  }
  if (response_body_.done()) {
    fed.status = h1::BodyReader::Status::done;
    if (response_body_.has_trailers()) text_ = response_body_.write_trailers(te_trailers_);
  }
  return fed;
}

/// Head, and body as it came, framing included.
Output::Write Exchange::write_raw(std::string_view head, std::string_view input, Fed& fed) {
  fed = feed_response(input, [](std::string_view) { return true; });
  const std::array<std::string_view, 3> pieces{head, input.substr(0, fed.forward), text_};
  return client_.output.write(pieces, timeouts().client_write);
}

/// Head, and the payload of the body alone, each run of it from where it lies. `runs` lists them until they
/// are written.
Output::Write Exchange::write_payload(std::span<char> head, std::string_view input, Fed& fed, Block& runs) {
  runs = worker_.reactor.buffers.borrow();
  const std::size_t most = runs.size() / sizeof(iovec);
  auto* const pieces = reinterpret_cast<iovec*>(runs.data());
  std::size_t count = 0;
  std::size_t bytes = 0;
  const auto add = [&](const char* data, std::size_t size) {
    // sendmsg takes a pointer to non-const and does not write through it.
    new (pieces + count++) iovec{const_cast<char*>(data), size};
    return count < most;
  };
  if (h2_ == nullptr && !head.empty()) add(head.data(), head.size());
  fed = feed_response(input, [&](std::string_view payload) {
    bytes += payload.size();
    return add(payload.data(), payload.size());
  });
  if (h2_ != nullptr && fed.status != h1::BodyReader::Status::error) {
    const bool last = response_body_.done();
    if (!head.empty()) h2_->respond(head, last && bytes == 0 && text_.empty());
    if (last) h2_->finish(text_);
  }
  return client_.output.write_all({pieces, count}, timeouts().client_write);
}

/// Relays the body as it comes, one read in flight, each read written before the next. False when it broke
/// off, with the cause set.
Task<bool> Exchange::relay_body(Block head) {
  Input& input = lease_.stream().input;
  std::span<char> head_bytes(head.data(), response_head_out_);
  for (unsigned reads = 1;; ++reads) {
    Fed fed;
    Block runs;
    Output::Write write = payload_only_
                              ? write_payload(head_bytes, input.data(), fed, runs)
                              : write_raw({head_bytes.data(), head_bytes.size()}, input.data(), fed);
    if (first_token_ == 0 && tap_.first_token_seen()) first_token_ = now();
    if (fed.status == h1::BodyReader::Status::error) {
      detail_ = "its body breaks the chunked coding";
      cause_ = Cause::response_malformed;
      co_return false;
    }
    relayed_ = true;
    const Io written = co_await write;
    if (written != Io::ok) {
      if (cause_ == Cause::none) cause_ = written == Io::timeout ? Cause::client_stalled : Cause::client_gone;
      co_return false;
    }
    runs.release();
    if (!head_bytes.empty()) {
      head_bytes = {};
      head.release();
      response_out_ = now();
      if (response_body_.done()) ended_ = response_out_;
    }
    input.consume(fed.consumed);
    if (response_body_.done()) co_return true;
    if (cause_ != Cause::none) co_return false;
    if (reads % reads_in_a_row == 0) co_await Yield(worker_.reactor);
    if (cause_ != Cause::none) co_return false;
    if (!input.empty()) continue;

    const Deadline deadline = worker_.reactor.wheel.in(timeouts().response_body);
    const Io got = co_await input.more(deadline);
    if (cause_ != Cause::none) co_return false;
    if (got == Io::ok) continue;
    if (got == Io::eof && response_.framing == h1::Framing::until_close) {
      if (h2_ != nullptr) h2_->finish({});
      co_return true;
    }
    cause_ = got == Io::timeout ? Cause::response_body_timeout : Cause::upstream_broke_off;
    co_return false;
  }
}

}  // namespace portico::proxy
