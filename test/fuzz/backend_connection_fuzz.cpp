// Whatever a backend answers: clients get messages by the rules or a break, a request that may have been
// processed is not sent twice, and a connection on which something was wrong carries no other exchange.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "test/in_memory/backend.hpp"
#include "test/in_memory/h2_client.hpp"

using namespace portico::in_memory;
using namespace std::chrono_literals;

namespace {

constexpr std::array<std::string_view, 8> requests{
    "GET /v1/models HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}",
    "POST /v1/responses HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
    "chunked\r\n\r\nd\r\n{\"model\":\"m\"}\r\n0\r\n\r\n",
    "HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/responses HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /v1/models HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /v1/messages HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n{\"mod",
    "PUT /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
};

/// Each request of a client in turn, over one connection as long as it goes on.
class Client {
 public:
  Client(Portico& portico, std::uint8_t choice) : portico_(portico), choice_(choice) {}

  void ask() {
    if (link_ == nullptr || link_->ended()) {
      h2_.reset();
      link_ = &portico_.connect();
      if (over_h2()) h2_ = std::make_unique<H2Client>(*link_);
    }
    if (h2_) {
      ask_over_h2();
    } else {
      link_->send(requests[choice_ % requests.size()]);
    }
    settle();
  }

  /// Lets everything happen, in HTTP/2 also what follows from what was received.
  void settle() {
    portico_.settle();
    for (int rounds = 0; h2_ && rounds < 32 && link_->open() && !link_->ended(); ++rounds) {
      h2_->pump();
      portico_.settle();
      if (link_->received().empty()) break;
    }
    if (h2_) h2_->pump();
  }

  [[nodiscard]] bool posts() const {
    return choice_ % requests.size() == 1 || choice_ % requests.size() == 2;
  }
  [[nodiscard]] std::string_view seen() const { return link_->history(); }

 private:
  [[nodiscard]] bool over_h2() const { return (choice_ & 0x80U) != 0; }

  void ask_over_h2() {
    H2Client::Fields fields{{":scheme", "http"}, {":authority", "a"}, {"te", "trailers"}};
    const auto with = [&](std::string method, std::string path) {
      fields.insert(fields.begin(), {{":method", std::move(method)}, {":path", std::move(path)}});
    };
    switch (choice_ % requests.size()) {
      case 1:
      case 2:
        with("POST", "/v1/chat/completions");
        h2_->request(fields, "{\"model\":\"m\"}");
        break;
      case 3:
        with("HEAD", "/v1/models");
        h2_->request(fields, {});
        break;
      case 4:
        fields.insert(fields.begin(), {":protocol", "websocket"});
        with("CONNECT", "/v1/responses");
        fields.emplace_back("sec-websocket-version", "13");
        h2_->request(fields, "\x81\x80mask", true);
        break;
      case 5:
        with("PUT", "/v1/files");
        h2_->request(fields, "hi", true);
        break;
      default:
        with("GET", "/v1/models");
        h2_->request(fields, {});
        break;
    }
    h2_->pump();
  }

  Portico& portico_;
  std::uint8_t choice_;
  Link* link_ = nullptr;
  std::unique_ptr<H2Client> h2_;
};

/// The connection to a backend on which a request waits for its answer.
Link* asked(const Portico& portico) {
  for (auto link = portico.backends().rbegin(); link != portico.backends().rend(); ++link)
    if ((*link)->open() && (*link)->messages > 0) return link->get();
  return nullptr;
}

}  // namespace

// First byte: the client's request, and over what. Second: the size of the pieces, 0 for one. Then the
// answers, each up to a byte 0xff and one that says how the backend goes on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 2;
  constexpr std::size_t most_answers = 6;
  if (size < head) return 0;
  static Portico portico;
  std::size_t bodies = 0;
  portico.set_backend([&bodies](Link& link) {
    if (!link.open() || Witness::serve(link) || link.received().empty()) return;
    ++link.messages;
    if (link.received().ends_with("{\"model\":\"m\"}") || link.received().ends_with("0\r\n\r\n")) ++bodies;
    link.consume(link.received().size());
  });
  Witness witness(portico);
  Client client(portico, data[0]);
  std::string_view rest(reinterpret_cast<const char*>(data) + head, size - head);
  int waits = 0;
  for (std::size_t answers = 0; answers < most_answers && !rest.empty(); ++answers) {
    bodies = 0;
    client.ask();
    Link* const backend = asked(portico);
    if (backend == nullptr) break;
    const std::size_t end = std::min(rest.find('\xff'), rest.size());
    const std::string_view answer = rest.substr(0, end);
    rest.remove_prefix(end);
    const char then = rest.size() > 1 ? rest[1] : 'c';
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 2));
    backend->messages = 0;
    portico.deliver(*backend, answer, data[1]);
    client.settle();
    if (then == 'c') backend->close();
    if (then == 'e') backend->end();
    // Longer than a backend may stand still; twice is not too long for the witness.
    if (then == 't' && ++waits <= 2) portico.advance(21s);
    client.settle();
    demand(!client.posts() || bodies <= 1, "a request that may have been processed is not sent twice");
    witness.stays_private(client.seen());
  }
  witness.end();
  portico.finish();
  return 0;
}
