#include "routing/path.hpp"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using namespace portico::routing;
using namespace std::string_view_literals;

TEST_CASE("a target without anything unusual is its own reading, without a copy", "[path]") {
  const std::string target = GENERATE(
      values<std::string>({"/", "/v1/chat/completions", "/v1/", "/v0/management",
                           "/v1beta/models/gemini-2.5-pro:streamGenerateContent", "/a;b/c=d,e+f",
                           "/~x/@y/$&'()*!", "/a.b/c..d", "/.well-known/acme-challenge/x", "/v1/\xc3\xa4"}));
  const std::string query = GENERATE(values<std::string>({"", "?", "?alt=sse", "?a=b?c=//../%zz\\"}));
  const std::string whole = target + query;
  PathScratch scratch;
  const ReadTarget read = read_target(whole, scratch);
  CHECK(read.refusal == Refusal::none);
  CHECK(read.unanimous);
  CHECK(read.path.view() == target);
  CHECK(read.as_received == target);
  CHECK(read.path.view().data() == whole.data());
}

TEST_CASE("the reading is decoded once, merged and rid of dot segments", "[path]") {
  struct Row {
    std::string_view target, reading;
  };
  const Row row = GENERATE(
      Row{"/v1//chat/completions?x=1", "/v1/chat/completions"}, Row{"/v1/./models", "/v1/models"},
      Row{"/v1/..", "/"}, Row{"/v1/../", "/"}, Row{"/../v1/x", "/v1/x"}, Row{"/a/b/../c/", "/a/c/"},
      Row{"/v1beta/models/vendor%2Fmodel:generateContent", "/v1beta/models/vendor/model:generateContent"},
      Row{"/a%20b", "/a b"}, Row{"/%C3%A4", "/\xc3\xa4"}, Row{"/v1/%2e%2E/x", "/x"}, Row{"/a%2f%2fb", "/a/b"},
      Row{"/%252e%252e/x", "/%2e%2e/x"}, Row{"/100%25", "/100%"}, Row{"/a%3Fb%23c?d", "/a?b#c"});
  PathScratch scratch;
  const ReadTarget read = read_target(row.target, scratch);
  CAPTURE(row.target);
  CHECK(read.refusal == Refusal::none);
  CHECK_FALSE(read.unanimous);
  CHECK(read.path.view() == row.reading);
  CHECK(read.as_received == row.target.substr(0, row.target.find('?')));
}

TEST_CASE("an escape keeps readers apart even where the reading looks like the path as received", "[path]") {
  PathScratch scratch;
  const ReadTarget read = read_target("/a%25/../%252e%252e/..", scratch);
  CHECK(read.path.view() == "/");
  CHECK_FALSE(read.unanimous);
}

TEST_CASE("an absolute-form target is reduced to its path", "[path]") {
  struct Row {
    std::string_view target, reading;
  };
  const Row row = GENERATE(
      Row{"http://h/v1/models?x=1", "/v1/models"}, Row{"https://h.example:8443/v1/models", "/v1/models"},
      Row{"HTTP://h/x", "/x"}, Row{"http://h", "/"}, Row{"http://h?x=/v1/", "/"}, Row{"http://h/", "/"},
      Row{"http://[::1]:80/x", "/x"}, Row{"http://[::ffff:1.2.3.4]/x", "/x"}, Row{"http://h:/x", "/x"},
      Row{"http://h//a/../b", "/b"}, Row{"http://h/a%20b", "/a b"});
  PathScratch scratch;
  CAPTURE(row.target);
  const ReadTarget read = read_target(row.target, scratch);
  CHECK(read.refusal == Refusal::none);
  CHECK(read.path.view() == row.reading);
}

TEST_CASE("a target in no known form is refused", "[path]") {
  const std::string target = GENERATE(values<std::string>({"v1/models",
                                                           "*x",
                                                           "**",
                                                           "?",
                                                           "http:/v1/models",
                                                           "http:v1",
                                                           "http:///v1",
                                                           "http://",
                                                           "http://?x",
                                                           "http://:80/x",
                                                           "http://u@h/x",
                                                           "http://u:p@h/x",
                                                           "http://h%2f/x",
                                                           "http://[::1/x",
                                                           "http://[]/x",
                                                           "http://[g]/x",
                                                           "http://[::1]x/x",
                                                           "http://h:8o/x",
                                                           "http://h:123456/x",
                                                           "http://a:1:2/x",
                                                           "ftp://h/x",
                                                           "ws://h/x",
                                                           "h:443",
                                                           "front.example:443",
                                                           "/a b",
                                                           "/a?b c",
                                                           " /",
                                                           "http://h /x",
                                                           "http//h/x",
                                                           "https//"}));
  CAPTURE(target);
  PathScratch scratch;
  const ReadTarget read = read_target(target, scratch);
  CHECK(read.refusal == Refusal::bad_form);
  CHECK(read.path.view().empty());
}

TEST_CASE("an asterisk alone is no path and no refusal", "[path]") {
  PathScratch scratch;
  const ReadTarget read = read_target("*", scratch);
  CHECK(read.is_asterisk);
  CHECK(read.refusal == Refusal::none);
  CHECK(read.path.view().empty());
}

TEST_CASE("no target at all is refused", "[path]") {
  PathScratch scratch;
  CHECK(read_target("", scratch).refusal == Refusal::empty);
}

