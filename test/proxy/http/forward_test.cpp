#include "proxy/http/forward.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "heads.hpp"
#include "proxy/http/client_address.hpp"

using namespace portico;
using namespace portico::proxy;
using namespace portico::proxy::http;
using test::Request;
using test::Response;
using test::Seen;

namespace {

UpstreamHeadFacts facts_of(std::string_view peer) {
  UpstreamHeadFacts facts;
  facts.client = peer;
  facts.chain = peer;
  facts.proto = "http";
  facts.host = "h";
  facts.request_id = "id-1";
  facts.upstream_authority = "127.0.0.1:8317";
  return facts;
}

const std::string added =
    "X-Real-IP: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\n"
    "X-Forwarded-Host: h\r\nForwarded: for=203.0.113.9;proto=http;host=\"h\"\r\nX-Request-Id: id-1\r\n";

std::string upstream(const std::string& text) {
  const Request request(text);
  REQUIRE(request.error == h1::HeadError::none);
  return request.upstream(facts_of("203.0.113.9"));
}

ClientHeadFacts client_facts() {
  ClientHeadFacts facts;
  facts.request_id = "id-1";
  return facts;
}

std::string client(const std::string& text, const ClientHeadFacts& facts) {
  const Response response(text);
  REQUIRE(response.error == h1::HeadError::none);
  return response.client(facts);
}

/// Whom CPA takes for the caller, as its framework does it: of the first X-Forwarded-For line the left-most
/// item, unless some item is no address; then X-Real-IP the same way; then the peer, which is Portico.
std::string believed_by_cpa(const Seen& seen) {
  for (const std::string_view name : {"x-forwarded-for", "x-real-ip"}) {
    const auto lines = seen.all(name);
    if (lines.empty()) continue;
    std::string left_most;
    bool good = true;
    std::string_view rest = lines.front();
    for (bool more = true; more;) {
      const auto comma = rest.find(',');
      auto item = rest.substr(0, comma);
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
      while (item.starts_with(' ')) item.remove_prefix(1);
      while (item.ends_with(' ')) item.remove_suffix(1);
      const auto address = conf::IpAddress::parse(item);
      good = good && address.has_value();
      if (left_most.empty()) left_most = std::string(item);
    }
    if (good) return left_most;
  }
  return "127.0.0.1";
}

/// Cuts a head into fields and refuses nothing, so that the writer is tried without the parser's protection.
struct LenientRequest {
  std::string text;
  h1::HeadFields fields{200};
  h1::RequestHead head;

  explicit LenientRequest(std::string source) : text(std::move(source)) {
    std::string_view rest = text;
    const auto take = [&rest] {
      const auto end = rest.find("\r\n") + 2;
      const auto line = rest.substr(0, end);
      rest.remove_prefix(end);
      return line;
    };
    const auto start = take();
    head.method = start.substr(0, start.find(' '));
    const auto after = start.substr(head.method.size() + 1);
    head.target = after.substr(0, after.find(' '));
    while (rest != "\r\n") {
      h1::Field field;
      field.line = take();
      const auto colon = field.line.find(':');
      field.name = field.line.substr(0, colon);
      field.value = field.line.substr(colon + 1, field.line.size() - colon - 3);
      while (field.value.starts_with(' ')) field.value.remove_prefix(1);
      field.id = h1::identify(field.name);
      if (field.id == h1::FieldId::host) head.host = field.value;
      REQUIRE(fields.push(field));
    }
    head.fields = &fields;
    head.connection.others = true;
  }
};

}  // namespace

TEST_CASE("a request's lines go on byte for byte: case, order, duplicates and spacing") {
  const std::string lines =
      "hOsT:  h \r\nACCEPT:*/*\r\nX-A: 1\r\nx-a:\t2\r\nX-A:1\r\nSession_id: s\r\nX_Forwarded_For: "
      "127.0.0.1\r\n"
      "Authorization: Bearer k\r\nx-api-key: k\r\nX-Goog-Api-Key: k\r\nCookie: a=b\r\ncookie: c=d\r\n"
      "Accept-Encoding: gzip,  br\r\ntraceparent: 00-1-2-01\r\nEmpty:\r\nContent-Length: 3\r\n"
      "Expect: 100-continue\r\nTrailer: x\r\nVia: 1.1 other\r\n";
  CHECK(upstream("POST /v1/x?key=k HTTP/1.1\r\n" + lines + "\r\n") ==
        "POST /v1/x?key=k HTTP/1.1\r\n" + lines + added + "\r\n");
}

