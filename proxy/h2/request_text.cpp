#include "proxy/h2/request_text.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::h2 {

namespace {

// What a line costs beside its name and its value.
constexpr std::size_t line_overhead = 4;
constexpr std::string_view version = " HTTP/1.1\r\n";
constexpr std::string_view upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ";
constexpr std::string_view coding = "transfer-encoding: chunked\r\n";

bool on_one_line(std::string_view text) noexcept {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool is_name(std::string_view name) noexcept {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return c <= ' ' || c == ':' || c == '\x7f' || (c >= 'A' && c <= 'Z');
  });
}

/// A word of the request line.
bool is_word(std::string_view text) noexcept {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) <= ' ') || c == '\x7f';
  });
}

void append_line(std::string& lines, std::string_view name, std::string_view value) {
  lines.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool is_connection_specific(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 5> names{"connection", "keep-alive", "proxy-connection",
                                                  "transfer-encoding", "upgrade"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

void RequestText::begin(std::size_t limit) noexcept {
  for (std::string* text : {&method_, &path_, &authority_, &protocol_, &host_, &cookie_, &lines_})
    text->clear();
  limit_ = limit;
  seen_ = 0;
  verdict_ = Verdict::good;
  has_host_ = has_length_ = websocket_ = chunked_ = false;
}

bool RequestText::add(std::string_view name, std::string_view value) {
  seen_ += name.size() + value.size() + line_overhead;
  if (seen_ > limit_) verdict_ = Verdict::too_large;
  if (verdict_ == Verdict::too_large) return false;
  if (name.starts_with(':')) return add_pseudo(name, value);
  if (!is_name(name) || !on_one_line(value) || is_connection_specific(name) ||
      (name == "te" && value != "trailers")) {
    verdict_ = Verdict::malformed;
    return true;
  }
  if (name == "host") {
    if (has_host_) verdict_ = Verdict::ambiguous;
    has_host_ = true;
    host_ = value;
  } else if (name == "cookie") {
    // RFC 9113 section 8.2.3: crumbs become one field again.
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_ += value;
  } else if (name == "sec-websocket-key") {
    // RFC 8441 section 5: it has no meaning here, and an upgrade gets one of our own.
    return true;
  } else {
    has_length_ |= name == "content-length";
    append_line(lines_, name, value);
  }
  return true;
}

bool RequestText::add_pseudo(std::string_view name, std::string_view value) {
  if (name == ":scheme") return true;
  std::string* place = nullptr;
  if (name == ":method") place = &method_;
  if (name == ":path") place = &path_;
  if (name == ":authority") place = &authority_;
  if (name == ":protocol") place = &protocol_;
  if (place == nullptr || !place->empty() || !is_word(value)) {
    verdict_ = Verdict::malformed;
  } else {
    *place = value;
  }
  return true;
}

RequestText::Verdict RequestText::finish(bool body_follows) {
  if (verdict_ != Verdict::good) return verdict_;
  if (has_host_ && !authority_.empty() && !h1::equal_folded(host_, authority_)) return Verdict::ambiguous;
  if (authority_.empty()) authority_ = host_;
  if (!protocol_.empty()) {
    if (method_ != "CONNECT" || path_.empty()) return Verdict::malformed;
    if (protocol_ != "websocket") return Verdict::no_such_use;
    if (has_length_) return Verdict::malformed;
    websocket_ = true;
  } else if (method_ == "CONNECT") {
    // RFC 9113 section 8.5: it has no path, and its target is the authority.
    if (!path_.empty() || authority_.empty()) return Verdict::malformed;
    path_ = authority_;
    return Verdict::good;
  }
  if (method_.empty() || path_.empty()) return Verdict::malformed;
  chunked_ = body_follows && !websocket_ && !has_length_;
  return Verdict::good;
}

std::size_t RequestText::size() const noexcept {
  const std::string_view method = websocket_ ? std::string_view("GET") : method_;
  std::size_t size = method.size() + 1 + path_.size() + version.size() + lines_.size() + 2;
  if (!authority_.empty()) size += std::string_view("host: \r\n").size() + authority_.size();
  if (!cookie_.empty()) size += std::string_view("cookie: \r\n").size() + cookie_.size();
  if (websocket_) size += upgrade.size() + key_size + 2;
  if (chunked_) size += coding.size();
  return size;
}

void RequestText::write(std::span<char> out, std::string_view key) const noexcept {
  assert(out.size() >= size() && key.size() == (websocket_ ? key_size : 0));
  char* at = out.data();
  const auto put = [&at](std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  put(websocket_ ? std::string_view("GET") : method_);
  put(" ");
  put(path_);
  put(version);
  if (!authority_.empty()) {
    put("host: ");
    put(authority_);
    put("\r\n");
  }
  put(lines_);
  if (!cookie_.empty()) {
    put("cookie: ");
    put(cookie_);
    put("\r\n");
  }
  if (websocket_) {
    put(upgrade);
    put(key);
    put("\r\n");
  }
  if (chunked_) put(coding);
  put("\r\n");
}

void TrailerText::begin(std::size_t limit) noexcept {
  lines_.clear();
  limit_ = limit;
  bad_ = false;
}

bool TrailerText::add(std::string_view name, std::string_view value) {
  const bool fits = lines_.size() + name.size() + value.size() + line_overhead <= limit_;
  if (!fits || !is_name(name) || !on_one_line(value)) bad_ = true;
  if (!bad_) append_line(lines_, name, value);
  return fits;
}

}  // namespace portico::proxy::h2
