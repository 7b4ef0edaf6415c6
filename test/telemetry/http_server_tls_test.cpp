// The management endpoint under TLS: what http_server.cpp, http_transport.hpp and http_stream.cpp do then.

#include <chrono>
#include <stdexcept>
#include <string>

#include <catch2/catch.hpp>

#include "telemetry/cells.hpp"
#include "telemetry/http_server.hpp"
#include "telemetry/management.hpp"
#include "test/telemetry/http_client.hpp"
#include "test/telemetry/streaming.hpp"
#include "test/telemetry/tls_files.hpp"

using namespace portico;
using namespace portico::telemetry;
using namespace portico::test;

namespace {

HttpServer serve(const TlsFiles& files, HttpBounds bounds = {}) {
  return {files.settings.listen,
          [](const HttpRequest& request) {
            return HttpReply{200, "text/plain", "hello " + std::string(request.target), {}};
          },
          bounds,
          {},
          make_server_tls(files.settings)};
}

Client secured(const std::string& address, const ClientTls& tls) {
  Client client(address);
  client.secure(tls.context());
  return client;
}

// Is the server at `address` one that `authority` vouches for?
bool vouched(const std::string& address, const Authority& authority) {
  try {
    return secured(address, ClientTls(authority)).get("/healthz").status == 200;
  } catch (const std::runtime_error&) {
    return false;
  }
}

// A stream under TLS, asked for and begun.
struct SecuredStream {
  explicit SecuredStream(HttpBounds bounds = {})
      : streaming(bounds, make_server_tls(files.settings)),
        client(secured(streaming.server->address().text(), ClientTls(files.authority))) {
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  TlsFiles files;
  Streaming streaming;
  Client client;
};

}  // namespace

TEST_CASE("requests over TLS are answered one after the other on one connection") {
  const TlsFiles files;
  const HttpServer server = serve(files);
  CHECK(server.speaks_tls());
  Client client = secured(server.address().text(), ClientTls(files.authority));
  CHECK(client.get("/1").body == "hello /1");
  client.send("GET /2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /3 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.read().body == "hello /2");
  CHECK(client.read().body == "hello /3");
  CHECK(client.get("/4", "Connection: close\r\n").body == "hello /4");
  CHECK(client.ended());
}

TEST_CASE("a large answer passes whole under TLS") {
  const TlsFiles files;
  const std::string big(8 * 1024 * 1024, 'x');
  const HttpServer server(
      files.settings.listen,
      [&](const HttpRequest&) {
        return HttpReply{200, "text/plain", big, {}};
      },
      {}, {}, make_server_tls(files.settings));
  Client client = secured(server.address().text(), ClientTls(files.authority));
  CHECK(client.get("/").body == big);
  CHECK(client.get("/").body == big);
}

TEST_CASE("a plain request on a TLS port is answered 400 in plain text, whatever is wrong with it") {
  const TlsFiles files;
  const HttpServer server = serve(files);
  for (const std::string request :
       {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "what is this\r\n\r\n"}) {
    CAPTURE(request);
    Client client(server.address().text());
    client.send(request);
    const Answer answer = client.read();
    CHECK(answer.status == 400);
    CHECK(answer.fields.at("content-type") == "text/plain; charset=utf-8");
    CHECK(answer.fields.at("connection") == "close");
    CHECK(answer.body == "This port speaks TLS only: ask again with https:// as scheme.\n");
    CHECK(client.ended());
  }
  Client head(server.address().text());
  head.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(head.read(true).status == 400);
  CHECK(head.ended());
}

TEST_CASE("bytes that are neither TLS nor HTTP end the connection and harm no other") {
  const TlsFiles files;
  const HttpServer server = serve(files);
  Client other = secured(server.address().text(), ClientTls(files.authority));
  for (const std::string& bytes : {std::string("\x16\x03\x01\x00\x05hello", 10), std::string(300, '\0'),
                                   std::string("\r\nGET / HTTP/1.1\r\n\r\n"),
                                   std::string("\x80\x2e\x01\x03\x01", 5) + std::string(43, 'x')}) {
    Client client(server.address().text());
    client.send(bytes);
    // OpenSSL may say goodbye with an alert.
    const auto to_the_end = [&] {
      for (;;) client.read_until("never");
    };
    CHECK_THROWS_WITH(to_the_end(), Catch::Contains("connection"));
  }
  CHECK(other.get("/").status == 200);
}

TEST_CASE("a client that stalls before, in or after its handshake is dropped at the deadline") {
  const TlsFiles files;
  const HttpServer server = serve(files, {.request_time = std::chrono::milliseconds(300)});
  const std::string address = server.address().text();
  Client silent(address);
  Client half(address);
  half.send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  Client idle = secured(address, ClientTls(files.authority));
  CHECK(silent.hears_within(5000));
  CHECK(silent.ended());
  CHECK(half.hears_within(5000));
  CHECK(half.ended());
  CHECK(idle.hears_within(5000));
  CHECK_THROWS(idle.read());
}

TEST_CASE("a handshake holds one of the connections, and one too many is closed without a word of HTTP") {
  const TlsFiles files;
  const HttpServer server = serve(files, {.connections = 1});
  const std::string address = server.address().text();
  {
    const Client shaking(address);
    CHECK(soon([&] {
      Client next(address);
      // Not turned away yet if its handshake would begin.
      return next.hears_within(50) && next.ended();
    }));
  }
  CHECK(soon([&] { return vouched(address, files.authority); }));
}

TEST_CASE("a stream over TLS sends what there is when there is something, and its end is a close_notify") {
  SecuredStream stream;
  CHECK(stream.client.read_until("\r\n\r\n").find("text/event-stream") != std::string::npos);
  CHECK(stream.client.read_until(";") == "first;");
  stream.streaming.script.say(stream.streaming.executor, "second;");
  CHECK(stream.client.read_until(";") == "second;");
  // What a client says on is of no interest.
  stream.client.send("GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n");
  stream.streaming.script.say(stream.streaming.executor, "third;");
  CHECK(stream.client.read_until(";") == "third;");
  stream.streaming.script.say(stream.streaming.executor, "last", true);
  CHECK(stream.client.read_until("last") == "last");
  CHECK(stream.client.ended());
  CHECK(soon([&] { return stream.streaming.script.alive == 0; }));
}

TEST_CASE("a silent stream over TLS shows that it lives, for longer than a request may take") {
  SecuredStream stream({.request_time = std::chrono::milliseconds(200),
                        .answer_time = std::chrono::milliseconds(200),
                        .silence = std::chrono::milliseconds(50)});
  stream.client.read_until("first;");
  for (int i = 0; i < 10; ++i) CHECK(stream.client.read_until("(still here)") == "(still here)");
}

TEST_CASE("a stream over TLS is over at once when its client goes, with or without a close_notify") {
  const bool in_order = GENERATE(true, false);
  SecuredStream stream;
  stream.client.read_until("first;");
  CHECK(stream.streaming.script.alive == 1);
  if (in_order) {
    SSL_shutdown(stream.client.tls());
  } else {
    const Client gone = std::move(stream.client);
  }
  CHECK(soon([&] { return stream.streaming.script.alive == 0; }));
}

TEST_CASE("a stream over TLS whose client takes nothing is cut") {
  SecuredStream stream({.answer_time = std::chrono::milliseconds(50)});
  CHECK(soon([&] { return stream.streaming.script.alive == 1; }));
  stream.streaming.script.say(stream.streaming.executor, std::string(64 * 1024 * 1024, 'x'));
  CHECK(soon([&] { return stream.streaming.script.alive == 0; }));
}

TEST_CASE("ending the server ends its streams over TLS and its handshakes") {
  SecuredStream stream;
  stream.client.read_until("first;");
  Client shaking(stream.streaming.server->address().text());
  shaking.send("\x16");
  stream.streaming.server.reset();
  CHECK(stream.streaming.script.alive == 0);
  CHECK_THROWS(stream.client.read());
  CHECK(shaking.ended());
}

TEST_CASE("a reload puts new files in force for new connections, and running ones go on") {
  Registry registry(1);
  ManagementServer server(registry);
  TlsFiles files;
  CHECK_FALSE(server.speaks_tls());
  server.start(files.settings);
  CHECK(server.speaks_tls());
  const std::string address = server.address();
  Client before = secured(address, ClientTls(files.authority));
  CHECK(before.get("/healthz").status == 200);

  const Authority next("Next");
  files.use(next.issue());
  CHECK(vouched(address, files.authority));  // nothing was read yet
  server.reload_tls(files.settings);
  CHECK(vouched(address, next));
  CHECK_FALSE(vouched(address, files.authority));
  CHECK(before.get("/healthz").status == 200);
}

TEST_CASE("a reload puts new authorities of clients in force") {
  Registry registry(1);
  ManagementServer server(registry);
  TlsFiles files;
  const Authority clients("Clients");
  const Authority next("Next");
  files.demand(clients);
  server.start(files.settings);
  const auto admits = [&](const Authority& authority) {
    try {
      return secured(server.address(), {files.authority, authority.issue()}).get("/healthz").status == 200;
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  CHECK(admits(clients));
  CHECK_FALSE(admits(next));
  files.demand(next);
  server.reload_tls(files.settings);
  CHECK_FALSE(admits(clients));
  CHECK(admits(next));
}

TEST_CASE("a reload of unfit files says what is wrong and changes nothing") {
  Registry registry(1);
  ManagementServer server(registry);
  TlsFiles files;
  server.start(files.settings);
  files.use(Authority("Next").issue());
  replace_file(files.settings.tls_key, "no key\n");
  CHECK_THROWS_WITH(server.reload_tls(files.settings),
                    "admin.tls_key: " + files.settings.tls_key + ": holds no key in PEM form");
  CHECK(vouched(server.address(), files.authority));
}

TEST_CASE("a reload neither begins TLS nor ends it") {
  Registry registry(1);
  const TlsFiles files;
  conf::AdminSettings plain;
  plain.listen = files.settings.listen;
  ManagementServer secure(registry);
  secure.reload_tls(files.settings);
  CHECK_FALSE(secure.speaks_tls());
  secure.start(files.settings);
  secure.reload_tls(plain);
  CHECK(vouched(secure.address(), files.authority));
  ManagementServer open(registry);
  open.start(plain);
  open.reload_tls(files.settings);
  CHECK_FALSE(open.speaks_tls());
  CHECK(Client(open.address()).get("/healthz").status == 200);
}

TEST_CASE("an endpoint that cannot have its TLS is not started without") {
  Registry registry(1);
  ManagementServer server(registry);
  TlsFiles files;
  files.settings.tls_key = files.file("none.key");
  CHECK_THROWS_WITH(server.start(files.settings), Catch::StartsWith("admin.tls_key: "));
  CHECK(server.address().empty());
}

TEST_CASE("a client's certificate does not stand for the token") {
  Registry registry(1);
  ManagementServer server(registry);
  TlsFiles files;
  files.demand(files.authority);
  files.settings.token = "a-token-of-some-length";
  server.start(files.settings);
  Client client = secured(server.address(), {files.authority, files.authority.issue()});
  CHECK(client.get("/metrics").status == 401);
  CHECK(client.get("/metrics", "Authorization: Bearer a-token-of-some-length\r\n").status == 200);
}
