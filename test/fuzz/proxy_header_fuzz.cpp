// A PROXY header means the same however it arrives, nothing is decided behind its end, and an address is only
// ever taken from a header that names one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/proxy_header.hpp"

using namespace portico::proxy::http;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

bool same(const ProxyHeader& a, const ProxyHeader& b) {
  return a.state == b.state && a.size == b.size && a.source == b.source && a.address == b.address;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using State = ProxyHeader::State;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ProxyHeader whole = read_proxy_header(bytes);
  ProxyHeader split;
  const std::size_t step = data[0] % 32 + 1U;
  for (std::size_t end = 0; end < bytes.size() && split.state == State::need_more;) {
    end = std::min(end + step, bytes.size());
    split = read_proxy_header(bytes.substr(0, end));
  }
  check(same(whole, split));
  check((whole.state == State::bad) == !whole.sentence.empty());
  if (whole.state == State::need_more) check(bytes.size() < max_proxy_header);
  if (whole.state != State::complete) return 0;
  check(whole.size > 0 && whole.size <= bytes.size() && whole.size <= max_proxy_header);
  check(same(whole, read_proxy_header(bytes.substr(0, whole.size))));
  check(read_proxy_header(bytes.substr(0, whole.size - 1)).state == State::need_more);
  if (whole.source != ProxyHeader::Source::address) check(whole.address == portico::conf::IpAddress());
  return 0;
}
