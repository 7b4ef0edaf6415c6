#include "telemetry/tap/event_pattern.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/tap/watch.hpp"

using namespace portico::telemetry;

namespace {

/// `<` stands before a text that may differ, `>` behind it, `|` where the rest of the line is ignored.
EventPattern learnt(std::string_view marked) {
  EventPattern pattern;
  bool inside = false;
  bool ignored = false;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    const char byte = marked[i];
    if (byte == '>') inside = false;
    if (byte == '<' || byte == '>' || byte == '|') continue;
    const char next = i + 1 < marked.size() ? marked[i + 1] : '\0';
    if (byte == '\n') ignored = false;
    EventPattern::Role role = EventPattern::Role::counts;
    if (ignored) {
      role = EventPattern::Role::ignored;
    } else if (next == '|') {
      role = EventPattern::Role::ends;
      ignored = true;
    } else if (next == '<') {
      role = EventPattern::Role::opens;
      inside = true;
    } else if (inside) {
      role = EventPattern::Role::skipped;
    }
    pattern.add(byte, role);
  }
  return pattern;
}

}  // namespace

TEST_CASE("an event is recognised by all but the texts that may differ") {
  EventPattern pattern = learnt("data: {\"a\":\"<x>\",\"b\":\"y\",\"c\":\"<>\"}\n\n");
  const auto size = [&pattern](std::string_view bytes) { return pattern.match(bytes); };
  const std::string same = "data: {\"a\":\"x\",\"b\":\"y\",\"c\":\"\"}\n\n";
  CHECK(size(same) == same.size());
  CHECK(size(same + "data: more") == same.size());
  const std::string other = "data: {\"a\":\"l\\\"ng\\\\\",\"b\":\"y\",\"c\":\"more\"}\n\n";
  CHECK(size(other) == other.size());
  CHECK(size(same) == same.size());
  CHECK(size("data: {\"a\":\"x\",\"b\":\"z\",\"c\":\"\"}\n\n") == 0);
  CHECK(size(std::string_view(same).substr(0, same.size() - 1)) == 0);
  CHECK(size("data: {\"a\":\"x") == 0);
  CHECK(size("data: {\"a\":\"x\\") == 0);
  CHECK(size("data: {\"a\":\"x\ny\",\"b\":\"y\",\"c\":\"\"}\n\n") == 0);
  CHECK(size("data: {\"a\":\"x\\\ny\",\"b\":\"y\",\"c\":\"\"}\n\n") == 0);
  CHECK(size("") == 0);
}

TEST_CASE("what is ignored may be anything that stays in its line") {
  EventPattern pattern = learnt("data: {\"type\":\"t\"|,\"x\":1}\n\n");
  const std::string other = "data: {\"type\":\"t\", anything \"at all\n\n";
  CHECK(pattern.match(other) == other.size());
  CHECK(pattern.match("data: {\"type\":\"t\"}\n\n") == 20);
  CHECK(pattern.match("data: {\"type\":\"t\"}\ndata: more\n\n") == 0);
  CHECK(pattern.match("data: {\"type\":\"t\"}\r\n\r\n") == 0);
  CHECK(pattern.match("data: {\"type\":\"u\"}\n\n") == 0);
}

TEST_CASE("a stream of events that are alike is accounted like any other") {
  const auto chunk = [](const std::string& id, const std::string& content) {
    return "data: {\"id\":\"" + id + R"(","model":"m-1","choices":[{"index":0,"delta":{"content":")" +
           content + "\"},\"finish_reason\":null}]}\n\n";
  };
  std::vector<std::string> events;
  for (int i = 0; i < 40; ++i) {
    events.push_back(chunk("c", std::string(static_cast<std::size_t>(i % 7), 'x')));
    if (i % 9 == 8) events.push_back(chunk("c", R"(\"finish_reason\":\"no\",\\)"));
    if (i % 13 == 12) events.push_back(": keep-alive\n\n");
    if (i == 20) events.push_back(chunk("other", "y"));
    if (i == 25) events.push_back("data: {\"model\":\"m-2\",\"choices\":[]}\n\n");
    if (i == 30) events.push_back(chunk("c", "\xe2\x82\xac"));
  }
  events.push_back(
      "data: {\"model\":\"m-3\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":"
      "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n");
  Watch one_by_one("/v1/chat/completions");
  const Watched& fast = one_by_one.events(events);

  std::string whole;
  for (const std::string& event : events) whole += event;
  std::vector<std::string> bytes;
  for (const char byte : whole) bytes.emplace_back(1, byte);
  Watch byte_by_byte("/v1/chat/completions");
  const Watched& slow = byte_by_byte.events(bytes);
  Watch at_once("/v1/chat/completions");
  const Watched& block = at_once.events({whole});

  for (const Watched* record : {&fast, &slow, &block}) {
    CHECK(record->facts.events == events.size() - 3);
    CHECK(record->facts.tokens.total() == 3);
    CHECK(record->text(Text::response_model) == "m-3");
    CHECK(record->text(Text::finish) == "stop");
    CHECK_FALSE(record->facts.failed);
  }
}

TEST_CASE("an error among events that are alike is seen") {
  std::vector<std::string> events(
      20, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0}\n\n");
  events.emplace_back(
      "event: error\ndata: "
      "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n");
  Watch watch("/v1/messages");
  const Watched& record = watch.events(events);
  CHECK(record.facts.events == 21);
  CHECK(record.text(Text::error_type) == "overloaded_error");
}
