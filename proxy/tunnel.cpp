// After a 101: bytes both ways, each direction by itself, until one side ends.

#include <array>
#include <utility>

#include "proxy/exchange.hpp"
#include "proxy/h2/request_stream.hpp"
#include "proxy/http/forward.hpp"

namespace portico::proxy {

namespace {
constexpr unsigned reads_in_a_row = 16;
// What the backend still has to say to a client that has ended its side.
constexpr std::chrono::milliseconds farewell{500};
}  // namespace

/// Relays the 101, then the backend's bytes to the client; the other direction runs beside it. The exchange
/// ends with it.
Task<void> Exchange::tunnel() {
  Input& input = lease_.stream().input;
  status_ = response_.status;
  close_client_ = true;
  tunnelling_ = true;
  lease_.endpoint().cells().codes[status_].add();
  lease_.endpoint().report_success();
  head_out_.release();
  client_.input.unwatch();
  client_.input.consume(head_size_ + initial_);
  input_released_ = true;
  Block head = write_response_head();
  input.consume(response_head_size_);
  std::string_view head_bytes(head.data(), response_head_out_);
  if (h2_ != nullptr) {
    h2_->respond({head.data(), response_head_out_}, false);
    head_bytes = {};
  }
  Io io = co_await client_.output.write(head_bytes, timeouts().client_write);
  head.release();
  relayed_ = true;

  if (io == Io::ok && cause_ == Cause::none) {
    input.set_eager(true);
    client_.input.set_eager(true);
    tunnel_deadline_ = worker_.reactor.wheel.in(timeouts().websocket_idle);
    upload_stopped_ = false;
    upload_.start(tunnel_upward());
    for (unsigned reads = 1; io == Io::ok; ++reads) {
      if (input.empty()) {
        io = co_await input.more(tunnel_deadline_);
        // Traffic in the other direction has moved the deadline.
        if (io == Io::timeout && !worker_.reactor.wheel.passed(tunnel_deadline_)) io = Io::ok;
        continue;
      }
      if (tunnel_ending_ && worker_.reactor.wheel.passed(tunnel_deadline_)) {
        io = Io::timeout;
        continue;
      }
      tunnel_is_used();
      const std::string_view bytes = input.data();
      tap_.tunnel(false, bytes, since_begun(now()));
      worker_.cells.response_body_bytes.add(bytes.size());
      io = co_await client_.output.write(bytes, timeouts().client_write);
      if (io != Io::ok && cause_ == Cause::none)
        cause_ = io == Io::timeout ? Cause::client_stalled : Cause::client_gone;
      input.consume(bytes.size());
      if (reads % reads_in_a_row == 0) co_await Yield(worker_.reactor);
    }
  } else if (io == Io::ok) {
    io = Io::cancelled;
  }
  co_await stop_upload();
  client_.input.set_eager(false);
  lease_.drop();

  // An orderly end, or silence for too long, ends as orderly for the client; anything else is passed on as a
  // break.
  const bool orderly = cause_ == Cause::none && (io == Io::eof || io == Io::timeout);
  side_.end = orderly ? Client::End::linger : Client::End::reset;
  telemetry::Ended how = telemetry::Ended::complete;
  // A turn was in flight, and it is the client that ended its side first.
  const bool left = orderly && tunnel_ending_ && tap_.settled(how) == telemetry::Ended::backend_broke_off;
  if (cause_ == Cause::client_gone || left) {
    how = telemetry::Ended::client_gone;
  } else if (cause_ == Cause::client_stalled || (io == Io::timeout && !tunnel_ending_)) {
    tunnel_timed_out_ = cause_ != Cause::client_stalled;
    how = telemetry::Ended::timeout;
  } else if (!orderly) {
    how = telemetry::Ended::backend_broke_off;
  }
  finish(how, status_);
}

/// Either direction's traffic keeps both alive; after the client's end nothing does.
void Exchange::tunnel_is_used() noexcept {
  if (!tunnel_ending_) tunnel_deadline_ = worker_.reactor.wheel.in(timeouts().websocket_idle);
}

/// The client's bytes to the backend.
Task<void> Exchange::tunnel_upward() {
  Stream& upstream = lease_.stream();
  Input& input = client_.input;
  for (unsigned reads = 1;; ++reads) {
    if (input.empty()) {
      // Silence for too long is the other direction's to see: it knows whether something waits to be written.
      const Io io = co_await input.more(Deadline::never);
      if (upload_stopped_ || cause_ != Cause::none) co_return;
      if (io == Io::eof) {
        // The client has said all; the backend may still answer its farewell.
        tunnel_ending_ = true;
        tunnel_deadline_ = worker_.reactor.wheel.in(farewell);
        upstream.shutdown_write();
        upstream.input.set_idle_deadline(tunnel_deadline_);
        co_return;
      }
      if (io != Io::ok) {
        abort(Cause::client_gone);
        co_return;
      }
    }
    tunnel_is_used();
    const std::string_view bytes = input.data();
    tap_.tunnel(true, bytes, since_begun(now()));
    worker_.cells.request_body_bytes.add(bytes.size());
    const Io io = co_await upstream.output.write(bytes, timeouts().websocket_idle);
    if (upload_stopped_ || cause_ != Cause::none) co_return;
    if (io != Io::ok) co_return;  // the other direction reads what the backend said last, then its end
    input.consume(bytes.size());
    if (reads % reads_in_a_row == 0) {
      co_await Yield(worker_.reactor);
      if (upload_stopped_ || cause_ != Cause::none) co_return;
    }
  }
}

}  // namespace portico::proxy
