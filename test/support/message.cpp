#include "test/support/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace portico::test {

namespace {

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Line read_line(std::string_view raw) {
  const auto colon = raw.find(':');
  if (colon == std::string_view::npos || colon == 0)
    throw ProtocolError("not a field line: " + std::string(raw));
  const auto name = raw.substr(0, colon);
  if (name.find_first_of(" \t\r\n") != std::string_view::npos)
    throw ProtocolError("blank in a field name: " + std::string(raw));
  return {std::string(name), std::string(trim(raw.substr(colon + 1))), std::string(raw)};
}

Message read_head(Wire& wire, Deadline deadline) {
  Message out;
  out.head = wire.read_until("\r\n\r\n", deadline);
  std::string_view rest(out.head);
  rest.remove_suffix(2);
  const auto next_line = [&rest] {
    const auto end = rest.find("\r\n");
    const auto line = rest.substr(0, end);
    if (line.find_first_of("\r\n") != std::string_view::npos) throw ProtocolError("bare CR or LF in a head");
    rest.remove_prefix(end + 2);
    return line;
  };
  out.start_line = next_line();
  while (!rest.empty()) out.lines.push_back(read_line(next_line()));
  return out;
}

std::uint64_t number(std::string_view text, unsigned base) {
  if (text.empty() || text.size() > 18) throw ProtocolError("not a number: " + std::string(text));
  std::uint64_t value = 0;
  for (const char c : text) {
    unsigned digit = 99;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A' + 10);
    if (digit >= base) throw ProtocolError("not a number: " + std::string(text));
    value = value * base + digit;
  }
  return value;
}

enum class Delimited : std::uint8_t { no_body, length, chunked, until_close };

/// Reads one body; throws BodyEnded inside and turns it into Message::end outside.
class BodyReading {
 public:
  BodyReading(Wire& wire, Message& message, const Sink& sink, milliseconds each_read)
      : wire_(wire), message_(message), sink_(sink), each_read_(each_read) {}

  void by_length(std::uint64_t length) {
    while (length > 0) {
      if (wire_.buffered().empty() && !more()) return;
      const auto n = std::min<std::uint64_t>(length, wire_.buffered().size());
      payload(n);
      length -= n;
    }
  }

  void until_close() {
    while (true) {
      payload(wire_.buffered().size());
      if (!more()) break;
    }
    if (message_.end == End::cut) message_.end = End::complete;
  }

  void chunks() {
    while (true) {
      const auto size_line = line();
      if (!size_line) return;
      const auto size = number(size_line->substr(0, size_line->find(';')), 16);
      if (size == 0) break;
      by_length(size);
      if (message_.end != End::complete) return;
      const auto end = line();
      if (!end) return;
      if (!end->empty()) throw ProtocolError("no CRLF after a chunk");
    }
    while (true) {
      const auto trailer = line();
      if (!trailer || trailer->empty()) return;
      message_.trailers.push_back(read_line(*trailer));
    }
  }

 private:
  bool more() {
    const Outcome outcome = wire_.fill(Deadline{each_read_});
    if (outcome == Outcome::data) return true;
    if (outcome == Outcome::fin) {
      message_.end = End::cut;
    } else if (outcome == Outcome::truncated) {
      message_.end = End::truncated;
    } else if (outcome == Outcome::rst) {
      message_.end = End::reset;
    } else {
      throw WireError(outcome, "body after " + std::to_string(message_.body.size()) + " bytes");
    }
    return false;
  }

  void payload(std::uint64_t n) {
    const auto bytes = wire_.buffered().substr(0, n);
    if (sink_) {
      if (!bytes.empty()) sink_(bytes);
    } else {
      message_.body += bytes;
      message_.raw_body += bytes;
    }
    wire_.drop(bytes.size());
  }

  std::optional<std::string> line() {
    while (true) {
      const auto end = wire_.buffered().find("\r\n");
      if (end != std::string_view::npos) {
        std::string out = wire_.take(end);
        wire_.drop(2);
        if (!sink_) message_.raw_body += out + "\r\n";
        return out;
      }
      if (!more()) return std::nullopt;
    }
  }

