#include "telemetry/tap/tap.hpp"

#include <algorithm>
#include <array>

#include "telemetry/tap/decoder.hpp"
#include "telemetry/tap/form_reader.hpp"
#include "telemetry/tap/request_reader.hpp"
#include "telemetry/tap/response_reader.hpp"
#include "telemetry/tap/socket_tap.hpp"

namespace portico::telemetry {
namespace {

/// One body's way to its reader: content coding undone where there is one.
class Decoding {
 public:
  Decoding(TapPool& pool, Coding coding) noexcept : readable_(coding != Coding::other) {
    if (coding == Coding::identity || !readable_) return;
    decoder_ = make_pooled<ContentDecoder>(pool, coding);
    if (!decoder_) readable_ = false;
  }
  template <class Sink>
  void feed(std::string_view bytes, Sink sink) noexcept {
    if (!readable_) return;
    if (decoder_)
      decoder_->feed(bytes, sink);
    else
      sink(bytes);
  }
  [[nodiscard]] bool readable() const noexcept { return readable_; }

 private:
  Pooled<ContentDecoder> decoder_{nullptr, {}};
  bool readable_;
};

struct RequestSide {
  RequestSide(TapPool& pool, Texts& texts, Dialect dialect, SessionRank session, Coding coding,
              std::string_view boundary) noexcept
      : reader(pool, texts, dialect, session), decoding(pool, coding) {
    if (!boundary.empty()) form = make_pooled<FormReader>(pool, boundary, texts);
  }
  RequestReader reader;
  Decoding decoding;
  Pooled<FormReader> form{nullptr, {}};
};

struct ResponseSide {
  ResponseSide(TapPool& pool, Texts& texts, const ResponseContext& context, Coding coding) noexcept
      : reader(pool, texts, context), decoding(pool, coding) {}
  ResponseReader reader;
  Decoding decoding;
};

/// The path of a target as it was sent.
std::string_view path_as_sent(std::string_view target) noexcept {
  target = target.substr(0, target.find('?'));
  if (target.starts_with('/')) return target;
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return target;
  const std::size_t path = target.find('/', scheme + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

/// Undoes percent-encoding once; what is no encoding stays. At most what fits.
std::string_view percent_decoded(std::string_view text, std::array<char, 256>& room) noexcept {
  const auto digit = [](char byte) -> int {
    if (byte >= '0' && byte <= '9') return byte - '0';
    const char folded = static_cast<char>(byte | 0x20);
    return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
  };
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size() && size < room.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low >= 0) i += 2;
    room[size++] = low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
  }
  return {room.data(), size};
}

bool has_finals(Dialect dialect) noexcept {
  const Family family = family_of(dialect);
  return family != Family::plain && family != Family::videos && family != Family::embeddings;
}

/// Seconds of a Retry-After; a date is none.
std::uint32_t retry_seconds(std::string_view value) noexcept {
  const auto seconds = read_count(value);
  return seconds && *seconds < no_number ? static_cast<std::uint32_t>(*seconds) : no_number;
}

}  // namespace

struct Tap::State {
  explicit State(TapContext& shared) noexcept : context(shared), texts(shared.pool) {}

  void begin(const RequestFacts& head) noexcept;
  void begin_reading(const RequestFacts& head) noexcept;
  SessionRank take_session(const RequestFacts& head) noexcept;
  void end_request() noexcept;
  void begin_response(const ResponseFacts& head) noexcept;
  void begin_socket(const ResponseFacts& head) noexcept;
  [[nodiscard]] bool asks_stream() const noexcept;
  [[nodiscard]] Ended settled(Ended how) const noexcept;
  void end(const EndFacts& end) noexcept;
  void take_response() noexcept;
  [[nodiscard]] bool is_failed() const noexcept;

