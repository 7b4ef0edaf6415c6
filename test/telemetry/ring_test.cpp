#include "telemetry/ring.hpp"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

namespace portico::telemetry {
namespace {

/// Bytes that can be told from any other record's: they follow from the number.
std::string text_for(std::uint64_t number, std::size_t size) {
  std::string text(size, '\0');
  std::uint64_t state = number * 0x9E3779B97F4A7C15ULL + 1;
  for (char& c : text) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state);
  }
  return text;
}

RecordFacts facts_for(std::uint64_t number) {
  RecordFacts facts;
  facts.start_unix_us = number;
  facts.request_bytes = ~number;
  facts.tokens[TokenKind::input] = number * 3;
  facts.retry_after_s = static_cast<std::uint32_t>(number);
  return facts;
}

bool matches(const Record& record, std::uint64_t number) {
  const RecordFacts expected = facts_for(number);
  return record->start_unix_us == number && record->request_bytes == expected.request_bytes &&
         record->tokens[TokenKind::input] == expected.tokens[TokenKind::input] &&
         record->retry_after_s == expected.retry_after_s &&
         record.texts() == text_for(number, record.texts().size());
}

bool push(Ring& ring, std::uint64_t number, std::size_t size) {
  const RecordFacts facts = facts_for(number);
  const std::string text = text_for(number, size);
  return ring.try_push(Record(facts, text));
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST_CASE("records come out as they went in, in order") {
  Waker waker;
  Ring ring(4096, waker);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    REQUIRE(push(ring, i, i % 300));
    std::size_t seen = 0;
    REQUIRE(ring.drain(10, [&](const Record& record) {
      CHECK(matches(record, i));
      ++seen;
    }) == 1);
    REQUIRE(seen == 1);
  }
  CHECK(ring.empty());
  CHECK(ring.used_bytes() == 0);
  CHECK(ring.pushed() == 1000);
  CHECK(ring.dropped() == 0);
}

TEST_CASE("a full ring drops the newest record, counts it and keeps the old ones") {
  Waker waker;
  Ring ring(4096, waker);
  std::uint64_t accepted = 0;
  while (push(ring, accepted, 100)) ++accepted;
  CHECK(accepted > 4);
  CHECK_FALSE(push(ring, 999, 100));
  CHECK(ring.dropped() == 2);
  CHECK(ring.pushed() == accepted);
  CHECK(ring.used_bytes() <= ring.capacity());
  std::uint64_t next = 0;
  ring.drain(1000, [&](const Record& record) { CHECK(matches(record, next++)); });
  CHECK(next == accepted);
  CHECK(push(ring, 1, 100));
}

TEST_CASE("a record that can never fit is dropped and does not block the ring") {
  Waker waker;
  Ring ring(4096, waker);
  CHECK_FALSE(push(ring, 1, 8000));
  CHECK(ring.dropped() == 1);
  CHECK(push(ring, 2, 10));
}

TEST_CASE("a record is freed only after it was taken") {
  Waker waker;
  Ring ring(4096, waker);
  push(ring, 7, 20);
  CHECK_THROWS(ring.drain(1, [](const Record&) { throw std::runtime_error("not now"); }));
  CHECK_FALSE(ring.empty());
  CHECK(ring.drain(1, [](const Record& record) { CHECK(matches(record, 7)); }) == 1);
}

TEST_CASE("a sleeping consumer is woken by the first record and by no other") {
  Waker waker;
  Ring ring(1 << 16, waker);
  waker.set(Waker::State::asleep);
  CHECK_FALSE(readable(waker.descriptor()));
  push(ring, 1, 10);
  CHECK(readable(waker.descriptor()));
  waker.clear();
  push(ring, 2, 10);
  CHECK_FALSE(readable(waker.descriptor()));
}

TEST_CASE("a napping consumer is woken when the ring is more than half full") {
  Waker waker;
  Ring ring(1 << 14, waker);
  waker.set(Waker::State::napping);
  std::uint64_t i = 0;
  while (!readable(waker.descriptor())) REQUIRE(push(ring, i++, 100));
  CHECK(ring.used_bytes() > ring.capacity() / 2);
  CHECK(ring.used_bytes() < ring.capacity());
}

/// Runs producer and consumer against each other until so many bytes went through.
void stress(std::size_t capacity, std::uint64_t total, std::uint64_t seed, bool slow_consumer) {
  Waker waker;
  Ring ring(capacity, waker);
  std::atomic<bool> done{false};
  std::vector<bool> lost;  // written by the producer, read after it ended
  std::thread producer([&] {
    std::mt19937_64 random(seed);
    std::uint64_t bytes = 0;
    for (std::uint64_t number = 0; bytes < total; ++number) {
      const std::size_t size = random() % 8 == 0 ? random() % (capacity / 4) : random() % 200;
      lost.push_back(!push(ring, number, size));
      if (lost.back()) {
        if (!slow_consumer) std::this_thread::yield();
      } else {
        bytes += size + sizeof(RecordFacts);
      }
      if (random() % 1024 == 0) std::this_thread::yield();
    }
    done = true;
    waker.wake_for(true);
  });

  std::mt19937_64 random(seed + 1);
  std::vector<std::uint64_t> seen;
  std::uint64_t torn = 0;
  const auto drain = [&] {
    return ring.drain(1 + random() % 64, [&](const Record& record) {
      if (!matches(record, record->start_unix_us)) ++torn;
      seen.push_back(record->start_unix_us);
    });
  };
  for (;;) {
    if (drain() > 0) {
      if (slow_consumer && random() % 16 == 0) {
        for (int i = 0; i < 50; ++i) std::this_thread::yield();
      }
      continue;
    }
    if (done) break;
    waker.set(Waker::State::asleep);
    if (!ring.empty() || done) {
      waker.set(Waker::State::awake);
      continue;
    }
    pollfd entry{waker.descriptor(), POLLIN, 0};
    // A lost wake-up would show here: nobody else ends this wait.
    const int ready = ::poll(&entry, 1, 60'000);
    if (ready != 1) {
      FAIL_CHECK("the consumer slept through a record");
      break;
    }
    waker.clear();
  }
  producer.join();
  while (drain() > 0) {
  }

  CHECK(torn == 0);
  std::vector<std::uint64_t> kept;
  for (std::uint64_t number = 0; number < lost.size(); ++number)
    if (!lost[number]) kept.push_back(number);
  CHECK(seen == kept);
  CHECK(ring.pushed() == kept.size());
  CHECK(ring.dropped() == lost.size() - kept.size());
}

TEST_CASE("under load no record is lost, torn or reordered, and drops are counted exactly") {
  // Enough to go round each ring many thousand times; PORTICO_RING_BYTES asks for more.
  const char* asked = std::getenv("PORTICO_RING_BYTES");
  const std::uint64_t total = asked != nullptr ? std::strtoull(asked, nullptr, 10) : 48'000'000;
  SECTION("small ring, quick consumer") { stress(4096, total, 1, false); }
  SECTION("small ring, slow consumer") { stress(8192, total, 2, true); }
  SECTION("large ring") { stress(1 << 20, total, 3, true); }
}

}  // namespace
}  // namespace portico::telemetry
