#include "test/support/h2_frames.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "test/support/message.hpp"

namespace portico::test::h2 {

namespace {

std::string big_endian(std::uint64_t value, unsigned bytes) {
  std::string out;
  for (; bytes > 0; --bytes) out += static_cast<char>((value >> (8 * (bytes - 1))) & 0xff);
  return out;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t out = 0;
  for (const char c : bytes.substr(std::min(at, bytes.size()), size))
    out = (out << 8) | static_cast<unsigned char>(c);
  return out;
}

constexpr std::uint32_t stream_bits = 0x7fff'ffff;

ClientOptions with_h2(ClientOptions options) {
  if (options.tls && options.tls->alpn.empty()) options.tls->alpn = {"h2"};
  return options;
}

}  // namespace

H2Error Frame::error() const {
  return static_cast<H2Error>(number_at(payload, type == Type::goaway ? 4 : 0, 4));
}

std::uint32_t Frame::last_stream() const { return number_at(payload, 0, 4) & stream_bits; }

std::optional<std::uint32_t> Frame::setting(Setting wanted) const {
  for (std::size_t at = 0; at + 6 <= payload.size(); at += 6)
    if (number_at(payload, at, 2) == static_cast<std::uint32_t>(wanted)) return number_at(payload, at + 2, 4);
  return std::nullopt;
}

std::string frame(Type type, std::uint8_t flags, std::uint32_t stream, std::string_view payload,
                  std::optional<std::uint32_t> length) {
  std::string out = big_endian(length.value_or(static_cast<std::uint32_t>(payload.size())), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out + big_endian(stream, 4) + std::string(payload);
}

std::string settings(const std::vector<std::pair<Setting, std::uint32_t>>& values) {
  std::string payload;
  for (const auto& [setting, value] : values)
    payload += big_endian(static_cast<std::uint64_t>(setting), 2) + big_endian(value, 4);
  return frame(Type::settings, flag::none, 0, payload);
}

std::string settings_ack() { return frame(Type::settings, flag::ack, 0); }

std::string ping(std::string_view opaque, std::uint8_t flags) {
  std::string payload(opaque);
  payload.resize(8);
  return frame(Type::ping, flags, 0, payload);
}

std::string rst_stream(std::uint32_t stream, H2Error code) {
  return frame(Type::rst_stream, flag::none, stream, big_endian(static_cast<std::uint64_t>(code), 4));
}

std::string goaway(std::uint32_t last_stream, H2Error code, std::string_view debug) {
  return frame(
      Type::goaway, flag::none, 0,
      big_endian(last_stream, 4) + big_endian(static_cast<std::uint64_t>(code), 4) + std::string(debug));
}

std::string window_update(std::uint32_t stream, std::uint32_t increment) {
  return frame(Type::window_update, flag::none, stream, big_endian(increment, 4));
}

std::string priority(std::uint32_t stream, std::uint32_t depends_on, std::uint8_t weight) {
  return frame(Type::priority, flag::none, stream, big_endian(depends_on, 4) + static_cast<char>(weight));
}

std::string headers(std::uint32_t stream, std::string_view block, std::uint8_t flags) {
  return frame(Type::headers, flags, stream, block);
}

std::string continuation(std::uint32_t stream, std::string_view block, std::uint8_t flags) {
  return frame(Type::continuation, flags, stream, block);
}

std::string data(std::uint32_t stream, std::string_view bytes, std::uint8_t flags) {
  return frame(Type::data, flags, stream, bytes);
}

std::string padded_data(std::uint32_t stream, std::string_view bytes, std::uint8_t padding,
                        std::uint8_t flags) {
  std::string payload(1, static_cast<char>(padding));
  payload += bytes;
  payload.append(padding, '\0');
  return frame(Type::data, static_cast<std::uint8_t>(flags | flag::padded), stream, payload);
}

namespace hpack {

namespace {

std::string text(std::string_view bytes) { return integer(bytes.size(), 7, 0) + std::string(bytes); }

std::string field(std::uint8_t pattern, std::string_view name, std::string_view value) {
  return std::string(1, static_cast<char>(pattern)) + text(name) + text(value);
}

}  // namespace

std::string integer(std::uint64_t value, unsigned bits, std::uint8_t pattern) {
  const std::uint64_t full = (1U << bits) - 1;
  if (value < full) return {static_cast<char>(pattern | value)};
  std::string out(1, static_cast<char>(pattern | full));
  for (value -= full; value >= 128; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
  return out + static_cast<char>(value);
}

std::string literal(std::string_view name, std::string_view value) { return field(0x00, name, value); }
std::string never_indexed(std::string_view name, std::string_view value) { return field(0x10, name, value); }
std::string indexing(std::string_view name, std::string_view value) { return field(0x40, name, value); }
std::string indexed(std::uint64_t index) { return integer(index, 7, 0x80); }
std::string table_size(std::uint64_t bytes) { return integer(bytes, 5, 0x20); }

std::string block(const H2Fields& fields) {
  std::string out;
  for (const auto& field : fields) out += literal(field.name, field.value);
  return out;
}

}  // namespace hpack

H2Fields request(std::string_view path, const H2Fields& more, std::string_view method,
                 std::string_view scheme) {
  H2Fields out = {{":method", std::string(method)},
                  {":scheme", std::string(scheme)},
                  {":authority", "front.example"},
                  {":path", std::string(path)}};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

HeaderDecoder::HeaderDecoder() : inflater_(nullptr, &nghttp2_hd_inflate_del) {
  nghttp2_hd_inflater* made = nullptr;
  if (nghttp2_hd_inflate_new(&made) != 0) throw std::bad_alloc();
  inflater_.reset(made);
}

H2Fields HeaderDecoder::decode(std::string_view block) {
  H2Fields out;
  while (true) {
    nghttp2_nv field{};
    int flags = 0;
    const ssize_t used =
        nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags,
                               reinterpret_cast<const std::uint8_t*>(block.data()), block.size(), 1);
    if (used < 0) throw ProtocolError(fmt::format("HPACK: {}", nghttp2_strerror(static_cast<int>(used))));
    block.remove_prefix(static_cast<std::size_t>(used));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
      out.push_back({std::string(reinterpret_cast<const char*>(field.name), field.namelen),
                     std::string(reinterpret_cast<const char*>(field.value), field.valuelen)});
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_.get());
  return out;
}

Frame read_frame(Wire& wire, Deadline deadline) {
  const std::string head = wire.read_exact(9, deadline);
  Frame out;
  out.type = static_cast<Type>(head[3]);
  out.flags = static_cast<std::uint8_t>(head[4]);
  out.stream = number_at(head, 5, 4) & stream_bits;
  out.payload = wire.read_exact(number_at(head, 0, 3), deadline);
  return out;
}

H2Wire::H2Wire(const Address& address, ClientOptions options) : wire_(address, with_h2(std::move(options))) {}

void H2Wire::greet(const std::vector<std::pair<Setting, std::uint32_t>>& values) {
  send(std::string(preface) + settings(values));
  wait_for([](const Frame& frame) { return frame.type == Type::settings && !frame.has(flag::ack); });
  send(settings_ack());
}

std::size_t H2Wire::flood(std::string_view bytes, std::size_t times) {
  std::size_t taken = 0;
  try {
    for (; taken < times; ++taken) send(bytes, Deadline{1s});
  } catch (const WireError&) {
    // What the peer said before it ended the connection is read by the caller.
  }
  return taken;
}

Frame H2Wire::next(Deadline deadline) { return read_frame(wire_, deadline); }

Frame H2Wire::wait_for(const std::function<bool(const Frame&)>& wanted, Deadline deadline) {
  while (true) {
    Frame frame = next(deadline);
    if (wanted(frame)) return frame;
  }
}

Frame H2Wire::wait_for(Type type, std::uint32_t stream, Deadline deadline) {
  return wait_for([&](const Frame& frame) { return frame.type == type && frame.stream == stream; }, deadline);
}

H2Error H2Wire::wait_goaway(Deadline deadline) {
  try {
    return wait_for(
               [](const Frame& frame) {
                 return frame.type == Type::goaway && frame.error() != H2Error::no_error;
               },
               deadline)
        .error();
  } catch (const WireError&) {
    return H2Error::no_error;
  }
}

H2Wire::Answer H2Wire::answer(std::uint32_t stream, Deadline deadline) {
  Answer out;
  std::string block;
  bool ends = false;
  while (true) {
    const Frame frame = next(deadline);
    if (frame.type == Type::goaway && frame.error() != H2Error::no_error) {
      out.goaway = frame.error();
      return out;
    }
    const bool heads = frame.type == Type::headers || frame.type == Type::continuation;
    if (heads) {
      // The blocks of other streams are decoded too: the table is the connection's.
      block += frame.payload;
      if (frame.type == Type::headers) ends = frame.has(flag::end_stream);
      if (!frame.has(flag::end_headers)) continue;
      H2Fields fields = decoder_.decode(std::exchange(block, {}));
      if (frame.stream != stream) continue;
      const auto status = all_of(fields, ":status");
      if (!status.empty() && !status[0].starts_with('1')) {
        out.status = std::stoi(status[0]);
        out.headers = std::move(fields);
      }
      if (ends) return out;
    }
    if (frame.stream != stream) continue;
    if (frame.type == Type::rst_stream) {
      out.reset = frame.error();
      return out;
    }
    if (frame.type == Type::data) {
      out.body += frame.payload;
      if (frame.has(flag::end_stream)) return out;
    }
  }
}

}  // namespace portico::test::h2
