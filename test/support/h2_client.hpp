#pragma once
// An honest client of HTTP/2 (nghttp2), in cleartext with prior knowledge or under TLS with ALPN: many
// streams on one connection, each driven and looked at by the test. For what no honest client sends there is
// h2_frames.hpp.
//
// owns:    its connection and everything that came on its streams, until it goes
// threads: one. Nothing happens between calls: windows are credited, PING and SETTINGS answered while a call
// waits errors:  WireError when a wait reaches its deadline or the connection ends under it, ProtocolError
// for what no
//          server may send. How a stream ended is no error but H2Response::end.

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/client.hpp"
#include "test/support/h2_message.hpp"
#include "test/support/websocket.hpp"

namespace portico::test {

struct H2ClientOptions {
  ClientOptions connection = {};          ///< with TLS, `h2` is offered unless its ALPN list says otherwise
  std::uint32_t initial_window = 65'535;  ///< of each stream, bytes
  std::uint32_t connection_window = 65'535;  ///< bytes, at least that
  std::uint32_t max_frame_size = 16'384;
};

/// A GOAWAY of the peer.
struct H2Goaway {
  std::int32_t last_stream = 0;
  H2Error code = H2Error::no_error;
  std::string debug;
};

class H2Client {
 public:
  using StreamId = std::int32_t;

  /// Connects, and sends preface and settings. Throws WireError, also when TLS agrees on anything but h2.
  explicit H2Client(const Address& address, const H2ClientOptions& options = {},
                    Deadline deadline = patience());
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;
  ~H2Client();

  /// The pseudo-headers of a request for `front.example` in this connection's scheme, then `more`.
  [[nodiscard]] H2Fields head(std::string_view method, std::string_view path,
                              const H2Fields& more = {}) const;

  /// Opens a stream. Without a body END_STREAM is on the head.
  StreamId open(const H2Fields& request);
  /// With the whole body behind it.
  StreamId open(const H2Fields& request, std::string body);
  /// Leaves the request open: send_data, then finish or send_trailers.
  StreamId open_upload(const H2Fields& request);
  /// Queues bytes of a request body; what the windows allow leaves at once.
  void send_data(StreamId stream, std::string_view bytes);
  /// END_STREAM behind what is queued.
  void finish(StreamId stream);
  /// Trailers with END_STREAM behind what is queued.
  void send_trailers(StreamId stream, H2Fields trailers);
  /// RST_STREAM.
  void reset(StreamId stream, H2Error code = H2Error::cancel);
  /// Bytes of a request body that the peer's windows hold back.
  [[nodiscard]] std::size_t unsent(StreamId stream) const { return streams_.at(stream)->unsent(); }
  /// Waits until all queued bytes have left or the stream ended; false at the deadline.
  bool wait_sent(StreamId stream, Deadline deadline = patience());

  /// What came on a stream so far.
  [[nodiscard]] const H2Response& response(StreamId stream) const { return streams_.at(stream)->response; }
  /// Waits for the final head. Throws WireError when the stream ends without one.
  const H2Response& wait_head(StreamId stream, Deadline deadline = patience());
  /// Waits for `count` interim heads in all.
  const H2Response& wait_interim(StreamId stream, std::size_t count, Deadline deadline = patience());
  /// Waits until at least `bytes` of the body came in all.
  const H2Response& wait_body(StreamId stream, std::size_t bytes, Deadline deadline = patience());
  /// Waits until the stream ended, in whichever way.
  const H2Response& wait_end(StreamId stream, Deadline deadline = patience());
  /// open, then wait_end.
  const H2Response& exchange(const H2Fields& request) { return wait_end(open(request)); }
  const H2Response& exchange(const H2Fields& request, std::string body) {
    return wait_end(open(request, std::move(body)));
  }
  /// The next `bytes` of the body that this function did not return yet.
  std::string read_exact(StreamId stream, std::size_t bytes, Deadline deadline = patience());
  /// Shows payload to `sink` as it arrives, instead of keeping it in H2Response::body.
  void set_sink(StreamId stream, Sink sink) { streams_.at(stream)->sink = std::move(sink); }
  /// Bytes of the body so far, kept or not.
  [[nodiscard]] std::uint64_t body_size(StreamId stream) const { return streams_.at(stream)->received; }

