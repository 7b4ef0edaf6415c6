#pragma once
// One request and its response: the heart of the data plane.
//
// The life of an exchange, in the order of the files:
//   exchange.cpp           run: admit the request, find its owner, answer or relay, finish
//   exchange_request.cpp   connect, send head and body, follow the client while the response is awaited
//   exchange_response.cpp  read the response head, relay head and body
//   tunnel.cpp             after a 101: bytes both ways
//
// Two things happen at once: the request side (an upload, or a watch on the client for its leaving) and the
// response side (the coroutine of run()). Whichever meets trouble calls abort() with the cause, which closes
// the upstream connection and so wakes the other; run() then decides what the client is told. finish()
// records, exactly once, on every path.
//
// owns:    the lease on the upstream connection, the rewritten head until the response begins
// threads: its worker
// bytes:   the request head lies in the client's input until the response head has arrived, so that it can be
// replayed

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/client.hpp"
#include "proxy/h1/body.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/moment.hpp"
#include "proxy/upstream.hpp"
#include "proxy/worker.hpp"
#include "telemetry/tap/tap.hpp"

namespace portico::proxy {

/// Why an exchange ended before its response was complete.
enum class Cause : std::uint8_t {
  none,
  client_gone,            ///< the client closed or reset its connection
  client_stalled,         ///< it did not read for timeouts.client_write
  request_timeout,        ///< its body did not come for timeouts.request_body
  request_malformed,      ///< its body broke the chunked coding
  request_too_large,      ///< its body is above the limit
  upstream_unreachable,   ///< no endpoint could be connected to
  upstream_insecure,      ///< TLS with the only endpoint left could not be set up
  out_of_descriptors,     ///< Portico itself could not open a socket
  connect_timeout,        ///< timeouts.connect passed
  response_head_timeout,  ///< timeouts.response_head passed
  response_body_timeout,  ///< timeouts.response_body passed
  response_malformed,     ///< it broke the rules of framing, or an unasked 101 came
  upstream_broke_off,     ///< the backend ended its connection before the response was complete
  cut,                    ///< the process is ending
};

class Exchange {
 public:
  /// The head is the first `head_size` bytes of the client's input.
  Exchange(Client& client, std::size_t head_size) noexcept;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Runs it to its end. True when the client's connection may carry another exchange; otherwise client.end
  /// says how to close.
  Task<bool> run();

  /// For a request whose head could not be read: answers, and the client ends.
  static Task<void> refuse_head(Client& client, http::AnswerCode code, std::string_view sentence,
                                std::string_view head);
  /// Counts and records a request that was answered by Portico without becoming an exchange. What is not
  /// known is empty.
  static void account_for_refusal(Worker& worker, telemetry::ListenerLabel listener, const http::Peer& peer,
                                  std::string_view method, std::string_view target,
                                  std::string_view request_id, http::AnswerCode code);

  /// Ends it from outside or from its other side. The first cause counts.
  void abort(Cause cause) noexcept;

 private:
  /// What admit() decided that Portico answers itself. Without a destructor: GCC 12 ends a temporary in a
  /// co_await expression twice.
  struct OwnAnswer {
    std::optional<http::AnswerCode> error;
    std::string_view sentence;
    const routing::Route* route = nullptr;  // a redirect or fixed answer
    std::chrono::seconds retry_after{0};    // where the answer knows it better than its table
    bool written = false;                   // in text_
  };

  // exchange.cpp
  std::optional<OwnAnswer> admit();
  std::optional<OwnAnswer> admit_body();
  std::optional<OwnAnswer> admit_client(const h1::RequestHead& request);
  OwnAnswer send_to_https(const h1::RequestHead& request);
  void find_client(const h1::RequestHead& request);
  void start_tap(const h1::RequestHead& request, std::string_view path);
  void write_head(const h1::RequestHead& request);
  [[nodiscard]] std::string_view request_id() const noexcept { return {request_id_, request_id_length_}; }
  Task<bool> relay();
  Task<bool> answer(OwnAnswer own);
  [[nodiscard]] http::AnswerFacts answer_facts() noexcept;
  static Output::Write write_answer(Client& client, std::string& text, std::chrono::milliseconds gap);
  Task<bool> answer_cause();
  void finish(telemetry::Ended how, int status) noexcept;
  [[nodiscard]] telemetry::RouteLabel route_label() const noexcept;
  [[nodiscard]] std::uint8_t http_version() const noexcept;
  [[nodiscard]] std::uint64_t since_begun(Moment moment) const noexcept { return (moment - begun_) / 1000; }
  void finish_with_cause() noexcept;
  void complain() const noexcept;
  [[nodiscard]] const conf::Timeouts& timeouts() const noexcept { return config_->settings.timeouts; }

  /// What a body's framing made of some bytes.
  struct Fed {
    std::size_t consumed = 0;
    std::size_t forward = 0;  // of those, from the front, what goes on as it is
    h1::BodyReader::Status status = h1::BodyReader::Status::more;
  };

