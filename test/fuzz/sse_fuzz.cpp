// The events of a stream do not depend on where its bytes are cut, nor on which line end it uses.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/sse.hpp"

using namespace portico::telemetry;

namespace {

struct Recorder {
  std::string events{};
  std::string name{};
  std::string data{};

  void sse_data(std::string_view piece) { data += piece; }
  void sse_name(std::string_view piece) {
    if (piece.empty()) name.clear();
    name += piece;
  }
  void sse_dispatch() {
    events += name + '\x1e' + data + '\x1f';
    name.clear();
    data.clear();
  }
  void sse_discard() { name.clear(); }
};

std::string read(std::string_view bytes, std::size_t step) {
  Recorder recorder;
  SseSplitter splitter;
  while (!bytes.empty()) {
    const std::string piece(bytes.substr(0, step));
    splitter.feed(piece, recorder);
    bytes.remove_prefix(piece.size());
  }
  return recorder.events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = read(bytes, size);
  if (read(bytes, 1) != whole || read(bytes, data[0] + 1U) != whole) __builtin_trap();
  if (bytes.find('\r') != std::string_view::npos) return 0;
  std::string with_crlf;
  for (const char byte : bytes) {
    if (byte == '\n') with_crlf += '\r';
    with_crlf += byte;
  }
  if (read(with_crlf, data[0] + 1U) != whole) __builtin_trap();
  return 0;
}
