#include "telemetry/failures/failure_store.hpp"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "telemetry/failures/classify.hpp"
#include "telemetry/failures/failures_json.hpp"
#include "telemetry/failures/next_step.hpp"
#include "telemetry/failures/sanitise.hpp"
#include "test/telemetry/failures/made_record.hpp"

namespace portico::telemetry {
namespace {

namespace json = boost::json;
using test::MadeRecord;

constexpr std::uint64_t second = 1'000'000;
constexpr std::uint64_t minute = 60 * second;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t noon = 1'790'000'000 * second;

// One exchange with CPA, described by what differs from the usual.
struct Exchange {
  int status = 200;
  std::string_view message{};
  std::string_view model = "gpt-5.4";
  std::string_view account = "3f9a1c0b77d2e845";
  int key = 1;
  std::string_view code{};
  std::string_view type{};
  std::string_view path = "/v1/chat/completions";
  Ended ended = Ended::complete;
  ResponseKind kind = ResponseKind::json;
  std::string_view owner = "cpa";
  std::string_view own_code{};
  std::string_view id = "req-1";
  std::string_view param{};
  Timer timer = Timer::none;
  std::uint64_t duration_us = 0;
  bool websocket = false;
};

MadeRecord make(const Exchange& exchange, std::uint64_t at_us) {
  RecordFacts facts;
  facts.start_unix_us = at_us - exchange.duration_us;
  facts.duration_us = exchange.duration_us;
  facts.status = static_cast<std::uint16_t>(exchange.status);
  facts.dialect = Dialect::openai_chat;
  facts.operation = Operation::generate;
  facts.ended = exchange.ended;
  facts.timer = exchange.timer;
  facts.response_kind = exchange.kind;
  facts.websocket = exchange.websocket;
  facts.own_answer = !exchange.own_code.empty();
  facts.has_trace = !exchange.account.empty();
  facts.has_error = !exchange.message.empty() || !exchange.code.empty() || !exchange.type.empty();
  facts.failed = exchange.status >= 400 || facts.has_error || exchange.ended == Ended::backend_broke_off ||
                 exchange.ended == Ended::timeout || exchange.kind == ResponseKind::empty;
  if (exchange.status == 499) facts.failed = false;
  if (!facts.failed) facts.final_event = true;
  if (exchange.key != 0) facts.key.fill(static_cast<std::uint8_t>(exchange.key));
  MadeRecord made(facts, {{Text::request_id, exchange.id},
                          {Text::method, "POST"},
                          {Text::path, exchange.path},
                          {Text::owner, exchange.owner},
                          {Text::model, exchange.model},
                          {Text::auth_index, exchange.account},
                          {Text::error_message, exchange.message},
                          {Text::error_code, exchange.code},
                          {Text::error_type, exchange.type},
                          {Text::error_param, exchange.param},
                          {Text::own_code, exchange.own_code}});
  if (exchange.key != 0) made.put(Text::key_mask, fmt::format("sk-a...{:04}", exchange.key));
  return made;
}

// A store that is given exchanges as the collector would give them.
class Lab {
 public:
  explicit Lab(std::size_t groups = FailureStore::default_groups) : store_(groups) {}

  std::optional<Verdict> see(const Exchange& exchange, std::uint64_t at_us) {
    MadeRecord made = make(exchange, at_us);
    const std::optional<Verdict> verdict = classify(made.record());
    const std::string safe = sanitise(exchange.message);
    Exchange safe_exchange = exchange;
    safe_exchange.message = safe;
    made = make(safe_exchange, at_us);
    made.facts().has_error |= !exchange.message.empty();
    now_ = std::max(now_, at_us);
    if (verdict)
      return store_.take(made.record(), *verdict,
                         {.listener = {}, .route = {}, .upstream = "cpa", .endpoint = "127.0.0.1:8317"});
    store_.note_success(made.record());
    return std::nullopt;
  }
  json::array failures(std::string_view window = "1h") {
    return json::parse(text(window)).as_object().at("failures").as_array();
  }
  std::string text(std::string_view window = "1h") {
    const auto now = std::chrono::system_clock::time_point(std::chrono::microseconds(now_));
    return render_failures(store_, *parse_window(window), now);
  }
  /// The only group.
  json::object only(std::string_view window = "1h") {
    const json::array all = failures(window);
    REQUIRE(all.size() == 1);
    return all[0].as_object();
  }
  FailureStore& store() { return store_; }

