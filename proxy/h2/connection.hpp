#pragma once
// One client connection over HTTP/2 (RFC 9113), with nghttp2 as the reader and writer of its frames.
//
//   run          reads, shows nghttp2 what came, lets the streams that have news go on
//   write        gathers frames and the payload they carry into one write after another
//   serve        runs the exchange of one stream
//
// Flow control is the back-pressure: a stream's window opens as its exchange takes what was received, and
// what an exchange writes is read by nghttp2 when the client's windows have room for it. So a stream that
// stands still holds up its own backend and nobody else.
//
// Nothing of ours runs inside a callback of nghttp2: callbacks note what happened, and turn() goes on with
// the streams afterwards.
//
// owns:    the nghttp2 session, the streams
// threads: its worker
// bytes:   frame heads and header blocks are copied into the connection's write, payload is not
// memory:  received and not yet read: a window for each stream, and for all of them together little more than
//          most_buffered

#include <nghttp2/nghttp2.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "proxy/h2/frame_follower.hpp"
#include "proxy/h2/patience.hpp"
#include "proxy/h2/request_stream.hpp"
#include "proxy/h2/request_text.hpp"
#include "proxy/h2/response_fields.hpp"
#include "proxy/task.hpp"
#include "proxy/worker.hpp"

namespace portico::proxy::h2 {

/// The client's first bytes (RFC 9113 section 3.4).
inline constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class Connection {
 public:
  /// Window of one stream, and what all streams of a connection may hold together before the client's sending
  /// is held up as a whole.
  static constexpr std::int32_t stream_window = 131'072;
  static constexpr std::size_t most_buffered = 1'048'576;
  /// What the heads of all requests in progress may take together, where there are several. Compressed, a
  /// head of 64 KiB can be a hundred bytes.
  static constexpr std::size_t most_heads = 524'288;

  /// `client` is the connection as a whole, its input at the first byte of HTTP/2.
  explicit Connection(Client& client);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Serves the connection to its end; client.end then says how to close it. When it returns no stream is
  /// left.
  Task<void> run();

  /// Takes no new requests, lets those that run finish, then ends.
  void on_drain() noexcept;
  /// Ends every exchange now.
  void on_cut() noexcept;

 private:
  friend class RequestStream;
  struct FreeSession {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  using StreamList = boost::intrusive::list<RequestStream, boost::intrusive::base_hook<StreamLink>,
                                            boost::intrusive::constant_time_size<false>>;
  using ReadyList = boost::intrusive::list<RequestStream, boost::intrusive::base_hook<ReadyLink>,
                                           boost::intrusive::constant_time_size<false>>;

  // connection.cpp
  bool start();
  bool receive(std::string_view bytes);
  void turn() noexcept;
  void schedule() noexcept;
  void run_ready() noexcept;
  void leave(RequestStream& stream) noexcept;
  void retire(RequestStream& stream) noexcept;
  [[nodiscard]] bool over() const noexcept;
  [[nodiscard]] Deadline deadline() noexcept;
  void terminate(std::uint32_t code) noexcept;
  void say_goodbye() noexcept;
  void abandon_streams() noexcept;
  void stream_done(RequestStream& stream) noexcept;
  static Detached serve(Connection& connection, RequestStream& stream);
  Task<void> wind_up();

  // writer.cpp
  Task<void> write();
  void gather();
  void settle(bool written) noexcept;
  void data_ready(RequestStream& stream) noexcept;
  void put(std::string_view bytes);

  // callbacks.cpp
  static nghttp2_session_callbacks* callbacks();
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t flags, void* self);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* self);
  static int on_data(nghttp2_session*, std::uint8_t flags, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* self);
  static int on_stream_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* self);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static ssize_t provide(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t room,
                         std::uint32_t* flags, nghttp2_data_source* source, void* self);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* self);
  void on_request(RequestStream& stream, bool ended);
  void tolerate(Nuisance kind) noexcept;
  [[nodiscard]] RequestStream* stream_of(std::int32_t id) const noexcept;
  void credit(std::size_t taken) noexcept;
  void release(RequestStream& stream, std::size_t size) noexcept;

  Client& client_;
  Worker& worker_;
  ConfigPtr config_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  StreamList streams_;
  std::size_t stream_count_ = 0;
  StreamList dead_;  // nobody needs them any more
  ReadyList ready_;
  Patience patience_;
  FrameFollower frame_follower_{preface.size()};
  RequestText text_;
  std::int32_t text_stream_ = 0;  // whose head that is
  TrailerText trailers_;
  ResponseFields fields_;

  std::size_t heads_size_ = 0;
  std::size_t buffered_ = 0;  // received and not yet read, of all streams
  std::size_t owed_ = 0;      // of the connection's window, not given back because of that
  Deadline head_deadline_ = Deadline::never;
  std::uint64_t timed_head_ = 0;  // the head that it is for
  Deadline idle_deadline_ = Deadline::never;
  Deadline goodbye_deadline_ = Deadline::never;  // for the answer to the ping of a drain

  // The present write.
  Fork writer_;
  Block frames_;
  std::size_t frames_size_ = 0;
  std::vector<iovec> pieces_;
  std::vector<RequestStream*> writing_;

  std::coroutine_handle<> finished_;  // run(), waiting for the streams and the writer
  bool scheduled_ = false;
  bool draining_ = false;
  bool asked_ = false;   // a ping of ours is on its way
  bool ending_ = false;  // our last word is said or queued
  bool broken_ = false;  // nghttp2 or the socket can't go on
};

}  // namespace portico::proxy::h2
