#include "proxy/http/forward.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

using h1::Field;
using h1::FieldId;

constexpr std::uint64_t bit(FieldId id) noexcept { return std::uint64_t{1} << static_cast<unsigned>(id); }

// RFC 9110 section 7.6.1, and the names old clients use for the same purpose.
constexpr std::uint64_t hop_by_hop = bit(FieldId::connection) | bit(FieldId::keep_alive) |
                                     bit(FieldId::proxy_connection) | bit(FieldId::te) |
                                     bit(FieldId::upgrade);
constexpr std::uint64_t not_for_upstream =
    hop_by_hop | bit(FieldId::proxy_authorization) | bit(FieldId::forwarded) | bit(FieldId::x_forwarded_for) |
    bit(FieldId::x_forwarded_host) | bit(FieldId::x_forwarded_other) | bit(FieldId::x_forwarded_prefix) |
    bit(FieldId::x_forwarded_proto) | bit(FieldId::x_real_ip) | bit(FieldId::x_request_id);
constexpr std::uint64_t not_for_client = hop_by_hop | bit(FieldId::proxy_authenticate);

// A name in the DNS has at most 255 bytes; what is longer stays in Host and is not repeated twice more, so
// that max_added_bytes holds.
constexpr std::size_t max_repeated_host = 1024;

/// Appends to a span; what does not fit makes the whole result void.
class Writer {
 public:
  explicit Writer(std::span<char> out) noexcept
      : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  void put(std::string_view text) noexcept {
    if (!text.empty() && fits(text.size())) {
      std::memcpy(at_, text.data(), text.size());
      at_ += text.size();
    }
  }
  /// A literal, whose size the compiler turns into a few moves instead of a call.
  template <std::size_t size>
  void put(const char (&text)[size]) noexcept {
    if (fits(size - 1)) {
      std::memcpy(at_, text, size - 1);
      at_ += size - 1;
    }
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return full_ ? 0 : static_cast<std::size_t>(at_ - begin_);
  }

 private:
  bool fits(std::size_t size) noexcept {
    if (size > static_cast<std::size_t>(end_ - at_)) full_ = true;
    return !full_;
  }

  char* begin_;
  char* at_;
  char* end_;
  bool full_ = false;
};

/// Copies all lines but those for which `removed` says so. Lines that follow each other in the received head
/// are copied at once.
template <class Removed>
void put_lines(Writer& out, const h1::HeadFields& fields, Removed removed) noexcept {
  const char* first = nullptr;
  const char* last = nullptr;
  for (const Field& field : fields.all()) {
    if (removed(field)) continue;
    if (field.line.data() != last) {
      out.put(std::string_view(first, static_cast<std::size_t>(last - first)));
      first = field.line.data();
    }
    last = field.line.data() + field.line.size();
  }
  out.put(std::string_view(first, static_cast<std::size_t>(last - first)));
}

/// What Connection lists, up to a number that no honest peer reaches: each name is compared with each field,
/// and a head of 64 KiB has room for 32,000 of one letter. Names beyond it are not removed, which gives the
/// sender nothing that it could not have by not listing them.
class ListedNames {
 public:
  explicit ListedNames(const h1::HeadFields& fields) noexcept {
    for (const Field& field : fields.all()) {
      if (field.id != FieldId::connection) continue;
      h1::for_each_element(field.value, [this](std::string_view name) {
        if (count_ == names_.size()) return false;
        names_[count_++] = name;
        return true;
      });
    }
  }
  [[nodiscard]] bool removes(const Field& field) const noexcept {
    const auto end = names_.begin() + static_cast<std::ptrdiff_t>(count_);
    return std::any_of(names_.begin(), end,
                       [&](std::string_view name) { return h1::equal_folded(name, field.name); }) &&
           h1::removable(field.id, field.name);
  }

 private:
  std::array<std::string_view, 32> names_;
  std::size_t count_ = 0;
};

/// The lines that go on: not those whose id is in `removed`, nor those that Connection lists.
void put_kept_lines(Writer& out, const h1::HeadFields& fields, std::uint64_t removed,
                    const h1::ConnectionOptions& connection) noexcept {
  const auto by_id = [removed](const Field& field) {
    return (removed >> static_cast<unsigned>(field.id) & 1) != 0;
  };
  if (!connection.others) return put_lines(out, fields, by_id);
  const ListedNames listed(fields);
  put_lines(out, fields, [&](const Field& field) { return by_id(field) || listed.removes(field); });
}

/// RFC 9110 section 7.6.3: the version is that of the message as received.
void put_via(Writer& out, std::uint8_t version, std::string_view pseudonym) noexcept {
  const char number[] = {static_cast<char>('0' + version / 10), '.', static_cast<char>('0' + version % 10),
                         ' '};
  out.put("Via: ");
  out.put(std::string_view(number, sizeof number));
  out.put(pseudonym);
  out.put("\r\n");
}

/// The only field with this id, or null when there is none or more than one.
const Field* only(const h1::HeadFields& fields, FieldId id) noexcept {
  return fields.once(id) ? fields.find(id) : nullptr;
}

bool is_host_byte(char c) noexcept { return h1::is(h1::Octet::host, c) || c == ':' || c == '[' || c == ']'; }

}  // namespace

