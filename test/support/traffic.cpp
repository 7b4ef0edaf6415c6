#include "test/support/traffic.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "test/support/client.hpp"
#include "test/support/websocket.hpp"

namespace portico::test {

namespace {

/// What the driver must know of an API to call it and to see how far its stream has come.
struct Api {
  std::string_view path;  ///< `{}` stands for the model, where the path names it
  std::string_view stream_path;
  bool streams = true;
  bool reads_zstd = false;
  std::size_t opening_events = 0;    ///< before the first text
  std::string_view last_event = {};  ///< a mark that only the final event of a stream has
};

constexpr std::array apis = std::to_array<Api>({
    {"/v1/chat/completions", "", true, true, 1, "data: [DONE]"},
    {"/v1/completions", "", true, true, 0, "data: [DONE]"},
    {"/v1/responses", "", true, true, 4, "event: response.completed"},
    {"/backend-api/codex/responses", "", true, true, 4, "event: response.completed"},
    {"/v1/messages", "", true, false, 3, "event: message_stop"},
    {"/v1beta/models/{}:generateContent", "/v1beta/models/{}:streamGenerateContent?alt=sse", true, false, 0,
     R"("finishReason":"STOP")"},
    {"/v1beta/interactions", "", true, false, 2, "event: done"},
    {"/v1/images/generations", "", true, true, 0, "event: image_generation.completed"},
    {"/v1/responses/compact", "", false, true},
    {"/v1/messages/count_tokens", "", false, false},
    {"/v1beta/models/{}:countTokens", "", false, false},
});

constexpr std::array whole_models = std::to_array<std::string_view>(
    {"fast+long-3", "team/fast+long-7(high)", "fast+long-20", "fast+long-2+no-usage", "fast+long-5+gzip",
     "fast+long-5+deflate", "fast+long-5+br", "fast+long-5+zstd", "fast+long-4+blanks"});
constexpr std::array failing_models = std::to_array<std::string_view>({"fail-400",
                                                                       "fail-401",
                                                                       "fail-402",
                                                                       "fail-403",
                                                                       "fail-404",
                                                                       "fail-408",
                                                                       "fail-429",
                                                                       "fail-500",
                                                                       "fail-502",
                                                                       "fail-503",
                                                                       "fail-504",
                                                                       "fail-529",
                                                                       "fail-413",
                                                                       "fail-html-404",
                                                                       "fail-html-200",
                                                                       "fail-revoked",
                                                                       "fail-expired",
                                                                       "fail-no-base-url",
                                                                       "fail-quota",
                                                                       "fail-no-such-host",
                                                                       "fail-certificate",
                                                                       "fail-connection-reset",
                                                                       "fail-context-length",
                                                                       "fail-quota+gzip",
                                                                       "fail-503+zstd"});
constexpr std::array broken_models = std::to_array<std::string_view>(
    {"fast+long-8+fail-mid-stream", "fast+long-6+end-mid-stream", "fast+long-8+cut-mid-stream",
     "fast+long-8+reset-mid-stream", "fast+long-8+br+fail-mid-stream", "fast+long-6+gzip+cut-mid-stream"});
constexpr std::array stalled_models =
    std::to_array<std::string_view>({"fast+stall-1", "fast+stall-4", "fast+stall-9", "fast+stall-15"});
constexpr std::array turn_models =
    std::to_array<std::string_view>({"fast+long-3", "fast+long-9", "fast+long-2+no-usage"});
constexpr std::array last_turn_models = std::to_array<std::string_view>(
    {"fail-400", "fail-context-length", "fail-503", "fast+long-6+cut-mid-stream",
     "fast+long-6+reset-mid-stream", "fast+long-6+fail-mid-stream"});

constexpr std::size_t wrong_key = 3;

/// A stream of numbers that belongs to one exchange.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t exchange) : random_(seed * 0x9e3779b97f4a7c15ULL + exchange) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class List>
  const auto& of(const List& list) {
    return list[below(list.size())];
  }

