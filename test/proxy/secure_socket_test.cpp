#include "proxy/secure_socket.hpp"

#include <openssl/bio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "proxy/listener.hpp"
#include "proxy/tls/server_contexts.hpp"
#include "test/proxy/tls/handshake.hpp"
#include "test/support/address.hpp"
#include "test/support/certificate.hpp"

using namespace portico;
using namespace portico::proxy;
using Result = SecureSocket::Result;

namespace {

/// The far side of the connection: OpenSSL's client in memory, and the socket beside it, so that a test
/// decides which bytes pass when.
class Peer {
 public:
  Peer(int fd, const test::ClientOffer& offer)
      : fd_(fd), ssl_(test::make_client(offer)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_.get(), in_, out_);
  }

  /// Goes on with the handshake; what it has to say is in take().
  bool shake() { return SSL_do_handshake(ssl_.get()) == 1; }
  void write(std::string_view text) {
    std::size_t n = 0;
    REQUIRE(SSL_write_ex(ssl_.get(), text.data(), text.size(), &n) == 1);
  }
  /// Encrypted bytes on their way to the socket.
  std::string take() {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void put(std::string_view bytes) const {
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  /// What lies in the socket now, as far as `most`.
  [[nodiscard]] std::string get(std::size_t most = 1'000'000) const {
    std::string bytes(most, '\0');
    const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }
  /// Decrypts `bytes` and everything before them.
  std::string read(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    std::string text;
    std::array<char, 16'384> part;
    std::size_t n = 0;
    int returned = 1;
    while ((returned = SSL_read_ex(ssl_.get(), part.data(), part.size(), &n)) == 1)
      text.append(part.data(), n);
    last_error_ = SSL_get_error(ssl_.get(), returned);
    return text;
  }
  /// Our side has said that it has said all.
  [[nodiscard]] bool was_told_the_end() const { return last_error_ == SSL_ERROR_ZERO_RETURN; }
  void feed(std::string_view bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
  [[nodiscard]] SSL& ssl() const { return *ssl_; }
  void close() { fd_ = UniqueFd(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  tls::SslPtr ssl_;
  BIO* in_;
  BIO* out_;
  int last_error_ = SSL_ERROR_NONE;
};

/// A SecureSocket in accept state, its socket and its peer.
struct Connection {
  std::array<int, 2> ends = pair();
  UniqueFd near{ends[0]};
  BufferPool buffers;
  Peer peer;
  std::optional<SecureSocket> socket;

  explicit Connection(const test::ClientOffer& offer = {}) : peer(ends[1], offer) {}

  /// `early`: bytes that were received before TLS began.
  void begin(std::string_view early = {}) {
    Block block;
    if (!early.empty()) {
      block = buffers.borrow();
      early.copy(block.data(), early.size());
    }
    socket.emplace(contexts().new_session(), buffers, near.get(), std::move(block), 0, early.size());
  }

  /// A complete handshake, the peer's tickets taken.
  void establish() {
    begin();
    for (int round = 0; round < 5; ++round) {
      peer.shake();
      if (const std::string bytes = peer.take(); !bytes.empty()) peer.put(bytes);
      static_cast<void>(socket->handshake());
      peer.feed(peer.get());
    }
    REQUIRE(socket->established());
    REQUIRE(peer.shake());
    REQUIRE(peer.read({}).empty());
    if (const std::string bytes = peer.take(); !bytes.empty()) peer.put(bytes);
  }

  /// The next record's text; the last result in `result`.
  std::string receive(Result& result, std::size_t room = SecureSocket::max_record) {
    std::string text(room, '\0');
    std::size_t got = 0;
    result = socket->receive(text, got);
    text.resize(result == Result::ok ? got : 0);
    return text;
  }

  static std::array<int, 2> pair() {
    std::array<int, 2> made{-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made.data()) == 0);
    return made;
  }

  static tls::ServerContexts& contexts() {
    static tls::ServerContexts made = [] {
      const test::TemporaryFolder folder;
      const test::CertificateFiles files = test::self_signed().write(folder.path().string(), "leaf");
      conf::TlsSettings settings;
      settings.certificates = {files.certificate};
      settings.keys = {files.key};
      return tls::ServerContexts(tls::Credentials(settings), tls::Protocols::h2_and_http1,
                                 std::make_shared<tls::TicketKeys>());
    }();
    return made;
  }
};

std::vector<iovec> pieces_of(std::vector<std::string>& texts) {
  std::vector<iovec> pieces;
  for (std::string& text : texts) pieces.push_back({text.data(), text.size()});
  return pieces;
}

/// Sizes of the records in `bytes` (RFC 8446 section 5.1), heads left out.
std::vector<std::size_t> records_in(std::string_view bytes) {
  constexpr std::size_t head = 5;
  std::vector<std::size_t> sizes;
  while (bytes.size() >= head) {
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(bytes[3])) << 8U |
                             static_cast<unsigned char>(bytes[4]);
    sizes.push_back(size);
    bytes.remove_prefix(std::min(bytes.size(), head + size));
  }
  return sizes;
}

constexpr std::array<int, 2> versions{TLS1_2_VERSION, TLS1_3_VERSION};

}  // namespace

TEST_CASE("a handshake completes however its bytes come") {
  for (const int version : versions) {
    CAPTURE(version);
    Connection c({.alpn = {"h2"}, .version = version});
    c.begin();
    bool peer_done = false;
    for (int flights = 0; flights < 4 && !(peer_done && c.socket->established()); ++flights) {
      peer_done = c.peer.shake();
      for (const char byte : c.peer.take()) {
        REQUIRE_FALSE(c.socket->established());
        c.peer.put({&byte, 1});
        const Result result = c.socket->handshake();
        REQUIRE((result == Result::wait || result == Result::ok));
      }
      for (const char byte : c.peer.get()) {
        c.peer.feed({&byte, 1});
        peer_done = c.peer.shake();
      }
    }
    REQUIRE(peer_done);
    REQUIRE(c.socket->established());
    REQUIRE(c.socket->handshake() == Result::ok);
    REQUIRE(c.socket->alpn() == "h2");
    REQUIRE(c.socket->pending() == 0);
  }
}

TEST_CASE("bytes that came before TLS began are the first of it") {
  for (const std::size_t early : {std::size_t{1}, std::size_t{5}, std::size_t{100}, std::string::npos}) {
    CAPTURE(early);
    Connection c;
    c.peer.shake();
    const std::string hello = c.peer.take();
    c.begin(std::string_view(hello).substr(0, early));
    REQUIRE(c.socket->more_at_hand());
    if (early < hello.size()) {
      REQUIRE(c.socket->handshake() == Result::wait);
      c.peer.put(std::string_view(hello).substr(early));
    }
    REQUIRE(c.socket->handshake() == Result::wait);
    c.peer.feed(c.peer.get());
    REQUIRE(c.peer.shake());
    c.peer.put(c.peer.take());
    REQUIRE(c.socket->handshake() == Result::ok);
    REQUIRE(c.buffers.borrowed() == 0);
  }
}

TEST_CASE("a handshake that no peer of TLS would begin fails") {
  Connection c;
  c.begin("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(c.socket->handshake() == Result::failed);
  REQUIRE(c.socket->error() == EPROTO);
  REQUIRE(c.socket->handshake() == Result::failed);
}

TEST_CASE("text goes both ways") {
  for (const int version : versions) {
    CAPTURE(version);
    Connection c({.version = version});
    c.establish();
    c.peer.write("hello");
    c.peer.put(c.peer.take());
    Result result = Result::wait;
    REQUIRE(c.receive(result) == "hello");
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::wait);

    std::vector<std::string> texts{"good", "bye"};
    std::vector<iovec> pieces = pieces_of(texts);
    std::uint64_t sent = 0;
    REQUIRE(c.socket->send(pieces, sent) == Result::ok);
    REQUIRE(sent == 7);
    REQUIRE(c.peer.read(c.peer.get()) == "goodbye");
    REQUIRE(c.buffers.borrowed() == 0);
  }
}

TEST_CASE("records that came together are received one by one without the socket") {
  Connection c;
  c.establish();
  c.peer.write("one");
  c.peer.write("two");
  c.peer.put(c.peer.take());
  Result result = Result::wait;
  REQUIRE(c.receive(result) == "one");
  REQUIRE(c.socket->more_at_hand());
  REQUIRE(c.receive(result, 2) == "tw");
  REQUIRE(c.socket->more_at_hand());
  REQUIRE(c.receive(result) == "o");
  REQUIRE(c.receive(result).empty());
  REQUIRE(result == Result::wait);
  REQUIRE_FALSE(c.socket->more_at_hand());
}

TEST_CASE("a record that comes in pieces is received once it is whole") {
  Connection c;
  c.establish();
  c.peer.write(std::string(3'000, 'x'));
  const std::string record = c.peer.take();
  Result result = Result::ok;
  for (std::size_t at = 0; at + 100 < record.size(); at += 100) {
    c.peer.put(std::string_view(record).substr(at, 100));
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::wait);
  }
  c.peer.put(std::string_view(record).substr((record.size() - 1) / 100 * 100));
  REQUIRE(c.receive(result) == std::string(3'000, 'x'));
}

TEST_CASE("pieces that are small share a record, large ones have their own") {
  Connection c;
  c.establish();
  std::uint64_t sent = 0;
  // Besides the text: a byte for its type and 16 for the tag.
  constexpr std::size_t around = 17;
  std::vector<std::string> small{"head", std::string(1'000, 'x'), "\r\n"};
  std::vector<iovec> pieces = pieces_of(small);
  REQUIRE(c.socket->send(pieces, sent) == Result::ok);
  std::string wire = c.peer.get();
  REQUIRE(records_in(wire) == std::vector<std::size_t>{1'006 + around});
  REQUIRE(c.peer.read(wire) == small[0] + small[1] + small[2]);

  std::vector<std::string> large{std::string(SecureSocket::max_record, 'a'), "b", "",
                                 std::string(SecureSocket::max_record + 3, 'c')};
  pieces = pieces_of(large);
  sent = 0;
  REQUIRE(c.socket->send(pieces, sent) == Result::ok);
  wire = c.peer.get();
  REQUIRE(records_in(wire) == std::vector<std::size_t>{SecureSocket::max_record + around,
                                                       SecureSocket::max_record + around, 4 + around});
  REQUIRE(c.peer.read(wire) == large[0] + large[1] + large[3]);
  REQUIRE(sent == 2 * SecureSocket::max_record + 4);
}

TEST_CASE("what the socket does not take waits, nothing is encrypted behind it, and all of it arrives") {
  Connection c;
  const int small = 1;
  REQUIRE(::setsockopt(c.near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  c.establish();
  std::string text;
  while (text.size() < 300'000) text += std::to_string(text.size()) + " ";
  std::vector<std::string> texts{text.substr(0, 11), text.substr(11, 100'000), text.substr(100'011)};
  std::vector<iovec> pieces = pieces_of(texts);
  std::uint64_t sent = 0;
  std::string arrived;
  bool waited = false;
  Result result = Result::wait;
  for (int rounds = 0; rounds < 100'000 && result == Result::wait; ++rounds) {
    const std::uint64_t before = sent;
    const std::size_t waiting = c.socket->pending();
    result = c.socket->send(pieces, sent);
    if (result == Result::wait) {
      waited = true;
      REQUIRE(c.socket->pending() > 0);
      // One record and what surrounds it.
      REQUIRE(c.socket->pending() < SecureSocket::max_record + 300);
      if (c.socket->pending() > waiting) REQUIRE(sent > before);
    }
    arrived += c.peer.read(c.peer.get(3'000));
  }
  REQUIRE(result == Result::ok);
  REQUIRE(waited);
  REQUIRE(sent == text.size());
  for (int rounds = 0; rounds < 1'000 && arrived.size() < text.size(); ++rounds)
    arrived += c.peer.read(c.peer.get());
  REQUIRE(arrived == text);
  REQUIRE(c.buffers.borrowed() == 0);
}

TEST_CASE("the peer's close_notify is an end, an end without it is a break") {
  SECTION("close_notify") {
    Connection c;
    c.establish();
    c.peer.write("last");
    SSL_shutdown(&c.peer.ssl());
    c.peer.put(c.peer.take());
    c.peer.close();
    Result result = Result::wait;
    REQUIRE(c.receive(result) == "last");
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::end);
    REQUIRE(c.socket->error() == 0);
  }
  SECTION("a bare FIN") {
    Connection c;
    c.establish();
    c.peer.write("last");
    c.peer.put(c.peer.take());
    ::shutdown(c.peer.fd(), SHUT_WR);
    Result result = Result::wait;
    REQUIRE(c.receive(result) == "last");
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::failed);
    REQUIRE(c.socket->error() == ECONNRESET);
  }
  SECTION("a FIN in the middle of a record") {
    Connection c;
    c.establish();
    c.peer.write("last");
    const std::string record = c.peer.take();
    c.peer.put(record.substr(0, record.size() - 1));
    c.peer.close();
    Result result = Result::wait;
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::failed);
    REQUIRE(c.socket->error() == ECONNRESET);
  }
  SECTION("a reset") {
    Connection c;
    c.establish();
    std::vector<std::string> texts{"unread"};
    std::vector<iovec> pieces = pieces_of(texts);
    std::uint64_t sent = 0;
    REQUIRE(c.socket->send(pieces, sent) == Result::ok);
    // On a unix socket an end with something unread is a reset.
    c.peer.close();
    Result result = Result::wait;
    REQUIRE(c.receive(result).empty());
    REQUIRE(result == Result::failed);
    REQUIRE(c.socket->error() == ECONNRESET);
    pieces = pieces_of(texts);
    REQUIRE(c.socket->send(pieces, sent) == Result::failed);
  }
}

TEST_CASE("an end in the middle of the handshake is a break") {
  Connection c;
  c.peer.shake();
  const std::string hello = c.peer.take();
  c.begin();
  c.peer.put(hello.substr(0, 60));
  REQUIRE(c.socket->handshake() == Result::wait);
  c.peer.close();
  REQUIRE(c.socket->handshake() == Result::failed);
  REQUIRE(c.socket->error() == ECONNRESET);
}

TEST_CASE("a record that was tampered with breaks the connection") {
  Connection c;
  c.establish();
  c.peer.write("hello");
  std::string record = c.peer.take();
  record.back() = static_cast<char>(record.back() ^ 1);
  c.peer.put(record);
  Result result = Result::wait;
  REQUIRE(c.receive(result).empty());
  REQUIRE(result == Result::failed);
  REQUIRE(c.socket->error() == EPROTO);
}

TEST_CASE("our close_notify is the last thing that the peer reads") {
  Connection c;
  c.establish();
  std::vector<std::string> texts{"last"};
  std::vector<iovec> pieces = pieces_of(texts);
  std::uint64_t sent = 0;
  REQUIRE(c.socket->send(pieces, sent) == Result::ok);
  c.socket->close_notify();
  REQUIRE(c.peer.read(c.peer.get()) == "last");
  REQUIRE(c.peer.was_told_the_end());
  // It is said once.
  c.socket->close_notify();
  REQUIRE(c.peer.get().empty());
}

TEST_CASE("nothing is said to have ended while something of it still waits") {
  Connection c;
  const int small = 1;
  REQUIRE(::setsockopt(c.near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  c.establish();
  std::vector<std::string> texts{std::string(100'000, 'x')};
  std::vector<iovec> pieces = pieces_of(texts);
  std::uint64_t sent = 0;
  REQUIRE(c.socket->send(pieces, sent) == Result::wait);
  c.socket->close_notify();
  for (std::string bytes = c.peer.get(); !bytes.empty(); bytes = c.peer.get()) c.peer.read(bytes);
  REQUIRE_FALSE(c.peer.was_told_the_end());
}

TEST_CASE("a peer may ask for new keys") {
  Connection c;
  c.establish();
  REQUIRE(SSL_key_update(&c.peer.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
  c.peer.write("under new keys");
  c.peer.put(c.peer.take());
  Result result = Result::wait;
  REQUIRE(c.receive(result) == "under new keys");
  std::vector<std::string> texts{"ours too"};
  std::vector<iovec> pieces = pieces_of(texts);
  std::uint64_t sent = 0;
  REQUIRE(c.socket->send(pieces, sent) == Result::ok);
  REQUIRE(c.peer.read(c.peer.get()) == "ours too");
}

TEST_CASE("a peer that has us answer for ever and reads nothing is let go") {
  Connection c;
  const int small = 1;
  REQUIRE(::setsockopt(c.near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  c.establish();
  Result result = Result::wait;
  for (int updates = 0; updates < 20'000 && result != Result::failed; ++updates) {
    REQUIRE(SSL_key_update(&c.peer.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
    // Text between them, so that they are not refused as too many in a row.
    c.peer.write("x");
    c.peer.put(c.peer.take());
    c.receive(result);
    REQUIRE(c.socket->pending() <= 65'536);
  }
  REQUIRE(result == Result::failed);
  REQUIRE(c.socket->error() == ENOBUFS);
}
