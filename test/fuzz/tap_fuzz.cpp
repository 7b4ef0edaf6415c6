// A tap leaves the same records of the same bytes, however they are cut, and its texts keep their bounds.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/decoder.hpp"
#include "telemetry/tap/tap.hpp"

using namespace portico::telemetry;

namespace {

constexpr std::array<std::string_view, 12> targets{
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/gemini-3:streamGenerateContent",
    "/v1beta/interactions",
    "/v1/images/generations",
    "/v1/videos",
    "/v1/embeddings",
    "/v1/realtime?model=m%2F1",
    "/v0/management/config",
    "/v1/messages/count_tokens",
};
constexpr std::array<std::string_view, 4> content_types{"", "text/event-stream", "application/json",
                                                        "text/html"};
constexpr std::array<std::string_view, 4> encodings{"", "gzip", "zstd", "br"};

/// Everything that a record says, as bytes.
struct Writer final : RecordSink {
  std::string all{};
  void push(const Record& record) noexcept override {
    const RecordFacts& facts = record.facts();
    for (const std::uint64_t kind : facts.tokens.kinds) all += std::to_string(kind) + ',';
    for (const std::uint32_t value : {facts.events, facts.retry_after_s, facts.turns,
                                      std::uint32_t{facts.error_status}, std::uint32_t{facts.status}})
      all += std::to_string(value) + ',';
    for (const bool value : {facts.tokens.seen, facts.stream, facts.failed, facts.has_error,
                             facts.final_event, facts.warmup, facts.websocket})
      all += value ? '1' : '0';
    for (const auto value : {static_cast<int>(facts.kind), static_cast<int>(facts.ended),
                             static_cast<int>(facts.response_kind), static_cast<int>(facts.usage_quality)})
      all += std::to_string(value) + ',';
    for (std::size_t i = 0; i < text_count; ++i) {
      const std::string_view text = record.text(static_cast<Text>(i));
      if (text.size() > text_limit(static_cast<Text>(i))) __builtin_trap();
      all += text;
      all += '\x1f';
    }
    all += '\n';
  }
};

struct Input {
  RequestFacts request;
  ResponseFacts response;
  EndFacts end;
  std::string_view up;
  std::string_view down;
};

template <class Show>
void cut(std::string_view bytes, std::size_t step, Show show) {
  while (!bytes.empty()) {
    const std::string piece(bytes.substr(0, step));
    show(piece);
    bytes.remove_prefix(piece.size());
  }
}

std::string watch(const Input& input, std::size_t step) {
  Writer writer;
  static KeyMarker keys({});
  TapContext context{writer, keys};
  Tap tap;
  tap.request_head(context, input.request);
  if (input.response.status == 101) {
    tap.response_head(input.response);
    cut(input.up, step, [&](std::string_view piece) { tap.tunnel(true, piece, 1); });
    cut(input.down, step, [&](std::string_view piece) { tap.tunnel(false, piece, 2); });
  } else {
    cut(input.up, step, [&](std::string_view piece) { tap.request_body(piece); });
    tap.request_end();
    tap.response_head(input.response);
    cut(input.down, step, [&](std::string_view piece) { tap.response_body(piece); });
  }
  tap.end(input.end);
  return writer.all;
}

bool decodes(std::string_view encoding, std::string_view bytes) {
  ContentDecoder decoder(coding_of(encoding));
  const ContentDecoder::Status status = decoder.feed(bytes, [](std::string_view) {});
  return status == ContentDecoder::Status::ok || status == ContentDecoder::Status::end;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 6;
  if (size < head) return 0;
  Input input;
  input.request.method = (data[0] & 0x80U) != 0 ? "GET" : "POST";
  input.request.target = targets[data[0] % targets.size()];
  input.request.path = input.request.target.substr(0, input.request.target.find('?'));
  input.request.dialect = dialect_of(input.request.path);
  input.request.has_body = true;
  input.request.websocket = data[1] % 8 == 7;
  input.request.content_encoding = encodings[data[1] / 8U % encodings.size()];
  input.response.status = input.request.websocket ? 101 : data[2] % 4 == 3 ? 429 : 200;
  input.response.content_type = content_types[data[2] / 4U % content_types.size()];
  input.response.content_encoding = encodings[data[2] / 16U % encodings.size()];
  input.response.websocket_extensions = (data[3] & 0x10U) != 0 ? "permessage-deflate" : "";
  input.end.how = static_cast<Ended>(data[3] % ended_count);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + head, size - head);
  const std::size_t middle = (data[4] * 256U + data[5]) % (bytes.size() + 1);
  input.up = bytes.substr(0, middle);
  input.down = bytes.substr(middle);

  const std::string whole = watch(input, size);
  const std::string by_byte = watch(input, 1);
  const std::string by_few = watch(input, data[5] % 61U + 2U);
  // How much of a broken or exaggerated coding is read before that shows depends on how it came.
  if (!decodes(input.request.content_encoding, input.up) ||
      !decodes(input.response.content_encoding, input.down))
    return 0;
  if (by_byte != whole || by_few != whole) __builtin_trap();
  return 0;
}