  /// From now on what arrives on this stream is not credited to its window, but still to the connection's.
  void hold(StreamId stream) { streams_.at(stream)->held = true; }
  /// Credits what was held back, and what comes from now on.
  void release(StreamId stream);
  /// As hold and release, for the window of the connection.
  void hold_connection() { held_ = true; }
  void release_connection();

  /// Takes in what comes until `condition()` holds; false at the deadline or when the connection ended
  /// before.
  bool wait_until(const std::function<bool()>& condition, Deadline deadline = patience());
  /// Takes in what comes for `time`: for what must not happen.
  void listen_for(milliseconds time);
  /// A PING and its answer; false at the deadline or when the connection ended.
  bool ping(Deadline deadline = patience());
  /// GOAWAY of this side, then the end of the connection in order.
  void say_goodbye();

  /// True once the peer's SETTINGS came.
  [[nodiscard]] bool has_settings() const { return has_settings_; }
  /// The peer's value of a setting, or the protocol's default.
  [[nodiscard]] std::uint32_t setting(nghttp2_settings_id id) const;
  /// May extended CONNECT be used (RFC 8441)? Waits for the SETTINGS.
  bool takes_extended_connect(Deadline deadline = patience());
  /// GOAWAYs so far, the first one first.
  [[nodiscard]] const std::vector<H2Goaway>& goaways() const { return goaways_; }
  /// How the connection ended; empty while it lasts.
  [[nodiscard]] std::optional<Outcome> ended() const { return ended_; }
  /// Waits for the end of the connection. Throws WireError at the deadline.
  Outcome wait_closed(Deadline deadline = patience());
  /// The connection below: what TLS agreed on, its reset and its break-off.
  [[nodiscard]] Client& wire() { return wire_; }

 private:
  struct Stream {
    H2Response response;
    [[nodiscard]] std::size_t unsent() const { return outgoing.size() - sent; }

    std::string outgoing;
    std::size_t sent = 0;  // of outgoing
    bool outgoing_ends = false;
    bool was_reset = false;  // by this side
    std::optional<H2Fields> trailers_out;
    Sink sink;
    std::uint64_t received = 0;
    std::size_t taken = 0;  // of response.body, by read_exact
    bool held = false;
    std::size_t owed = 0;  // to the stream's window, while held
  };
  struct Callbacks;

  StreamId submit(const H2Fields& request, std::unique_ptr<Stream> stream, bool has_body);
  Stream& at(StreamId stream) { return *streams_.at(stream); }
  void end(Stream& stream, H2End how, H2Error code = H2Error::no_error);
  void queue_frames();
  void flush();
  void take_in();
  void connection_ended(Outcome outcome);
  void demand(bool came, StreamId stream, const char* what);

  Client wire_;
  bool tls_;
  std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)> session_;
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  std::string out_;  // frames that the kernel did not take yet
  H2Fields fields_;  // of the head that is arriving
  std::vector<H2Goaway> goaways_;
  std::optional<Outcome> ended_;
  std::string broken_rule_;
  std::size_t pings_answered_ = 0;
  std::size_t owed_ = 0;  // to the connection's window, while held
  bool held_ = false;
  bool has_settings_ = false;
};

/// The fields of an extended CONNECT that opens a WebSocket (RFC 8441 section 5).
H2Fields websocket_connect(const H2Client& client, std::string_view path, const H2Fields& more = {});
/// The next WebSocket frame on a stream.
websocket::Frame read_frame(H2Client& client, H2Client::StreamId stream, Deadline deadline = patience());

}  // namespace portico::test