 private:
  std::mt19937_64 random_;
};

std::string zstd_compressed(const std::string& plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
  return out;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

/// Where a client shows its key; the query is only for what carries no other.
struct KeyPlace {
  std::vector<std::string> lines;
  std::string query;
};

KeyPlace place_key(Dice& dice) {
  KeyPlace place;
  if (dice.one_in(12)) return place;
  const std::string& key = traffic_keys()[dice.one_in(20) ? wrong_key : dice.below(wrong_key)];
  switch (dice.below(5)) {
    case 0:
      place.lines.push_back("X-Api-Key: " + key);
      break;
    case 1:
      place.lines.push_back("X-Goog-Api-Key: " + key);
      break;
    case 2:
      place.query = "key=" + key;
      break;
    default:
      place.lines.push_back("Authorization: Bearer " + key);
  }
  return place;
}

bool is_wrong(const KeyPlace& place) {
  const std::string& key = traffic_keys()[wrong_key];
  if (place.query.ends_with(key)) return true;
  return !place.lines.empty() && place.lines.front().ends_with(key);
}

std::string with_query(std::string path, const std::string& query) {
  if (query.empty()) return path;
  return path + (path.find('?') == std::string::npos ? '?' : '&') + query;
}

/// A body that names the model once at its top level, and elsewhere only to mislead.
std::string body_for(std::string_view model, bool stream, Dice& dice) {
  const std::string text(dice.below(dice.one_in(10) ? 20'000 : 800), 'x');
  const std::string named = model.empty() ? "" : fmt::format(R"("model":"{}",)", model);
  const std::string messages = fmt::format(
      R"("messages":[{{"role":"user","content":"{}\"model\":\"decoy\",","model":"decoy"}}])", text);
  const std::string options =
      fmt::format(R"("stream":{},"stream_options":{{"include_usage":{}}})", stream, !dice.one_in(3));
  if (dice.one_in(2)) return fmt::format("{{{}{},{}}}", named, messages, options);
  return fmt::format("{{{},{}{}}}", messages, named, options);
}

class Runner {
 public:
  Runner(const Address& proxy, std::uint64_t seed) : proxy_(proxy), seed_(seed) {}

  /// Adds what it did to `result`.
  void run(std::size_t exchange, TrafficResult& result) {
    Dice dice(seed_, exchange);
    try {
      const std::size_t kind = dice.below(100);
      if (kind < 10) {
        websocket(dice, result);
      } else {
        ++result.accounts;
        http(dice, kind);
      }
    } catch (const std::exception& error) {
      client_.reset();
      result.problems.push_back(fmt::format("exchange {}: {}", exchange, error.what()));
    }
  }

