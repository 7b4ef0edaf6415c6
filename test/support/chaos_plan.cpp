#include "test/support/chaos_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

namespace portico::test {

namespace {

constexpr std::string_view query = "exchange=";

// Of both backends, with and without a dialect whose events the tap tries to read.
constexpr std::array plain_paths = std::to_array<std::string_view>(
    {"/v1/marks", "/v1/chat/completions", "/v1/responses", "/v1/messages",
     "/v1beta/models/m:streamGenerateContent", "/backend-api/codex/responses", "/api/marks", "/marks"});
constexpr std::array secure_paths = std::to_array<std::string_view>(
    {"/usage-service/marks", "/v0/management/usage-queue", "/v0/resource/plugins/marks"});

class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t number) : random_(seed * 0x9e3779b97f4a7c15ULL + number) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  bool percent(std::size_t n) { return below(100) < n; }
  /// Mostly small, now and then large.
  std::size_t size() {
    const std::size_t die = below(20);
    if (die == 0) return 1 + below(400'000);
    return 1 + below(die < 6 ? 40'000 : 3'000);
  }
  /// Of pieces that `size` bytes go in, a hundred at most.
  std::size_t piece(std::size_t size) { return 1 + size / 100 + below(one_in(2) ? 500 : 20'000); }

 private:
  std::mt19937_64 random_;
};

Kind kind_of(std::size_t die) {
  if (die < 22) return Kind::length;
  if (die < 46) return Kind::chunked;
  if (die < 54) return Kind::until_close;
  if (die < 76) return Kind::events;
  if (die < 80) return Kind::head;
  if (die < 84) return Kind::empty;
  return die < 90 ? Kind::early : Kind::websocket;
}

void choose_request(Plan& plan, Dice& dice) {
  plan.method = dice.percent(55) ? "POST" : dice.one_in(4) ? "PUT" : "GET";
  if (plan.kind == Kind::head) plan.method = "HEAD";
  if (plan.kind == Kind::websocket) plan.method = "GET";
  if (plan.kind == Kind::early) plan.method = "POST";
  if (plan.method == "GET" || plan.method == "HEAD") return;
  plan.framing = dice.one_in(2) ? BodyFraming::chunked : BodyFraming::length;
  plan.request_size = dice.one_in(12) ? 0 : dice.size();
  plan.request_piece = dice.piece(plan.request_size);
  plan.expects = plan.kind != Kind::early && plan.request_size > 0 && dice.one_in(8);
  plan.request_trailers = plan.framing == BodyFraming::chunked && dice.one_in(4);
}

void choose_response(Plan& plan, Dice& dice) {
  plan.response_size = plan.kind == Kind::empty || plan.kind == Kind::head ? 0 : dice.size();
  plan.response_piece = dice.piece(plan.response_size);
  if (plan.kind == Kind::events) {
    plan.response_size = mark_size * (1 + dice.below(60));
    plan.response_piece = mark_size * (1 + dice.below(4));
    plan.pause_us = dice.one_in(3) ? 3'000 : 0;
  }
  plan.interim = dice.one_in(10);
  plan.trailers = plan.kind == Kind::chunked && dice.one_in(4);
  plan.closes = plan.kind == Kind::until_close || dice.one_in(25);
}

/// A place before `size`: the early ones, where heads are, come more often.
std::size_t place_before(Dice& dice, std::size_t size) {
  return dice.below(dice.one_in(2) ? std::min<std::size_t>(size, 300) : size);
}

void choose_fault(Plan& plan, Dice& dice) {
  if (plan.kind == Kind::websocket || !dice.percent(8)) return;
  constexpr std::array all{Fault::end, Fault::reset, Fault::garbage};
  plan.fault = all[dice.below(all.size())];
  // Nobody could tell a FIN there from the end.
  if (plan.kind == Kind::until_close && !plan.secure_backend) plan.fault = Fault::reset;
  if (plan.fault == Fault::garbage && plan.kind != Kind::chunked && plan.kind != Kind::events)
    plan.fault = Fault::end;
  // Any head is longer than that.
  plan.fault_at = plan.response_size == 0 ? dice.below(60) : place_before(dice, 60 + plan.response_size);
}

void choose_leave(Plan& plan, Dice& dice, bool when_heard) {
  if (plan.fault != Fault::none || !dice.percent(14)) return;
  const bool has_body = plan.request_size > 0 && plan.kind != Kind::early;
  plan.leave_by_reset = dice.one_in(2);
  if (dice.percent(40) && (!when_heard || has_body)) {
    plan.leave = Leave::in_request;
    // Where it must be heard, it leaves within the body.
    plan.leave_at = when_heard ? dice.below(plan.request_size) : place_before(dice, 200 + plan.request_size);
  } else if (plan.response_size > 0) {
    plan.leave = Leave::in_response;
    plan.leave_at = place_before(dice, plan.response_size);
  }
}

}  // namespace

int Plan::status() const {
  if (kind == Kind::websocket) return 101;
  return kind == Kind::empty ? 204 : 200;
}

std::string Plan::id() const { return fmt::format("chaos-{:x}", number); }

Plan plan_of(const PlanOptions& options, ExchangeNumber number) {
  Dice dice(options.seed, number);
  Plan plan;
  plan.number = number;
  plan.kind = kind_of(dice.below(100));
  plan.secure_backend = dice.one_in(3);
  std::string_view path = plan.secure_backend ? secure_paths[dice.below(secure_paths.size())]
                                              : plain_paths[dice.below(plain_paths.size())];
  // What a tunnel of theirs carries is messages of the API, and these are not.
  if (plan.kind == Kind::websocket && !plan.secure_backend) path = plain_paths[0];
  plan.management = path.starts_with("/v0/management/");
  plan.target = fmt::format("{}?{}{:x}", path, query, number);
  choose_request(plan, dice);
  choose_response(plan, dice);
  choose_fault(plan, dice);
  choose_leave(plan, dice, options.leave_when_heard);
  return plan;
}

std::optional<ExchangeNumber> exchange_in(std::string_view target) {
  const auto at = target.find(query);
  if (at == std::string_view::npos) return std::nullopt;
  const auto digits = target.substr(at + query.size());
  ExchangeNumber number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::string in_chunks(std::string_view body, std::size_t piece, const std::vector<std::string>& trailers) {
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) out += chunk(body.substr(0, piece));
  out += "0\r\n";
  for (const auto& trailer : trailers) out += trailer + "\r\n";
  return out + "\r\n";
}

}  // namespace portico::test
