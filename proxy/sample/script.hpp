#pragma once
// What a model name asks the sample CPA to do. The name is cut at `,` and `+`; pieces that mean nothing here
// are ignored, so every ordinary name gives an ordinary answer.
//
//   fail-STATUS       400 to 599, in the shape CPA gives that status in the called API
//   fail-FAULT        one of the faults in faults.hpp: revoked, expired, no-base-url, quota, no-such-host,
//                     certificate, connection-reset, context-length, html-404, html-200
//   fail-mid-stream   an error event inside the 200; not streaming: an error after keep-alive blanks
//   end-mid-stream    the stream ends in order, but without its final events; not streaming: an empty 200
//   cut-mid-stream    the connection is closed before the end of the body
//   reset-mid-stream  the same by a TCP reset
//   stall             head and first event, then nothing until the client leaves
//   stall-N           head and N events of text, then nothing until the client leaves
//   mute              an interim 102, so that the client knows it was heard, and no answer until it leaves
//   slow-first-byte   2 s before the head
//   no-usage          an answer without usage
//   long-N            N events of text
//   delay-MS          MS milliseconds between events; not streaming: before the answer
//   fast              no delay
//   blanks            keep-alive blanks before JSON
//   echo-headers      the received request head as JSON
//   gzip, deflate, br, zstd
//                     the answer is compressed, as a hop in between may do; errors too
//
// owns:    plain values
// threads: any; pure functions

#include <chrono>
#include <cstdint>
#include <string_view>

#include "proxy/sample/compress.hpp"
#include "proxy/sample/faults.hpp"

namespace portico::sample {

/// How an answer that began well ends.
enum class Ending : std::uint8_t { complete, error_event, silent, cut, reset, stall };

struct Script {
  FaultName fault = FaultName::none;  ///< what it fails with before the head
  int fail_status = 0;                ///< of FaultName::status
  Ending ending = Ending::complete;
  std::uint64_t stall_after = 1;  ///< events of text before a stall
  bool mute = false;
  bool slow_first_byte = false;
  bool usage = true;
  bool blanks = false;
  bool echo = false;
  ContentCoding coding = ContentCoding::identity;
  std::uint64_t events = 48;  ///< events of text; each counts as one token
  std::chrono::milliseconds delay{40};
  bool delay_given = false;  ///< an answer in one piece waits only when it was asked to

  [[nodiscard]] bool fails() const noexcept { return fault != FaultName::none; }
  /// Events of text before the end, whichever it is: a stream that breaks does so in the middle.
  [[nodiscard]] std::uint64_t events_before_end() const noexcept;
};

/// Reads a model name; a final `(x)` and whatever stands before the last `/` do not count.
Script read_script(std::string_view model);

/// The text of one event: a short passage, word by word, again and again.
std::string_view word(std::uint64_t index) noexcept;

}  // namespace portico::sample
