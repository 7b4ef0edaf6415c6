#include "telemetry/tap/json_scanner.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

constexpr JsonTrie trie = make_trie(std::array<JsonPath, 6>{{
    {"model", 1, want_text | want_scalar},
    {"usage", 2, want_raw | want_start},
    {"usage.n", 3, want_scalar},
    {"choices[]", 4, want_start | want_end},
    {"choices[].text", 5, want_filled},
    {"choices[].index", 6, want_scalar},
}});

struct Recorder {
  TapPool& pool;
  Scratch scratch{pool};
  std::string told{};

  bool json_text(std::uint8_t field, std::string_view text) {
    told += "t" + std::to_string(field) + "(" + std::string(text) + ")";
    return text != "stop";
  }
  void json_scalar(std::uint8_t field, std::string_view token) {
    told += "s" + std::to_string(field) + "(" + std::string(token) + ")";
  }
  void json_filled(std::uint8_t field) { told += "f" + std::to_string(field); }
  void json_start(std::uint8_t field, char first) { told += "b" + std::to_string(field) + first; }
  void json_end(std::uint8_t field) { told += "e" + std::to_string(field); }
  void json_raw(std::uint8_t field, std::string_view bytes, bool last) {
    told += "r" + std::to_string(field) + "(" + std::string(bytes) + (last ? ")" : "..)");
  }
  Scratch& json_scratch() { return scratch; }
};

std::string told(std::string_view bytes, Doubled doubled = Doubled::last_counts) {
  TapPool pool;
  Recorder recorder{pool};
  JsonScanner scanner(doubled);
  scanner.begin(trie);
  scanner.feed(bytes, recorder);
  return recorder.told;
}

}  // namespace

TEST_CASE("what nobody wants is skipped, whatever it spells") {
  CHECK(told(R"({"x":{"model":"no","y":["model",{"model":"}"}]},"z":"\"model\":\"no\\","model":"yes"})") ==
        "t1(yes)");
}

TEST_CASE("an object's bytes are told as they stand there") {
  CHECK(told(R"({"usage": {"n" : 7, "o":{"p":"}"}} })") == R"(b2{s3(7)r2({"n" : 7, "o":{"p":"}"}}))");
  CHECK(told(R"({"usage":null})") == "b2n");
}

TEST_CASE("each element of an array is told of") {
  CHECK(told(R"({"choices":[{"text":"","index":0},{"index":1,"text":"a"},[],3]})") ==
        "b4{s6(0)e4b4{s6(1)f5e4b4[b43");
}

TEST_CASE("escapes are decoded, and broken ones become the replacement character") {
  CHECK(told(R"({"model":"\u00e4\u20AC\ud83c\udf32\n\/"})") == "t1(\u00e4\u20ac\U0001F332\n/)");
  CHECK(told(R"({"model":"\ud83cx\udf32\ud83c"})") == "t1(\uFFFDx\uFFFD\uFFFD)");
  CHECK(told(R"({"model":"\u12"})") == "t1(\uFFFD)");
  CHECK(told(R"({"\u006dodel":"a"})") == "t1(a)");
}

TEST_CASE("the first or the last of two members counts, as asked for") {
  CHECK(told(R"({"model":1,"model":"b"})", Doubled::first_counts) == "s1(1)");
  CHECK(told(R"({"model":"a"}{"model":"b"})", Doubled::first_counts) == "t1(a)t1(b)");
  CHECK(told(R"({"model":"a","model":"b"})") == "t1(a)t1(b)");
}

TEST_CASE("a handler can end a document") { CHECK(told(R"({"model":"stop","model":"b"})") == "t1(stop)"); }

TEST_CASE("depth costs nothing and ends nothing") {
  const std::size_t deep = 100'000;
  const std::string nest = std::string(deep, '[') + std::string(deep, ']');
  CHECK(told("{\"x\":" + nest + R"(,"model":"a"})") == "t1(a)");
  CHECK(told(std::string(50, '[').append(R"({"model":"a"})")) == "");
}

TEST_CASE("a long run of text is skipped whole") {
  const std::string text(1'000'003, 'A');
  CHECK(told("{\"x\":\"" + text + R"(","model":"a"})") == "t1(a)");
}

TEST_CASE("a wanted text is told only as far as it is of use") {
  const std::string text(5'000, 'A');
  CHECK(told(R"({"model":")" + text + "\"}") == "t1(" + std::string(JsonScanner::max_text, 'A') + ")");
  CHECK(told(R"({"model":"\n)" + text + "\"}") ==
        "t1(\n" + std::string(JsonScanner::max_text - 1, 'A') + ")");
}
