// Whatever comes where TLS is spoken, before, in and after its handshake, from a client or from a backend:
// other clients' exchanges are whole and their own, and nothing is left when all have gone.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "test/in_memory/backend.hpp"
#include "test/in_memory/tls_peer.hpp"

using namespace portico::in_memory;
using namespace std::chrono_literals;

namespace {

constexpr unsigned most_rounds = 12;

/// Lets both sides shake hands; true once they have.
bool shake_hands(Portico& portico, TlsPeer& peer) {
  bool done = false;
  for (unsigned rounds = 0; rounds < most_rounds && !done; ++rounds) {
    done = peer.pump();
    portico.settle();
  }
  peer.pump();
  return done;
}

/// What a client sends: records of its own making, or text in records of OpenSSL's.
void from_client(Portico& portico, std::string_view bytes, std::uint8_t choice, std::uint8_t cut,
                 const Witness& witness) {
  Link& client = portico.connect(portico::proxy::ListenerKind::tls);
  if (choice % 4 == 0) {
    portico.deliver(client, bytes, cut);
    return;
  }
  TlsPeer peer(client, choice % 4 == 1 ? "h2" : "http/1.1");
  demand(shake_hands(portico, peer), "a handshake that is by the rules is completed");
  const std::string sealed = choice % 4 == 3 ? std::string(bytes) : peer.seal(bytes);
  portico.deliver(client, sealed, cut);
  for (unsigned rounds = 0; rounds < most_rounds && !client.received().empty(); ++rounds) {
    peer.pump();
    portico.settle();
  }
  witness.stays_private(peer.received());
}

/// What a backend answers to a request that goes to it by https://.
void from_backend(Portico& portico, std::string_view bytes, std::uint8_t choice, std::uint8_t cut,
                  const Witness& witness) {
  Link* backend = nullptr;
  portico.set_backend([&backend](Link& link) {
    if (!Witness::serve(link) && link.received().starts_with('\x16')) backend = &link;
  });
  Link& client = portico.connect();
  client.send("GET /v0/management/config HTTP/1.1\r\nHost: a\r\n\r\n");
  portico.settle();
  demand(backend != nullptr, "a backend at an https:// URL is spoken to by TLS");
  if (choice % 4 == 0) {
    portico.deliver(*backend, bytes, cut);
  } else {
    TlsPeer peer(*backend, portico.identity());
    demand(shake_hands(portico, peer), "a backend whose certificate fits is spoken to");
    const std::string sealed = choice % 4 == 3 ? std::string(bytes) : peer.seal(bytes);
    portico.deliver(*backend, sealed, cut);
  }
  backend->close();
  portico.settle();
  witness.stays_private(client.history());
}

}  // namespace

// First byte: who sends, and how far the handshake goes. Second: the size of the pieces, 0 for one. Third:
// the manners of the backend, and what else happens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 3;
  constexpr std::uint8_t backend = 0x80;
  constexpr std::uint8_t waits = 0x80;
  if (size < head) return 0;
  static Portico portico({.tls = true});
  portico.set_backend(backend_with(static_cast<Manners>(data[2] % manners_count), Portico::stranger_address));
  Witness witness(portico);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + head, size - head);
  if ((data[0] & backend) != 0) {
    from_backend(portico, bytes, data[0], data[1], witness);
  } else {
    from_client(portico, bytes, data[0], data[1], witness);
  }
  // Longer than a handshake may take.
  if ((data[2] & waits) != 0) portico.advance(16s);
  witness.end();
  portico.finish();
  return 0;
}
