#include "telemetry/tap/ws_frames.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <span>

namespace portico::telemetry {
namespace {

// RFC 6455 section 5.2.
constexpr unsigned fin_bit = 0x80;
constexpr unsigned rsv1_bit = 0x40;
constexpr unsigned rsv23_bits = 0x30;
constexpr unsigned opcode_bits = 0x0F;
constexpr unsigned control_bit = 0x08;
constexpr unsigned mask_bit = 0x80;
constexpr unsigned length_bits = 0x7F;
constexpr unsigned length_16 = 126;
constexpr unsigned length_64 = 127;
constexpr std::uint8_t opcode_continuation = 0;
constexpr std::uint8_t opcode_text = 1;
constexpr std::uint8_t opcode_binary = 2;
constexpr std::uint8_t opcode_close = 8;
constexpr std::uint8_t opcode_pong = 10;
constexpr std::uint64_t control_limit = 125;
constexpr std::uint16_t no_close_code = 1005;

/// A connection may live for days: its compressed bytes are bounded by their ratio alone.
constexpr DecodeBounds message_bounds{.total = std::numeric_limits<std::uint64_t>::max()};
/// What a sender cuts off the end of each compressed message (RFC 7692 section 7.2.1).
constexpr std::string_view flush_tail{"\x00\x00\xff\xff", 4};

unsigned byte_at(std::span<const char> bytes, std::size_t index) noexcept {
  return static_cast<unsigned char>(bytes[index]);
}

/// Bytes of a whole frame head, as far as its first two bytes tell; two while they are not there.
std::size_t head_length(std::span<const char> head, std::size_t size) noexcept {
  if (size < 2) return 2;
  const unsigned second = byte_at(head, 1);
  const unsigned length = second & length_bits;
  const std::size_t extended = length == length_64 ? 8U : length == length_16 ? 2U : 0U;
  return 2 + extended + ((second & mask_bit) != 0 ? 4U : 0U);
}

/// `in` with the mask taken off, to `out`; `at` is the index in the mask of the first byte's key.
void unmask(std::string_view in, char* out, const std::array<char, 4>& mask, std::size_t at) noexcept {
  std::array<char, 8> keys{};
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = mask[(at + i) % mask.size()];
  std::uint64_t key = 0;
  std::memcpy(&key, keys.data(), sizeof key);
  std::size_t i = 0;
  for (; i + 2 * sizeof key <= in.size(); i += 2 * sizeof key) {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), in.data() + i, sizeof words);
    words[0] ^= key;
    words[1] ^= key;
    std::memcpy(out + i, words.data(), sizeof words);
  }
  for (; i < in.size(); ++i) out[i] = static_cast<char>(in[i] ^ keys[i % keys.size()]);
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// The trimmed text in front of the first `separator`, which is cut off `rest` with it.
std::string_view next_item(std::string_view& rest, char separator) noexcept {
  const std::size_t end = rest.find(separator);
  const std::string_view item = trimmed(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return item;
}

/// Window bits 8 to 15, quoted or not (RFC 7692 section 7.1.2).
std::optional<std::uint8_t> window_bits(std::string_view value) noexcept {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  unsigned bits = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), bits);
  if (failure != std::errc{} || end != value.data() + value.size() || bits < 8 || bits > 15)
    return std::nullopt;
  return static_cast<std::uint8_t>(bits);
}

bool read_parameter(std::string_view parameter, WsExtensions& extensions) noexcept {
  const bool valued = parameter.find('=') != std::string_view::npos;
  const std::string_view name = next_item(parameter, '=');
  if (name == "client_no_context_takeover" && !valued) return extensions.client_no_context_takeover = true;
  if (name == "server_no_context_takeover" && !valued) return extensions.server_no_context_takeover = true;
  const bool client = name == "client_max_window_bits";
  if (!client && name != "server_max_window_bits") return false;
  const std::optional<std::uint8_t> bits = window_bits(trimmed(parameter));
  if (!bits) return false;
  (client ? extensions.client_window_bits : extensions.server_window_bits) = *bits;
  return true;
}

}  // namespace