std::size_t write_upstream_head(const h1::RequestHead& head, const UpstreamHeadFacts& facts,
                                std::span<char> out) noexcept {
  const h1::HeadFields& fields = *head.fields;
  Writer writer(out);
  writer.put(head.method);
  writer.put(" ");
  writer.put(head.target);
  writer.put(" HTTP/1.1\r\n");
  if (head.minor == 0 && !fields.has(FieldId::host)) {
    writer.put("Host: ");
    writer.put(facts.upstream_authority);
    writer.put("\r\n");
  }

  std::uint64_t removed = not_for_upstream;
  // RFC 9110 section 10.1.1: the word means nothing in HTTP/1.0, and such a client could not read the 100.
  if (head.minor == 0) removed |= bit(FieldId::expect);
  put_kept_lines(writer, fields, removed, head.connection);

  writer.put("X-Real-IP: ");
  writer.put(facts.client);
  writer.put("\r\nX-Forwarded-For: ");
  writer.put(facts.chain);
  writer.put("\r\nX-Forwarded-Proto: ");
  writer.put(facts.proto);
  const bool tell_host = !facts.host.empty() && facts.host.size() <= max_repeated_host;
  if (tell_host) {
    writer.put("\r\nX-Forwarded-Host: ");
    writer.put(facts.host);
  }
  // RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
  const bool v6 = facts.client.find(':') != std::string_view::npos;
  if (v6) {
    writer.put("\r\nForwarded: for=\"[");
    writer.put(facts.client);
    writer.put("]\";proto=");
  } else {
    writer.put("\r\nForwarded: for=");
    writer.put(facts.client);
    writer.put(";proto=");
  }
  writer.put(facts.proto);
  if (tell_host) {
    writer.put(";host=\"");
    writer.put(facts.host);
    writer.put("\"");
  }
  writer.put("\r\nX-Request-Id: ");
  writer.put(facts.request_id);
  writer.put("\r\n");
  if (!facts.via.empty()) put_via(writer, facts.http_version, facts.via);
  if (head.websocket) {
    writer.put("Connection: upgrade\r\n");
    writer.put(fields.find(FieldId::upgrade)->line);
  } else if (head.te_trailers) {
    writer.put("Connection: TE\r\nTE: trailers\r\n");
  }
  writer.put("\r\n");
  return writer.size();
}

std::size_t write_client_head(const h1::ResponseHead& head, const ClientHeadFacts& facts,
                              std::span<char> out) noexcept {
  const h1::HeadFields& fields = *head.fields;
  Writer writer(out);
  const char status[] = {static_cast<char>('0' + head.status / 100 % 10),
                         static_cast<char>('0' + head.status / 10 % 10),
                         static_cast<char>('0' + head.status % 10), ' '};
  writer.put("HTTP/1.1 ");
  writer.put(std::string_view(status, sizeof status));
  writer.put(head.reason);
  writer.put("\r\n");

  const bool interim = head.status < 200 && !head.websocket;
  std::uint64_t removed = not_for_client;
  if (!interim) removed |= bit(FieldId::x_request_id);
  if (!facts.relay_trailers) removed |= bit(FieldId::trailer);
  if (facts.dechunk) removed |= bit(FieldId::transfer_encoding);
  // RFC 9110 section 8.6: never in these, and a client could wait for the bytes it announces.
  if (head.status < 200 || head.status == 204) removed |= bit(FieldId::content_length);
  put_kept_lines(writer, fields, removed, head.connection);

  if (!interim) {
    const Field* upstream_id = fields.find(FieldId::x_request_id);
    if (upstream_id != nullptr && !upstream_id->value.empty() && upstream_id->value != facts.request_id) {
      writer.put("X-Upstream-Request-Id: ");
      writer.put(upstream_id->value);
      writer.put("\r\n");
    }
    writer.put("X-Request-Id: ");
    writer.put(facts.request_id);
    writer.put("\r\n");
    if (!facts.via.empty()) put_via(writer, static_cast<std::uint8_t>(10 + head.minor), facts.via);
    if (head.websocket) {
      writer.put("Connection: upgrade\r\n");
      writer.put(fields.find(FieldId::upgrade)->line);
    } else if (facts.close) {
      writer.put("Connection: close\r\n");
    } else if (facts.keep_alive) {
      writer.put("Connection: keep-alive\r\n");
    }
  }
  writer.put("\r\n");
  return writer.size();
}

bool sane_request_id(std::string_view value) noexcept {
  return !value.empty() && value.size() <= 128 &&
         std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view kept_request_id(const h1::HeadFields& fields) noexcept {
  const Field* field = only(fields, FieldId::x_request_id);
  return field != nullptr && sane_request_id(field->value) ? field->value : std::string_view{};
}

std::string_view forwarded_proto(const h1::HeadFields& fields, std::string_view fallback) noexcept {
  const Field* field = only(fields, FieldId::x_forwarded_proto);
  if (field == nullptr) return fallback;
  if (h1::equal_folded(field->value, "http")) return "http";
  if (h1::equal_folded(field->value, "https")) return "https";
  return fallback;
}

std::string_view forwarded_host(const h1::HeadFields& fields, std::string_view fallback) noexcept {
  const Field* field = only(fields, FieldId::x_forwarded_host);
  if (field == nullptr || field->value.empty() || field->value.size() > max_repeated_host) return fallback;
  return std::all_of(field->value.begin(), field->value.end(), is_host_byte) ? field->value : fallback;
}

bool accept_matches(std::string_view key, std::string_view accept) noexcept {
  constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<char, 128 + guid.size()> joined;
  if (key.size() > joined.size() - guid.size()) return false;
  auto* end = std::copy(key.begin(), key.end(), joined.data());
  end = std::copy(guid.begin(), guid.end(), end);

  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int digest_size = 0;
  const auto joined_size = static_cast<std::size_t>(end - joined.data());
  if (EVP_Digest(joined.data(), joined_size, digest.data(), &digest_size, EVP_sha1(), nullptr) != 1)
    return false;
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> text;
  const int text_size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest_size));
  return accept.size() == static_cast<std::size_t>(text_size) &&
         std::memcmp(accept.data(), text.data(), accept.size()) == 0;
}

}  // namespace portico::proxy::http
