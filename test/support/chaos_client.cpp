#include "test/support/chaos_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include "test/support/websocket.hpp"

namespace portico::test {

namespace {

/// The client leaves in the middle of a response.
struct Left : std::exception {};

// Longer than any stall of a gate and any pause of a backend.
constexpr milliseconds each_wait{60'000};

std::vector<std::string> lines_of(const Plan& plan) {
  std::vector<std::string> lines{"X-Request-Id: " + plan.id()};
  if (plan.trailers) lines.emplace_back("TE: trailers");
  if (plan.expects) lines.emplace_back("Expect: 100-continue");
  if (plan.framing == BodyFraming::chunked) lines.emplace_back("Transfer-Encoding: chunked");
  if (plan.framing == BodyFraming::length)
    lines.push_back(fmt::format("Content-Length: {}", plan.request_size));
  return lines;
}

std::string body_of(const Plan& plan) {
  std::string body = marks(Side::request, plan.number, plan.request_size);
  if (plan.framing != BodyFraming::chunked) return body;
  std::vector<std::string> trailers;
  if (plan.request_trailers) trailers.push_back(fmt::format("{}: {:x}", trailer_header, plan.number));
  return in_chunks(body, plan.request_piece, trailers);
}

std::optional<std::string> value_of(const std::vector<Line>& lines, std::string_view name) {
  for (const auto& line : lines) {
    std::string lower = line.name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (lower == name) return line.value;
  }
  return std::nullopt;
}

}  // namespace

const char* name_of(Ending ending) {
  switch (ending) {
    case Ending::nothing:
      return "nothing";
    case Ending::whole:
      return "whole";
    case Ending::cut:
      return "cut";
    case Ending::own:
      return "own";
    case Ending::left:
      return "left";
  }
  return "?";
}

std::vector<Result> ChaosClient::call(std::span<const Plan> plans) {
  if (options_.http2) return call_http2(plans);
  std::vector<Result> results;
  results.reserve(plans.size());
  for (const Plan& plan : plans) results.push_back(call_http1(plan));
  return results;
}

void ChaosClient::close() {
  if (http1_) http1_->close();
  http1_.reset();
  try {
    if (http2_ && !http2_->ended()) http2_->say_goodbye();
  } catch (const std::exception&) {
    // It has ended already.
  }
  http2_.reset();
}

/// Whose response is it?
void ChaosClient::note_origin(const std::optional<std::string>& exchange, const Plan& plan, Result& result) {
  if (exchange && *exchange != fmt::format("{:x}", plan.number))
    result.problems.push_back(fmt::format("it got the response of exchange {}", *exchange));
}

void ChaosClient::note_bytes(const MarkReader& reader, Result& result) const {
  result.size = reader.size();
  if (reader.good()) return;
  const auto strangers = reader.strangers();
  const bool foreign = std::any_of(strangers.begin(), strangers.end(),
                                   [this](ExchangeNumber number) { return !exchanges_.contains(number); });
  (foreign ? result.leaks : result.problems).push_back(reader.complaint());
}

void ChaosClient::judge(const Plan& plan, const Answer& answer, const MarkReader& reader,
                        Result& result) const {
  const auto object = [&](std::string text) { result.problems.push_back(std::move(text)); };
  result.status = answer.status;
  note_origin(answer.exchange, plan, result);
  note_bytes(reader, result);
  if (!answer.exchange) {
    result.ending = answer.complete ? Ending::own : Ending::cut;
    if (answer.status < 400) object(fmt::format("an answer of nobody's with status {}", answer.status));
    return;
  }
  result.ending = answer.complete ? Ending::whole : Ending::cut;
  if (answer.status != plan.status()) object(fmt::format("status {}", answer.status));
  if (reader.size() > plan.response_size)
    object(fmt::format("{} bytes of a body of {}", reader.size(), plan.response_size));
  if (!answer.complete) return;
  result.shortened = reader.size() < plan.response_size;
  if (plan.trailers && answer.trailer != fmt::format("{:x}", plan.number)) object("its trailer is missing");
}

bool ChaosClient::wait_heard(const Plan& plan) const {
  return eventually([&] { return options_.heard(plan); }, Deadline{each_wait});
}

// ---- HTTP/1.1

Result ChaosClient::call_http1(const Plan& plan) {
  Result result{.number = plan.number};
  try {
    if (!http1_ || !http1_->open()) {
      exchanges_.clear();
      calls_ = 0;
      // Now and then there is little room for what comes.
      http1_.emplace(options_.address,
                     ClientOptions{.source = options_.source,
                                   .receive_buffer = plan.number % 4 == 0 ? 4'096 : 0,
                                   .tls = options_.tls},
                     Deadline{each_wait});
    }
    exchanges_.insert(plan.number);
    ++calls_;
    result.way = fmt::format("HTTP/1.1{}, call {}", options_.tls ? " TLS" : "", calls_);
    if (plan.kind == Kind::websocket)
      tunnel_http1(plan, result);
    else
      exchange_http1(plan, result);
  } catch (const WireError& error) {
    if (error.outcome() == Outcome::timeout)
      result.problems.push_back(fmt::format("it hangs: {}", error.what()));
    if (result.ending == Ending::nothing && result.status != 0) result.ending = Ending::cut;
    http1_.reset();
  } catch (const std::exception& error) {
    result.problems.emplace_back(error.what());
    http1_.reset();
  }
  return result;
}

/// The next head, and note that there was one.
Message ChaosClient::read_head(Result& result) {
  Message head = read_response_head(*http1_, Deadline{each_wait});
  result.answered = true;
  return head;
}

void ChaosClient::leave_http1(const Plan& plan, Result& result) {
  result.ending = Ending::left;
  if (plan.leave_by_reset)
    http1_->reset();
  else if (plan.number % 2 == 0)
    http1_->break_off();
  else
    http1_->close();
  http1_.reset();
}

/// False when the client has left. `early`: a final response that came in place of a 100.
bool ChaosClient::send_http1(const Plan& plan, Result& result, std::optional<Message>& early) {
  const std::string head = request(plan.method, plan.target, lines_of(plan));
  const std::string body = body_of(plan);
  if (plan.leave == Leave::in_request) {
    if (options_.plans.leave_when_heard) {
      http1_->send(head + body.substr(0, plan.leave_at));
      if (!wait_heard(plan)) result.problems.emplace_back("its head never came to the backend");
    } else {
      http1_->send((head + body).substr(0, plan.leave_at));
    }
    leave_http1(plan, result);
    return false;
  }
  http1_->send(head, Deadline{each_wait});
  if (plan.expects) {
    do {
      early = read_head(result);
    } while (early->status == 103);
    if (early->status != 100) return true;
    early.reset();
  }
  const std::size_t piece = std::max<std::size_t>(plan.request_piece, 1);
  for (std::size_t at = 0; at < body.size(); at += piece)
    http1_->send(std::string_view(body).substr(at, piece), Deadline{each_wait});
  return true;
}

void ChaosClient::exchange_http1(const Plan& plan, Result& result) {
  std::optional<Message> early;
  bool all_sent = true;
  try {
    if (!send_http1(plan, result, early)) return;
    all_sent = !early;
  } catch (const WireError& error) {
    // The proxy may have answered before it stopped reading.
    if (error.outcome() == Outcome::timeout) throw;
    all_sent = false;
  }
  Message response = early ? std::move(*early) : read_head(result);
  while (response.status < 200) response = read_head(result);
  result.status = response.status;
  Answer answer{.status = response.status, .exchange = value_of(response.lines, exchange_header)};
  MarkReader reader(Side::response, plan.number);
  try {
    read_response_body(
        *http1_, response, plan.method == "HEAD",
        [&](std::string_view bytes) {
          if (answer.exchange) reader.take(bytes);
          if (plan.leave == Leave::in_response && reader.size() > plan.leave_at) throw Left();
        },
        each_wait);
  } catch (const Left&) {
    note_origin(answer.exchange, plan, result);
    note_bytes(reader, result);
    leave_http1(plan, result);
    return;
  }
  answer.complete = response.end == End::complete;
  answer.trailer = value_of(response.trailers, trailer_header);
  judge(plan, answer, reader, result);
  const bool framed =
      response.has("Content-Length") || response.has("Transfer-Encoding") || plan.kind == Kind::empty;
  if (answer.complete && framed && !http1_->buffered().empty())
    result.problems.push_back(fmt::format("{} bytes behind the response", http1_->buffered().size()));
  const bool again = answer.complete && framed && all_sent && response.one("Connection") != "close";
  // Now and then it comes anew all the same.
  if (again && calls_ < 3 + plan.number % 6) return;
  http1_->close();
  http1_.reset();
}

void ChaosClient::tunnel_http1(const Plan& plan, Result& result) {
  const std::string opening = websocket::handshake(plan.target, {"X-Request-Id: " + plan.id()});
  if (plan.leave == Leave::in_request) {
    http1_->send(opening.substr(0, plan.leave_at));
    return leave_http1(plan, result);
  }
  http1_->send(opening);
  Message head = read_head(result);
  while (head.status < 200 && head.status != 101) head = read_head(result);
  result.status = head.status;
  Answer answer{.status = head.status, .exchange = value_of(head.lines, exchange_header)};
  MarkReader reader(Side::response, plan.number);
  if (head.status != 101) {
    read_response_body(
        *http1_, head, false, [](std::string_view) {}, each_wait);
    answer.complete = head.end == End::complete;
    judge(plan, answer, reader, result);
    http1_.reset();
    return;
  }
  if (head.one("Sec-WebSocket-Accept") != websocket::accept_for(websocket::key))
    result.problems.emplace_back("a wrong Sec-WebSocket-Accept");
  for (std::size_t at = 0; at < plan.response_size; at += plan.response_piece) {
    const std::size_t size = std::min(plan.response_piece, plan.response_size - at);
    http1_->send(
        websocket::client_frame(websocket::Opcode::binary, marks(Side::request, plan.number, size, at),
                                plan.number * 2'654'435'761U),
        Deadline{each_wait});
    if (plan.leave == Leave::in_response && at + size > plan.leave_at) return leave_http1(plan, result);
    reader.take(websocket::read_frame(*http1_, Deadline{each_wait}).payload);
    note_bytes(reader, result);
    if (!reader.good()) return leave_http1(plan, result);
  }
  http1_->send(websocket::client_frame(websocket::Opcode::close, "\x03\xe8"));
  const bool farewell =
      websocket::read_frame(*http1_, Deadline{each_wait}).opcode == websocket::Opcode::close;
  answer.complete = farewell && http1_->wait_closed(Deadline{each_wait}) == Outcome::fin;
  judge(plan, answer, reader, result);
  http1_.reset();
}

}  // namespace portico::test
