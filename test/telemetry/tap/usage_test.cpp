#include "telemetry/tap/usage.hpp"

#include <initializer_list>
#include <utility>

#include <catch2/catch.hpp>

#include "telemetry/tap/merge_json.hpp"

using namespace portico::telemetry;

namespace {

UsageNumbers numbers(std::initializer_list<std::pair<Count, std::uint64_t>> counts) {
  UsageNumbers made;
  for (const auto& [count, value] : counts) made.set(count, value);
  return made;
}

}  // namespace

TEST_CASE("a count is an integer or a whole float up to 2^53") {
  CHECK(read_count("0") == 0U);
  CHECK(read_count("9007199254740992") == 9007199254740992U);
  CHECK(read_count("12.0") == 12U);
  CHECK(read_count("1e3") == 1000U);
  for (const char* other : {"", "-1", "12.5", "9007199254740993", "99999999999999999999", "1e300", "1e999",
                            "null", "true", "nan", "inf", "12a", "0x10"}) {
    INFO(other);
    CHECK_FALSE(read_count(other));
  }
}

TEST_CASE("no number at all is none, not zero") {
  const NormalUsage usage = normalise({}, Inclusion::openai);
  CHECK_FALSE(usage.tokens.seen);
  CHECK(usage.quality == UsageQuality::none);
}

TEST_CASE("zeros are numbers") {
  const NormalUsage usage = normalise(numbers({{Count::input, 0}, {Count::output, 0}}), Inclusion::openai);
  CHECK(usage.tokens.seen);
  CHECK(usage.quality == UsageQuality::complete);
}

TEST_CASE("nothing but a total is unclassified") {
  const NormalUsage usage = normalise(numbers({{Count::total, 9}}), Inclusion::gemini);
  CHECK(usage.tokens[TokenKind::unclassified] == 9);
  CHECK(usage.tokens.total() == 9);
  CHECK(usage.quality == UsageQuality::unclassified);
}

TEST_CASE("a part that exceeds its whole is kept, the rest is zero, and the whole inconsistent") {
  const NormalUsage usage =
      normalise(numbers({{Count::input, 5}, {Count::cache_read, 8}, {Count::output, 1}}), Inclusion::openai);
  CHECK(usage.tokens[TokenKind::input] == 0);
  CHECK(usage.tokens[TokenKind::cache_read] == 8);
  CHECK(usage.quality == UsageQuality::inconsistent);
}

TEST_CASE("reasoning beside the output is told by the total, in the chat dialect only") {
  const UsageNumbers beside =
      numbers({{Count::input, 10}, {Count::output, 5}, {Count::reasoning, 3}, {Count::total, 18}});
  CHECK(normalise(beside, Inclusion::openai_chat).tokens[TokenKind::output] == 5);
  CHECK(normalise(beside, Inclusion::openai_chat).quality == UsageQuality::complete);
  CHECK(normalise(beside, Inclusion::openai).tokens[TokenKind::output] == 2);
  CHECK(normalise(beside, Inclusion::openai).quality == UsageQuality::inconsistent);
}

TEST_CASE("the largest counts do not overflow") {
  const std::uint64_t most = 1ULL << 53U;
  const NormalUsage usage = normalise(numbers({{Count::input, most},
                                               {Count::tool_use, most},
                                               {Count::cache_read, most},
                                               {Count::cache_write, most},
                                               {Count::output, most},
                                               {Count::reasoning, most}}),
                                      Inclusion::gemini);
  CHECK(usage.tokens.total() == 4 * most);
}

TEST_CASE("merging replaces by name, but never by null") {
  TapPool pool;
  const auto merged = [&pool](std::string_view older, std::string_view newer) {
    Scratch out(pool);
    merge_objects(older, newer, 2048, out);
    return std::string(out.view());
  };
  CHECK(merged(R"({"a":1,"b":{"c":[1,2,"}"]}, "d" : "x"})", R"({"b":null,"a":2,"e":{"f":"\"}"}})") ==
        R"({"a":2,"b":{"c":[1,2,"}"]},"d":"x","e":{"f":"\"}"}})");
  CHECK(merged("{}", "{}") == "{}");
  CHECK(merged("{\"a\":1}", "[1]") == "{\"a\":1}");
  CHECK(merged("{\"a\":]}", "{\"b\":}}}") == "{}");
}
