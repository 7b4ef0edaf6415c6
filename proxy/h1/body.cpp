#include "proxy/h1/body.hpp"

#include <algorithm>
#include <array>

#include "proxy/h1/field_line.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

constexpr std::uint64_t max_chunk = std::uint64_t{1} << 62U;
constexpr std::size_t max_size_digits = 16;
constexpr std::size_t max_extension = 1024;
constexpr std::size_t max_trailer = std::size_t{16} * 1024;

// 16 for a byte that is no hexadecimal digit.
constexpr unsigned hex_value(char byte) noexcept {
  if (is_digit(byte)) return static_cast<unsigned>(byte - '0');
  const char letter = lower(byte);
  return letter >= 'a' && letter <= 'f' ? static_cast<unsigned>(letter - 'a') + 10 : 16;
}

// Trailers come after the head has been acted on, so whatever would have had a say in that stays behind:
// every name Portico itself acts on, what Connection must not remove, and these of RFC 9110 section 6.5.1
// (modifiers of the request, authentication, control of the response, description of the payload).
bool may_be_relayed(const Field& field) noexcept {
  constexpr std::array<std::string_view, 25> never = {
      "age",
      "authentication-info",
      "cache-control",
      "content-location",
      "content-range",
      "date",
      "expires",
      "http2-settings",
      "if-match",
      "if-modified-since",
      "if-none-match",
      "if-range",
      "if-unmodified-since",
      "max-forwards",
      "origin",
      "pragma",
      "prefer",
      "proxy-authentication-info",
      "range",
      "retry-after",
      "set-cookie",
      "strict-transport-security",
      "vary",
      "warning",
      "www-authenticate",
  };
  return field.id == FieldId::other && removable(field.id, field.name) &&
         std::ranges::none_of(never,
                              [&field](std::string_view name) { return equal_folded(field.name, name); });
}

}  // namespace

enum class BodyReader::State : std::uint8_t {
  done,  // first, so that a reader made by default has nothing to read
  counted,
  until_close,
  size,                 // digits of a chunk size
  size_blank,           // white space that only an extension may follow
  extension,            // after its `;`
  size_line_feed,       // after the CR of a line with a size alone
  extension_line_feed,  // after the CR of one with an extension
  data,
  data_return,
  data_line_feed,
  last,            // after the size line of the last chunk: the empty line or a trailer
  last_line_feed,  // after the CR of an empty line that no trailer came before
  trailer,
};

BodyReader::BodyReader(Framing framing, std::uint64_t content_length) noexcept : framing_(framing) {
  switch (framing) {
    case Framing::none:
      break;
    case Framing::length:
      remaining_ = content_length;
      if (content_length != 0) state_ = State::counted;
      break;
    case Framing::chunked:
      state_ = State::size;
      break;
    case Framing::until_close:
      state_ = State::until_close;
      break;
  }
}

bool BodyReader::done() const noexcept { return state_ == State::done; }

BodyReader::Piece BodyReader::next(std::string_view input) noexcept {
  if (error_ != BodyError::none) return {{}, 0, 0, Status::error};
  switch (state_) {
    case State::done:
      return {{}, 0, 0, Status::done};
    case State::until_close:
      return {input, input.size(), input.size(), Status::more};
    case State::counted:
      return next_of_length(input);
    default:
      return next_chunked(input);
  }
}

BodyReader::Piece BodyReader::next_of_length(std::string_view input) noexcept {
  const std::string_view payload = input.substr(0, std::min<std::uint64_t>(input.size(), remaining_));
  remaining_ -= payload.size();
  if (remaining_ == 0) state_ = State::done;
  return {payload, payload.size(), payload.size(), done() ? Status::done : Status::more};
}

