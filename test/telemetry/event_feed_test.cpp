#include "telemetry/event_feed.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/telemetry/example_record.hpp"

using namespace portico::telemetry;
using portico::test::ExampleRecord;

namespace {

std::string read(ReplyStream& stream) {
  std::string out;
  CHECK(stream.fill(out));
  return out;
}

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

void send(EventFeed& feed, ExampleRecord& example) { feed.take(example.record(), std::nullopt, {}); }

}  // namespace

TEST_CASE("a subscriber gets each record that fits, with its number, from the moment it came") {
  EventFeed feed;
  ExampleRecord example;
  send(feed, example);
  RecordFilter filter;
  filter.model = "wanted";
  const auto all = feed.subscribe({});
  const auto some = feed.subscribe(filter);
  all->on_ready([] {});
  some->on_ready([] {});
  send(feed, example);
  send(feed, example.model("wanted"));
  const std::string everything = read(*all);
  CHECK(everything.starts_with("event: exchange\nid: 2\ndata: {"));
  CHECK(everything.ends_with("}\n\n"));
  CHECK(count(everything, "event: exchange\n") == 2);
  const std::string wanted = read(*some);
  CHECK(wanted.starts_with("event: exchange\nid: 3\ndata: {"));
  CHECK(count(wanted, "event: exchange\n") == 1);
  CHECK(read(*all).empty());
}

TEST_CASE("one that found nothing is woken once") {
  EventFeed feed;
  ExampleRecord example;
  int woken = 0;
  const auto stream = feed.subscribe({});
  stream->on_ready([&] { ++woken; });
  send(feed, example);
  CHECK(woken == 0);
  CHECK_FALSE(read(*stream).empty());
  CHECK(read(*stream).empty());
  send(feed, example);
  send(feed, example);
  CHECK(woken == 1);
  CHECK(count(read(*stream), "event: exchange") == 2);
}

TEST_CASE("one that is slow loses the oldest and is told how many") {
  EventFeed feed;
  ExampleRecord example;
  const auto stream = feed.subscribe({});
  stream->on_ready([] {});
  constexpr std::size_t sent = 3'000;
  for (std::size_t i = 0; i < sent; ++i) send(feed, example);
  std::string text;
  for (std::string piece = read(*stream); !piece.empty(); piece = read(*stream)) {
    CHECK(piece.size() < 128 * 1024);
    text += piece;
  }
  const std::size_t got = count(text, "event: exchange");
  CHECK(text.size() <= EventFeed::max_backlog_bytes + 100);
  CHECK(got > 100);
  const std::string lost = std::to_string(sent - got);
  CHECK(text.starts_with("event: dropped\ndata: {\"count\":" + lost + "}\n\n"));
  CHECK(text.find("\nid: " + std::to_string(sent - got + 1) + "\n") != std::string::npos);
  CHECK(text.find("\nid: " + lost + "\n") == std::string::npos);
  CHECK(text.find("\nid: 3000\n") != std::string::npos);
}

TEST_CASE("there is a bound on subscribers, and one that leaves makes room") {
  EventFeed feed;
  std::vector<std::unique_ptr<ReplyStream>> streams;
  for (std::size_t i = 0; i < EventFeed::max_subscribers; ++i) streams.push_back(feed.subscribe({}));
  CHECK(feed.subscribers() == EventFeed::max_subscribers);
  CHECK(feed.subscribe({}) == nullptr);
  streams.erase(streams.begin() + 3);
  const auto next = feed.subscribe({});
  REQUIRE(next != nullptr);
  streams.clear();
  CHECK(feed.subscribers() == 1);
}
