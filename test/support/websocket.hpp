#pragma once
// Just enough of RFC 6455 for both ends of a test: handshake and frames.
//
// owns:    nothing
// threads: any

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "test/support/message.hpp"
#include "test/support/origin.hpp"
#include "test/support/wire.hpp"

namespace portico::test::websocket {

/// The key that handshake() sends.
inline constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";

/// The Sec-WebSocket-Accept that belongs to `client_key`.
std::string accept_for(std::string_view client_key);
/// A client's opening request.
std::string handshake(std::string_view path, const std::vector<std::string>& lines = {});
/// The 101 that belongs to `request`.
std::string accepted(const Message& request, const std::vector<std::string>& lines = {});

enum class Opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct Frame {
  Opcode opcode = Opcode::text;
  bool masked = false;
  std::string payload;  ///< unmasked
};

/// A final frame as a client sends it: masked.
std::string client_frame(Opcode opcode, std::string_view payload, std::uint32_t mask = 0x5aa50ff0);
/// A final frame as a server sends it.
std::string server_frame(Opcode opcode, std::string_view payload);
/// Returns exactly the next so many bytes, or throws.
using Reader = std::function<std::string(std::size_t)>;
/// The next frame; throws what `exactly` throws before it is whole.
Frame read_frame(const Reader& exactly);
/// The next frame; throws WireError when the connection ends before it is whole.
Frame read_frame(Wire& wire, Deadline deadline = patience());
/// An origin that accepts every upgrade and sends each frame back until a close frame, which it answers.
Origin::Script echo();

}  // namespace portico::test::websocket
