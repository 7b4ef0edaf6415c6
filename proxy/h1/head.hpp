#pragma once
// Reading the head of an HTTP/1.x message (RFC 9112) strictly and without copying.
//
// A head is read in two steps. HeadScanner looks at bytes as they arrive, finds the empty line that ends
// the head and refuses bare LF and bare CR on the way, each byte looked at once. parse_request /
// parse_response then cut the complete head into fields, whose names and values are views into the
// caller's buffer.
//
// The parser is Portico's own because it has to be strict and zero-copy at once: no obs-fold, no bare LF or
// CR, one way only to read the framing, and every field line kept as it came so that it can go on verbatim.
//
// owns:    HeadFields owns an array of views, reused for every head of a worker
// threads: one; no state is shared
// bytes:   borrowed from the buffer that holds the head; valid until that buffer changes
// errors:  HeadError, never an exception

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace portico::proxy::h1 {

/// Header names that Portico itself reads, removes or writes. Everything else is `other` and only copied.
enum class FieldId : std::uint8_t {
  other,
  accept,
  anthropic_version,
  authorization,
  connection,
  content_encoding,
  content_length,
  content_type,
  cookie,
  expect,
  forwarded,
  host,
  keep_alive,
  location,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  retry_after,
  sec_websocket_accept,
  sec_websocket_extensions,
  sec_websocket_key,
  session_id,             ///< Session-Id
  session_id_underscore,  ///< Session_id
  te,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  via,
  x_api_key,
  x_claude_code_session_id,
  x_client_request_id,
  x_cpa_trace_id,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_other,  ///< any other name that begins with X-Forwarded-, such as -Port, -Server, -Ssl
  x_forwarded_prefix,
  x_forwarded_proto,
  x_goog_api_key,
  x_real_ip,
  x_request_id,
  x_session_affinity,
  x_session_id,
};

/// The id of a header name, compared without regard to case.
FieldId identify(std::string_view name) noexcept;

/// False for a field that Connection must not take away, whoever lists it: the fields that frame, route,
/// authenticate, describe the payload or name the client (X-Forwarded-*, Host, Content-Length, Cookie, ...).
/// Dropping one of them on the sender's word is an attack, so the field goes on and the option is ignored.
/// `id` is identify(name).
bool removable(FieldId id, std::string_view name) noexcept;

struct Field {
  std::string_view name;   ///< as received, case kept
  std::string_view value;  ///< without surrounding white space
  std::string_view line;   ///< the whole line as received, CRLF included
  FieldId id = FieldId::other;
};

/// Why a head is refused. A request is answered with status_of(), a response counts as upstream_bad_response.
enum class HeadError : std::uint8_t {
  none,
  too_large,             ///< more bytes than the limit (431)
  too_many_fields,       ///< (431)
  target_too_long,       ///< (414)
  bare_line_feed,        ///< LF without CR, RFC 9112 section 2.2
  bare_carriage_return,  ///< CR not followed by LF
  bad_method,            ///< not a token that begins with a letter
  bad_request_line,      ///< not `method SP target SP version`, or more than one space
  bad_version,           ///< not HTTP/1.0 or HTTP/1.1 (505 for a well-formed other version)
  bad_status_line,
  bad_field_name,  ///< not a token; includes white space before the colon
  missing_colon,
  bad_field_value,   ///< NUL, a control byte other than HTAB, or DEL
  obsolete_folding,  ///< a line that begins with white space, RFC 9112 section 5.2
  missing_host,
  duplicate_host,
  bad_host,
  bad_content_length,     ///< not plain digits, too large, or given more than once
  bad_transfer_encoding,  ///< anything but exactly one `chunked`, or on HTTP/1.0
  both_length_and_encoding,
  bad_connection,  ///< Connection is not a list of tokens
};

/// 400, 414, 431 or 505; 0 for none.
int status_of(HeadError error) noexcept;
/// One sentence for a person, without any byte of the message.
std::string_view sentence_of(HeadError error) noexcept;

/// True when a request may begin with this byte: an ASCII letter. Asked of the very first byte of a
/// connection it refuses a TLS hello or a Redis command before any more is waited for.
bool may_start_request(char first) noexcept;

/// How many bytes of an empty line stand before a request line: 0 or 2. A server should ignore one such line
/// (RFC 9112 section 2.2). Nothing when that cannot be told yet: no byte, or a CR that is the last one.
std::optional<std::size_t> leading_crlf(std::string_view bytes) noexcept;

/// Finds the end of a head in bytes that arrive piece by piece. It knows no limit: the caller compares the
/// bytes it holds with its own.
class HeadScanner {
 public:
  enum class State : std::uint8_t { need_more, complete, bad };
  /// `bytes` is everything received for this head so far, from its first byte (the caller has skipped
  /// what leading_crlf said). Looks only at what is new since the last call. The result does not depend on
  /// how the bytes were split. After `complete`, call reset() before the next head.
  State scan(std::string_view bytes) noexcept;
  /// Bytes of the head, the empty line included; valid after complete.
  [[nodiscard]] std::size_t size() const noexcept { return position_; }
  [[nodiscard]] HeadError error() const noexcept { return error_; }
  void reset() noexcept { *this = HeadScanner{}; }

 private:
  std::size_t position_ = 0;  // everything before it has been looked at, with the byte that follows each
  HeadError error_ = HeadError::none;
};

/// How a message's body is delimited, RFC 9112 section 6.
enum class Framing : std::uint8_t { none, length, chunked, until_close };

/// The fields of one head, in order, in storage that is reused.
class HeadFields {
 public:
  explicit HeadFields(std::size_t capacity);
  void clear() noexcept {
    size_ = 0;
    seen_ = 0;
    repeated_ = 0;
  }
  /// False when full.
  bool push(const Field& field) noexcept {
    if (size_ == capacity_) return false;
    fields_[size_] = field;
    keep();
    return true;
  }
  /// Where the next field may be written in place, for keep() to add it; null when full.
  [[nodiscard]] Field* slot() noexcept { return size_ == capacity_ ? nullptr : &fields_[size_]; }
  /// Adds what was written to slot(), which was not null.
  void keep() noexcept {
    const std::uint64_t one = bit(fields_[size_].id);
    ++size_;
    repeated_ |= seen_ & one;
    seen_ |= one;
  }
  [[nodiscard]] std::span<const Field> all() const noexcept { return {fields_.get(), size_}; }
  [[nodiscard]] std::span<Field> all() noexcept { return {fields_.get(), size_}; }
  /// The first field with this id, or null.
  [[nodiscard]] const Field* find(FieldId id) const noexcept;
  /// True when some field has this id: one test of a bit, no search. Not kept true to a change made through
  /// all().
  [[nodiscard]] bool has(FieldId id) const noexcept { return (seen_ & bit(id)) != 0; }
  /// True when more than one field has this id, as cheaply.
  [[nodiscard]] bool repeated(FieldId id) const noexcept { return (repeated_ & bit(id)) != 0; }
  /// True when exactly one field has this id.
  [[nodiscard]] bool once(FieldId id) const noexcept { return has(id) && !repeated(id); }

 private:
  static constexpr std::uint64_t bit(FieldId id) noexcept { return std::uint64_t{1} << static_cast<int>(id); }

  std::unique_ptr<Field[]> fields_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  std::uint64_t seen_ = 0;      // one bit for each FieldId
  std::uint64_t repeated_ = 0;  // likewise
};

/// What Connection lists, and what the rules of RFC 9110 section 7.6.1 make of it.
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool te = false;
  bool others = false;  ///< lists further names: lists_field() and removable() must be asked for each field
};