  TapContext& context;
  Texts texts;
  RecordFacts facts;
  Pooled<RequestSide> request{nullptr, {}};
  Pooled<ResponseSide> response{nullptr, {}};
  Pooled<SocketTap> socket{nullptr, {}};
  SessionRank session = SessionRank::none;
  bool post = false;
  bool always_streams = false;
  bool never_streams = false;
  bool has_response = false;
  bool says_failed = false;
};

void Tap::State::begin(const RequestFacts& head) noexcept {
  facts.start_unix_us = head.start_unix_us;
  facts.worker = head.worker;
  facts.listener = head.listener;
  facts.http_version = head.http_version;
  facts.route = head.route;
  facts.websocket = head.websocket;
  facts.dialect = head.dialect;
  facts.operation = operation_of(facts.dialect, head.method, head.path, head.websocket);
  facts.request_coding = coding_of(head.content_encoding);
  post = head.method == "POST";
  texts.set(Text::request_id, head.request_id);
  texts.set(Text::method, head.method);
  texts.set(Text::path, path_as_sent(head.target));
  texts.set(Text::owner, head.owner);
  texts.set(Text::client, head.client);
  texts.set(Text::user_agent, head.user_agent);
  if (const std::string_view key = presented_key(head); !key.empty()) {
    const KeyMark mark = context.keys.mark(key);
    facts.key = mark.fingerprint;
    texts.set(Text::key_mask, mark.mask_text());
  }
  if (family_of(facts.dialect) != Family::plain) begin_reading(head);
}

void Tap::State::begin_reading(const RequestFacts& head) noexcept {
  session = take_session(head);
  always_streams =
      facts.dialect == Dialect::realtime || head.websocket ||
      (facts.dialect == Dialect::gemini_generate && head.path.ends_with(":streamGenerateContent"));
  never_streams = facts.operation == Operation::compact || facts.operation == Operation::count_tokens ||
                  facts.operation == Operation::embed || facts.dialect == Dialect::openai_videos ||
                  facts.dialect == Dialect::gemini_generate;
  if (facts.dialect == Dialect::gemini_generate) texts.set(Text::model, model_of_path(head.path));
  if (facts.dialect == Dialect::realtime) {
    std::array<char, 256> room;
    texts.set(Text::model, percent_decoded(query_value(head.target, "model"), room));
  }
  if (head.has_body)
    request = make_pooled<RequestSide>(context.pool, context.pool, texts, facts.dialect, session,
                                       facts.request_coding, form_boundary(head.content_type));
}

/// The session that a header names; the body may name one that counts more.
SessionRank Tap::State::take_session(const RequestFacts& head) noexcept {
  for (std::size_t i = 0; i < session_headers.size(); ++i) {
    if (head.sessions[i].empty()) continue;
    constexpr std::string_view prefix = "header:";
    std::array<char, 64> source;
    char* end = std::copy(prefix.begin(), prefix.end(), source.data());
    end = std::copy(session_headers[i].begin(), session_headers[i].end(), end);
    texts.set(Text::session_source, {source.data(), static_cast<std::size_t>(end - source.data())});
    texts.set(Text::session_id, head.sessions[i]);
    if (i == 0) return SessionRank::claude_code_header;
    return static_cast<SessionRank>(static_cast<std::size_t>(SessionRank::first_header) + i - 1);
  }
  return SessionRank::none;
}

bool Tap::State::asks_stream() const noexcept {
  if (always_streams) return true;
  if (never_streams || !request) return facts.stream;
  return request->form ? request->form->stream() : request->reader.stream();
}

void Tap::State::end_request() noexcept {
  facts.stream = asks_stream();
  if (!request) return;
  request->reader.finish();
  request.reset();
}

void Tap::State::begin_response(const ResponseFacts& head) noexcept {
  has_response = true;
  facts.status = static_cast<std::uint16_t>(head.status);
  facts.endpoint = head.endpoint;
  facts.response_coding = coding_of(head.content_encoding);
  facts.retry_after_s = retry_seconds(head.retry_after);
  if (!head.trace_id.empty()) {
    // time-account-request
    facts.has_trace = true;
    const std::size_t first = head.trace_id.find('-');
    if (first != std::string_view::npos) {
      const std::string_view rest = head.trace_id.substr(first + 1);
      const std::size_t second = rest.find('-');
      texts.set(Text::auth_index, rest.substr(0, second));
      if (second != std::string_view::npos) texts.set(Text::cpa_request_id, rest.substr(second + 1));
    }
  }
  if (head.status == 101) return begin_socket(head);
  const ResponseContext about{facts.dialect, facts.operation, head.status, asks_stream(), head.content_type};
  response = make_pooled<ResponseSide>(context.pool, context.pool, texts, about, facts.response_coding);
}

void Tap::State::begin_socket(const ResponseFacts& head) noexcept {
  end_request();
  facts.websocket = true;
  facts.response_kind = ResponseKind::websocket;
  facts.kind = RecordKind::connection;
  if (family_of(facts.dialect) == Family::plain) return;
  socket = make_pooled<SocketTap>(context.pool, context.pool, context.sink, facts, texts, session,
                                  read_ws_extensions(head.websocket_extensions));
}

Ended Tap::State::settled(Ended how) const noexcept {
  if (socket) return socket->settled(how);
  const bool whole = response && response->reader.final_event();
  return how == Ended::client_gone && whole ? Ended::complete : how;
}

/// What the response's reader found.
void Tap::State::take_response() noexcept {
  ResponseReader& reader = response->reader;
  reader.finish();
  facts.response_kind = reader.kind();
  // What can't be decoded is something all the same.
  if (!response->decoding.readable() && facts.response_bytes > 0) facts.response_kind = ResponseKind::text;
  if (reader.kind() == ResponseKind::sse || reader.kind() == ResponseKind::json_array)
    facts.events = reader.events();
  facts.final_event = reader.final_event();
  facts.has_error = reader.has_error();
  facts.error_status = reader.error_status();
  says_failed = reader.says_failed();
  if (facts.retry_after_s == no_number) facts.retry_after_s = reader.retry_after_s();
  facts.failed = is_failed();
  const NormalUsage usage = reader.usage(facts.ended == Ended::complete && !facts.failed);
  facts.tokens = usage.tokens;
  facts.usage_quality = usage.quality;
}

bool Tap::State::is_failed() const noexcept {
  if (facts.has_error || says_failed) return true;
  if (facts.own_answer) return facts.status >= 400;
  if (facts.ended == Ended::client_gone) return has_response && facts.status >= 400;
  if (facts.ended != Ended::complete || facts.status >= 400) return true;
  if (family_of(facts.dialect) == Family::plain || !response) return false;
  const bool readable = response->decoding.readable();
  const bool objects = facts.dialect == Dialect::gemini_generate && facts.stream;
  const bool streamed = facts.response_kind == ResponseKind::sse ||
                        facts.response_kind == ResponseKind::json_array ||
                        (facts.response_kind == ResponseKind::json && objects);
  if (readable && streamed && has_finals(facts.dialect) && !facts.final_event) return true;
  return facts.status == 200 && post && facts.response_kind == ResponseKind::empty;
}

void Tap::State::end(const EndFacts& end) noexcept {
  end_request();
  facts.ended = settled(end.how);
  facts.timer = end.timer;
  facts.own_answer = end.own_answer;
  if (end.own_answer || !has_response) facts.status = static_cast<std::uint16_t>(end.status);
  facts.endpoint = end.endpoint;
  facts.reused_connection = end.reused_connection;
  facts.duration_us = end.duration_us;
  facts.first_byte_us = end.first_byte_us;
  facts.first_token_us = end.first_token_us;
  facts.overhead_us = end.overhead_us;
  if (!end.own_code.empty()) texts.set(Text::own_code, end.own_code);
  if (post && texts.get(Text::model).empty()) {
    // What CPA takes where a request for a picture or a film names no model.
    if (facts.dialect == Dialect::openai_images) texts.set(Text::model, "gpt-image-2");
    if (facts.dialect == Dialect::openai_videos) texts.set(Text::model, "grok-imagine-video");
  }
  if (socket) {
    socket->finish(end.how, end.timer, end.duration_us);
    if (facts.ended == Ended::backend_broke_off) facts.failed = true;
  } else if (response) {
    take_response();
  } else {
    facts.failed = is_failed();
  }
  const std::string_view bytes = texts.tidy();
  facts.texts = texts.places();
  context.sink.push(Record(facts, bytes));
}

void Tap::Release::operator()(State* state) const noexcept { GiveBack<State>{&state->context.pool}(state); }

Tap::Tap() noexcept = default;
Tap::~Tap() = default;

void Tap::request_head(TapContext& context, const RequestFacts& facts) noexcept {
  state_.reset(make_pooled<State>(context.pool, context).release());
  if (state_) state_->begin(facts);
}

void Tap::request_body(std::string_view payload) noexcept {
  if (!state_) return;
  state_->facts.request_bytes += payload.size();
  if (!state_->request) return;
  RequestSide& side = *state_->request;
  side.decoding.feed(payload, [&side](std::string_view bytes) {
    if (side.form)
      side.form->feed(bytes);
    else
      side.reader.feed(bytes);
  });
}

void Tap::request_end() noexcept {
  if (state_) state_->end_request();
}

void Tap::response_head(const ResponseFacts& facts) noexcept {
  if (state_) state_->begin_response(facts);
}

void Tap::response_body(std::string_view payload) noexcept {
  if (!state_) return;
  state_->facts.response_bytes += payload.size();
  if (!state_->response) return;
  ResponseSide& side = *state_->response;
  side.decoding.feed(payload, [&side](std::string_view bytes) { side.reader.feed(bytes); });
}

void Tap::tunnel(bool from_client, std::string_view bytes, std::uint64_t now_us) noexcept {
  if (!state_) return;
  (from_client ? state_->facts.request_bytes : state_->facts.response_bytes) += bytes.size();
  if (state_->socket) state_->socket->feed(from_client, bytes, now_us);
}

bool Tap::first_token_seen() const noexcept {
  return state_ && state_->response && state_->response->reader.first_token();
}

Ended Tap::settled(Ended how) const noexcept { return state_ ? state_->settled(how) : how; }

void Tap::end(const EndFacts& facts) noexcept {
  if (!state_) return;
  state_->end(facts);
  state_.reset();
}

}  // namespace portico::telemetry