TEST_CASE("the request target goes on as received") {
  for (const std::string target : {"/", "/a//b/../%2f%C3%A4?x=%zz&key=1", "http://h/x", "/?"}) {
    CHECK(Seen(upstream("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")).start ==
          "GET " + target + " HTTP/1.1");
  }
}

TEST_CASE("a chunked request stays chunked") {
  const Seen seen(upstream("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
  CHECK(seen.one("transfer-encoding") == "chunked");
}

TEST_CASE("hop-by-hop fields of a request are removed") {
  const Seen seen(
      upstream("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
               "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: h2c\r\n"
               "Accept: a\r\n\r\n"));
  for (const auto name :
       {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"}) {
    CAPTURE(name);
    CHECK_FALSE(seen.has(name));
  }
  CHECK(seen.one("accept") == "a");
}

TEST_CASE("what Connection lists is removed, whatever its case, and nothing else") {
  const Seen seen(
      upstream("GET / HTTP/1.1\r\nHost: h\r\nX-Hop: 1\r\nConnection: close, x-HOP\r\nX-Hop2: 2\r\n"
               "x-hop: 3\r\nConnection: HTTP2-Settings\r\nHTTP2-Settings: AAM\r\nX: 4\r\n\r\n"));
  CHECK_FALSE(seen.has("x-hop"));
  CHECK_FALSE(seen.has("http2-settings"));
  CHECK(seen.one("x-hop2") == "2");
  CHECK(seen.one("x") == "4");
}

TEST_CASE("a Connection list without end is not followed beyond 32 names") {
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\nConnection: a31, b";
  for (int i = 0; i < 30; ++i) text += ",a" + std::to_string(i);
  text += "\r\nConnection: last\r\na31: x\r\na29: x\r\nlast: x\r\n\r\n";
  const Seen seen(upstream(text));
  CHECK_FALSE(seen.has("a31"));
  CHECK_FALSE(seen.has("a29"));
  CHECK(seen.has("last"));
}

TEST_CASE("Connection cannot take out what guards, frames or names the request") {
  const std::string names[] = {"Host",
                               "Authorization",
                               "Content-Length",
                               "Content-Type",
                               "Content-Encoding",
                               "Transfer-Encoding",
                               "Cookie",
                               "Expect",
                               "X-Api-Key",
                               "X-Goog-Api-Key",
                               "Sec-WebSocket-Key",
                               "Sec-WebSocket-Version",
                               "Sec-WebSocket-Protocol"};
  for (const auto& name : names) {
    CAPTURE(name);
    const LenientRequest request("GET / HTTP/1.1\r\nHost: h\r\n" +
                                 (name == "Host" ? std::string() : name + ": v\r\n") + "Connection: close, " +
                                 name + "\r\n\r\n");
    std::string out(request.text.size() + max_added_bytes, '?');
    out.resize(write_upstream_head(request.head, facts_of("203.0.113.9"), out));
    std::string lower = name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    CHECK(Seen(out).one(lower) == (name == "Host" ? "h" : "v"));
  }
}

TEST_CASE("every forwarding header of the client is dropped and written anew, each once") {
  const Seen seen(
      upstream("GET / HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\nHost: h\r\nx-real-ip: ::1\r\nFORWARDED: "
               "for=127.0.0.1\r\n"
               "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: "
               "/evil\r\nX-Forwarded-Port: 1\r\n"
               "X-Forwarded-Server: evil\r\nX-Forwarded-Ssl: on\r\nx-forwarded-whatever: evil\r\n"
               "X-Request-Id: theirs\r\nX-Request-Id: again\r\n\r\n"));
  CHECK(seen.fields.size() == 7);
  CHECK(seen.one("x-forwarded-for") == "203.0.113.9");
  CHECK(seen.one("x-real-ip") == "203.0.113.9");
  CHECK(seen.one("forwarded") == "for=203.0.113.9;proto=http;host=\"h\"");
  CHECK(seen.one("x-forwarded-proto") == "http");
  CHECK(seen.one("x-forwarded-host") == "h");
  CHECK(seen.one("x-request-id") == "id-1");
}

TEST_CASE("an IPv6 client stands in brackets in Forwarded and plain elsewhere") {
  const Request request("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
  auto facts = facts_of("2001:db8::7");
  facts.chain = "2001:db8::7, 10.0.0.1";
  facts.proto = "https";
  facts.host = request.head.host;
  const Seen seen(request.upstream(facts));
  CHECK(seen.one("forwarded") == "for=\"[2001:db8::7]\";proto=https;host=\"[::1]:8080\"");
  CHECK(seen.one("x-real-ip") == "2001:db8::7");
  CHECK(seen.one("x-forwarded-for") == "2001:db8::7, 10.0.0.1");
  CHECK(seen.one("x-forwarded-host") == "[::1]:8080");
}

TEST_CASE("a host that could break out of Forwarded is refused with its request") {
  for (const std::string host : {"h\";for=127.0.0.1", "h\\", "h, for=127.0.0.1", "h;for=127.0.0.1", "h h"}) {
    CAPTURE(host);
    CHECK(Request("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").error == h1::HeadError::bad_host);
  }
}

TEST_CASE("an HTTP/1.0 request becomes HTTP/1.1, gets a Host where it has none and loses Expect") {
  const Seen without(upstream("GET / HTTP/1.0\r\nExpect: 100-continue\r\nA: b\r\n\r\n"));
  CHECK(without.start == "GET / HTTP/1.1");
  CHECK(without.one("host") == "127.0.0.1:8317");
  CHECK_FALSE(without.has("expect"));
  const Seen with(upstream("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"));
  CHECK(with.one("host") == "h");
  CHECK_FALSE(with.has("connection"));
}

TEST_CASE("without a host there is none in the forwarding headers") {
  const Request request("GET / HTTP/1.0\r\n\r\n");
  auto facts = facts_of("203.0.113.9");
  facts.host = {};
  const Seen seen(request.upstream(facts));
  CHECK_FALSE(seen.has("x-forwarded-host"));
  CHECK(seen.one("forwarded") == "for=203.0.113.9;proto=http");
}

TEST_CASE("a WebSocket upgrade keeps its Upgrade line and says Connection: upgrade") {
  const Seen seen(
      upstream("GET /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
               "UPGRADE: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n\r\n"));
  CHECK(seen.one("connection") == "upgrade");
  CHECK(seen.one("upgrade") == "WebSocket");
  CHECK(seen.one("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ==");
  CHECK(seen.one("sec-websocket-version") == "13");
  CHECK(seen.one("sec-websocket-protocol") == "a, b");
}

TEST_CASE("any other upgrade is stripped") {
  const Seen seen(upstream("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"));
  CHECK_FALSE(seen.has("connection"));
  CHECK_FALSE(seen.has("upgrade"));
}

TEST_CASE("TE goes on as trailers alone and is named in Connection") {
  const Seen seen(
      upstream("GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: gzip;q=0.5, Trailers\r\n\r\n"));
  CHECK(seen.one("connection") == "TE");
  CHECK(seen.one("te") == "trailers");
}

TEST_CASE("Via is added beside the client's own, with the version that was received") {
  auto facts = facts_of("203.0.113.9");
  facts.via = "portico";
  const Request one_one("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 other\r\n\r\n");
  CHECK(Seen(one_one.upstream(facts)).all("via") == std::vector<std::string>{"1.0 other", "1.1 portico"});
  facts.http_version = 10;
  const Request one_zero("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
  CHECK(Seen(one_zero.upstream(facts)).one("via") == "1.0 portico");
  facts.http_version = 20;
  CHECK(Seen(one_one.upstream(facts)).all("via") == std::vector<std::string>{"1.0 other", "2.0 portico"});
}

TEST_CASE("a head that does not fit is not written at all") {
  const Request request("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n");
  const auto facts = facts_of("203.0.113.9");
  const auto whole = request.upstream(facts);
  for (std::size_t room = 0; room < whole.size(); ++room) {
    std::string out(room, '?');
    CHECK(write_upstream_head(request.head, facts, out) == 0);
  }
  std::string exact(whole.size(), '?');
  CHECK(write_upstream_head(request.head, facts, exact) == whole.size());
  CHECK(exact == whole);

  const Response response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const auto answer = response.client(client_facts());
  for (std::size_t room = 0; room < answer.size(); ++room) {
    std::string out(room, '?');
    CHECK(write_client_head(response.head, client_facts(), out) == 0);
  }
}

TEST_CASE("the longest facts fit into max_added_bytes") {
  for (const std::size_t host_size : {1024U, 1025U, 8000U}) {
    const std::string host(host_size, 'h');
    const Request request(
        "GET / HTTP/1.1\r\nHost: " + host +
        "\r\nConnection: TE, Upgrade\r\nTE: trailers\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    REQUIRE(request.error == h1::HeadError::none);
    const std::string address(45, '1');
    const std::string chain(17 * 47, '2');
    const std::string id(128, 'i');
    const std::string via(255, 'v');
    UpstreamHeadFacts facts;
    facts.client = address;
    facts.chain = chain;
    facts.proto = "https";
    facts.host = host;
    facts.request_id = id;
    facts.via = via;
    facts.upstream_authority = via;
    const Seen seen(request.upstream(facts));
    CHECK(seen.ends_well);
    CHECK(seen.has("x-forwarded-host") == (host_size <= 1024));
    CHECK(seen.one("x-real-ip") == address);
  }
}

TEST_CASE("no header that a client can send reaches the backend as the client's address") {
  std::mt19937 random(20260822);
  const auto pick = [&random](const auto& from) -> decltype(auto) {
    return from[random() % std::size(from)];
  };
  const std::array<std::string, 15> names{
      "X-Forwarded-For",   "X-Real-IP",          "Forwarded",      "Connection",      "X-Forwarded-Host",
      "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-By", "X_Forwarded_For", "X_Real_IP",
      "X-Forwarded-For-2", "X-Client-IP",        "Keep-Alive",     "True-Client-IP",  "Proxy-Connection"};
  const std::array<std::string, 16> values{"127.0.0.1",
                                           "::1",
                                           "127.0.0.1, 127.0.0.1",
                                           "unknown",
                                           "for=127.0.0.1",
                                           "",
                                           ",",
                                           "10.0.0.1:80",
                                           "X-Forwarded-For",
                                           "close, x-forwarded-for",
                                           "X-Real-IP, keep-alive",
                                           "Forwarded",
                                           "x-real-ip,X-FORWARDED-FOR,forwarded,Host",
                                           "\"127.0.0.1\"",
                                           "[::1]",
                                           "X-Forwarded-*"};
  const std::array<std::string, 4> peers{"203.0.113.9", "2001:db8::7", "127.0.0.1", "10.0.0.1"};
  int read_by_parser = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "GET /v0/management/x HTTP/1.1\r\n";
    const auto count = 1 + random() % 8;
    const auto host_at = random() % count;
    for (std::size_t i = 0; i < count; ++i) {
      if (i == host_at) text += "Host: h\r\n";
      std::string name = pick(names);
      for (char& c : name) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_letter && random() % 3 == 0) c = static_cast<char>(c ^ 0x20);
      }
      const std::array<std::string, 3> spaces{"", " ", "  "};
      text += name + ":" + pick(spaces) + pick(values) + "\r\n";
    }
    text += "\r\n";
    const auto& peer = pick(peers);
    CAPTURE(text, peer);

    const auto check = [&peer](const h1::RequestHead& head, std::size_t size) {
      ForwardedChain chain;
      chain.assign(Peer{*conf::IpAddress::parse(peer), false}, *head.fields,
                   conf::ClientAddressHeader::x_forwarded_for, TrustedProxies{});
      auto facts = facts_of(chain.client());
      facts.chain = chain.chain();
      facts.host = head.host;
      std::string out(size + max_added_bytes, '?');
      out.resize(write_upstream_head(head, facts, out));
      const Seen seen(out);
      const auto forwarded = peer.find(':') == std::string::npos ? "for=" + peer : "for=\"[" + peer + "]\"";
      bool good = seen.ends_well && seen.one("x-forwarded-for") == peer && seen.one("x-real-ip") == peer &&
                  seen.one("forwarded") == forwarded + ";proto=http;host=\"h\"" &&
                  seen.one("x-forwarded-host") == "h" && seen.one("x-forwarded-proto") == "http" &&
                  seen.one("host") == "h" && !seen.has("connection") && believed_by_cpa(seen) == peer;
      std::size_t forwarding = 0;
      for (const auto& [name, value] : seen.fields) forwarding += name.starts_with("x-forwarded-") ? 1 : 0;
      good = good && forwarding == 3;
      CAPTURE(out);
      REQUIRE(good);
    };
    const Request strict(text);
    if (strict.error == h1::HeadError::none) {
      ++read_by_parser;
      check(strict.head, text.size());
    }
    const LenientRequest lenient(text);
    check(lenient.head, text.size());
  }
  CHECK(read_by_parser > 5'000);
}

TEST_CASE("a response's lines go on byte for byte, obeyed by nobody") {
  const std::string lines =
      "Content-type:text/event-stream \r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nX-Cpa-Trace-Id: t\r\n"
      "Location: http://elsewhere/\r\nX-Accel-Redirect: /secret\r\nX-Accel-Buffering: no\r\nRetry-After: "
      "9\r\n"
      "Transfer-Encoding: chunked\r\nVia: 1.1 other\r\nDate: d\r\nServer: s\r\n";
  CHECK(client("HTTP/1.1 429 Too  Many\r\n" + lines + "\r\n", client_facts()) ==
        "HTTP/1.1 429 Too  Many\r\n" + lines + "X-Request-Id: id-1\r\n\r\n");
}

TEST_CASE("hop-by-hop fields of a response are removed") {
  const Seen seen(
      client("HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
             "Proxy-Connection: close\r\nProxy-Authenticate: Basic\r\nTE: x\r\nUpgrade: h2c\r\n"
             "Trailer: x\r\nContent-Length: 0\r\n\r\n",
             client_facts()));
  CHECK(seen.start == "HTTP/1.1 200 OK");
  CHECK(seen.fields.size() == 2);
  CHECK(seen.one("content-length") == "0");
  CHECK(seen.one("x-request-id") == "id-1");
}

TEST_CASE("a response to an empty reason phrase keeps it empty, and HTTP/1.0 becomes HTTP/1.1") {
  CHECK(Seen(client("HTTP/1.0 204 \r\n\r\n", client_facts())).start == "HTTP/1.1 204 ");
}

TEST_CASE("the client is told what becomes of the connection") {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  auto facts = client_facts();
  CHECK_FALSE(Seen(client(text, facts)).has("connection"));
  facts.keep_alive = true;
  CHECK(Seen(client(text, facts)).one("connection") == "keep-alive");
  facts.close = true;
  CHECK(Seen(client(text, facts)).one("connection") == "close");
}

TEST_CASE("a backend's own request id goes on under another name, ours takes its place") {
  const Seen differs(
      client("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-ID: theirs\r\n\r\n", client_facts()));
  CHECK(differs.one("x-request-id") == "id-1");
  CHECK(differs.one("x-upstream-request-id") == "theirs");
  const Seen same(
      client("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-request-id: id-1\r\n\r\n", client_facts()));
  CHECK(same.one("x-request-id") == "id-1");
  CHECK_FALSE(same.has("x-upstream-request-id"));
}

TEST_CASE("Trailer stays where trailers are relayed") {
  auto facts = client_facts();
  facts.relay_trailers = true;
  CHECK(Seen(client("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n", facts))
            .one("trailer") == "x");
}

TEST_CASE("Transfer-Encoding is left out where the body goes on as payload") {
  auto facts = client_facts();
  facts.dechunk = true;
  const Seen seen(client("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n", facts));
  CHECK_FALSE(seen.has("transfer-encoding"));
  CHECK(seen.one("a") == "b");
}

TEST_CASE("an interim response only loses its hop-by-hop fields") {
  auto facts = client_facts();
  facts.via = "portico";
  facts.close = true;
  CHECK(client("HTTP/1.1 100 Continue\r\n\r\n", facts) == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(client("HTTP/1.1 103 Early Hints\r\nConnection: keep-alive\r\nLink: </a>\r\n\r\n", facts) ==
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST_CASE("a 101 keeps its Upgrade line and says Connection: upgrade") {
  auto facts = client_facts();
  facts.close = true;
  const Seen seen(
      client("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
             facts));
  CHECK(seen.one("connection") == "upgrade");
  CHECK(seen.one("upgrade") == "websocket");
  CHECK(seen.one("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(seen.one("x-request-id") == "id-1");
}

TEST_CASE("Via is added to a response where it is wanted") {
  auto facts = client_facts();
  facts.via = "portico";
  CHECK(Seen(client("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", facts)).one("via") == "1.1 portico");
}

TEST_CASE("a request id is kept when it is one field of visible ASCII of at most 128 bytes") {
  CHECK(sane_request_id("a"));
  CHECK(sane_request_id(std::string(128, '~')));
  CHECK_FALSE(sane_request_id(""));
  CHECK_FALSE(sane_request_id(std::string(129, 'a')));
  CHECK_FALSE(sane_request_id(std::string(1, '\0')));
  for (const std::string odd : {"a b", "a\tb", "\x7f", "\xc3\xa4", "a\r\nb"}) {
    CHECK_FALSE(sane_request_id(odd));
  }
  const auto kept = [](const std::string& lines) {
    const Request request("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
    REQUIRE(request.error == h1::HeadError::none);
    return std::string(kept_request_id(request.fields));
  };
  CHECK(kept("X-Request-Id: abc\r\n") == "abc");
  CHECK(kept("x-request-id:\tabc \r\n") == "abc");
  CHECK(kept("X-Request-Id: abc\r\nX-Request-Id: abc\r\n").empty());
  CHECK(kept("X-Request-Id: a b\r\n").empty());
  CHECK(kept("").empty());
}

TEST_CASE("a trusted proxy's X-Forwarded-Proto and -Host are taken when well-formed and single") {
  const auto told = [](const std::string& lines) {
    const Request request("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
    REQUIRE(request.error == h1::HeadError::none);
    return std::string(forwarded_proto(request.fields, "http")) + " " +
           std::string(forwarded_host(request.fields, "h"));
  };
  CHECK(told("") == "http h");
  CHECK(told("X-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example:443\r\n") == "https api.example:443");
  CHECK(told("X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: [::1]:1\r\n") == "https [::1]:1");
  CHECK(told("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n") == "http h");
  CHECK(told("X-Forwarded-Host: a\r\nx-forwarded-host: b\r\n") == "http h");
  CHECK(told("X-Forwarded-Proto: wss\r\nX-Forwarded-Host:\r\n") == "http h");
  for (const std::string odd : {"a,b", "a b", "a\"", "a\\", "a;b", "a/b", "a@b", "\xc3\xa4"}) {
    CHECK(told("X-Forwarded-Host: " + odd + "\r\n") == "http h");
  }
}

TEST_CASE("a Sec-WebSocket-Accept matches its key and no other") {
  // The example of RFC 6455 section 1.3.
  CHECK(accept_matches("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(accept_matches("dGhlIHNhbXBsZSBub25jZR==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK_FALSE(accept_matches("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"));
  CHECK_FALSE(accept_matches("dGhlIHNhbXBsZSBub25jZQ==", ""));
  CHECK_FALSE(accept_matches(std::string(4000, 'a'), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}
