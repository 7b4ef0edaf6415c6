#include "telemetry/tap/socket_tap.hpp"

#include <algorithm>

namespace portico::telemetry {
namespace {

/// Which of two qualities says more about a sum of both: the more doubtful one.
UsageQuality combined(UsageQuality a, UsageQuality b) noexcept {
  constexpr std::array<UsageQuality, 6> by_doubt{UsageQuality::none,         UsageQuality::complete,
                                                 UsageQuality::unclassified, UsageQuality::inconsistent,
                                                 UsageQuality::estimated,    UsageQuality::partial};
  const auto rank = [&](UsageQuality quality) {
    return std::find(by_doubt.begin(), by_doubt.end(), quality);
  };
  return rank(a) < rank(b) ? b : a;
}

/// The texts that a turn has of its own; the others are its connection's.
constexpr bool is_of_turn(Text which) noexcept {
  switch (which) {
    case Text::model:
    case Text::service_tier:
    case Text::reasoning_effort:
    case Text::response_model:
    case Text::response_service_tier:
    case Text::finish:
    case Text::error_type:
    case Text::error_code:
    case Text::error_message:
    case Text::error_param:
    case Text::usage_raw:
      return true;
    default:
      return false;
  }
}

}  // namespace

SocketTap::SocketTap(TapPool& pool, RecordSink& sink, RecordFacts& facts, Texts& texts, SessionRank session,
                     const WsExtensions& extensions) noexcept
    : sink_(sink),
      facts_(facts),
      texts_(texts),
      client_frames_(WsFrameReader::Sender::client, extensions),
      server_frames_(WsFrameReader::Sender::server, extensions),
      client_side_(*this, true),
      server_side_(*this, false),
      asking_(pool),
      asked_(pool),
      answer_(pool),
      request_(pool, asking_, facts.dialect, session),
      response_(pool, answer_, {facts.dialect, Operation::generate, 101, true, {}}),
      queue_{Turn(pool), Turn(pool), Turn(pool), Turn(pool), Turn(pool), Turn(pool), Turn(pool), Turn(pool)},
      realtime_(facts.dialect == Dialect::realtime) {
  asked_.set(Text::model, texts.get(Text::model));
}

void SocketTap::feed(bool from_client, std::string_view bytes, std::uint64_t now_us) noexcept {
  now_us_ = now_us;
  if (from_client)
    client_frames_.feed(bytes, client_side_);
  else
    server_frames_.feed(bytes, server_side_);
}

void SocketTap::Side::on_piece(const WsPiece& piece) noexcept {
  (client_ ? tap_.asked_bytes_ : tap_.answer_bytes_) += piece.bytes.size();
  // Both APIs speak JSON in text messages; a binary one would be read all the same.
  if (client_) {
    if (piece.first) tap_.request_.begin();
    tap_.request_.feed(piece.bytes);
    if (piece.last) tap_.take_asked();
  } else {
    if (piece.first) tap_.response_.begin_message();
    tap_.response_.feed_message(piece.bytes);
    if (piece.last) tap_.take_answer();
  }
}

void SocketTap::Side::on_close(std::uint16_t /*code*/, std::string_view /*reason*/) noexcept {
  if (!tap_.closed_by_client_ && !tap_.closed_by_server_)
    (client_ ? tap_.closed_by_client_ : tap_.closed_by_server_) = true;
}

/// A message of the client's is complete.
void SocketTap::take_asked() noexcept {
  request_.finish();
  const Asked kind = request_.asked();
  const bool fresh = kind == Asked::create && !realtime_;
  if (kind != Asked::other || realtime_) {
    if (!asking_.get(Text::model).empty()) asked_.set(Text::model, asking_.get(Text::model));
    for (const Text which : {Text::service_tier, Text::reasoning_effort}) {
      // A create says all there is to a turn but for the model; an append goes on with what was said.
      const std::string_view text = asking_.get(which);
      if (fresh || !text.empty()) asked_.set(which, text);
    }
    for (const Text which : {Text::model, Text::service_tier, Text::reasoning_effort})
      if (texts_.get(which).empty() && !asked_.get(which).empty()) texts_.set(which, asked_.get(which));
    for (const Text which : {Text::session_source, Text::session_id})
      if (!asking_.get(which).empty()) texts_.set(which, asking_.get(which));
  }
  asking_.clear();
  if (kind == Asked::other) return;
  queue_turn(asked_bytes_, request_.warmup());
  asked_bytes_ = 0;
}

/// A turn with the facts that are in force. Beyond the bound a turn is noticed only when its answer comes.
void SocketTap::queue_turn(std::uint64_t request_bytes, bool warmup) noexcept {
  if (asked_size_ == max_asked) return;
  Turn& turn = queue_[(asked_first_ + asked_size_) % max_asked];
  ++asked_size_;
  turn.start_us = now_us_;
  turn.request_bytes = request_bytes;
  turn.warmup = warmup;
  const auto put = [&](Text which) {
    turn.texts.append(asked_.get(which), Texts::last_size);
    return static_cast<std::uint16_t>(asked_.get(which).size());
  };
  turn.model_size = put(Text::model);
  turn.tier_size = put(Text::service_tier);
  put(Text::reasoning_effort);
}

/// A message of the server's is complete.
void SocketTap::take_answer() noexcept {
  const EventKind kind = response_.end_message();
  if (facts_.events == no_number) facts_.events = 0;
  ++facts_.events;
  const bool ends = kind == EventKind::final || kind == EventKind::failed;
  const bool error = kind == EventKind::error;
  // A realtime session goes on after an error, which may be about anything that the client sent.
  const bool error_of_turn = error && asked_size_ > 0 && !(realtime_ && open_);
  if (error && !error_of_turn) {
    keep_error(response_.error_status());
    response_.forget_error();
  }
  if (!open_) {
    const bool begins =
        ends || error_of_turn || kind == EventKind::created || (ignorable(kind) && asked_size_ > 0);
    if (!begins) {
      // The session itself names the model.
      const std::string_view model = answer_.get(Text::response_model);
      if (realtime_ && !model.empty()) texts_.set(Text::response_model, model);
      return;
    }
    if (asked_size_ == 0) queue_turn(0, false);
    open_ = true;
    first_event_us_ = now_us_;
  }
  if (first_token_us_ == no_time && response_.first_token()) first_token_us_ = now_us_;
  if (ends || error_of_turn) end_turn(Ended::complete, Timer::none);
}

/// A text of the turn at the queue's head, or of its answer.
std::string_view SocketTap::turn_text(Text which) const noexcept {
  const Turn& turn = queue_[asked_first_];
  const std::string_view asked = turn.texts.view();
  // Without memory there may be less than was meant to be.
  const std::size_t model_end = std::min<std::size_t>(turn.model_size, asked.size());
  const std::size_t tier_end = std::min(model_end + turn.tier_size, asked.size());
  switch (which) {
    case Text::model:
      return asked.substr(0, model_end);
    case Text::service_tier:
      return asked.substr(model_end, tier_end - model_end);
    case Text::reasoning_effort:
      return asked.substr(tier_end);
    case Text::response_model:
      if (realtime_ && answer_.get(which).empty()) return texts_.get(which);
      return answer_.get(which);
    default:
      return answer_.get(which);
  }
}

/// The turn at the queue's head is over.
void SocketTap::end_turn(Ended how, Timer timer) noexcept {
  const Turn& turn = queue_[asked_first_];
  const auto since_start = [&](std::uint64_t moment) {
    return moment == no_time ? no_time : moment - std::min(moment, turn.start_us);
  };
  RecordFacts record = facts_;
  record.kind = RecordKind::turn;
  record.start_unix_us += turn.start_us;
  record.duration_us = since_start(now_us_);
  record.first_byte_us = since_start(first_event_us_);
  record.first_token_us = since_start(first_token_us_);
  record.overhead_us = no_time;
  record.request_bytes = turn.request_bytes;
  record.response_bytes = answer_bytes_;
  record.events = response_.events();
  record.retry_after_s = response_.retry_after_s();
  record.turns = 0;
  record.error_status = response_.error_status();
  record.ended = how;
  record.timer = timer;
  record.warmup = turn.warmup;
  record.final_event = response_.final_event();
  record.has_error = response_.has_error();
  record.failed =
      record.has_error || response_.says_failed() || how == Ended::backend_broke_off || how == Ended::timeout;
  const NormalUsage usage = response_.usage(how == Ended::complete && !record.failed);
  record.tokens = usage.tokens;
  record.usage_quality = usage.quality;
  push_turn(record);
  add_up(record);

  queue_[asked_first_].texts.release();
  asked_first_ = static_cast<std::uint8_t>((asked_first_ + 1U) % max_asked);
  --asked_size_;
  open_ = false;
  answer_.clear();
  response_.begin_turn();
  answer_bytes_ = 0;
  first_event_us_ = first_token_us_ = no_time;
}

void SocketTap::push_turn(RecordFacts& record) noexcept {
  Scratch all(texts_.pool());
  record.texts = {};
  for (std::size_t i = 0; i < text_count; ++i) {
    const auto which = static_cast<Text>(i);
    const std::string_view text = is_of_turn(which) ? turn_text(which) : texts_.get(which);
    const std::size_t offset = all.view().size();
    all.append(text, Texts::last_size);
    if (all.overflowed()) break;
    record.texts[i] = {static_cast<std::uint16_t>(offset), static_cast<std::uint16_t>(text.size())};
  }
  sink_.push(Record(record, all.view()));
}

/// What the connection's own record says of its turns.
void SocketTap::add_up(const RecordFacts& record) noexcept {
  ++facts_.turns;
  if (record.tokens.seen) {
    for (std::size_t i = 0; i < token_kind_count; ++i) facts_.tokens.kinds[i] += record.tokens.kinds[i];
    facts_.tokens.seen = true;
    facts_.usage_quality = combined(facts_.usage_quality, record.usage_quality);
  }
  if (record.failed) facts_.failed = true;
  if (record.final_event) facts_.final_event = true;
  if (record.retry_after_s != no_number) facts_.retry_after_s = record.retry_after_s;
  if (record.has_error) keep_error(record.error_status);
  for (const Text which : {Text::response_model, Text::response_service_tier, Text::finish})
    if (!answer_.get(which).empty()) texts_.set(which, answer_.get(which));
}

/// The first error of the connection is the one it is remembered by.
void SocketTap::keep_error(std::uint16_t error_status) noexcept {
  facts_.failed = true;
  if (facts_.has_error) return;
  facts_.has_error = true;
  facts_.error_status = error_status;
  for (const Text which : {Text::error_type, Text::error_code, Text::error_message, Text::error_param})
    if (!answer_.get(which).empty()) texts_.set(which, answer_.get(which));
}

Ended SocketTap::settled(Ended how) const noexcept {
  if (!in_turn()) {
    // Between turns either side may go as it likes.
    return how == Ended::client_gone || how == Ended::backend_broke_off ? Ended::complete : how;
  }
  if (how != Ended::complete) return how;
  return closed_by_client_ ? Ended::client_gone : Ended::backend_broke_off;
}

void SocketTap::finish(Ended how, Timer timer, std::uint64_t now_us) noexcept {
  now_us_ = now_us;
  const Ended ended = settled(how);
  while (in_turn()) end_turn(ended, timer);
}

}  // namespace portico::telemetry
