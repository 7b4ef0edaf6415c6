#include "test/in_memory/h2_frames.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

#include "test/in_memory/portico.hpp"

namespace portico::in_memory {

using test::h2::Frame;
using test::h2::Type;
namespace flag = test::h2::flag;

namespace {

constexpr std::size_t frame_head = 9;

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes) value = value << 8U | static_cast<std::uint8_t>(byte);
  return value;
}

/// The first frame of `bytes`, taken off; `size` is what its head says.
Frame take_frame(std::string_view& bytes, std::size_t& size) {
  size = number(bytes.substr(0, 3));
  Frame frame{static_cast<Type>(bytes[3]), static_cast<std::uint8_t>(bytes[4]), number(bytes.substr(5, 4)),
              std::string(bytes.substr(frame_head, size))};
  bytes.remove_prefix(std::min(bytes.size(), frame_head + size));
  return frame;
}

enum class Said : std::uint8_t { nothing, head, all };

void check_fields(const test::H2Fields& fields, bool last, Said& said) {
  demand(!fields.empty(), "a header block says something");
  for (const auto& [name, value] : fields) {
    demand(std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }),
           "names are in lower case");
    demand(name != "connection" && name != "transfer-encoding" && name != "keep-alive" && name != "upgrade" &&
               name != "proxy-connection",
           "what concerns one connection stays there");
    demand(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "a value is on one line");
  }
  if (said == Said::head) {
    demand(last, "trailers are the last of a stream");
    demand(!fields.front().name.starts_with(':'), "trailers have no status");
  } else {
    demand(fields.front().name == ":status" && fields.front().value.size() == 3, "a head has a status");
    const bool interim = fields.front().value.front() == '1';
    demand(!(interim && last), "an interim response is not the last");
    if (!interim) said = Said::head;
  }
  if (last) said = Said::all;
}

}  // namespace

std::string join_frames(const std::vector<Frame>& frames) {
  std::string out;
  for (const Frame& frame : frames)
    out += test::h2::frame(frame.type, frame.flags, frame.stream, frame.payload);
  return out;
}

std::vector<Frame> split_frames(std::string_view bytes) {
  std::vector<Frame> frames;
  std::size_t size = 0;
  while (bytes.size() >= frame_head) frames.push_back(take_frame(bytes, size));
  return frames;
}

void check_frames(std::string_view sent) {
  test::h2::HeaderDecoder decoder;
  std::map<std::uint32_t, Said> streams;
  std::string block;
  bool last = false;
  bool in_block = false;
  for (bool first = true; sent.size() >= frame_head; first = false) {
    std::size_t size = 0;
    const Frame frame = take_frame(sent, size);
    demand(size <= 16'384, "no frame is larger than a client must take");
    demand(!first || frame.type == Type::settings, "settings come first");
    demand(in_block == (frame.type == Type::continuation), "a header block is in one piece");
    // What a connection that broke off held back.
    if (frame.payload.size() < size) return;
    Said& said = streams[frame.stream];
    switch (frame.type) {
      case Type::data:
        demand(said == Said::head, "a body is between head and end");
        if (frame.has(flag::end_stream)) said = Said::all;
        break;
      case Type::headers:
      case Type::continuation:
        demand(said != Said::all, "nothing follows the end of a stream");
        if (frame.type == Type::headers) last = frame.has(flag::end_stream);
        block += frame.payload;
        in_block = !frame.has(flag::end_headers);
        if (in_block) break;
        check_fields(decoder.decode(block), last, said);
        block.clear();
        break;
      case Type::rst_stream:
        said = Said::all;
        break;
      case Type::goaway:
        demand(frame.error() != test::H2Error::internal_error, "no client is told of an error inside");
        break;
      default:
        break;
    }
  }
}

}  // namespace portico::in_memory
