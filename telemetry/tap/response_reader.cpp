#include "telemetry/tap/response_reader.hpp"

#include <algorithm>

#include "telemetry/tap/merge_json.hpp"

namespace portico::telemetry {
namespace {

constexpr bool is_blank(char byte) noexcept {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/// Whether a Content-Type is of this type, parameters and case left aside.
bool is_type(std::string_view value, std::string_view lower_type) noexcept {
  if (value.size() < lower_type.size()) return false;
  for (std::size_t i = 0; i < lower_type.size(); ++i) {
    const char byte = value[i];
    if ((byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte) != lower_type[i]) return false;
  }
  return true;
}

/// A number of seconds; too large a one is none.
std::uint32_t read_seconds(std::string_view token) noexcept {
  const auto seconds = read_count(token);
  return seconds && *seconds < no_number ? static_cast<std::uint32_t>(*seconds) : no_number;
}

/// The status that an error's code stands for, 0 for any other code.
std::uint16_t read_error_status(std::string_view token) noexcept {
  const auto code = read_count(token);
  return code && *code >= 400 && *code <= 599 ? static_cast<std::uint16_t>(*code) : std::uint16_t{0};
}

}  // namespace

ResponseReader::ResponseReader(TapPool& pool, Texts& out, const ResponseContext& context) noexcept
    : scratch_(pool),
      raw_(pool),
      out_(out),
      pattern_(nullptr, GiveBack<EventPattern>{&pool}),
      status_(static_cast<std::uint16_t>(context.status)),
      family_(family_of(context.dialect)),
      inclusion_(inclusion_of(context.dialect)),
      // A count of tokens is no use of them.
      counts_usage_(context.operation != Operation::count_tokens),
      is_event_stream_(is_type(context.content_type, "text/event-stream")),
      is_json_(is_type(context.content_type, "application/json")),
      no_content_type_(context.content_type.empty()),
      stream_(context.stream) {}

void ResponseReader::feed(std::string_view bytes) noexcept {
  if (kind_ == ResponseKind::empty) {
    std::size_t at = 0;
    while (at < bytes.size() && is_blank(bytes[at])) {
      blank_before_ = bytes[at] == ' ' || bytes[at] == '\t';
      ++at;
    }
    bytes.remove_prefix(at);
    if (bytes.empty()) return;
    start(bytes.front());
  }
  switch (kind_) {
    case ResponseKind::sse:
      feed_events(bytes);
      break;
    case ResponseKind::json:
    case ResponseKind::json_array:
      feed_document(bytes);
      break;
    case ResponseKind::text:
      take_text_body(bytes);
      break;
    default:
      break;
  }
}

/// Decides what the body is, by its first byte that is not blank; a Content-Type alone is not to be relied
/// on.
void ResponseReader::start(char first) noexcept {
  const bool asked_stream = no_content_type_ && stream_ && status_ < 400 && family_ != Family::plain;
  const bool field_name = first == 'd' || first == 'e' || first == 'i' || first == 'r' || first == ':';
  if (first == '{') {
    kind_ = ResponseKind::json;
  } else if (is_event_stream_ || (asked_stream && field_name)) {
    kind_ = ResponseKind::sse;
    if (blank_before_) splitter_.feed(" ", *this);
    return;
  } else if (first == '[') {
    kind_ = family_ == Family::gemini ? ResponseKind::json_array : ResponseKind::json;
  } else {
    kind_ = is_json_ ? ResponseKind::json : ResponseKind::text;
    // An API answers with a web page only when the request went to the wrong place.
    if (first == '<' && family_ != Family::plain) has_error_ = true;
  }
  // A body that is no stream is itself the answer.
  if (!stream_ && status_ < 400 && family_ != Family::plain) first_token_ = true;
  if (status_ >= 400)
    scanner_.begin(error_trie());
  else if (family_ == Family::gemini)
    scanner_.begin(event_trie(family_, !first_token_));
  else
    scanner_.begin(document_trie(family_));
  if (status_ >= 400 && kind_ == ResponseKind::text) has_error_ = true;
}

/// Events that are like the one before are only counted; the others are read.
void ResponseReader::feed_events(std::string_view bytes) noexcept {
  while (pattern_ && !pattern_->empty() && splitter_.between_events()) {
    const std::size_t size = pattern_->match(bytes);
    if (size == 0) break;
    ++events_;
    bytes.remove_prefix(size);
    if (bytes.empty()) return;
  }
  if (events_ >= learn_at_ && first_token_ && splitter_.between_events()) bytes.remove_prefix(learn(bytes));
  splitter_.feed(bytes, *this);
}

/// Reads the event at the front byte by byte and makes it the pattern, if it is whole, short and changes
/// nothing. Returns what was read.
std::size_t ResponseReader::learn(std::string_view bytes) noexcept {
  const std::size_t end = bytes.find("\n\n");
  if (end == std::string_view::npos || end + 2 > EventPattern::max_size) return 0;
  const std::string_view event = bytes.substr(0, end + 2);
  if (event.find('\r') != std::string_view::npos) return 0;
  // Streams whose events all differ are tried ever less often.
  learn_at_ = events_ + events_;
  if (!pattern_) pattern_ = make_pooled<EventPattern>(*pattern_.get_deleter().pool);
  if (!pattern_) return 0;
  pattern_->begin();
  const std::uint32_t before = events_;
  for (std::size_t i = 0; i < event.size(); ++i) {
    const bool in_event = event_.begun;
    const bool skipped = in_event && scanner_.skips_text();
    const bool stopped = in_event && scanner_.stopped();
    splitter_.feed(event.substr(i, 1), *this);
    EventPattern::Role role = EventPattern::Role::counts;
    if (event_.begun) {
      if (scanner_.stopped())
        role = stopped ? EventPattern::Role::ignored : EventPattern::Role::ends;
      else if (scanner_.skips_text())
        role = skipped ? EventPattern::Role::skipped : EventPattern::Role::opens;
    }
    pattern_->add(event[i], role);
  }
  // Comments are no event; and one that changed something has made the pattern forget what came before its
  // end.
  if (events_ != before + 1 || pattern_->size() != event.size()) pattern_->clear();
  return event.size();
}

/// Whether the event that is complete leaves everything as it was.
bool ResponseReader::changes_nothing() const noexcept {
  const bool token = event_.has_token || event_.kind == EventKind::delta;
  return (event_.kind == EventKind::unnamed || ignorable(event_.kind)) && (!token || first_token_) &&
         !event_.has_usage && !event_.has_interim && !event_.has_error && !event_.has_flat_error &&
         !event_.has_finish && !out_.any_staged();
}

void ResponseReader::feed_document(std::string_view bytes) noexcept {
  if (!event_.begun) begin_event();
  scanner_.feed(bytes, *this);
}

/// The beginning of a page that stands for an error.
void ResponseReader::take_text_body(std::string_view bytes) noexcept {
  if (has_error_) scratch_.append(bytes, text_limit(Text::error_message) + 8);
}

void ResponseReader::finish() noexcept {
  if (kind_ == ResponseKind::text) {
    if (has_error_) out_.set(Text::error_message, scratch_.view());
    scratch_.release();
    return;
  }
  // A document that was cut off still says what it had said.
  if (kind_ == ResponseKind::json && scanner_.inside() && event_.begun) {
    const bool was_final = final_event_;
    const bool had_usage = stage_ != UsageStage::none;
    // Half of an object's numbers are better than none, but not than those of the whole object before it.
    if (had_usage) event_.has_usage = event_.has_interim = false;
    commit(true);
    final_event_ = was_final;
    if (!had_usage && stage_ != UsageStage::none) stage_ = UsageStage::interim;
  }
  raw_.release();
  scratch_.release();
}

void ResponseReader::begin_message() noexcept {
  kind_ = ResponseKind::websocket;
  begin_event();
  scanner_.begin(event_trie(family_, !first_token_));
}

EventKind ResponseReader::end_message() noexcept {
  const EventKind kind = event_.kind;
  ++events_;
  commit(false);
  return kind;
}

void ResponseReader::begin_turn() noexcept {
  numbers_ = {};
  stage_ = UsageStage::none;
  events_ = 0;
  retry_after_s_ = no_number;
  error_status_ = 0;
  first_token_ = final_event_ = has_error_ = says_failed_ = false;
}

void ResponseReader::sse_data(std::string_view piece) noexcept {
  if (!event_.begun) {
    begin_event();
    scanner_.begin(event_trie(family_, !first_token_));
  }
  scanner_.feed(piece, *this);
}

void ResponseReader::sse_name(std::string_view piece) noexcept {
  if (piece.empty()) name_size_ = 0;
  const std::size_t fits = std::min(piece.size(), name_.size() - name_size_);
  std::copy_n(piece.data(), fits, name_.data() + name_size_);
  name_size_ = static_cast<std::uint8_t>(name_size_ + fits);
}

void ResponseReader::sse_dispatch() noexcept {
  ++events_;
  // Its data may be empty; then it must not repeat what the event before it said.
  if (!event_.begun) begin_event();
  if (event_.kind == EventKind::unnamed && name_size_ != 0)
    event_.kind = event_kind(family_, {name_.data(), name_size_});
  commit(false);
  name_size_ = 0;
}

void ResponseReader::sse_discard() noexcept { name_size_ = 0; }

void ResponseReader::begin_event() noexcept {
  event_ = Event{};
  event_.begun = true;
  out_.unstage();
  scratch_.release();
  raw_.release();
  choices_ = 0;
}

bool ResponseReader::json_text(std::uint8_t field, std::string_view text) noexcept {
  switch (static_cast<Found>(field)) {
    case Found::kind:
      event_.kind = event_kind(family_, text);
      return !ignorable(event_.kind);
    case Found::model:
      stage_text(Text::response_model, text);
      break;
    case Found::tier:
      stage_text(Text::response_service_tier, text);
      break;
    case Found::status:
    case Found::stop_reason:
      out_.stage(Text::finish, text);
      break;
    case Found::choice_finish:
      finish_size_ = static_cast<std::uint8_t>(std::min(text.size(), finish_.size()));
      std::copy_n(text.data(), finish_size_, finish_.data());
      event_.has_finish = true;
      break;
    case Found::block_reason:
      event_.has_finish = true;
      break;
    case Found::error:
      if (text.empty()) break;
      event_.has_error = true;
      out_.stage(Text::error_message, text);
      break;
    case Found::error_type:
      out_.stage(Text::error_type, text);
      break;
    case Found::error_code:
      stage_error_code(text, true);
      // Interactions write the number as text.
      if (const std::uint16_t status = read_error_status(text); status != 0) event_.error_status = status;
      break;
    case Found::error_message:
      out_.stage(Text::error_message, text);
      break;
    case Found::error_param:
      out_.stage(Text::error_param, text);
      break;
    case Found::flat_code:
      stage_error_code(text, false);
      break;
    case Found::flat_message:
      event_.has_flat_error = true;
      if (!out_.staged(Text::error_message)) out_.stage(Text::error_message, text);
      break;
    case Found::flat_param:
      if (!out_.staged(Text::error_param)) out_.stage(Text::error_param, text);
      break;
    default:
      break;
  }
  return true;
}

/// Most events repeat what the first one said.
void ResponseReader::stage_text(Text which, std::string_view text) noexcept {
  if (!out_.staged(which) && out_.get(which) == text) return;
  out_.stage(which, text);
}

/// What stands in the error itself beats what stands beside it.
void ResponseReader::stage_error_code(std::string_view code, bool nested) noexcept {
  if (nested || !out_.staged(Text::error_code)) out_.stage(Text::error_code, code);
}

void ResponseReader::json_scalar(std::uint8_t field, std::string_view token) noexcept {
  switch (static_cast<Found>(field)) {
    case Found::input_count:
      return take_count(Count::input, token);
    case Found::output_count:
      return take_count(Count::output, token);
    case Found::total_count:
      return take_count(Count::total, token);
    case Found::read_count:
      return take_count(Count::cache_read, token);
    case Found::write_count:
      return take_count(Count::cache_write, token);
    case Found::reasoning_count:
      return take_count(Count::reasoning, token);
    case Found::tool_count:
      return take_count(Count::tool_use, token);
    case Found::choice_index:
      choice_index_ = read_seconds(token);
      return;
    case Found::error_code:
    case Found::flat_code:
      if (!read_count(token)) return;
      stage_error_code(token, static_cast<Found>(field) == Found::error_code);
      [[fallthrough]];
    case Found::flat_status:
      if (const std::uint16_t status = read_error_status(token); status != 0) event_.error_status = status;
      return;
    case Found::reset_seconds:
      event_.reset_s = read_seconds(token);
      return;
    case Found::resets_in_seconds:
      event_.resets_in_s = read_seconds(token);
      return;
    default:
      return;
  }
}

void ResponseReader::take_count(Count count, std::string_view token) noexcept {
  if (event_.in_interim && event_.has_usage) return;
  const auto value = read_count(token);
  if (!value) return;
  // Writes go by several names, and a provider may give one of them as zero.
  if (count == Count::cache_write)
    event_.numbers.raise(count, *value);
  else
    event_.numbers.set(count, *value);
}

void ResponseReader::json_filled(std::uint8_t /*field*/) noexcept { event_.has_token = true; }

void ResponseReader::json_start(std::uint8_t field, char first) noexcept {
  switch (static_cast<Found>(field)) {
    case Found::usage:
      if (first != '{') break;
      event_.has_usage = true;
      event_.in_interim = false;
      event_.numbers = {};
      break;
    case Found::interim_usage:
      if (first != '{') break;
      event_.has_interim = event_.in_interim = true;
      if (!event_.has_usage) event_.numbers = {};
      break;
    case Found::error:
      if (first == '{') event_.has_error = true;
      break;
    case Found::choice:
      choice_index_ = no_number;
      finish_size_ = 0;
      break;
    case Found::token:
      event_.has_token = true;
      break;
    default:
      break;
  }
}

void ResponseReader::json_end(std::uint8_t field) noexcept {
  if (static_cast<Found>(field) == Found::choice) {
    end_choice();
  } else if (kind_ == ResponseKind::json || kind_ == ResponseKind::json_array) {
    if (kind_ == ResponseKind::json_array) ++events_;
    commit(true);
    // Another may follow: the next element, or with some of Google's forms the next object.
    begin_event();
  }
}

/// The reason of the first choice is the answer's; a choice that has no index goes by its place.
void ResponseReader::end_choice() noexcept {
  const bool first = choice_index_ == 0 || (choice_index_ == no_number && choices_ == 0);
  ++choices_;
  if (first && finish_size_ != 0) stage_text(Text::finish, {finish_.data(), finish_size_});
}

void ResponseReader::json_raw(std::uint8_t field, std::string_view bytes, bool last) noexcept {
  const bool interim = static_cast<Found>(field) == Found::interim_usage;
  const std::size_t limit = text_limit(Text::usage_raw);
  if (interim && event_.has_usage) return;
  if (!last || !raw_.empty()) raw_.append(bytes, limit);
  if (!last) return;
  const std::string_view whole = raw_.empty() ? bytes : raw_.view();
  // A part of an object is no JSON. The numbers do not depend on it.
  out_.stage(Text::usage_raw, raw_.overflowed() || whole.size() > limit ? std::string_view() : whole);
  raw_.release();
}

void ResponseReader::commit(bool document) noexcept {
  event_.begun = false;
  const bool quiet = changes_nothing();
  if (pattern_ && !quiet) pattern_->clear();
  const EventKind kind = event_.kind;
  if (event_.has_token || kind == EventKind::delta || (family_ == Family::images && kind == EventKind::final))
    first_token_ = true;
  out_.commit(Text::response_model);
  out_.commit(Text::response_service_tier);
  if (event_.has_error || event_.has_flat_error || kind == EventKind::error) commit_error();

  const bool finished = document || kind == EventKind::final || kind == EventKind::failed;
  switch (family_) {
    case Family::chat:
    case Family::gemini:
      out_.commit(Text::finish);
      if (event_.has_finish) final_event_ = true;
      break;
    case Family::anthropic:
      out_.commit(Text::finish);
      if (document || kind == EventKind::stop) final_event_ = true;
      break;
    case Family::images:
      if (kind == EventKind::final) out_.set(Text::finish, "completed");
      if (finished) final_event_ = true;
      break;
    default:
      if (!finished) break;
      out_.commit(Text::finish);
      final_event_ = true;
      if (kind == EventKind::failed || out_.get(Text::finish) == "failed") says_failed_ = true;
      break;
  }
  if (event_.has_usage || event_.has_interim || family_ == Family::anthropic) commit_usage(document);
  out_.unstage();
}

/// The first error counts.
void ResponseReader::commit_error() noexcept {
  // Elsewhere than in an error, a message or a code is nothing of the kind.
  const bool flat = event_.kind == EventKind::error || status_ >= 400;
  if (!event_.has_error && !flat) return;
  // Management answers may have a member of that name and be well all the same.
  if (family_ == Family::plain && status_ < 400) return;
  if (has_error_) return;
  has_error_ = true;
  out_.commit(Text::error_type);
  out_.commit(Text::error_code);
  out_.commit(Text::error_message);
  out_.commit(Text::error_param);
  if (status_ < 400) error_status_ = event_.error_status;
  retry_after_s_ = event_.reset_s != no_number ? event_.reset_s : event_.resets_in_s;
}

void ResponseReader::commit_usage(bool document) noexcept {
  if (!counts_usage_) return;
  if (family_ == Family::anthropic) return commit_anthropic(document);
  if (!event_.numbers.any()) return;
  const bool finished = document || event_.kind == EventKind::final || event_.kind == EventKind::failed;
  switch (family_) {
    case Family::chat:
    case Family::embeddings:
      keep_usage(kind_ == ResponseKind::json ? UsageStage::final : UsageStage::running);
      break;
    case Family::gemini:
      if (event_.has_usage)
        keep_usage(UsageStage::running);
      else if (stage_ <= UsageStage::interim)
        keep_usage(UsageStage::interim);
      break;
    default:
      if (finished)
        keep_usage(UsageStage::final);
      else if (stage_ <= UsageStage::interim)
        keep_usage(UsageStage::interim);
      break;
  }
}

/// Each message_delta replaces what it has of the numbers of message_start; one that has only zeros says
/// nothing.
void ResponseReader::commit_anthropic(bool document) noexcept {
  if (!event_.numbers.any()) return;
  if (document) return keep_usage(UsageStage::final);
  if (event_.kind == EventKind::start) {
    if (stage_ == UsageStage::none) keep_usage(UsageStage::start);
    return;
  }
  if (event_.kind != EventKind::update || event_.numbers.all_zero()) return;
  if (stage_ == UsageStage::none) return keep_usage(UsageStage::final);
  numbers_.merge(event_.numbers);
  stage_ = UsageStage::final;
  const std::string_view older = out_.get(Text::usage_raw);
  const std::string_view newer = out_.get_staged(Text::usage_raw);
  const std::size_t limit = text_limit(Text::usage_raw);
  if (!older.empty() && !newer.empty()) {
    merge_objects(older, newer, limit, scratch_);
    out_.set(Text::usage_raw, scratch_.overflowed() ? std::string_view() : scratch_.view());
    scratch_.release();
  } else {
    out_.set(Text::usage_raw, {});
  }
}

void ResponseReader::keep_usage(UsageStage stage) noexcept {
  numbers_ = event_.numbers;
  stage_ = stage;
  out_.commit(Text::usage_raw);
}

NormalUsage ResponseReader::usage(bool ended_well) const noexcept {
  NormalUsage result = normalise(numbers_, inclusion_);
  if (!result.tokens.seen) return result;
  switch (stage_) {
    case UsageStage::final:
      break;
    case UsageStage::running:
      if (!final_event_ && !ended_well) result.quality = UsageQuality::partial;
      break;
    case UsageStage::start:
      result.quality = final_event_ ? UsageQuality::estimated : UsageQuality::partial;
      break;
    case UsageStage::interim:
    case UsageStage::none:
      result.quality = UsageQuality::partial;
      break;
  }
  return result;
}

}  // namespace portico::telemetry
