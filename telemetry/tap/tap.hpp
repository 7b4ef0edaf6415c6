#pragma once
// The tap: watches one exchange while its bytes pass and leaves one record (a WebSocket: one for each turn
// too).
//
// The exchange calls one function for each thing that happens, with views of the bytes where they lie. A tap
// never waits, never changes a byte, never keeps a view after the call, and never throws: what it can't have
// memory for it leaves out of the record. It knows no clock: the exchange passes times to end().
//
//   request_head -> request_body* -> request_end? -> response_head -> response_body* -> end
//                                     response_head(101) -> tunnel* -> end
//
// Any prefix of that may be followed by end(). Requests and responses may overlap in time.
//
// owns:    the texts of its record (one block of 512 bytes to 8 KiB) and the state of its parsers, all in
// blocks of
//          the worker's pool
// threads: the worker of its exchange
// bytes:   borrowed for the length of the call

#include <cstdint>
#include <memory>
#include <string_view>

#include "telemetry/tap/facts.hpp"
#include "telemetry/tap/key.hpp"
#include "telemetry/tap/pool.hpp"
#include "telemetry/tap/record.hpp"

namespace portico::telemetry {

/// What the taps of one worker share.
struct TapContext {
  RecordSink& sink;
  KeyMarker& keys;
  TapPool pool{};  ///< outlives the taps, as all of this does
};

class Tap {
 public:
  Tap() noexcept;
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  /// First; a tap that was not told of a request ignores everything else, end() included.
  void request_head(TapContext& context, const RequestFacts& facts) noexcept;
  /// Payload, after the transfer coding.
  void request_body(std::string_view payload) noexcept;
  /// The body is complete.
  void request_end() noexcept;
  /// Interim responses are not shown. An answer of Portico's own is not shown either: end() tells of it.
  void response_head(const ResponseFacts& facts) noexcept;
  void response_body(std::string_view payload) noexcept;
  /// Bytes of the tunnel after a 101. `now_us`: since the exchange's start.
  void tunnel(bool from_client, std::string_view bytes, std::uint64_t now_us) noexcept;

  /// True once a first token was in the response; the exchange then notes the time.
  [[nodiscard]] bool first_token_seen() const noexcept;
  /// How the exchange ended in truth: a client that goes right after the dialect's final event has its whole
  /// answer. A response without final events is complete only if the exchange says so.
  [[nodiscard]] Ended settled(Ended how) const noexcept;
  /// Last, once: the record goes to the sink.
  void end(const EndFacts& facts) noexcept;

 private:
  struct State;
  struct Release {
    void operator()(State* state) const noexcept;
  };
  std::unique_ptr<State, Release> state_;
};

}  // namespace portico::telemetry
