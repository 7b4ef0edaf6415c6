// Whatever a client sends, and however it comes: a backend is handed one well-formed request at a time, other
// clients' exchanges are whole and their own, and nothing is left when all have gone.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "test/in_memory/backend.hpp"

using namespace portico::in_memory;
using portico::proxy::ListenerKind;
using namespace std::chrono_literals;

// First byte: the backend's manners. Second: the size of the pieces, 0 for one. Third: what else happens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 3;
  constexpr std::uint8_t trusted = 1;
  constexpr std::uint8_t ends = 2;
  constexpr std::uint8_t waits = 4;
  constexpr std::uint8_t announced = 8;
  constexpr std::uint8_t sleeps = 16;
  constexpr std::uint8_t drains = 32;
  constexpr std::uint8_t cuts = 64;
  constexpr std::uint8_t redirected = 128;
  if (size < head) return 0;
  static Portico portico;
  const bool stranger = (data[2] & (trusted | announced)) == 0;
  const Portico::From proxy =
      (data[2] & trusted) != 0 ? Portico::From::trusted_proxy : Portico::From::announced;
  portico.set_backend(backend_with(static_cast<Manners>(data[0] % manners_count),
                                   stranger ? Portico::stranger_address : std::string_view()));
  Witness witness(portico);
  Link& client = portico.connect((data[2] & redirected) != 0 ? ListenerKind::redirect : ListenerKind::plain,
                                 stranger ? Portico::From::stranger : proxy);
  if ((data[2] & sleeps) != 0) client.sleep();
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
  witness.end();
  witness.stays_private(client.history());
  // A backend may send back what it was sent.
  demand((data[2] & redirected) == 0 || client.history().find(Portico::secret) == std::string_view::npos,
         "no file but ACME's challenges is served");
  portico.finish();
  return 0;
}
