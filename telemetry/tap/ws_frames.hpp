#pragma once
// Reads the frames of one direction of a WebSocket (RFC 6455, permessage-deflate: RFC 7692): bytes of the
// tunnel in, the messages' plain bytes out.
//
// Messages are streamed in pieces, whatever their size, and never collected. Control frames may stand between
// fragments. Input may be cut anywhere.
//
// owns:    125 bytes for a close frame; from the first compressed message on, an inflater (at most 48 KiB)
// threads: one at a time
// bytes:   input is borrowed for the call; a piece is borrowed by the handler for its call. Unmasked plain
// bytes
//          are handed on where they lie
// errors:  never throws; without memory the status is error

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "telemetry/tap/decoder.hpp"

namespace portico::telemetry {

/// What a 101's Sec-WebSocket-Extensions agreed on.
struct WsExtensions {
  bool readable =
      true;  ///< false: an extension or parameter that is not known may change the meaning of frames
  bool deflate = false;
  bool client_no_context_takeover = false;
  bool server_no_context_takeover = false;
  std::uint8_t client_window_bits = 15;
  std::uint8_t server_window_bits = 15;
  friend bool operator==(const WsExtensions&, const WsExtensions&) = default;
};

/// Reads the field's value; several fields joined by commas are one. Empty: no extension.
WsExtensions read_ws_extensions(std::string_view value) noexcept;

/// A part of a message. `first` and `last` mark the message's ends; `bytes` may be empty at these.
struct WsPiece {
  std::string_view bytes;
  bool text = true;  ///< else binary
  bool first = false;
  bool last = false;
};

/// What a reader tells. Pings and pongs are passed over.
class WsHandler {
 public:
  virtual ~WsHandler() = default;
  virtual void on_piece(const WsPiece& piece) noexcept = 0;
  /// A close frame: `code` is 1005 where it has none; the reason is at most 123 bytes, as sent.
  virtual void on_close(std::uint16_t code, std::string_view reason) noexcept = 0;
};

class WsFrameReader {
 public:
  enum class Sender : std::uint8_t { client, server };
  enum class Status : std::uint8_t {
    open,      ///< more may come
    closed,    ///< a close frame was read; further input is ignored
    error,     ///< a violation of the protocol, broken compression, or no memory; further input is ignored
    too_much,  ///< inflated beyond the bounds; further input is ignored
  };
  /// The longest piece of a masked or compressed message.
  static constexpr std::size_t piece_limit = std::size_t{4} * 1024;

  /// Not readable extensions: in error from the start. Client frames must be masked, a server's must not be.
  /// A length in more bytes than it needs is taken as it is: peers do so.
  WsFrameReader(Sender sender, const WsExtensions& extensions) noexcept;
  ~WsFrameReader();
  WsFrameReader(WsFrameReader&&) noexcept;
  WsFrameReader& operator=(WsFrameReader&&) noexcept;

  Status feed(std::string_view bytes, WsHandler& handler) noexcept;
  [[nodiscard]] Status status() const noexcept { return status_; }
  /// True between a message's first frame and its end.
  [[nodiscard]] bool in_message() const noexcept { return in_message_; }

  class Inflater;

 private:
  std::size_t read_head(std::string_view bytes) noexcept;
  Status begin_frame() noexcept;
  void begin_message(bool text, bool compressed) noexcept;
  std::size_t read_payload(std::string_view bytes, WsHandler& handler) noexcept;
  void read_data(std::string_view bytes, WsHandler& handler) noexcept;
  void emit(std::string_view bytes, bool last, WsHandler& handler) noexcept;
  void inflate(std::string_view bytes, WsHandler& handler) noexcept;
  void end_frame(WsHandler& handler) noexcept;
  void end_message(WsHandler& handler) noexcept;
  void fail(Status status) noexcept;

  std::unique_ptr<Inflater> inflater_;
  std::uint64_t remaining_ = 0;     ///< of the frame's payload
  std::uint64_t deflated_in_ = 0;   ///< of all messages, for the bounds
  std::uint64_t inflated_out_ = 0;  ///< the same
  std::array<char, 14> head_{};     ///< of the frame, as far as it came
  std::array<char, 125> close_{};   ///< payload of the close frame, as far as it came
  std::array<char, 4> mask_{};
  std::uint8_t head_size_ = 0;
  std::uint8_t close_size_ = 0;
  std::uint8_t mask_at_ = 0;  ///< index in mask_ of the next byte's key
  std::uint8_t opcode_ = 0;   ///< of the frame
  std::uint8_t window_bits_ = 15;
  Status status_ = Status::open;
  bool client_ = false;
  bool deflate_ = false;
  bool takeover_ = false;
  bool in_payload_ = false;
  bool final_ = false;  ///< FIN of the frame
  bool in_message_ = false;
  bool text_ = true;
  bool compressed_ = false;  ///< RSV1 of the message's first frame
  bool begun_ = false;       ///< a piece of the message was handed on
};

}  // namespace portico::telemetry
