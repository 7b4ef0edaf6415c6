#pragma once
// What a model name asks the sample CPA to do. The name is cut at `,` and `+`; pieces that mean nothing here
// are ignored, so every ordinary name gives an ordinary answer.
//
//   fail-STATUS       400 to 599, in the shape CPA gives that status in the called API
//   fail-html-404     the provider's web server answered with a page
//   fail-mid-stream   an error event inside the 200; not streaming: an error after keep-alive blanks
//   cut-mid-stream    the connection is closed before the end of the body
//   reset-mid-stream  the same by a TCP reset
//   stall             head and first event, then nothing until the client leaves
//   slow-first-byte   2 s before the head
//   no-usage          an answer without usage
//   long-N            N events of text
//   delay-MS          MS milliseconds between events; not streaming: before the answer
//   fast              no delay
//   blanks            keep-alive blanks before JSON
//   echo-headers      the received request head as JSON
//
// owns:    plain values
// threads: any; pure functions

#include <chrono>
#include <cstdint>
#include <string_view>

namespace portico::sample {

/// How an answer that began well ends.
enum class Ending : std::uint8_t { complete, error_event, cut, reset, stall };

struct Script {
  int fail_status = 0;     ///< 0: does not fail before the head
  bool html_page = false;  ///< fail_status came as a web page
  Ending ending = Ending::complete;
  bool slow_first_byte = false;
  bool usage = true;
  bool blanks = false;
  bool echo = false;
  std::uint64_t events = 48;  ///< events of text; each counts as one token
  std::chrono::milliseconds delay{40};
  bool delay_given = false;  ///< an answer in one piece waits only when it was asked to
};

/// Reads a model name; a final `(x)` and whatever stands before the last `/` do not count.
Script read_script(std::string_view model);

/// The text of one event: a short passage, word by word, again and again.
std::string_view word(std::uint64_t index) noexcept;

}  // namespace portico::sample
