#include "proxy/h1/octets.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace portico::proxy::h1 {
namespace {

std::vector<std::string> elements(std::string_view list) {
  std::vector<std::string> found;
  for_each_element(list, [&found](std::string_view element) {
    found.emplace_back(element);
    return true;
  });
  return found;
}

TEST_CASE("a byte is in the classes that the grammar puts it in") {
  const std::string punctuation = "!#$%&'*+-.^_`|~";
  for (int value = 0; value < 256; ++value) {
    INFO(value);
    const auto byte = static_cast<char>(value);
    const bool alpha = (value >= 'a' && value <= 'z') || (value >= 'A' && value <= 'Z');
    const bool digit = value >= '0' && value <= '9';
    const bool listed = value != 0 && punctuation.find(byte) != std::string::npos;
    CHECK(is(Octet::token, byte) == (alpha || digit || listed));
    CHECK(is(Octet::target, byte) == (value > 32 && value != 127));
    CHECK(is(Octet::text, byte) == ((value >= 32 && value != 127) || value == 9));
    CHECK(is(Octet::host, byte) ==
          (alpha || digit || byte == '-' || byte == '.' || byte == '_' || byte == '~'));
    CHECK(is(Octet::hex_colon, byte) == (digit || (value >= 'a' && value <= 'f') ||
                                         (value >= 'A' && value <= 'F') || byte == ':' || byte == '.'));
  }
}

TEST_CASE("a control byte is found at every place, whatever stands around it") {
  const std::vector<char> fillers = {' ', '~', '\t', '\x80', '\xff'};
  for (std::size_t size = 1; size < 70; ++size) {
    for (const char filler : fillers) {
      std::string text(size, filler);
      REQUIRE(find_control(text.data(), text.data() + size) == text.data() + size);
      for (std::size_t at = 0; at < size; ++at) {
        text.assign(size, filler);
        text.back() = '\n';  // a later one must not win
        text[at] = '\r';
        REQUIRE(find_control(text.data(), text.data() + size) == text.data() + at);
      }
    }
  }
}

TEST_CASE("every control byte but HTAB is found, alone in a block and in the rest after it") {
  for (const std::size_t at : {std::size_t{5}, std::size_t{18}}) {
    for (int value = 0; value < 256; ++value) {
      INFO(value);
      std::string text(20, 'a');
      text[at] = static_cast<char>(value);
      const bool control = (value < 32 && value != 9) || value == 127;
      CHECK(find_control(text.data(), text.data() + text.size()) ==
            text.data() + (control ? at : text.size()));
    }
  }
}

TEST_CASE("the end of a token and of a target is the first byte that cannot be in it, at every place") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{40}}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int value = 0; value < 256; ++value) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(value);
        const char* const begin = text.data();
        const char* const end = begin + size;
        REQUIRE(find_token_end(begin, end) == (is(Octet::token, text[at]) ? end : begin + at));
        REQUIRE(find_target_end(begin, end) == (is(Octet::target, text[at]) ? end : begin + at));
      }
    }
  }
}

TEST_CASE("a list gives its elements without blanks, and empty ones not at all") {
  CHECK(elements("a, b,\tc") == std::vector<std::string>{"a", "b", "c"});
  CHECK(elements(" , ,a b,, ") == std::vector<std::string>{"a b"});
  CHECK(elements("").empty());
  CHECK(elements(",").empty());
}

TEST_CASE("a list is left at the element that stops it") {
  int seen = 0;
  CHECK_FALSE(for_each_element("a,b,c", [&seen](std::string_view element) {
    ++seen;
    return element != "b";
  }));
  CHECK(seen == 2);
}

TEST_CASE("folding the case touches ASCII letters only") {
  CHECK(equal_folded("X-Api_Key", "x-aPI_kEY"));
  CHECK_FALSE(equal_folded("a", "ab"));
  // The pairs that a mere `| 0x20` would confuse.
  CHECK_FALSE(equal_folded("@", "`"));
  CHECK_FALSE(equal_folded("[", "{"));
  CHECK_FALSE(equal_folded("\r", "-"));
  CHECK(starts_with_folded("X-Forwarded-Port", "x-forwarded-"));
  CHECK_FALSE(starts_with_folded("X-Forw", "x-forwarded-"));
}

}  // namespace
}  // namespace portico::proxy::h1
