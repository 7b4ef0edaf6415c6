// Whatever frames an HTTP/2 client sends: what it and a backend get is by the rules, other clients' exchanges
// are whole and their own, and nothing is left when all have gone.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "test/in_memory/backend.hpp"
#include "test/in_memory/h2_frames.hpp"

using namespace portico::in_memory;
using portico::test::h2::Frame;
using namespace std::chrono_literals;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

// First byte: the backend's manners. Second: the size of the pieces, 0 for one. Third: what else happens.
constexpr std::size_t head = 3;

/// Frames that get somewhere.
std::vector<Frame> useful_frames() {
  namespace h2 = portico::test::h2;
  using h2::Setting;
  using portico::test::H2Error;
  const portico::test::H2Fields socket{{":method", "CONNECT"},     {":scheme", "http"},
                                       {":path", "/v1/responses"}, {":authority", "a"},
                                       {":protocol", "websocket"}, {"sec-websocket-version", "13"}};
  const std::string post = h2::hpack::block(h2::request(
      "/v1/chat/completions", {{"cookie", "a=b"}, {"cookie", "c=d"}, {"te", "trailers"}}, "POST"));
  const std::string sized = h2::hpack::block(h2::request("/v1/messages", {{"content-length", "5"}}, "POST"));
  const std::string trailers = h2::hpack::block({{"x-sum", "1"}});
  std::string bytes = h2::headers(1, h2::hpack::block(h2::request("/v1/models")));
  for (const std::string& block : {post, sized, h2::hpack::block(socket)})
    bytes += h2::headers(1, block, h2::flag::end_headers);
  bytes += h2::headers(1, trailers) + h2::continuation(1, trailers);
  bytes += h2::data(1, "hello") + h2::data(1, "{\"model\":\"m\"}", h2::flag::none) +
           h2::padded_data(1, "hello", 3);
  bytes += h2::rst_stream(1) + h2::goaway(0, H2Error::no_error) + h2::priority(1, 3) + h2::ping();
  bytes +=
      h2::settings({{Setting::initial_window_size, 2}}) + h2::settings({{Setting::header_table_size, 0}});
  bytes += h2::settings_ack() + h2::window_update(0, 65'536) + h2::window_update(1, 65'536);
  return split_frames(bytes);
}

using Random = std::minstd_rand;

std::size_t below(Random& random, std::size_t limit) { return limit == 0 ? 0 : random() % limit; }

void mutate_payload(Frame& frame) {
  constexpr std::size_t room = 128;
  const std::size_t size = frame.payload.size();
  frame.payload.resize(size + room);
  frame.payload.resize(
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(frame.payload.data()), size, size + room));
}

/// One change to one frame, or to their order.
void mutate(std::vector<Frame>& frames, Random& random) {
  static const std::vector<Frame> useful = useful_frames();
  const std::size_t at = below(random, frames.size());
  const auto place = frames.begin() + static_cast<std::ptrdiff_t>(at);
  const std::size_t choice = frames.empty() ? 0 : below(random, 9);
  switch (choice) {
    case 0:
    case 1: {
      Frame frame = useful[below(random, useful.size())];
      if (frame.stream != 0) frame.stream = static_cast<std::uint32_t>(2 * below(random, 6) + 1);
      frames.insert(frames.empty() ? place : place + static_cast<std::ptrdiff_t>(below(random, 2)), frame);
      return;
    }
    case 2:
      mutate_payload(frames[at]);
      return;
    case 3:
      frames.erase(place);
      return;
    case 4: {
      const Frame copy = *place;
      frames.insert(place, copy);
      return;
    }
    case 5:
      std::swap(frames[at], frames[below(random, frames.size())]);
      return;
    case 6:
      frames[at].flags = static_cast<std::uint8_t>(frames[at].flags ^ 1U << below(random, 8));
      return;
    case 7:
      frames[at].stream = static_cast<std::uint32_t>(below(random, 16));
      return;
    default: {
      // The rest of a header block in a CONTINUATION.
      const std::size_t middle = below(random, frames[at].payload.size() + 1);
      Frame rest{portico::test::h2::Type::continuation, frames[at].flags, frames[at].stream,
                 frames[at].payload.substr(middle)};
      frames[at].payload.resize(middle);
      frames[at].flags &= 0xfbU;
      frames.insert(place + 1, std::move(rest));
      return;
    }
  }
}

}  // namespace

/// Keeps frames whole, so that what they say is reached; some of the time anything goes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  Random random(seed);
  if (size <= head || most < 64 || below(random, 8) == 0) return LLVMFuzzerMutate(data, size, most);
  if (below(random, 8) == 0) data[below(random, head)] = static_cast<std::uint8_t>(random());
  std::vector<Frame> frames = split_frames({reinterpret_cast<const char*>(data) + head, size - head});
  for (std::size_t changes = below(random, 3) + 1; changes > 0; --changes) mutate(frames, random);
  const std::string bytes = join_frames(frames);
  const std::size_t kept = std::min(bytes.size(), most - head);
  std::memcpy(data + head, bytes.data(), kept);
  return head + kept;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint8_t without_settings = 1;
  constexpr std::uint8_t ends = 2;
  constexpr std::uint8_t waits = 4;
  constexpr std::uint8_t sleeps = 16;
  constexpr std::uint8_t drains = 32;
  constexpr std::uint8_t cuts = 64;
  if (size < head) return 0;
  static Portico portico;
  portico.set_backend(backend_with(static_cast<Manners>(data[0] % manners_count), Portico::stranger_address));
  Witness witness(portico);
  Link& client = portico.connect();
  if ((data[2] & sleeps) != 0) client.sleep();
  client.send(portico::test::h2::preface);
  if ((data[2] & without_settings) == 0) client.send(portico::test::h2::settings());
  const std::string_view bytes(reinterpret_cast<const char*>(data) + head, size - head);
  const std::size_t middle = (data[2] & drains) != 0 ? bytes.size() / 2 : bytes.size();
  portico.deliver(client, bytes.substr(0, middle), data[1]);
  if ((data[2] & drains) != 0) portico.drain();
  portico.deliver(client, bytes.substr(middle), data[1]);
  if ((data[2] & ends) != 0) client.end();
  // Longer than a client may take for a head, or for reading.
  if ((data[2] & waits) != 0) portico.advance(21s);
  client.wake();
  portico.settle();
  if ((data[2] & cuts) != 0) portico.cut();
  check_frames(client.history());
  witness.end();
  witness.stays_private(client.history());
  portico.finish();
  return 0;
}