  /// One stream, up to a random number of bytes.
  void leave_anywhere(std::size_t exchange, TrafficResult& result) {
    Dice dice(seed_, exchange);
    ++result.accounts;
    try {
      const Api& api = apis[dice.below(8)];
      KeyPlace key;
      key.lines.push_back("Authorization: Bearer " + traffic_keys()[dice.below(wrong_key)]);
      client().send(request_for(api, true, key, dice.one_in(2) ? "fast+long-30" : "long-8+delay-1", dice));
      // From the head on there is an exchange for sure.
      read_response_head(*client_);
      const std::size_t bytes = dice.below(6'000);
      const auto ended = [&] { return client_->buffered().ends_with("\r\n0\r\n\r\n"); };
      while (client_->buffered().size() < bytes && !ended() && client_->fill() == Outcome::data) {
      }
      leave(dice);
    } catch (const std::exception& error) {
      client_.reset();
      result.problems.push_back(fmt::format("exchange {}: {}", exchange, error.what()));
    }
  }

 private:
  Client& client() {
    if (!client_ || !client_->open()) client_.emplace(proxy_);
    return *client_;
  }
  void leave(Dice& dice) {
    if (dice.one_in(2)) client_->reset();
    client_.reset();
  }

  void http(Dice& dice, std::size_t kind) {
    const Api& api = dice.of(apis);
    const bool stream = api.streams && dice.one_in(2);
    const KeyPlace key = place_key(dice);
    // The images API has a model even where the body names none.
    if (kind < 14 && !api.path.starts_with("/v1/images")) return refused(api, key, dice);
    if (kind < 60 || !api.streams) return whole(api, stream, key, dice.of(whole_models), dice);
    if (kind < 75) return whole(api, stream, key, dice.of(failing_models), dice);
    if (kind < 85) return broken(api, key, dice);
    if (kind < 92) return left_in_stream(api, key, dice);
    if (kind < 96) return left_unanswered(api, key, dice);
    left_after_last_event(api, key, dice);
  }

  static std::string request_for(const Api& api, bool stream, const KeyPlace& key, std::string_view model,
                                 Dice& dice) {
    const bool in_path = api.path.find("{}") != std::string_view::npos;
    const std::string_view form = stream && !api.stream_path.empty() ? api.stream_path : api.path;
    const std::string path = in_path ? fmt::format(fmt::runtime(form), model) : std::string(form);
    return framed(with_query(path, key.query), body_for(in_path ? "" : model, stream, dice), api.reads_zstd,
                  key.lines, dice);
  }

  static std::string framed(const std::string& path, std::string body, bool may_compress,
                            std::vector<std::string> lines, Dice& dice) {
    lines.emplace_back("Content-Type: application/json");
    if (dice.one_in(4)) lines.emplace_back("User-Agent: codex_cli_rs/0.40.0");
    if (may_compress && dice.one_in(3)) {
      body = zstd_compressed(body);
      lines.emplace_back("Content-Encoding: zstd");
    }
    if (!dice.one_in(4)) return post(path, body, lines);
    lines.emplace_back("Transfer-Encoding: chunked");
    return request("POST", path, lines) + chunked(body, 1 + dice.below(4'000));
  }

  /// What CPA itself cannot read.
  void refused(const Api& api, const KeyPlace& key, Dice& dice) {
    const bool in_path = api.path.find("{}") != std::string_view::npos;
    const std::string path = in_path ? fmt::format(fmt::runtime(api.path), "fast") : std::string(api.path);
    // Where the path names the model, a body that is no JSON is all that can be wrong.
    const std::string body = in_path || dice.one_in(2) ? "no JSON" : R"({"messages":[]})";
    client().send(framed(with_query(path, key.query), body, false, key.lines, dice));
    finish(client().response(), is_wrong(key) ? 401 : 400);
  }

  void whole(const Api& api, bool stream, const KeyPlace& key, std::string_view model, Dice& dice) {
    client().send(request_for(api, stream, key, model, dice));
    finish(client().response(), is_wrong(key) ? 401 : 0);
  }

  /// The response came whole; `status` 0: any.
  void finish(const Message& response, int status) {
    if (response.end != End::complete) throw std::runtime_error("a response was cut");
    if (status != 0 && response.status != status) {
      throw std::runtime_error(fmt::format("status {} instead of {}", response.status, status));
    }
    if (response.one("Connection") == "close") client_.reset();
  }

  void broken(const Api& api, const KeyPlace& key, Dice& dice) {
    const std::string_view model = dice.of(broken_models);
    const bool cut =
        model.find("cut") != std::string_view::npos || model.find("reset") != std::string_view::npos;
    client().send(request_for(api, true, key, model, dice));
    const Message response = client().response();
    const bool whole = response.end == End::complete;
    if (whole == (cut && !is_wrong(key))) throw std::runtime_error("a response ended in the wrong way");
    if (!whole || response.one("Connection") == "close") client_.reset();
  }

  void left_in_stream(const Api& api, const KeyPlace& key, Dice& dice) {
    const std::string_view model = dice.of(stalled_models);
    client().send(request_for(api, true, key, model, dice));
    if (is_wrong(key)) return finish(client().response(), 401);
    const std::size_t texts = std::stoul(std::string(model.substr(model.rfind('-') + 1)));
    wait_until([&] { return count_of(client_->buffered(), "\n\n") >= api.opening_events + texts; });
    leave(dice);
  }

  void left_unanswered(const Api& api, const KeyPlace& key, Dice& dice) {
    client().send(request_for(api, dice.one_in(2), key, "mute", dice));
    const Message interim = client().response();
    if (is_wrong(key)) return finish(interim, 401);
    if (interim.status != 102) throw std::runtime_error("no interim response");
    leave(dice);
  }

  void left_after_last_event(const Api& api, const KeyPlace& key, Dice& dice) {
    client().send(request_for(api, true, key, "fast+long-3", dice));
    if (is_wrong(key)) return finish(client().response(), 401);
    wait_until([&] {
      const auto at = client_->buffered().find(api.last_event);
      return at != std::string_view::npos && client_->buffered().find("\n\n", at) != std::string_view::npos;
    });
    leave(dice);
  }

  template <class Condition>
  void wait_until(Condition condition) {
    const Deadline deadline = patience();
    while (!condition()) {
      const Outcome outcome = client_->fill(deadline);
      if (outcome != Outcome::data) throw WireError(outcome, "waiting for events");
    }
  }

  // ---- WebSockets

  void websocket(Dice& dice, TrafficResult& result) {
    const bool realtime = dice.one_in(4);
    const KeyPlace key = place_key(dice);
    // A refusal of the upgrade is accounted only where the path alone tells that a model is called.
    const bool refused = is_wrong(key);
    const std::string_view path = realtime && !refused ? "/v1/realtime?model=fast%2Blong-4"
                                  : dice.one_in(2)     ? "/v1/responses"
                                                       : "/backend-api/codex/responses";
    Client wire(proxy_);
    wire.send(websocket::handshake(with_query(std::string(path), key.query), key.lines));
    const Message answer = wire.response();
    if (answer.status == 401 && refused) {
      ++result.accounts;
      return;
    }
    if (answer.status != 101) throw std::runtime_error(fmt::format("no upgrade but {}", answer.status));
    ++result.websockets;
    const bool open = path.starts_with("/v1/realtime") ? realtime_turns(wire, dice, result)
                                                       : responses_turns(wire, dice, result);
    if (!open) return;
    if (dice.one_in(3)) {
      wire.close();
    } else {
      wire.send(websocket::client_frame(websocket::Opcode::close, "\x03\xe8"));
      wire.wait_closed();
    }
  }

  /// False when the connection has ended.
  static bool realtime_turns(Client& wire, Dice& dice, TrafficResult& result) {
    read_event(wire, R"("session.created")");
    for (std::size_t turns = 1 + dice.below(3); turns > 0; --turns) {
      if (dice.one_in(2)) {
        say(wire, R"({"type":"session.update","session":{"instructions":"x"}})", dice);
        read_event(wire, R"("session.updated")");
      }
      ++result.accounts;
      say(wire, R"({"type":"response.create"})", dice);
      read_event(wire, R"("response.done")");
    }
    return true;
  }

  static bool responses_turns(Client& wire, Dice& dice, TrafficResult& result) {
    if (dice.one_in(3)) {
      ++result.accounts;
      say(wire, R"({"type":"response.create","generate":false,"model":"fast+long-3","input":[]})", dice);
      read_event(wire, R"("response.completed")");
    }
    std::string_view model;
    for (std::size_t turns = 1 + dice.below(3); turns > 0; --turns) {
      // A later turn may leave its model out.
      if (model.empty() || dice.one_in(2)) model = dice.of(turn_models);
      create(wire, model, dice, result);
      read_event(wire, R"("response.completed")");
    }
    switch (dice.below(5)) {
      case 0:
        create(wire, dice.of(last_turn_models), dice, result);
        wire.wait_closed();
        return false;
      case 1: {
        create(wire, "fast+stall-3", dice, result);
        for (int texts = 0; texts < 3; ++texts) read_event(wire, R"("response.output_text.delta")");
        if (dice.one_in(2)) wire.reset();
        return false;
      }
      case 2:
        ++result.accounts;
        say(wire,
            fmt::format(R"({{"type":"response.create","model":"{}","previous_response_id":"resp_lost"}})",
                        model),
            dice);
        wire.wait_closed();
        return false;
      default:
        return true;
    }
  }

  static void create(Client& wire, std::string_view model, Dice& dice, TrafficResult& result) {
    ++result.accounts;
    const std::string text(dice.below(dice.one_in(8) ? 70'000 : 300), 'y');
    say(wire,
        fmt::format(R"({{"type":"response.create","input":[{{"model":"decoy","text":"{}"}}],"model":"{}"}})",
                    text, model),
        dice);
  }

  /// One message, sometimes in two fragments with a ping between them.
  static void say(Client& wire, const std::string& message, Dice& dice) {
    const auto mask = static_cast<std::uint32_t>(dice.below(std::size_t{1} << 32U));
    if (!dice.one_in(4)) return wire.send(websocket::client_frame(websocket::Opcode::text, message, mask));
    const std::size_t cut = dice.below(message.size());
    std::string first = websocket::client_frame(websocket::Opcode::text, message.substr(0, cut), mask);
    std::string second = websocket::client_frame(websocket::Opcode::text, message.substr(cut), ~mask);
    first[0] = '\x01';   // not the last of its message
    second[0] = '\x80';  // goes on with it, and ends it
    wire.send(first + websocket::client_frame(websocket::Opcode::ping, "ping", mask) + second);
  }

  static void read_event(Client& wire, std::string_view type) {
    while (true) {
      const websocket::Frame frame = websocket::read_frame(wire);
      if (frame.opcode == websocket::Opcode::pong) continue;
      if (frame.payload.find(fmt::format(R"("type":{})", type)) != std::string::npos) return;
      if (frame.payload.find(R"("type":"error")") != std::string::npos) {
        throw std::runtime_error("an error frame: " + frame.payload);
      }
    }
  }

  const Address& proxy_;
  std::uint64_t seed_;
  std::optional<Client> client_;
};

}  // namespace

const std::vector<std::string>& traffic_keys() {
  static const std::vector<std::string> keys{
      "sk-alice-0123456789abcdefghij-a001", "pk-bob-0123456789abcdefghijkl-b002",
      "zz-carol-0123456789abcdefghij-c003", "wrong-key-0123456789abcdefghi-w004"};
  return keys;
}

namespace {

/// Does each of `exchanges` once, by `work`.
TrafficResult run_all(const Address& proxy, std::size_t exchanges, std::size_t connections,
                      std::uint64_t seed, void (Runner::*work)(std::size_t, TrafficResult&)) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  TrafficResult total;
  std::vector<std::thread> threads;
  threads.reserve(connections);
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      Runner runner(proxy, seed);
      TrafficResult mine;
      for (std::size_t exchange = next++; exchange < exchanges; exchange = next++)
        (runner.*work)(exchange, mine);
      const std::lock_guard lock(mutex);
      total.accounts += mine.accounts;
      total.websockets += mine.websockets;
      total.problems.insert(total.problems.end(), mine.problems.begin(), mine.problems.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  return total;
}

}  // namespace

TrafficResult run_traffic(const Address& proxy, std::size_t exchanges, std::size_t connections,
                          std::uint64_t seed) {
  return run_all(proxy, exchanges, connections, seed, &Runner::run);
}

TrafficResult run_leavers(const Address& proxy, std::size_t exchanges, std::size_t connections,
                          std::uint64_t seed) {
  return run_all(proxy, exchanges, connections, seed, &Runner::leave_anywhere);
}

}  // namespace portico::test
