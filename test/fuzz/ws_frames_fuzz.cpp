// The frames of a WebSocket tell the same however they arrive, and the marks of pieces pair up.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/ws_frames.hpp"

using namespace portico::telemetry;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

class Told final : public WsHandler {
 public:
  void on_piece(const WsPiece& piece) noexcept override {
    check(piece.first != in_message_);
    check(piece.first || piece.last || !piece.bytes.empty());
    if (piece.first) said += piece.text ? "\ntext " : "\nbinary ";
    said += piece.bytes;
    in_message_ = !piece.last;
    if (piece.last) said += "\nend";
  }
  void on_close(std::uint16_t code, std::string_view reason) noexcept override {
    check(reason.size() <= 123);
    said += "\nclose " + std::to_string(code) + " ";
    said += reason;
  }
  std::string said;

 private:
  bool in_message_ = false;
};

WsFrameReader::Status read(const WsExtensions& extensions, WsFrameReader::Sender sender,
                           std::string_view bytes, std::size_t step, Told& told) {
  WsFrameReader reader(sender, extensions);
  for (std::size_t at = 0; at < bytes.size(); at += step) reader.feed(bytes.substr(at, step), told);
  return reader.status();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  read_ws_extensions(bytes);
  const WsExtensions extensions{.deflate = (data[0] & 2U) != 0,
                                .client_no_context_takeover = (data[0] & 4U) != 0,
                                .server_no_context_takeover = (data[0] & 4U) != 0};
  const auto sender = (data[0] & 1U) != 0 ? WsFrameReader::Sender::client : WsFrameReader::Sender::server;
  Told whole;
  Told split;
  const auto expected = read(extensions, sender, bytes, bytes.size() + 1, whole);
  const auto status = read(extensions, sender, bytes, data[1] + 1U, split);
  if (expected == WsFrameReader::Status::open || expected == WsFrameReader::Status::closed) {
    check(status == expected && split.said == whole.said);
  }
  return 0;
}
