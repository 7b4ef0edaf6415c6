#include "proxy/h2/response_fields.hpp"

#include <algorithm>
#include <string_view>

#include "proxy/h1/octets.hpp"
#include "proxy/h2/request_text.hpp"

namespace portico::proxy::h2 {

namespace {

// `HTTP/1.1 ` and three digits.
constexpr std::size_t status_at = 9;
constexpr std::size_t status_size = 3;

nghttp2_nv field(std::string_view name, std::string_view value) noexcept {
  // nghttp2 takes pointers to non-const and does not write through them.
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

std::span<const nghttp2_nv> ResponseFields::cut(std::span<char> head, bool tunnel) {
  fields_.clear();
  const std::string_view text(head.data(), head.size());
  fields_.push_back(field(":status", tunnel ? "200" : text.substr(status_at, status_size)));
  const std::size_t first = text.find("\r\n");
  if (first != std::string_view::npos) cut_lines(head.data() + first + 2, head.data() + head.size(), tunnel);
  return fields_;
}

std::span<const nghttp2_nv> ResponseFields::cut_trailers(std::span<char> lines) {
  fields_.clear();
  cut_lines(lines.data(), lines.data() + lines.size(), false);
  return fields_;
}

void ResponseFields::cut_lines(char* at, char* end, bool tunnel) {
  while (at < end) {
    char* const stop = std::find(at, end, '\r');
    char* const colon = std::find(at, stop, ':');
    // The empty line.
    if (colon == stop) return;
    for (char* c = at; c < colon; ++c) {
      if (*c >= 'A' && *c <= 'Z') *c = static_cast<char>(*c + 32);
    }
    const std::string_view name(at, static_cast<std::size_t>(colon - at));
    const std::string_view value =
        h1::trim(std::string_view(colon + 1, static_cast<std::size_t>(stop - colon - 1)));
    const bool dropped = is_connection_specific(name) || (tunnel && name == "sec-websocket-accept");
    if (!dropped) fields_.push_back(field(name, value));
    at = end - stop < 2 ? end : stop + 2;
  }
}

}  // namespace portico::proxy::h2