/// The raw deflate stream of one direction's messages.
class WsFrameReader::Inflater {
 public:
  struct Outcome {
    std::size_t in = 0;
    std::size_t out = 0;
    bool error = false;
  };

  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (begun_) inflateEnd(&stream_);
  }

  bool begin(int bits) noexcept {
    begun_ = inflateInit2(&stream_, -bits) == Z_OK;
    return begun_;
  }

  Outcome run(std::string_view in, std::span<char> out) noexcept {
    in = in.substr(0, std::numeric_limits<uInt>::max());
    // zlib's own interface takes input as non-const and never writes to it.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
    Outcome outcome{in.size() - stream_.avail_in, out.size() - stream_.avail_out, false};
    const bool ended = result == Z_STREAM_END;
    if (ended || !in.empty()) whole_ = ended;
    // A sender may end its stream with a message and begin another (RFC 7692 section 7.2.3.4); what was sent
    // stays the window.
    outcome.error = ended ? inflateResetKeep(&stream_) != Z_OK : result != Z_OK && result != Z_BUF_ERROR;
    return outcome;
  }

  void begin_message() noexcept { whole_ = true; }
  /// True where nothing was cut off behind the message: it is empty, or its last bytes ended the stream.
  [[nodiscard]] bool whole() const noexcept { return whole_; }

 private:
  z_stream stream_{};
  bool begun_ = false;
  bool whole_ = true;
};

WsExtensions read_ws_extensions(std::string_view value) noexcept {
  constexpr WsExtensions unreadable{.readable = false};
  WsExtensions extensions;
  while (!value.empty()) {
    std::string_view extension = next_item(value, ',');
    if (extension.empty()) continue;
    if (next_item(extension, ';') != "permessage-deflate" || extensions.deflate) return unreadable;
    extensions.deflate = true;
    while (!extension.empty()) {
      if (!read_parameter(next_item(extension, ';'), extensions)) return unreadable;
    }
  }
  return extensions;
}

WsFrameReader::WsFrameReader(Sender sender, const WsExtensions& extensions) noexcept
    : status_(extensions.readable ? Status::open : Status::error),
      client_(sender == Sender::client),
      deflate_(extensions.deflate),
      takeover_(client_ ? !extensions.client_no_context_takeover : !extensions.server_no_context_takeover) {
  // Where 8 bits were agreed on, zlib's own compressor uses 9.
  constexpr std::uint8_t least = 9;
  window_bits_ = std::max(client_ ? extensions.client_window_bits : extensions.server_window_bits, least);
}

WsFrameReader::~WsFrameReader() = default;
WsFrameReader::WsFrameReader(WsFrameReader&&) noexcept = default;
WsFrameReader& WsFrameReader::operator=(WsFrameReader&&) noexcept = default;

WsFrameReader::Status WsFrameReader::feed(std::string_view bytes, WsHandler& handler) noexcept {
  while (!bytes.empty() && status_ == Status::open) {
    bytes.remove_prefix(in_payload_ ? read_payload(bytes, handler) : read_head(bytes));
    if (in_payload_ && remaining_ == 0 && status_ == Status::open) end_frame(handler);
  }
  return status_;
}

std::size_t WsFrameReader::read_head(std::string_view bytes) noexcept {
  std::size_t taken = 0;
  std::size_t wanted = head_length(head_, head_size_);
  while (taken < bytes.size() && head_size_ < wanted) {
    const std::size_t step = std::min(bytes.size() - taken, wanted - head_size_);
    std::memcpy(head_.data() + head_size_, bytes.data() + taken, step);
    head_size_ = static_cast<std::uint8_t>(head_size_ + step);
    taken += step;
    wanted = head_length(head_, head_size_);
  }
  if (head_size_ == wanted) {
    head_size_ = 0;
    const Status status = begin_frame();
    if (status != Status::open) fail(status);
  }
  return taken;
}

WsFrameReader::Status WsFrameReader::begin_frame() noexcept {
  const unsigned first = byte_at(head_, 0);
  const unsigned second = byte_at(head_, 1);
  const bool rsv1 = (first & rsv1_bit) != 0;
  const bool masked = (second & mask_bit) != 0;
  if ((first & rsv23_bits) != 0 || masked != client_) return Status::error;

  std::size_t at = 2;
  remaining_ = second & length_bits;
  if (remaining_ >= length_16) {
    const std::size_t end = at + (remaining_ == length_64 ? 8U : 2U);
    for (remaining_ = 0; at < end; ++at) remaining_ = remaining_ << 8U | byte_at(head_, at);
    if (remaining_ >> 63U != 0) return Status::error;
  }
  if (masked) std::memcpy(mask_.data(), head_.data() + at, mask_.size());
  mask_at_ = 0;
  final_ = (first & fin_bit) != 0;
  opcode_ = static_cast<std::uint8_t>(first & opcode_bits);
  in_payload_ = true;

  if ((opcode_ & control_bit) != 0) {
    const bool allowed = opcode_ <= opcode_pong && final_ && !rsv1 && remaining_ <= control_limit;
    return allowed ? Status::open : Status::error;
  }
  if (opcode_ == opcode_continuation) return in_message_ && !rsv1 ? Status::open : Status::error;
  if (opcode_ > opcode_binary || in_message_ || (rsv1 && !deflate_)) return Status::error;
  begin_message(opcode_ == opcode_text, rsv1);
  if (!compressed_) return Status::open;
  if (inflater_ == nullptr) {
    inflater_ = std::unique_ptr<Inflater>(new (std::nothrow) Inflater);
    if (inflater_ == nullptr || !inflater_->begin(window_bits_)) return Status::error;
  }
  inflater_->begin_message();
  return Status::open;
}