TEST_CASE("a control byte is refused, plain or escaped in the path, and plain in the query", "[path]") {
  const std::string_view target = GENERATE(
      "/a\0b"sv, "/\0"sv, "/v1/\x01"sv, "/v1/\x1f"sv, "/v1/\x7f"sv, "/v1\t"sv, "/v1\r\n"sv, "/v1/%00"sv,
      "/v1/%0d%0aX"sv, "/v1/%1F"sv, "/v1/%7f"sv, "/v0/management%00"sv, "/v1?a\0b"sv, "/v1?\x7f"sv,
      "/v1?a=\n"sv, "http://h\x01/x"sv, "http://h/\x01"sv, "http://h/?\x01"sv, "\0"sv, "*\0"sv);
  CAPTURE(target);
  PathScratch scratch;
  CHECK(read_target(target, scratch).refusal == Refusal::control_byte);
}

TEST_CASE("every control byte is refused and every other byte has its own rule", "[path]") {
  PathScratch scratch;
  for (int value = 0; value < 256; ++value) {
    const auto byte = static_cast<char>(value);
    const std::string path = std::string("/a") + byte + "b";
    const std::string query = std::string("/a?x") + byte + "b";
    const bool control = value < 0x20 || value == 0x7f;
    Refusal in_path = control ? Refusal::control_byte : Refusal::none;
    Refusal in_query = in_path;
    if (byte == '#') in_path = in_query = Refusal::raw_fragment;
    if (byte == ' ') in_path = in_query = Refusal::bad_form;
    if (byte == '\\') in_path = Refusal::backslash;
    if (byte == '%') in_path = Refusal::bad_escape;
    CAPTURE(value);
    CHECK(read_target(path, scratch).refusal == in_path);
    CHECK(read_target(query, scratch).refusal == in_query);
  }
}

TEST_CASE("every escaped byte but controls and the backslash passes", "[path]") {
  PathScratch scratch;
  static constexpr std::string_view kDigits = "0123456789abcdef";
  for (unsigned value = 0; value < 256; ++value) {
    const std::string target = std::string("/x%") + kDigits[value / 16] + kDigits[value % 16] + "y";
    Refusal expected = Refusal::none;
    if (value < 0x20 || value == 0x7f) expected = Refusal::control_byte;
    if (value == '\\') expected = Refusal::backslash;
    CAPTURE(target);
    const ReadTarget read = read_target(target, scratch);
    CHECK(read.refusal == expected);
    if (expected == Refusal::none)
      CHECK(read.path.view() == std::string("/x") + static_cast<char>(value) + "y");
  }
}

TEST_CASE("a backslash is refused, plain or escaped, in the path and in the authority", "[path]") {
  const std::string target = GENERATE(
      values<std::string>({"/v1/\\x", "/v1/%5cx", "/v1/%5C", "\\v1", "http://h\\x/y", "http://h/\\"}));
  CAPTURE(target);
  PathScratch scratch;
  CHECK(read_target(target, scratch).refusal == Refusal::backslash);
}

TEST_CASE("an escape without two hexadecimal digits is refused in the path and passes in the query",
          "[path]") {
  const std::string tail = GENERATE(values<std::string>({"%", "%4", "%zz", "%4g", "%g4", "%%41", "%2%66"}));
  CAPTURE(tail);
  PathScratch scratch;
  CHECK(read_target("/v1/" + tail, scratch).refusal == Refusal::bad_escape);
  CHECK(read_target("/v1/" + tail + "?x", scratch).refusal == Refusal::bad_escape);
  CHECK(read_target("/v1/?" + tail, scratch).refusal == Refusal::none);
}

TEST_CASE("an escape is not completed by the query", "[path]") {
  PathScratch scratch;
  CHECK(read_target("/v1/%4?1", scratch).refusal == Refusal::bad_escape);
}

TEST_CASE("a plain # is refused wherever it stands, and an escaped one passes", "[path]") {
  PathScratch scratch;
  CHECK(read_target("/v1/x#y", scratch).refusal == Refusal::raw_fragment);
  CHECK(read_target("/v1/x?y#z", scratch).refusal == Refusal::raw_fragment);
  CHECK(read_target("#", scratch).refusal == Refusal::raw_fragment);
  CHECK(read_target("http://h#x", scratch).refusal == Refusal::raw_fragment);
  CHECK(read_target("/v1/x%23y", scratch).refusal == Refusal::none);
}

TEST_CASE("a refused target still tells the beginning of its path, so that the error can be shaped",
          "[path]") {
  PathScratch scratch;
  CHECK(read_target("/v1/%zz?q", scratch).as_received == "/v1/%zz");
  CHECK(read_target("/v1/a\\b", scratch).as_received == "/v1/a\\b");
  CHECK(read_target("http://h/v1/%zz", scratch).as_received == "/v1/%zz");
}

TEST_CASE("each refusal has a sentence of its own", "[path]") {
  CHECK(describe(Refusal::none).empty());
  std::string_view previous;
  for (int i = 1; i <= static_cast<int>(Refusal::ambiguous_path); ++i) {
    const std::string_view sentence = describe(static_cast<Refusal>(i));
    CHECK(sentence.size() > 20);
    CHECK(sentence.back() == '.');
    CHECK(sentence != previous);
    previous = sentence;
  }
}