 private:
  FailureStore store_;
  std::uint64_t now_ = noon;
};

std::string word(const json::object& failure, std::string_view name) {
  return std::string(failure.at(name).as_string());
}
std::string evidence(const json::object& failure) {
  std::string all;
  for (const json::value& sentence : failure.at("evidence").as_array())
    all += std::string(sentence.as_string()) + "\n";
  return all;
}
bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

constexpr Exchange refused{.status = 401, .message = "invalid x-api-key", .type = "authentication_error"};
constexpr Exchange unknown_model{
    .status = 400, .message = "unknown provider for model gpt-5.4", .account = "", .code = "model_not_found"};
constexpr Exchange connection_refused{
    .status = 500,
    .message = "Post \"https://api.example.com/v1/x\": dial tcp 192.0.2.1:443: connect: connection refused",
    .type = "server_error"};
constexpr Exchange works{};

TEST_CASE("equal faults are one group that lists whom they befell") {
  Lab lab;
  lab.see({.status = 429,
           .message = "try again in 20s",
           .model = "a",
           .account = "1111111111111111",
           .key = 1,
           .id = "r1"},
          noon);
  lab.see({.status = 429,
           .message = "try again in 3s",
           .model = "b",
           .account = "2222222222222222",
           .key = 2,
           .id = "r2"},
          noon + second);
  lab.see({.status = 429,
           .message = "try again in 9s",
           .model = "a",
           .account = "1111111111111111",
           .key = 1,
           .id = "r3"},
          noon + 2 * second);
  lab.see({.status = 429,
           .message = "try again in 1s",
           .model = "a",
           .account = "1111111111111111",
           .key = 1,
           .id = "r4"},
          noon + 3 * second);
  const json::object group = lab.only();
  CHECK(word(group, "category") == "quota");
  CHECK(word(group, "field") == "none");
  CHECK(word(group, "message") == "try again in 1s");
  CHECK(group.at("status").as_int64() == 429);
  CHECK(group.at("count").as_int64() == 4);
  CHECK(group.at("models") == json::value{"a", "b"});
  CHECK(group.at("keys") == json::value{"sk-a...0001", "sk-a...0002"});
  CHECK(group.at("auth_indexes") == json::value{"1111111111111111", "2222222222222222"});
  CHECK(group.at("sample_request_ids") == json::value{"r4", "r3", "r2"});
  CHECK(word(group, "first_seen") < word(group, "last_seen"));
  CHECK(group.at("code").is_null());
  CHECK(group.at("timer").is_null());
  CHECK(word(group, "speaker") == "cpa");
}

TEST_CASE("what differs in status, code, speaker or words is a group of its own, most frequent first") {
  Lab lab;
  lab.see({.status = 429, .message = "slow"}, noon);
  lab.see({.status = 429, .message = "slower"}, noon);
  lab.see({.status = 503, .message = "slow"}, noon);
  lab.see({.status = 503, .message = "slow"}, noon);
  lab.see({.status = 429, .message = "slow", .code = "rate_limit_exceeded"}, noon);
  lab.see({.status = 413, .account = "", .own_code = "body_too_large"}, noon);
  const json::array all = lab.failures();
  REQUIRE(all.size() == 5);
  CHECK(all[0].as_object().at("count").as_int64() == 2);
}

TEST_CASE("a window counts what ended in it, by minutes and by hours") {
  Lab lab;
  for (int i = 0; i < 5; ++i) lab.see({.status = 429, .message = "slow", .id = "old"}, noon);
  for (int i = 0; i < 3; ++i) lab.see({.status = 429, .message = "slow", .model = "late"}, noon + 2 * hour);
  CHECK(lab.only("15m").at("count").as_int64() == 3);
  CHECK(lab.only("15m").at("models") == json::value{"late"});
  CHECK(lab.only("3h").at("count").as_int64() == 8);
  CHECK(lab.only("24h").at("count").as_int64() == 8);
  lab.see(works, noon + 40 * 24 * hour);
  CHECK(lab.failures("31d").empty());
  CHECK(json::parse(lab.text("7d")).as_object().at("window") == "7d");
}

TEST_CASE("share is the group's part of its models' requests") {
  Lab lab;
  for (int i = 0; i < 7; ++i) lab.see(works, noon);
  lab.see({.model = "other"}, noon);
  lab.see({.status = 429, .message = "slow"}, noon);
  CHECK(lab.only().at("share").as_double() == Approx(1.0 / 8));
  Lab nameless;
  nameless.see({.status = 404, .model = "", .account = "", .kind = ResponseKind::empty}, noon);
  CHECK(nameless.only().at("share").as_double() == Approx(1.0));
}

TEST_CASE("a WebSocket that had turns is no failure of its own") {
  Lab lab;
  MadeRecord made = make({.status = 101, .account = "", .ended = Ended::backend_broke_off}, noon);
  made.facts().kind = RecordKind::connection;
  made.facts().turns = 2;
  lab.store().take(made.record(), *classify(made.record()), {});
  CHECK(lab.failures().empty());
  made.facts().turns = 0;
  lab.store().take(made.record(), *classify(made.record()), {});
  CHECK(lab.failures().size() == 1);
}

TEST_CASE("groups are bounded: the one not seen for longest goes and is counted") {
  Lab lab(3);
  const std::string_view messages[] = {"one", "two", "three", "four"};
  for (std::size_t i = 0; i < 4; ++i) lab.see({.status = 500, .message = messages[i]}, noon + i * second);
  CHECK(lab.failures().size() == 3);
  CHECK(lab.store().forgotten() == 1);
  CHECK_FALSE(has(lab.text(), "\"one\""));
}

TEST_CASE("a flood of made-up names displaces no real history") {
  Lab lab;
  lab.see(works, noon);
  for (int i = 0; i < 5'000; ++i) {
    const std::string model = fmt::format("made-up-{}", i);
    lab.see({.status = 400, .message = "unknown provider for model x", .model = model, .account = ""},
            noon + second);
  }
  CHECK(lab.store().history().models().size() <= History::bound);
  REQUIRE(lab.store().history().models().find("gpt-5.4") != nullptr);
  CHECK(lab.only().at("models").as_array().size() == SeenList::bound);
}

TEST_CASE("a 401 of an account that had worked is its credential's, of one that never did its method's") {
  Lab lab;
  CHECK(lab.see(refused, noon)->category == Category::auth_method);
  lab.see(works, noon + second);
  CHECK(*lab.see(refused, noon + 2 * second) ==
        Verdict{Category::auth_binding, FaultField::auth_binding, Confidence::medium});
  lab.see({.account = "other-account-00"}, noon + 3 * second);
  Exchange elsewhere = refused;
  elsewhere.account = "never-worked-000";
  CHECK(lab.see(elsewhere, noon + 4 * second)->category == Category::auth_method);
  const json::array all = lab.failures();
  REQUIRE(all.size() == 2);
  for (const json::value& one : all) {
    CHECK(one.as_object().at("from_one_alone").as_object().at("category") == "auth_method");
    if (one.as_object().at("category") == "auth_binding")
      CHECK(has(evidence(one.as_object()), "had worked before"));
  }
}

TEST_CASE("an account that worked and is refused for good is sure") {
  Lab lab;
  lab.see(works, noon);
  lab.see({.account = "other-account-00"}, noon + minute);
  for (int i = 1; i < 5; ++i) lab.see(refused, noon + static_cast<std::uint64_t>(i) * minute);
  const json::object group = lab.only();
  CHECK(word(group, "confidence") == "high");
  CHECK(has(evidence(group), "credential changed"));
  CHECK(has(word(group, "next_step"), "auth_index 3f9a1c0b77d2e845"));
  CHECK(has(word(group, "confidence_reason"), "worked before"));
}

TEST_CASE("an unknown model that worked within a day lost its credential; others are names") {
  Lab lab;
  CHECK(lab.see(unknown_model, noon)->category == Category::model_name);
  lab.see(works, noon + second);
  CHECK(*lab.see(unknown_model, noon + hour) ==
        Verdict{Category::auth_binding, FaultField::auth_binding, Confidence::high});
  CHECK(lab.see(unknown_model, noon + 30 * hour)->category == Category::model_name);
  Exchange other = unknown_model;
  other.model = "never";
  CHECK(lab.see(other, noon + hour)->category == Category::model_name);
  CHECK(has(lab.text("7d"), "the credential that exposed it vanished"));
}

TEST_CASE("a refused connection of an account that worked is the provider's outage") {
  Lab lab;
  CHECK(lab.see(connection_refused, noon)->field == FaultField::base_url);
  lab.see(works, noon + second);
  CHECK(*lab.see(connection_refused, noon + 2 * second) ==
        Verdict{Category::network, FaultField::none, Confidence::medium});
  CHECK(has(lab.text(), "with the same base URL"));
}

TEST_CASE("one host that is not found is a base URL, several are name resolution") {
  Lab lab;
  const auto lookup = [](std::string_view message, std::string_view account) {
    return Exchange{.status = 500, .message = message, .account = account, .type = "server_error"};
  };
  const Exchange a = lookup("dial tcp: lookup a.example: no such host", "1111111111111111");
  const Exchange b = lookup("dial tcp: lookup b.example: no such host", "2222222222222222");
  CHECK(lab.see(a, noon)->category == Category::base_url);
  CHECK(lab.see(a, noon + second)->category == Category::base_url);
  CHECK(*lab.see(b, noon + minute) == Verdict{Category::network, FaultField::none, Confidence::high});
  CHECK(lab.see(a, noon + hour)->category == Category::base_url);
  // The index of an account holds for one base URL: a name that was right can't have become wrong.
  lab.see({.account = "1111111111111111"}, noon + 2 * hour);
  CHECK(lab.see(a, noon + 3 * hour)->category == Category::network);
}

TEST_CASE("several hosts that reset connections are the machine's line") {
  Lab lab;
  const auto reset = [](std::string_view message) {
    return Exchange{.status = 500, .message = message, .type = "server_error"};
  };
  CHECK(lab.see(reset("Post \"https://a.example/v1\": EOF"), noon)->confidence == Confidence::medium);
  CHECK(*lab.see(reset("Post \"https://b.example/v1\": read: connection reset by peer"), noon + minute) ==
        Verdict{Category::network, FaultField::none, Confidence::high});
  CHECK(has(lab.text(), "the line of CPA's machine"));
}

TEST_CASE("no account right after the provider failed is the provider's outage") {
  Lab lab;
  const Exchange none{.status = 503,
                      .message = "auth_unavailable: no auth available (providers=codex, model=gpt-5.4)",
                      .account = ""};
  CHECK(lab.see(none, noon)->category == Category::auth_binding);
  lab.see({.status = 529, .message = "Overloaded", .type = "overloaded_error"}, noon + second);
  CHECK(*lab.see(none, noon + 30 * second) ==
        Verdict{Category::upstream_outage, FaultField::none, Confidence::medium});
  CHECK(lab.see(none, noon + 10 * minute)->category == Category::auth_binding);
}

TEST_CASE("a cooldown says which faults had emptied the pool") {
  Lab lab;
  lab.see({.status = 429, .message = "The usage limit has been reached", .type = "usage_limit_reached"},
          noon);
  lab.see({.status = 429,
           .message = "All credentials for model gpt-5.4 are cooling down via provider codex",
           .account = "",
           .code = "model_cooldown"},
          noon + second);
  CHECK(has(lab.text(), "was one of quota"));
  lab.see({.status = 401, .message = "token revoked"}, noon + 2 * second);
  CHECK(has(lab.text(), "was one of authentication"));
}

TEST_CASE("empty 503s on everything mean that CPA does not serve") {
  Lab lab;
  const Exchange empty{.status = 503, .account = "", .kind = ResponseKind::empty};
  CHECK(lab.see(empty, noon)->category == Category::unknown);
  lab.see(works, noon + 1);
  CHECK(lab.see(empty, noon + 2)->category == Category::unknown);
  CHECK(lab.see(empty, noon + 3)->category == Category::unknown);
  CHECK(*lab.see(empty, noon + 4) ==
        Verdict{Category::upstream_outage, FaultField::none, Confidence::medium});
}

TEST_CASE("responses that break off at one moment show a restart") {
  Lab lab;
  const Exchange cut{.ended = Ended::backend_broke_off, .kind = ResponseKind::sse};
  CHECK(lab.see(cut, noon)->confidence == Confidence::low);
  CHECK(lab.see(cut, noon + hour / 2)->confidence == Confidence::low);
  CHECK(lab.see(cut, noon + hour / 2 + 1)->confidence == Confidence::low);
  CHECK(lab.see(cut, noon + hour / 2 + 2)->confidence == Confidence::medium);
  const json::object group = lab.only();
  CHECK(word(group, "confidence") == "medium");
  CHECK(has(evidence(group), "3 responses broke off within two seconds"));
  CHECK(has(word(group, "next_step"), "restarted"));
}

TEST_CASE("refused continuations that repeat show a lost session header") {
  Lab lab;
  const Exchange moved{.status = 409, .message = "not found", .code = "previous_response_not_found"};
  lab.see(moved, noon);
  lab.see(moved, noon + second);
  CHECK_FALSE(has(lab.text(), "it repeats"));
  lab.see(moved, noon + 2 * second);
  CHECK(has(lab.text(), "it repeats"));
  CHECK(has(word(lab.only(), "next_step"), "session header"));
}

TEST_CASE("clients that give up after one delay have a time-out") {
  Lab lab;
  for (std::uint64_t i = 0; i < 6; ++i) {
    lab.see({.account = "", .ended = Ended::client_gone, .duration_us = 30 * second + i * 10'000},
            noon + i * second);
  }
  CHECK(has(evidence(lab.only()), "gave up after about 30 s"));
  Lab mixed;
  for (std::uint64_t i = 1; i < 10; ++i) {
    mixed.see({.account = "", .ended = Ended::client_gone, .duration_us = i * 7 * second}, noon + i * second);
  }
  CHECK_FALSE(has(evidence(mixed.only()), "gave up"));
  CHECK(word(mixed.only(), "category") == "client_cancelled");
}

TEST_CASE("a refused client key says whether it, or another, had worked") {
  const Exchange wrong{.status = 401, .message = "Invalid API key", .account = "", .key = 2};
  Lab lab;
  lab.see(wrong, noon);
  CHECK(has(evidence(lab.only()), "no other client key has worked"));
  lab.see(works, noon + second);
  CHECK(has(evidence(lab.only()), "another client key works"));
  lab.see({.key = 2}, noon + 2 * second);
  CHECK(has(evidence(lab.only()), "this key had worked until"));
  Lab keyless;
  keyless.see({.status = 401, .message = "Missing API key", .account = "", .key = 0}, noon);
  CHECK(has(evidence(keyless.only()), "presented no key"));
}

TEST_CASE("one key failing on all models is not one model failing for all keys") {
  Lab key;
  key.see({.status = 403, .message = "no", .model = "a"}, noon);
  key.see({.status = 403, .message = "no", .model = "b"}, noon);
  CHECK(has(evidence(key.only()), "one client key, sk-a...0001, fails on 2 models"));
  CHECK(has(evidence(key.only()), "no other key has worked since"));
  key.see({.account = "other-account-00", .key = 2}, noon + second);
  CHECK(has(evidence(key.only()), "other keys work"));
  Lab model;
  model.see({.status = 403, .message = "no", .key = 1}, noon);
  model.see({.status = 403, .message = "no", .key = 2}, noon);
  CHECK(has(evidence(model.only()), "one model, gpt-5.4, fails for 2 client keys"));
  CHECK(has(evidence(model.only()), "no other model has worked since"));
  model.see({.model = "b", .account = "other-account-00"}, noon + second);
  CHECK(has(evidence(model.only()), "other models work"));
}

TEST_CASE("quota of one account is told from a limit of all") {
  const Exchange limited{.status = 429, .message = "slow"};
  Lab one;
  one.see({.account = "other-account-00"}, noon);
  one.see(limited, noon + 1);
  CHECK(has(evidence(one.only()), "only auth_index 3f9a1c0b77d2e845 is affected"));
  Lab all;
  all.see(limited, noon);
  all.see({.status = 429, .message = "slow", .account = "other-account-00"}, noon);
  CHECK(has(evidence(all.only()), "2 accounts are affected"));
}

TEST_CASE("a base URL through which other requests succeed is doubtful") {
  const Exchange page{.status = 404, .message = "404 page not found"};
  Lab lab;
  lab.see(page, noon);
  CHECK(word(lab.only(), "confidence") == "high");
  lab.see(works, noon + 1);
  CHECK(has(evidence(lab.only()), "has worked again since"));
  lab.see(page, noon + 2);
  CHECK(word(lab.only(), "confidence") == "low");
}

TEST_CASE("what Portico saw is not taken for what the backend said") {
  Lab cut;
  cut.see({.ended = Ended::backend_broke_off}, noon);
  CHECK(has(evidence(cut.only()), "status 200, said by CPA; Portico saw how it ended"));
  Lab left;
  left.see({.status = 499, .account = "", .ended = Ended::client_gone}, noon);
  CHECK(has(evidence(left.only()), "no answer had come before"));
  Lab own;
  own.see({.status = 413, .account = "", .owner = "cpa", .own_code = "body_too_large"}, noon);
  CHECK(has(evidence(own.only()), "status 413, code body_too_large, said by Portico"));
}

TEST_CASE("the share counts the requests that name no model where they fail too") {
  const Exchange lost{.status = 404, .model = "", .account = "", .kind = ResponseKind::empty};
  Lab lab;
  lab.see(lost, noon);
  lab.see({.status = 404, .model = "a", .account = "", .kind = ResponseKind::empty}, noon);
  lab.see({.model = "", .account = ""}, noon);
  lab.see({.model = "", .account = ""}, noon);
  lab.see({.model = "b"}, noon);
  CHECK(lab.only().at("share").to_number<double>() == Approx(0.5));
}

TEST_CASE("the share of more models than are listed is one of all traffic") {
  Lab lab;
  for (int i = 0; i < 40; ++i) {
    const std::string model =
        "model-" + std::string(1, static_cast<char>('a' + i % 20)) + (i < 20 ? "x" : "y");
    lab.see({.status = 403, .message = "no", .model = model}, noon);
    lab.see({.model = model}, noon);
  }
  CHECK(lab.only().at("share").to_number<double>() == Approx(0.5));
}

TEST_CASE("a path that is plainly wrong says nothing of another") {
  Lab lab;
  lab.see({.status = 404, .account = "", .path = "/v1/v1/chat/completions", .kind = ResponseKind::empty},
          noon);
  lab.see({.status = 404, .account = "", .path = "/v1/embeddings", .kind = ResponseKind::empty}, noon);
  CHECK(has(evidence(lab.only()), "/v1/v1/chat/completions has a part twice"));
  CHECK(has(evidence(lab.only()), "CPA has no such path: /v1/embeddings"));
  CHECK_FALSE(has(word(lab.only(), "confidence_reason"), "twice"));
}

TEST_CASE("an empty 200 says for which path") {
  Lab lab;
  lab.see({.account = "", .path = "/v1beta/models/g:embedContent", .kind = ResponseKind::empty}, noon);
  CHECK(has(evidence(lab.only()), "CPA does nothing for this path: /v1beta/models/g:embedContent"));
}

TEST_CASE("what is too long is told by its words where there is no code") {
  Lab lab;
  lab.see({.status = 400,
           .message = "prompt is too long: 208310 tokens > 200000 maximum",
           .type = "invalid_request_error"},
          noon);
  CHECK(has(word(lab.only(), "next_step"), "Shorten the conversation"));
}

TEST_CASE("a path with a part twice is the client's base URL") {
  Lab lab;
  lab.see({.status = 404, .account = "", .path = "/v1/v1/chat/completions", .kind = ResponseKind::empty},
          noon);
  CHECK(has(evidence(lab.only()), "/v1/v1/chat/completions has a part twice"));
  Lab other;
  other.see({.status = 404, .account = "", .path = "/v1/embeddings", .kind = ResponseKind::empty}, noon);
  CHECK(has(evidence(other.only()), "CPA has no such path: /v1/embeddings"));
}

TEST_CASE("a refused request field is named, its value never") {
  Lab lab;
  lab.see({.status = 400,
           .message = "Unsupported value: 'temperature' does not support 0.7",
           .code = "unsupported_value"},
          noon);
  CHECK(word(lab.only(), "request_field") == "temperature");
  CHECK(has(word(lab.only(), "next_step"), "its field temperature"));
  Lab param;
  param.see({.status = 400, .message = "bad", .param = "messages[3].content"}, noon);
  CHECK(word(param.only(), "request_field") == "messages[3].content");
}

TEST_CASE("a time-out names its timer, and who is to wait longer") {
  Lab lab;
  lab.see({.status = 504,
           .account = "",
           .ended = Ended::timeout,
           .own_code = "upstream_timeout",
           .timer = Timer::response_head},
          noon);
  const json::object group = lab.only();
  CHECK(word(group, "category") == "timeout");
  CHECK(word(group, "timer") == "timeouts.response_head");
  CHECK(word(group, "speaker") == "portico");
  CHECK(has(word(group, "next_step"), "`timeouts.response_head`"));
  CHECK(has(evidence(group), "timeouts.response_head"));
}

TEST_CASE("a backend that can't be reached is named with its address") {
  Lab lab;
  lab.see({.status = 502, .account = "", .ended = Ended::refused, .own_code = "upstream_unreachable"}, noon);
  CHECK(has(word(lab.only(), "next_step"), "Start cpa"));
  CHECK(has(evidence(lab.only()), "127.0.0.1:8317"));
  CHECK(word(lab.only(), "code") == "upstream_unreachable");
}

TEST_CASE("a WebSocket that died in a turn says what CPA hides") {
  Lab lab;
  lab.see({.status = 101,
           .account = "",
           .ended = Ended::backend_broke_off,
           .kind = ResponseKind::websocket,
           .websocket = true},
          noon);
  CHECK(has(evidence(lab.only()), "without a frame"));
  CHECK(has(word(lab.only(), "next_step"), "CPA's log"));
}

TEST_CASE("nothing secret that went through a record is in the answer") {
  static constexpr std::string_view secrets[] = {
      "sk-live-abcdef0123456789", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl",
      "bob.smith@example.com",    "sid=deadbeefcafe",
      "PRIVATE-PROMPT",           "hunter2secret"};
  const std::string message = fmt::format(
      "key {} token {} of {} Cookie: {}\n {{\"messages\":[{{\"content\":\"{} tell me\"}}]}} password={} "
      "https://u:{}@h.example/?key={}",
      secrets[0], secrets[1], secrets[2], secrets[3], secrets[4], secrets[5], secrets[5], secrets[0]);
  const int status = GENERATE(400, 401, 403, 404, 429, 500, 503, 200);
  Lab lab;
  // Raw, as if nobody had made the record safe before: the store stands for itself.
  MadeRecord made = make({.status = status,
                          .message = message,
                          .model = secrets[0],
                          .code = secrets[0],
                          .type = secrets[2],
                          .path = "/v1/chat?key=sk-live-abcdef0123456789",
                          .param = "sk-live-abcdef0123456789"},
                         noon);
  lab.store().take(made.record(), *classify(made.record()),
                   {.listener = {}, .route = {}, .upstream = {}, .endpoint = "http://u:hunter2secret@h:1"});
  const std::string text = lab.text();
  REQUIRE(lab.failures().size() == 1);
  for (const std::string_view secret : secrets) {
    CAPTURE(secret, text);
    CHECK_FALSE(has(text, secret));
  }
  CHECK_FALSE(has(text, "abcdef0123456789"));
  CHECK_FALSE(has(text, "deadbeef"));
}

TEST_CASE("every verdict has a next step with all its gaps filled") {
  for (std::size_t category = 0; category < category_count; ++category) {
    for (std::size_t field = 0; field < fault_field_count; ++field) {
      for (const Timer timer :
           {Timer::none, Timer::request_head, Timer::request_body, Timer::connect, Timer::response_head,
            Timer::response_body, Timer::websocket_idle, Timer::client_write}) {
        FailureGroup group;
        group.verdict = {static_cast<Category>(category), static_cast<FaultField>(field), Confidence::low};
        group.timer = timer;
        const GroupView view{group, 1, 0, {}, {}, {}};
        const std::string step = next_step_for(view);
        CAPTURE(step);
        CHECK(step.ends_with('.'));
        CHECK(step.find('{') == std::string::npos);
        CHECK(step.find("``") == std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace portico::telemetry
