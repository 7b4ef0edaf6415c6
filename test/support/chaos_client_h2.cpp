// The exchanges of a ChaosClient over HTTP/2: all of a call at once, each on a stream of its own.

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "test/support/chaos_client.hpp"

namespace portico::test {

namespace {

constexpr milliseconds each_wait{60'000};
// How often it is looked whether somebody has to leave.
constexpr milliseconds look{5};
// A connection remembers what came on all its streams.
constexpr std::size_t most_calls = 8;

std::optional<std::string> value_of(const H2Fields& fields, std::string_view name) {
  const auto values = all_of(fields, name);
  return values.empty() ? std::nullopt : std::optional(values.front());
}

}  // namespace

/// One exchange of a call.
struct ChaosClient::Flow {
  const Plan* plan = nullptr;
  Result result;
  std::optional<H2Client::StreamId> stream;
  std::shared_ptr<MarkReader> reader;  // the connection's sink may outlive the call
  bool settled = false;
};

std::vector<Result> ChaosClient::call_http2(std::span<const Plan> plans) {
  std::vector<Flow> flows;
  for (const Plan& plan : plans)
    flows.push_back(
        {&plan, {.number = plan.number}, {}, std::make_shared<MarkReader>(Side::response, plan.number)});
  try {
    connect_http2(plans.front());
    for (const Plan& plan : plans) exchanges_.insert(plan.number);
    for (Flow& flow : flows) open_flow(flow);
    for (Flow& flow : flows)
      if (flow.plan->kind == Kind::websocket) tunnel_http2(flow);
    const auto ended = [&] {
      return std::all_of(flows.begin(), flows.end(), [&](const Flow& flow) {
        return flow.settled || !http2_ || http2_->response(*flow.stream).end != H2End::open;
      });
    };
    // However slowly, as long as something moves.
    Deadline deadline(each_wait);
    std::uint64_t moved = 0;
    while (!leave_where_planned(flows) && !ended() && !http2_->ended() && !deadline.expired()) {
      const std::uint64_t before = std::exchange(moved, bytes_moved(flows));
      if (moved != before) deadline = Deadline(each_wait);
      http2_->wait_until(ended, Deadline{look});
    }
    for (Flow& flow : flows) {
      const bool open = !flow.settled && http2_->response(*flow.stream).end == H2End::open;
      if (open && deadline.expired()) flow.result.problems.emplace_back("it hangs");
      settle(flow, false);
    }
  } catch (const std::exception& error) {
    // A WireError says only that the connection has ended, which the streams tell as well.
    const auto* wire = dynamic_cast<const WireError*>(&error);
    for (Flow& flow : flows) {
      const bool known = wire != nullptr && wire->outcome() != Outcome::timeout;
      if (!known) flow.result.problems.emplace_back(error.what());
      settle(flow, false);
    }
    http2_.reset();
  }
  if (http2_ && (http2_->ended() || calls_ >= most_calls || !http2_->goaways().empty())) close();
  std::vector<Result> results;
  results.reserve(flows.size());
  for (Flow& flow : flows) results.push_back(std::move(flow.result));
  return results;
}

void ChaosClient::connect_http2(const Plan& first) {
  ++calls_;
  if (http2_) return;
  exchanges_.clear();
  calls_ = 1;
  H2ClientOptions options;
  options.connection = {.source = options_.source, .tls = options_.tls};
  // Now and then what comes has to wait for the window again and again.
  if (first.number % 4 == 0) options.initial_window = 10'000;
  if (options.connection.tls) options.connection.tls->alpn = {"h2"};
  http2_ = std::make_unique<H2Client>(options_.address, options, Deadline{each_wait});
  // They say whether WebSockets may be opened.
  if (!http2_->wait_until([this] { return http2_->has_settings(); }, Deadline{each_wait}))
    throw WireError(http2_->ended().value_or(Outcome::timeout), "SETTINGS");
}

/// A number that changes when bytes come or leave on any stream.
std::uint64_t ChaosClient::bytes_moved(std::span<const Flow> flows) const {
  std::uint64_t out = 0;
  for (const Flow& flow : flows) out += http2_->body_size(*flow.stream) - http2_->unsent(*flow.stream);
  return out;
}

void ChaosClient::open_flow(Flow& flow) {
  const Plan& plan = *flow.plan;
  H2Fields more{{"x-request-id", plan.id()}};
  if (plan.trailers) more.push_back({"te", "trailers"});
  if (plan.framing == BodyFraming::length)
    more.push_back({"content-length", std::to_string(plan.request_size)});
  if (plan.kind == Kind::websocket) {
    flow.stream = http2_->open_upload(websocket_connect(*http2_, plan.target, more));
    return;
  }
  const H2Fields head = http2_->head(plan.method, plan.target, more);
  flow.stream = plan.framing == BodyFraming::none ? http2_->open(head) : http2_->open_upload(head);
  H2Client& client = *http2_;
  client.set_sink(*flow.stream,
                  [&client, reader = flow.reader, stream = *flow.stream](std::string_view bytes) {
                    if (client.response(stream).has(exchange_header)) reader->take(bytes);
                  });
  if (plan.framing == BodyFraming::none) return;
  std::string body = marks(Side::request, plan.number, plan.request_size);
  if (plan.leave == Leave::in_request) body.resize(std::min(body.size(), plan.leave_at));
  for (std::size_t at = 0; at < body.size(); at += plan.request_piece)
    client.send_data(*flow.stream, std::string_view(body).substr(at, plan.request_piece));
  if (plan.leave == Leave::in_request) return;
  if (plan.request_trailers)
    client.send_trailers(*flow.stream, {{std::string(trailer_header), fmt::format("{:x}", plan.number)}});
  else
    client.finish(*flow.stream);
}

void ChaosClient::tunnel_http2(Flow& flow) {
  const Plan& plan = *flow.plan;
  const H2Client::StreamId stream = *flow.stream;
  if (plan.leave == Leave::in_request) return;
  try {
    const H2Response& response = http2_->wait_head(stream, Deadline{each_wait});
    if (response.status != 200 || !response.has(exchange_header)) return;
    for (std::size_t at = 0; at < plan.response_size; at += plan.response_piece) {
      const std::size_t size = std::min(plan.response_piece, plan.response_size - at);
      http2_->send_data(stream, websocket::client_frame(websocket::Opcode::binary,
                                                        marks(Side::request, plan.number, size, at)));
      // It leaves where the others do.
      if (plan.leave == Leave::in_response && at + size > plan.leave_at) return;
      flow.reader->take(read_frame(*http2_, stream, Deadline{each_wait}).payload);
      if (!flow.reader->good()) return;
    }
    http2_->send_data(stream, websocket::client_frame(websocket::Opcode::close, "\x03\xe8"));
    static_cast<void>(read_frame(*http2_, stream, Deadline{each_wait}));
    http2_->finish(stream);
  } catch (const WireError& error) {
    if (error.outcome() == Outcome::timeout)
      flow.result.problems.push_back(fmt::format("it hangs: {}", error.what()));
  }
}

/// True when the whole connection was left.
bool ChaosClient::leave_where_planned(std::span<Flow> flows) {
  for (Flow& flow : flows) {
    const Plan& plan = *flow.plan;
    const H2Client::StreamId stream = *flow.stream;
    if (flow.settled || plan.leave == Leave::never || http2_->response(stream).end != H2End::open) continue;
    const bool heard = !options_.plans.leave_when_heard || options_.heard(plan);
    const bool came = http2_->response(stream).status != 0 &&
                      (plan.kind == Kind::websocket || flow.reader->size() > plan.leave_at);
    if (plan.leave == Leave::in_request ? http2_->unsent(stream) == 0 && heard : came)
      leave_http2(flow, flows);
    if (!http2_) return true;
  }
  return false;
}

void ChaosClient::leave_http2(Flow& flow, std::span<Flow> flows) {
  // One in a few takes all that share its connection with it; not where others may not have been heard yet.
  if (options_.plans.leave_when_heard || flow.plan->number % 3 != 0) {
    http2_->reset(*flow.stream);
    settle(flow, true);
    return;
  }
  for (Flow& other : flows) settle(other, true);
  if (flow.plan->leave_by_reset)
    http2_->wire().reset();
  else
    http2_->wire().break_off();
  http2_.reset();
}

/// What became of it, once. `left`: the client has given it up.
void ChaosClient::settle(Flow& flow, bool left) {
  if (std::exchange(flow.settled, true)) return;
  const Plan& plan = *flow.plan;
  Result& result = flow.result;
  result.way = fmt::format("HTTP/2{}, call {}, stream {}", options_.tls ? " TLS" : "", calls_,
                           flow.stream.value_or(0));
  if (!http2_ || !flow.stream) return;
  const H2Response& response = http2_->response(*flow.stream);
  result.answered = response.status != 0 || !response.interim.empty();
  Answer answer{.status = response.status, .exchange = value_of(response.headers, exchange_header)};
  answer.trailer = value_of(response.trailers, trailer_header);
  answer.complete = response.end == H2End::complete;
  result.way +=
      fmt::format(", end {} code {:x}", static_cast<int>(response.end), static_cast<unsigned>(response.code));
  // In HTTP/2 a tunnel begins with a 200.
  if (plan.kind == Kind::websocket && answer.status == 200) answer.status = 101;
  const bool ended = response.end != H2End::open && response.end != H2End::cancelled;
  if (response.status != 0 && (ended || !left)) return judge(plan, answer, *flow.reader, result);
  result.status = answer.status;
  note_origin(answer.exchange, plan, result);
  note_bytes(*flow.reader, result);
  if (left && !ended) result.ending = Ending::left;
}

}  // namespace portico::test
