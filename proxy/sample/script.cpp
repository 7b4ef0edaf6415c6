#include "proxy/sample/script.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace portico::sample {
namespace {

constexpr std::uint64_t max_events = 10'000'000;
constexpr std::uint64_t max_delay_ms = 3'600'000;

std::optional<std::uint64_t> number_after(std::string_view piece, std::string_view prefix) {
  if (!piece.starts_with(prefix)) return std::nullopt;
  piece.remove_prefix(prefix.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(piece.data(), piece.data() + piece.size(), value);
  if (error != std::errc{} || end != piece.data() + piece.size()) return std::nullopt;
  return value;
}

void set_delay(Script& script, std::uint64_t milliseconds) {
  script.delay = std::chrono::milliseconds(std::min(milliseconds, max_delay_ms));
  script.delay_given = true;
}

constexpr std::string_view fail = "fail-";

void apply(Script& script, std::string_view piece) {
  if (piece == "fail-mid-stream") {
    script.ending = Ending::error_event;
  } else if (piece == "end-mid-stream") {
    script.ending = Ending::silent;
  } else if (piece == "cut-mid-stream") {
    script.ending = Ending::cut;
  } else if (piece == "reset-mid-stream") {
    script.ending = Ending::reset;
  } else if (piece == "stall") {
    script.ending = Ending::stall;
  } else if (const auto events_before = number_after(piece, "stall-")) {
    script.ending = Ending::stall;
    script.stall_after = *events_before;
  } else if (piece == "mute") {
    script.mute = true;
  } else if (piece == "slow-first-byte") {
    script.slow_first_byte = true;
  } else if (piece == "no-usage") {
    script.usage = false;
  } else if (piece == "blanks") {
    script.blanks = true;
  } else if (piece == "echo-headers") {
    script.echo = true;
  } else if (piece == "fast") {
    set_delay(script, 0);
  } else if (const auto status = number_after(piece, "fail-"); status && *status >= 400 && *status <= 599) {
    script.fault = FaultName::status;
    script.fail_status = static_cast<int>(*status);
  } else if (piece.starts_with(fail) && fault_named(piece.substr(fail.size())) != FaultName::none) {
    script.fault = fault_named(piece.substr(fail.size()));
  } else if (const auto coding = coding_named(piece); coding != ContentCoding::identity) {
    script.coding = coding;
  } else if (const auto events = number_after(piece, "long-")) {
    script.events = std::clamp<std::uint64_t>(*events, 1, max_events);
  } else if (const auto delay = number_after(piece, "delay-")) {
    set_delay(script, *delay);
  }
}

}  // namespace

std::uint64_t Script::events_before_end() const noexcept {
  switch (ending) {
    case Ending::complete:
      return events;
    case Ending::stall:
      return stall_after;
    default:
      return std::max<std::uint64_t>(1, events / 2);
  }
}

Script read_script(std::string_view model) {
  if (model.ends_with(')')) model = model.substr(0, model.rfind('('));
  if (const auto slash = model.rfind('/'); slash != std::string_view::npos) model.remove_prefix(slash + 1);
  Script script;
  while (!model.empty()) {
    const auto end = model.find_first_of(",+");
    apply(script, model.substr(0, end));
    model = end == std::string_view::npos ? std::string_view{} : model.substr(end + 1);
  }
  return script;
}

std::string_view word(std::uint64_t index) noexcept {
  static constexpr std::array words = std::to_array<std::string_view>(
      {"This ",     "is ",   "the ",     "sample ",   "behind ", "Portico, ", "not ",     "a ",
       "model. ",   "It ",   "says ",    "what ",     "it ",     "was ",      "written ", "to ",
       "say, ",     "one ",  "word ",    "an ",       "event, ", "so ",       "that ",    "you ",
       "can ",      "see ",  "them ",    "arrive ",   "in ",     "their ",    "own ",     "time: ",
       "larch, ",   "yew, ", "落叶松, ", "tilleul, ", "oak. ",   "Nothing ",  "here ",    "was ",
       "thought, ", "and ",  "no ",      "token ",    "was ",    "paid ",     "for. ",    "🌲 "});
  return words[index % words.size()];
}

}  // namespace portico::sample
