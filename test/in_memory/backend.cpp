#include "test/in_memory/backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "test/support/websocket.hpp"

namespace portico::in_memory {

namespace {

constexpr std::string_view line_end = "\r\n";

std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& c : copy) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return copy;
}

/// The next line, taken off `bytes`; nothing while it is not whole.
std::optional<std::string_view> take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find(line_end);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + line_end.size());
  demand(std::none_of(line.begin(), line.end(),
                      [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; }),
         "no control byte gets to a backend");
  return line;
}

std::size_t number(std::string_view text, int base) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  demand(error == std::errc() && end == text.data() + text.size(), "a backend can read every size");
  return value;
}

/// Header or trailer lines up to the empty one; false while they are not whole.
template <class Take>
bool take_fields(std::string_view& bytes, Take take) {
  for (;;) {
    const std::optional<std::string_view> line = take_line(bytes);
    if (!line) return false;
    if (line->empty()) return true;
    const std::size_t colon = line->find(':');
    demand(colon != std::string_view::npos && colon > 0 &&
               line->substr(0, colon).find_first_of(" \t()<>@,;\\\"/[]?={}") == std::string_view::npos,
           "every line that a backend is handed is a field");
    std::string_view value = line->substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    take(lower(line->substr(0, colon)), value);
  }
}

/// Goes over a body in the chunked coding; false while it is not whole.
bool take_chunks(std::string_view& bytes, std::size_t& payload) {
  for (;;) {
    const std::optional<std::string_view> line = take_line(bytes);
    if (!line) return false;
    const std::size_t size = number(line->substr(0, line->find_first_of("; \t")), 16);
    if (size == 0) {
      return take_fields(bytes, [](const std::string& name, std::string_view) {
        demand(name != "content-length" && name != "transfer-encoding" && name != "host" &&
                   name != "authorization" && !name.starts_with("x-forwarded-"),
               "no trailer frames, routes, authenticates or names the client");
      });
    }
    if (bytes.size() < size + line_end.size()) return false;
    demand(bytes.substr(size, line_end.size()) == line_end, "a chunk ends where it says");
    payload += size;
    bytes.remove_prefix(size + line_end.size());
  }
}

struct HeadCounts {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t codings = 0;
  std::size_t clients = 0;
  std::size_t length = 0;
  bool upgrade = false;
};

}  // namespace

std::optional<ReadRequest> read_request(std::string_view bytes) {
  const std::size_t all = bytes.size();
  const std::optional<std::string_view> line = take_line(bytes);
  if (!line) return std::nullopt;
  ReadRequest request;
  const std::size_t first = line->find(' ');
  const std::size_t last = line->rfind(' ');
  demand(first != std::string_view::npos && first < last && line->find(' ', first + 1) == last &&
             line->substr(last) == " HTTP/1.1",
         "a request line has three words");
  request.method = line->substr(0, first);
  request.target = line->substr(first + 1, last - first - 1);
  HeadCounts counts;
  const bool whole = take_fields(bytes, [&](const std::string& name, std::string_view value) {
    if (name == "host") ++counts.hosts;
    if (name == "content-length") {
      ++counts.lengths;
      counts.length = number(value, 10);
    }
    if (name == "transfer-encoding") {
      ++counts.codings;
      demand(lower(value) == "chunked", "the one transfer coding is chunked");
    }
    if (name == "x-forwarded-for") {
      ++counts.clients;
      request.client = value;
    }
    if (name == "upgrade") counts.upgrade = true;
    if (name == "sec-websocket-key") request.websocket_key = value;
    demand(name != "x-forwarded-prefix" && name != "keep-alive" && name != "proxy-connection",
           "what concerns one connection stays there");
  });
  if (!whole) return std::nullopt;
  demand(counts.hosts == 1, "a request names one host");
  demand(counts.clients == 1, "a backend is told of one client, once");
  demand(counts.lengths + counts.codings <= 1, "a body has one framing");
  if (!counts.upgrade) request.websocket_key = {};
  request.head = all - bytes.size();
  bool body = true;
  if (counts.codings == 1) {
    body = take_chunks(bytes, request.payload);
  } else {
    body = bytes.size() >= counts.length;
    request.payload = counts.length;
    bytes.remove_prefix(std::min(bytes.size(), counts.length));
  }
  request.size = body ? all - bytes.size() : 0;
  return request;
}

namespace {

std::string with_length(std::string_view lines, std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", lines, body.size(), body);
}

std::string echo_of(const ReadRequest& request) {
  return fmt::format("{{\"model\":\"m\",\"target\":{},\"payload\":{}}}", request.target.size(),
                     request.payload);
}

/// Answers one whole request, or one whose head is enough.
void answer(Link& link, const ReadRequest& request, Manners manners) {
  constexpr std::string_view events = "Content-Type: text/event-stream\r\n";
  const bool head = request.method == "HEAD";
  switch (manners) {
    case Manners::length:
    case Manners::early:
    case Manners::upgrade: {
      const std::string text = with_length("Content-Type: application/json\r\n", echo_of(request));
      link.send(head ? text.substr(0, text.find("\r\n\r\n") + 4) : text);
      return;
    }
    case Manners::chunked:
      link.send(fmt::format("HTTP/1.1 200 OK\r\n{}Transfer-Encoding: chunked\r\n\r\n", events));
      if (head) return;
      link.send("15\r\ndata: {\"model\":\"m\"}\n\n\r");
      link.send("\n0e\r\ndata: [DONE]\n\n\r\n0\r\nX-Sum: 1\r\n\r\n");
      return;
    case Manners::until_end:
      link.send(fmt::format("HTTP/1.1 200 OK\r\n{}\r\ndata: [DONE]\n\n", events));
      link.end();
      return;
    case Manners::interim:
      link.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
      link.send("HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n");
      return;
    case Manners::rude:
      link.close();
      return;
    case Manners::garbage:
      link.send(with_length({}, head ? "" : "four") + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
      return;
    case Manners::large:
      link.send(with_length({}, head ? std::string() : std::string(300'000, 'x')));
      return;
    case Manners::silent:
      return;
  }
}

void serve(Link& link, Manners manners, std::string_view client) {
  if (Witness::serve(link)) return;
  // Becomes a tunnel for good.
  constexpr std::size_t tunnel = SIZE_MAX;
  if (link.messages == tunnel) {
    const std::string bytes(link.received());
    link.consume(bytes.size());
    link.send(bytes);
    if (link.ended()) link.end();
    return;
  }
  const std::optional<ReadRequest> request = read_request(link.received());
  if (!request) return;
  demand(client.empty() || request->client == client, "nobody chooses the address that a backend is told");
  const bool early = manners == Manners::early || manners == Manners::rude;
  // What was answered early is still to be read to its end.
  if (early && link.messages == 0) {
    link.messages = 1;
    answer(link, *request, manners);
  }
  if (!link.open() || request->size == 0) return;
  demand(request->size == link.received().size(), "a backend is handed one request at a time");
  if (manners == Manners::upgrade && !request->websocket_key.empty()) {
    link.messages = tunnel;
    link.send(
        fmt::format("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Accept: {}\r\n\r\n",
                    test::websocket::accept_for(request->websocket_key)));
  } else if (!early) {
    answer(link, *request, manners);
  }
  if (manners == Manners::silent) return;
  link.consume(request->size);
  if (link.messages != tunnel) link.messages = 0;
}

}  // namespace

Portico::Script backend_with(Manners manners, std::string_view client) {
  return [manners, client](Link& link) {
    if (link.open()) serve(link, manners, client);
  };
}

}  // namespace portico::in_memory