void WsFrameReader::begin_message(bool text, bool compressed) noexcept {
  in_message_ = true;
  begun_ = false;
  text_ = text;
  compressed_ = compressed;
}

std::size_t WsFrameReader::read_payload(std::string_view bytes, WsHandler& handler) noexcept {
  bytes = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), remaining_)));
  if (!client_ || (opcode_ & control_bit) != 0) {
    remaining_ -= bytes.size();
    if (opcode_ == opcode_close) {
      std::memcpy(close_.data() + close_size_, bytes.data(), bytes.size());
      close_size_ = static_cast<std::uint8_t>(close_size_ + bytes.size());
    } else if ((opcode_ & control_bit) == 0) {
      read_data(bytes, handler);
    }
    return bytes.size();
  }

  std::array<char, piece_limit>
      piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
  std::size_t taken = 0;
  while (taken < bytes.size() && status_ == Status::open) {
    const std::string_view part = bytes.substr(taken, piece.size());
    unmask(part, piece.data(), mask_, mask_at_);
    mask_at_ = static_cast<std::uint8_t>((mask_at_ + part.size()) % mask_.size());
    remaining_ -= part.size();
    taken += part.size();
    read_data({piece.data(), part.size()}, handler);
  }
  return taken;
}

void WsFrameReader::read_data(std::string_view bytes, WsHandler& handler) noexcept {
  if (compressed_) {
    inflate(bytes, handler);
  } else {
    emit(bytes, final_ && remaining_ == 0, handler);
  }
}

void WsFrameReader::emit(std::string_view bytes, bool last, WsHandler& handler) noexcept {
  handler.on_piece({.bytes = bytes, .text = text_, .first = !begun_, .last = last});
  begun_ = true;
  if (last) in_message_ = false;
}

void WsFrameReader::inflate(std::string_view bytes, WsHandler& handler) noexcept {
  std::array<char, piece_limit>
      piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
  while (true) {
    const Inflater::Outcome outcome = inflater_->run(bytes, piece);
    bytes.remove_prefix(outcome.in);
    deflated_in_ += outcome.in;
    inflated_out_ += outcome.out;
    if (message_bounds.exceeded(deflated_in_, inflated_out_)) return fail(Status::too_much);
    if (outcome.out != 0) emit({piece.data(), outcome.out}, false, handler);
    if (outcome.error) return fail(Status::error);
    // A full piece may leave more inside the inflater.
    if (bytes.empty() && outcome.out < piece.size()) return;
    if (outcome.in == 0 && outcome.out == 0) return fail(Status::error);
  }
}

void WsFrameReader::end_frame(WsHandler& handler) noexcept {
  in_payload_ = false;
  if (opcode_ == opcode_close) {
    // Its payload begins with a code of two bytes, if there is any.
    if (close_size_ == 1) return fail(Status::error);
    if (client_) unmask({close_.data(), close_size_}, close_.data(), mask_, 0);
    const unsigned code = close_size_ == 0 ? no_close_code : byte_at(close_, 0) << 8U | byte_at(close_, 1);
    const std::string_view payload(close_.data(), close_size_);
    handler.on_close(static_cast<std::uint16_t>(code),
                     payload.substr(std::min<std::size_t>(payload.size(), 2)));
    status_ = Status::closed;
    inflater_.reset();
  } else if ((opcode_ & control_bit) == 0 && final_) {
    end_message(handler);
  }
}

void WsFrameReader::end_message(WsHandler& handler) noexcept {
  if (compressed_) {
    if (!inflater_->whole()) inflate(flush_tail, handler);
    if (status_ != Status::open) return;
    // Without a window to keep, an idle connection keeps nothing.
    if (!takeover_) inflater_.reset();
  }
  if (in_message_) emit({}, true, handler);
}

void WsFrameReader::fail(Status status) noexcept {
  status_ = status;
  inflater_.reset();
}

}  // namespace portico::telemetry