struct RequestHead {
  HeadFields* fields = nullptr;  ///< borrowed from the caller
  std::string_view method;
  std::string_view target;
  std::string_view host;   ///< value of Host; empty when absent (only HTTP/1.0)
  std::uint8_t minor = 1;  ///< of HTTP/1.x
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;
  ConnectionOptions connection;
  bool keep_alive = true;  ///< the client's wish after version and Connection
  bool websocket =
      false;  ///< GET, HTTP/1.1, no body, Connection: upgrade, Upgrade: websocket, one Sec-WebSocket-Key
  bool te_trailers = false;  ///< TE lists `trailers`
  bool expect_continue = false;
};

struct ResponseHead {
  HeadFields* fields = nullptr;
  int status = 0;
  std::string_view reason;
  std::uint8_t minor = 1;
  Framing framing = Framing::none;  ///< for a response to HEAD, 1xx, 204 and 304: none
  std::uint64_t content_length = 0;
  bool has_content_length = false;  ///< also true where framing is none (HEAD, 304)
  ConnectionOptions connection;
  bool keep_alive = true;  ///< the backend lets the connection be used again
  bool websocket = false;  ///< 101 with Connection: upgrade and Upgrade: websocket
};

struct RequestLimits {
  std::size_t target = 16'384;
  std::size_t fields = 200;
};

/// Cuts a complete head (as long as HeadScanner said) into its parts and checks everything that decides
/// about framing and routing. `fields` is cleared first. `out` means something only after `none`. Bytes that
/// are no complete head are refused, with an error that names no particular rule.
///
/// An empty Host is refused although RFC 9112 section 3.2 lets it stand for a target without an authority:
/// every target a reverse proxy is sent is an http or https URI, and one of those without a host must be
/// rejected (RFC 9110 section 4.2.1). An absolute-form target must name the same authority as Host.
HeadError parse_request(std::string_view head, const RequestLimits& limits, HeadFields& fields,
                        RequestHead& out) noexcept;

/// As parse_request. `to_head_request`: the request was HEAD, so no body follows whatever the head says.
HeadError parse_response(std::string_view head, bool to_head_request, HeadFields& fields,
                         ResponseHead& out) noexcept;

/// True when one of the Connection fields lists `name` (compared without regard to case). It may name what
/// must stay: ask removable() too.
bool lists_field(const HeadFields& fields, std::string_view name) noexcept;

}  // namespace portico::proxy::h1