  // exchange_request.cpp
  Fed feed_request(std::string_view input) noexcept;
  Task<bool> acquire(bool fresh);
  Task<void> send_request();
  [[nodiscard]] bool may_replay() const noexcept;
  Task<void> upload();
  Task<void> stop_upload();
  void watch_client() noexcept;
  static void on_client_event(void* self) noexcept;

  // exchange_response.cpp
  enum class HeadResult : std::uint8_t { final, tunnel, died, failed };
  Task<HeadResult> read_response_head();
  Task<bool> relay_interim(const h1::ResponseHead& head);
  Task<bool> relay_response();
  void note_refused_key();
  void decide_connection() noexcept;
  Block write_response_head();
  template <class Take>
  Fed feed_response(std::string_view input, Take take) noexcept;
  Task<bool> relay_body(Block head);
  Output::Write write_raw(std::string_view head, std::string_view input, Fed& fed);
  Output::Write write_payload(std::span<char> head, std::string_view input, Fed& fed, Block& runs);

  // tunnel.cpp
  Task<void> tunnel();
  Task<void> tunnel_upward();
  void tunnel_is_used() noexcept;

  Client& side_;
  Worker& worker_;
  Stream& client_;
  h2::RequestStream* h2_;  // null over HTTP/1.1
  ConfigPtr config_;
  std::size_t head_size_;

  // What is kept of the request.
  http::AnswerShape shape_ = http::AnswerShape::json;
  telemetry::Dialect dialect_ = telemetry::Dialect::other;
  const routing::Route* route_ = nullptr;
  char request_id_[128];
  std::uint8_t request_id_length_ = 0;
  std::uint8_t client_minor_ = 1;
  bool head_request_ = false;
  bool idempotent_ = false;
  bool management_ = false;  // under /v0/management/: never repeated
  bool has_body_ = false;
  bool client_keep_alive_ = false;
  bool te_trailers_ = false;
  bool websocket_ = false;
  bool peer_trusted_ = false;
  bool key_presented_ = false;
  ClientNetwork failing_client_;  // whom a refused key counts against; nobody for an exempt one
  std::string websocket_key_;

  // Request side.
  Block head_out_;
  std::size_t head_out_size_ = 0;
  std::size_t initial_ = 0;          // bytes of the input after the head that belong to the body
  std::size_t initial_forward_ = 0;  // of those, what goes on as it is
  h1::BodyReader request_body_;
  std::uint64_t request_payload_ = 0;
  std::uint64_t body_limit_ = 0;
  // Two different ends of a request: only what was taken off the client's input can't be read as its next
  // request, and only what was handed to the kernel whole leaves the upstream connection at the end of a
  // message.
  bool request_consumed_ = false;
  bool request_sent_ = false;
  bool body_began_ = false;      // bytes of the body were given to the present upstream connection
  bool head_began_ = false;      // bytes of the head were
  bool input_released_ = false;  // head and initial body are consumed
  bool upload_stopped_ = false;
  Fork upload_;

  // Response side.
  Lease lease_;
  Stream* connecting_ = nullptr;
  Deadline head_deadline_ = Deadline::never;
  std::size_t response_head_size_ = 0;  // as received
  std::size_t response_head_out_ = 0;   // as the client gets it
  h1::ResponseHead response_;
  h1::BodyReader response_body_;
  int status_ = 0;
  bool relayed_ = false;       // bytes of a final response went to the client
  bool close_client_ = false;  // the client was told, or will find, that its connection ends
  bool payload_only_ = false;  // HTTP/1.0 and HTTP/2 don't know the chunked coding
  bool tunnelling_ = false;
  bool tunnel_ending_ = false;
  bool tunnel_timed_out_ = false;
  Deadline tunnel_deadline_ = Deadline::never;

  // What the record says of times; 0 where it did not come to that.
  Moment begun_ = now();
  Moment waited_ = 0;        // for connections to the upstream, and on one that died, in nanoseconds
  Moment request_out_ = 0;   // the head was handed to the upstream's socket
  Moment response_in_ = 0;   // the response's head was there
  Moment response_out_ = 0;  // it was handed to the client's socket
  Moment first_token_ = 0;
  Moment ended_ = 0;  // where finish() need not ask the clock once more
  telemetry::EndpointLabel endpoint_{telemetry::no_label};
  bool reused_ = false;
  bool own_answer_ = false;
  std::string_view own_code_;  // a literal
  telemetry::Tap tap_;

  Cause cause_ = Cause::none;
  // Whichever there is: an answer that depends on the head, trailers of the response while they are written,
  // or what is wrong with the upstream's TLS.
  std::string text_;
  std::string_view detail_;  // of a malformed response: what is wrong with it
  bool finished_ = false;
};

}  // namespace portico::proxy