  Wire& wire_;
  Message& message_;
  const Sink& sink_;
  milliseconds each_read_;
};

void read_body(Wire& wire, Message& message, Delimited delimited, const Sink& sink, milliseconds each_read) {
  BodyReading reading(wire, message, sink, each_read);
  switch (delimited) {
    case Delimited::no_body:
      return;
    case Delimited::length:
      return reading.by_length(number(message.one("Content-Length"), 10));
    case Delimited::chunked:
      return reading.chunks();
    case Delimited::until_close:
      return reading.until_close();
  }
}

Delimited delimited_by(const Message& message, Delimited otherwise) {
  const bool coded = message.has("Transfer-Encoding");
  const bool length = message.has("Content-Length");
  if (coded && length) throw ProtocolError("both Content-Length and Transfer-Encoding");
  if (coded && message.one("Transfer-Encoding") != "chunked") throw ProtocolError("odd Transfer-Encoding");
  if (coded) return Delimited::chunked;
  return length ? Delimited::length : otherwise;
}

std::string head_of(std::string start, const std::vector<std::string>& lines) {
  for (const auto& line : lines) start += line + "\r\n";
  return start + "\r\n";
}

}  // namespace

std::vector<std::string> Message::all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& line : lines)
    if (same(line.name, name)) out.push_back(line.value);
  return out;
}

std::string Message::one(std::string_view name) const {
  auto found = all(name);
  if (found.size() > 1) throw ProtocolError(std::string(name) + " stands more than once");
  return found.empty() ? std::string() : std::move(found.front());
}

bool Message::has_line(std::string_view raw) const {
  return std::any_of(lines.begin(), lines.end(), [raw](const Line& line) { return line.raw == raw; });
}

Message read_request_head(Wire& wire, Deadline deadline) {
  Message out = read_head(wire, deadline);
  const auto first = out.start_line.find(' ');
  const auto last = out.start_line.rfind(' ');
  if (first == std::string::npos || last == first)
    throw ProtocolError("not a request line: " + out.start_line);
  out.method = out.start_line.substr(0, first);
  out.target = out.start_line.substr(first + 1, last - first - 1);
  return out;
}

Message read_response_head(Wire& wire, Deadline deadline) {
  Message out = read_head(wire, deadline);
  const auto& line = out.start_line;
  if (!line.starts_with("HTTP/1.1 ") || line.size() < 13 || line[12] != ' ')
    throw ProtocolError("not a status line: " + line);
  out.status = static_cast<int>(number(std::string_view(line).substr(9, 3), 10));
  return out;
}

void read_request_body(Wire& wire, Message& message, const Sink& sink, milliseconds each_read) {
  read_body(wire, message, delimited_by(message, Delimited::no_body), sink, each_read);
}

void read_response_body(Wire& wire, Message& message, bool to_head_request, const Sink& sink,
                        milliseconds each_read) {
  const int status = message.status;
  if (to_head_request || status < 200 || status == 204 || status == 304) return;
  read_body(wire, message, delimited_by(message, Delimited::until_close), sink, each_read);
}

Message read_request(Wire& wire, Deadline deadline) {
  Message out = read_request_head(wire, deadline);
  read_request_body(wire, out);
  return out;
}

Message read_response(Wire& wire, bool to_head_request, Deadline deadline) {
  Message out = read_response_head(wire, deadline);
  read_response_body(wire, out, to_head_request);
  return out;
}

std::string chunk(std::string_view payload) { return fmt::format("{:x}\r\n{}\r\n", payload.size(), payload); }

std::string chunked(std::string_view payload, std::size_t size) {
  std::string out;
  for (; !payload.empty(); payload.remove_prefix(std::min(size, payload.size())))
    out += chunk(payload.substr(0, size));
  return out + "0\r\n\r\n";
}

std::string request(std::string_view method, std::string_view path, const std::vector<std::string>& lines) {
  return head_of(fmt::format("{} {} HTTP/1.1\r\nHost: front.example\r\n", method, path), lines);
}

std::string get(std::string_view path, const std::vector<std::string>& lines) {
  return request("GET", path, lines);
}

std::string post(std::string_view path, std::string_view body, const std::vector<std::string>& lines) {
  auto all = lines;
  all.push_back(fmt::format("Content-Length: {}", body.size()));
  return request("POST", path, all) + std::string(body);
}

std::string ok(std::string_view body, const std::vector<std::string>& lines) {
  auto all = lines;
  all.push_back(fmt::format("Content-Length: {}", body.size()));
  return head_of("HTTP/1.1 200 OK\r\n", all) + std::string(body);
}

std::string ok_chunked(const std::vector<std::string>& lines) {
  auto all = lines;
  all.emplace_back("Transfer-Encoding: chunked");
  return head_of("HTTP/1.1 200 OK\r\n", all);
}

}  // namespace portico::test
