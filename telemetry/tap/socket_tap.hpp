#pragma once
// Watches a WebSocket: cuts both directions into messages, pairs what the client asks with what the server
// answers, and leaves a record for each turn.
//
// The client may be turns ahead of the server. A turn is asked for by response.create or response.append; the
// server's events up to a final one belong to the oldest turn that is not answered. An answer that nobody
// asked for (realtime begins some by itself) is a turn too.
//
// owns:    parsers of both directions, a queue of asked turns, sums over the connection
// threads: one worker
// bytes:   borrowed for the call

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/request_reader.hpp"
#include "telemetry/tap/response_reader.hpp"
#include "telemetry/tap/ws_frames.hpp"

namespace portico::telemetry {

class SocketTap {
 public:
  /// `facts` and `texts` are the connection's: what its request said; they outlive this.
  SocketTap(TapPool& pool, RecordSink& sink, RecordFacts& facts, Texts& texts, SessionRank session,
            const WsExtensions& extensions) noexcept;
  SocketTap(const SocketTap&) = delete;
  SocketTap& operator=(const SocketTap&) = delete;

  /// Bytes of the tunnel; `now_us` since the exchange's start.
  void feed(bool from_client, std::string_view bytes, std::uint64_t now_us) noexcept;

  /// True while a turn waits for its end.
  [[nodiscard]] bool in_turn() const noexcept { return asked_size_ > 0; }
  /// How a connection that ended like this ended in truth.
  [[nodiscard]] Ended settled(Ended how) const noexcept;
  /// The connection is over: turns in flight become records that ended like this, and the sums go into the
  /// connection's facts.
  void finish(Ended how, Timer timer, std::uint64_t now_us) noexcept;

 private:
  /// A turn that was asked for.
  struct Turn {
    explicit Turn(TapPool& pool) noexcept : texts(pool) {}
    std::uint64_t start_us = 0;
    std::uint64_t request_bytes = 0;
    std::uint16_t model_size = 0;
    std::uint16_t tier_size = 0;
    bool warmup = false;
    Scratch texts;  // model, tier and effort, one behind the other
  };
  static constexpr std::size_t max_asked = 8;

  /// One direction's messages.
  class Side final : public WsHandler {
   public:
    Side(SocketTap& tap, bool client) noexcept : tap_(tap), client_(client) {}
    void on_piece(const WsPiece& piece) noexcept override;
    void on_close(std::uint16_t code, std::string_view reason) noexcept override;

   private:
    SocketTap& tap_;
    bool client_;
  };

  void take_asked() noexcept;
  void take_answer() noexcept;
  void queue_turn(std::uint64_t request_bytes, bool warmup) noexcept;
  void end_turn(Ended how, Timer timer) noexcept;
  void push_turn(RecordFacts& record) noexcept;
  void add_up(const RecordFacts& record) noexcept;
  void keep_error(std::uint16_t error_status) noexcept;
  [[nodiscard]] std::string_view turn_text(Text which) const noexcept;

  RecordSink& sink_;
  RecordFacts& facts_;
  Texts& texts_;
  WsFrameReader client_frames_;
  WsFrameReader server_frames_;
  Side client_side_;
  Side server_side_;
  Texts asking_;  // of the client's message that is being read
  Texts asked_;   // what later turns inherit
  Texts answer_;  // of the answer that is being read
  RequestReader request_;
  ResponseReader response_;
  std::array<Turn, max_asked> queue_;  // its first is the one that is being answered, if open_
  std::uint64_t now_us_ = 0;
  std::uint64_t asked_bytes_ = 0;   // of the client's messages since the last turn was asked for
  std::uint64_t answer_bytes_ = 0;  // of the server's messages since the last turn ended
  std::uint64_t first_event_us_ = no_time;
  std::uint64_t first_token_us_ = no_time;
  std::uint8_t asked_first_ = 0;
  std::uint8_t asked_size_ = 0;
  bool open_ = false;
  bool realtime_;
  bool closed_by_client_ = false;
  bool closed_by_server_ = false;
};

}  // namespace portico::telemetry
