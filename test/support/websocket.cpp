#include "test/support/websocket.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

namespace portico::test::websocket {

namespace {

std::string header(Opcode opcode, std::size_t size, bool masked) {
  std::string out(1, static_cast<char>(0x80 | static_cast<int>(opcode)));
  const int bit = masked ? 0x80 : 0;
  std::size_t bytes = 0;
  if (size < 126) {
    out += static_cast<char>(bit | static_cast<int>(size));
  } else {
    bytes = size < 65'536 ? 2 : 8;
    out += static_cast<char>(bit | (bytes == 2 ? 126 : 127));
  }
  for (; bytes > 0; --bytes) out += static_cast<char>((size >> (8 * (bytes - 1))) & 0xff);
  return out;
}

void apply_mask(std::string& payload, const std::array<unsigned char, 4>& mask) {
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(static_cast<unsigned char>(payload[i]) ^ mask[i % 4]);
}

}  // namespace

std::string accept_for(std::string_view client_key) {
  const std::string text = std::string(client_key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr);
  std::array<unsigned char, 64> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(length));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

std::string handshake(std::string_view path, const std::vector<std::string>& lines) {
  auto all = lines;
  all.insert(all.end(), {"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                         fmt::format("Sec-WebSocket-Key: {}", key)});
  return get(path, all);
}

std::string accepted(const Message& request, const std::vector<std::string>& lines) {
  std::string out = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n",
      accept_for(request.one("Sec-WebSocket-Key")));
  for (const auto& line : lines) out += line + "\r\n";
  return out + "\r\n";
}

std::string client_frame(Opcode opcode, std::string_view payload, std::uint32_t mask) {
  std::array<unsigned char, 4> bytes{};
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<unsigned char>(mask >> (8 * (3 - i)));
  std::string hidden(payload);
  apply_mask(hidden, bytes);
  return header(opcode, payload.size(), true) + std::string(bytes.begin(), bytes.end()) + hidden;
}

std::string server_frame(Opcode opcode, std::string_view payload) {
  return header(opcode, payload.size(), false) + std::string(payload);
}

Frame read_frame(const Reader& exactly) {
  const std::string start = exactly(2);
  Frame out;
  out.opcode = static_cast<Opcode>(start[0] & 0x0f);
  out.masked = (start[1] & 0x80) != 0;
  auto size = static_cast<std::size_t>(start[1] & 0x7f);
  if (size >= 126) {
    const std::string wide = exactly(size == 126 ? 2 : 8);
    size = 0;
    for (const char c : wide) size = (size << 8) | static_cast<unsigned char>(c);
  }
  std::array<unsigned char, 4> mask{};
  if (out.masked) {
    const std::string bytes = exactly(4);
    for (std::size_t i = 0; i < 4; ++i) mask[i] = static_cast<unsigned char>(bytes[i]);
  }
  out.payload = exactly(size);
  if (out.masked) apply_mask(out.payload, mask);
  return out;
}

Frame read_frame(Wire& wire, Deadline deadline) {
  return read_frame([&](std::size_t n) { return wire.read_exact(n, deadline); });
}

Origin::Script echo() {
  return [](Connection& connection) {
    connection.send(accepted(connection.read_head()));
    while (true) {
      const Frame frame = read_frame(connection, Deadline{600s});
      connection.send(server_frame(frame.opcode, frame.payload));
      if (frame.opcode == Opcode::close) return;
    }
  };
}

}  // namespace portico::test::websocket