BodyReader::Piece BodyReader::next_chunked(std::string_view input) noexcept {
  Piece piece;
  while (piece.consumed != input.size() && !done()) {
    if (state_ == State::data) {
      const std::string_view rest = input.substr(piece.consumed);
      piece.payload = rest.substr(0, std::min<std::uint64_t>(rest.size(), remaining_));
      remaining_ -= piece.payload.size();
      if (remaining_ == 0) state_ = State::data_return;
      piece.consumed += piece.payload.size();
      piece.forward = piece.consumed;
      return piece;
    }
    if (state_ == State::trailer) {
      piece.consumed += take_trailer(input.substr(piece.consumed));
    } else if (state_ == State::last && input[piece.consumed] != '\r') {
      state_ = State::trailer;
      count_ = 0;
    } else {
      error_ = step(input[piece.consumed]);
      if (error_ == BodyError::none) piece.forward = ++piece.consumed;
    }
    if (error_ != BodyError::none) {
      piece.status = Status::error;
      return piece;
    }
  }
  if (done()) piece.status = Status::done;
  return piece;
}

// One byte of what stands between the payload, RFC 9112 section 7.1.
BodyError BodyReader::step(char byte) noexcept {
  switch (state_) {
    case State::size:
      if (hex_value(byte) < 16) return step_digit(hex_value(byte));
      if (count_ == 0) return BodyError::bad_chunk_size;
      if (byte == '\r') return go(State::size_line_feed);
      count_ = 0;
      return step_extension(byte);
    case State::size_blank:
    case State::extension:
      return step_extension(byte);
    case State::size_line_feed:
    case State::extension_line_feed:
      if (byte == '\n') return go(remaining_ == 0 ? State::last : State::data);
      return state_ == State::size_line_feed ? BodyError::bad_chunk_size : BodyError::bad_chunk_extension;
    case State::data_return:
      return byte == '\r' ? go(State::data_line_feed) : BodyError::bad_chunk_terminator;
    case State::data_line_feed:
      count_ = 0;
      return byte == '\n' ? go(State::size) : BodyError::bad_chunk_terminator;
    case State::last:
      return go(State::last_line_feed);
    default:
      return byte == '\n' ? go(State::done) : BodyError::bad_trailer;
  }
}

BodyError BodyReader::go(State state) noexcept {
  state_ = state;
  return BodyError::none;
}

BodyError BodyReader::step_digit(std::uint64_t digit) noexcept {
  if (count_ == max_size_digits || remaining_ > (max_chunk - digit) / 16) return BodyError::bad_chunk_size;
  remaining_ = remaining_ * 16 + digit;
  ++count_;
  return BodyError::none;
}

// From the first byte after the digits on. What an extension says is nobody's business and frames nothing, so
// its grammar is not looked into; a byte that another reader could take for the end of the line is refused.
BodyError BodyReader::step_extension(char byte) noexcept {
  if (state_ == State::extension && byte == '\r') return go(State::extension_line_feed);
  if (state_ != State::extension && !is_blank(byte) && byte != ';') return BodyError::bad_chunk_size;
  if (!is(Octet::text, byte) || ++count_ > max_extension) return BodyError::bad_chunk_extension;
  if (state_ == State::extension || byte == ';') return go(State::extension);
  return go(State::size_blank);
}

// Takes at most one line, and says how many bytes that was.
std::size_t BodyReader::take_trailer(std::string_view input) noexcept {
  const std::size_t size = std::min(input.find('\n'), input.size() - 1) + 1;
  const bool whole = input[size - 1] == '\n';
  if (size > max_trailer - trailers_.size()) {
    error_ = BodyError::trailer_too_large;
    return 0;
  }
  trailers_.append(input.substr(0, size));
  if (!whole) return size;
  const std::string_view line = std::string_view(trailers_).substr(count_);
  if (line == "\r\n") {
    trailers_.resize(count_);
    state_ = State::done;
    return size;
  }
  const char* at = line.data();
  Field field;
  if (cut_field(at, line.data() + line.size(), field) != HeadError::none) error_ = BodyError::bad_trailer;
  count_ = trailers_.size();
  return size;
}

std::string BodyReader::write_trailers(bool relay) const {
  std::string out;
  const char* at = trailers_.data();
  const char* const end = at + trailers_.size();
  Field field;
  while (relay && at != end && cut_field(at, end, field) == HeadError::none)
    if (may_be_relayed(field)) out += field.line;
  out += "\r\n";
  return out;
}

}  // namespace portico::proxy::h1
