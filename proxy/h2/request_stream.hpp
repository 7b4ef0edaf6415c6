#pragma once
// One stream of an HTTP/2 connection: a request and its answer, as the Client of one Exchange.
//
// The exchange sees HTTP/1.1. What it reads is the request's head as text, then the body, in the chunked
// coding where its length is not known; what it writes is payload, and heads and the end it says in words
// (respond, interim, finish). The connection moves both between here and the frames.
//
//   request    frames -> append() -> chunks -> receive() -> the exchange's input
//   response   the exchange's output -> send() -> provide() and gather() -> the connection's next write
//
// owns:    what was received and not yet read, at most the stream's window and a head
// threads: its worker
// bytes:   a response's payload is sent from where the exchange has it, and the exchange is told when it has
//          gone
// lifetime: until its exchange has ended, nghttp2 has closed the stream and no byte of it is being written
//
//              exchange runs                      exchange has ended
//   open       (begin)                            the end of the answer is still to be sent
//   closed     its last bytes are being written   (end)
//   lost       the exchange is told               (end)

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list_hook.hpp>

#include "proxy/client.hpp"
#include "proxy/frame_pool.hpp"
#include "proxy/h2/request_text.hpp"
#include "proxy/http/answer.hpp"

namespace portico::proxy::h2 {

class Connection;

using StreamLink =
    boost::intrusive::list_base_hook<boost::intrusive::tag<struct InConnection>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using ReadyLink =
    boost::intrusive::list_base_hook<boost::intrusive::tag<struct Ready>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class RequestStream final : public Client,
                            public Port,
                            public StreamLink,
                            public ReadyLink,
                            public PooledFrame {
 public:
  RequestStream(Connection& connection, std::int32_t id) noexcept;
  ~RequestStream() override;

  // ---- the exchange's words ----
  /// Sends the head of the final response, HTTP/1.1 text that is changed in place. `bodiless`: nothing
  /// follows it. A 101 opens the tunnel.
  void respond(std::span<char> head, bool bodiless) noexcept;
  /// Sends an interim response.
  void interim(std::span<char> head) noexcept;
  /// What is written next is the last of the body. `trailers`: lines, or empty.
  void finish(std::string_view trailers) noexcept;

  // ---- Port ----
  Port::Got receive(Block& block, std::uint32_t& first, std::uint32_t& past) noexcept override;
  [[nodiscard]] bool gone() const noexcept override { return lost_; }
  void wake_input() noexcept override;
  Port::Put send(std::span<iovec> pieces, std::uint64_t& sent) noexcept override;
  void withdraw() noexcept override;
  void shutdown_write() noexcept override { finish({}); }
  void close(bool reset) noexcept override;

 private:
  friend class Connection;

  /// Received bytes, oldest first.
  struct Chunk {
    Block block;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t credit = 0;  // of those, what counts against the windows
  };

  void put_head(const RequestText& text, std::string_view key);
  void append_data(std::string_view data);
  void append(std::string_view bytes, std::uint32_t credit);
  void finish_request(std::string_view trailers);
  void discard() noexcept;
  void dispatch() noexcept;
  void settle(bool written) noexcept;
  void lose() noexcept;
  void note_event(std::uint8_t event) noexcept;
  void leave_offer() noexcept;

  Connection& connection_;
  std::int32_t id_;

  // Request.
  std::vector<Chunk> chunks_;
  std::size_t next_chunk_ = 0;
  std::size_t head_size_ = 0;
  http::AnswerCode refusal_{};  // where the head was refused
  std::string_view objection_;  // and why; a literal
  bool refused_ = false;
  bool chunked_ = false;
  bool tunnel_ = false;
  bool request_ended_ = false;

  // Response.
  std::span<iovec> offered_;
  std::size_t piece_ = 0;  // gathered up to here
  std::size_t piece_offset_ = 0;
  std::size_t total_ = 0;
  std::size_t gathered_ = 0;
  std::size_t written_ = 0;
  std::size_t told_ = 0;
  std::size_t in_flight_ = 0;  // gathered, and in the connection's present write
  std::string trailers_;
  bool offering_ = false;
  bool withdrawn_ = false;
  bool given_up_ = false;  // a part was taken back: the answer can't be completed
  bool responded_ = false;
  bool last_ = false;      // nothing follows what is offered
  bool deferred_ = false;  // nghttp2 waits to be told of more

  // Life.
  static constexpr std::uint8_t input_event = 1;
  static constexpr std::uint8_t output_event = 2;
  static constexpr std::uint8_t withdrawn_event = 4;
  std::uint8_t events_ = 0;
  bool started_ = false;
  bool exchange_done_ = false;
  bool closed_ = false;  // nghttp2 knows the stream no more
  bool lost_ = false;    // the client took it back, or its connection is gone
  bool end_sent_ = false;
  bool retired_ = false;
};

}  // namespace portico::proxy::h2
