#include "conf/json_reader.hpp"

#include <catch2/catch.hpp>

using namespace portico::conf;

namespace {

JsonValue parsed(std::string_view text) {
  auto document = read_json(text, "t");
  REQUIRE(document.problems.empty());
  REQUIRE(document.root);
  return std::move(*document.root);
}

Problem only_problem(std::string_view text) {
  const auto document = read_json(text, "t");
  CHECK_FALSE(document.root);
  REQUIRE(document.problems.size() == 1);
  return document.problems.front();
}

void check_fails_at(std::string_view text, unsigned line, unsigned column) {
  CAPTURE(text);
  const Problem problem = only_problem(text);
  CAPTURE(problem.text());
  CHECK(problem.source == "t");
  CHECK(problem.line == line);
  CHECK(problem.column == column);
}

}  // namespace

TEST_CASE("every value and key knows its line and column") {
  const auto root = parsed("{\n  \"a\": 12,\n  \"b\": [true, \"x y\" ,\n   {\"c\": null}], \"d\": -1.5}");
  CHECK(root.at == Position{1, 1});
  const JsonObject& object = *root.object();
  REQUIRE(object.size() == 3);
  CHECK(object[0].at == Position{2, 3});
  CHECK(object[0].value.at == Position{2, 8});
  CHECK(object[0].value.unsigned_integer() == 12U);
  const JsonArray& array = *object[1].value.array();
  CHECK(object[1].value.at == Position{3, 8});
  CHECK(array[0].at == Position{3, 9});
  CHECK(array[1].at == Position{3, 15});
  CHECK(*array[1].string() == "x y");
  CHECK(array[2].at == Position{4, 4});
  CHECK(array[2].object()->front().at == Position{4, 5});
  CHECK(array[2].object()->front().value.at == Position{4, 10});
  CHECK(object[2].at == Position{4, 18});
  CHECK(object[2].value.at == Position{4, 23});
  CHECK(std::get<double>(object[2].value.data) == -1.5);
}

TEST_CASE("comments and trailing commas change neither values nor positions") {
  const auto root =
      parsed("// first\n/** two\n stars **/ {/*x*/\"a\"/* y */:/**/1/*z*/,//\n\"b\":\"//no/*\", }// end");
  const JsonObject& object = *root.object();
  REQUIRE(object.size() == 2);
  CHECK(root.at == Position{3, 12});
  CHECK(object[0].at == Position{3, 18});
  CHECK(object[0].value.at == Position{3, 33});
  CHECK(object[1].at == Position{4, 1});
  CHECK(*object[1].value.string() == "//no/*");
}

TEST_CASE("an escaped quote does not end a string for the comment filter") {
  CHECK(*parsed(R"(["\\","\"//",1])").array()->at(1).string() == "\"//");
}

TEST_CASE("a number at the very end is read") { CHECK(parsed("42").unsigned_integer() == 42U); }

TEST_CASE("integers keep their sign and range") {
  CHECK_FALSE(parsed("-1").unsigned_integer());
  CHECK(parsed("18446744073709551615").unsigned_integer() == 18446744073709551615ULL);
  CHECK_FALSE(parsed("1e3").unsigned_integer());
  CHECK_FALSE(parsed("\"1\"").unsigned_integer());
}

TEST_CASE("a syntax error is one problem with line and column") {
  check_fails_at("{\n \"a\" 1}", 2, 6);
  check_fails_at("{\"a\": tru}", 1, 10);
  check_fails_at("[1 2]", 1, 4);
  check_fails_at("[,]", 1, 2);
  check_fails_at("{\"a\": 1} x", 1, 10);
  check_fails_at("{\"a\": 1}\n{", 2, 1);
  check_fails_at("[1, / 2]", 1, 5);
  check_fails_at("['a']", 1, 2);
  check_fails_at("[\"a\nb\"]", 1, 4);
  check_fails_at("[\"\xff\"]", 1, 3);
}

TEST_CASE("a text that ends too early says so at its end") {
  check_fails_at("", 1, 1);
  check_fails_at("{\"a\": [1,\n", 2, 1);
  check_fails_at("[\"abc", 1, 6);
  check_fails_at("-", 1, 2);
}

TEST_CASE("a comment that does not end is reported where it began") {
  check_fails_at("{}\n /* x", 2, 2);
  check_fails_at("{} /", 1, 4);
}

TEST_CASE("a key that stands twice is a problem, and the first one counts") {
  const auto document = read_json("{\"a\": 1,\n \"a\": {\"b\": 2, \"b\": 3}}", "t");
  REQUIRE(document.problems.size() == 2);
  CHECK(document.problems[0].text() == "t:2:2: the key \"a\" stands twice in this object");
  CHECK(document.problems[1].line == 2);
  CHECK(document.problems[1].column == 16);
  REQUIRE(document.root);
  REQUIRE(document.root->object()->size() == 1);
  CHECK(document.root->object()->front().value.unsigned_integer() == 1U);
}

TEST_CASE("the same key may stand in two objects") {
  CHECK(parsed(R"([{"a":1},{"a":2}])").array()->size() == 2);
}

TEST_CASE("nesting deeper than 32 and texts longer than 1 MiB are refused") {
  const std::string fine = std::string(32, '[') + std::string(32, ']');
  CHECK(read_json(fine, "t").root);
  CHECK(only_problem(std::string(33, '[') + std::string(33, ']')).text() ==
        "t:1:33: nested more than 32 deep");
  CHECK(read_json("1" + std::string(max_json_size - 1, ' '), "t").root);
  CHECK(only_problem("1" + std::string(max_json_size, ' ')).message.find("longer than 1024 KiB") == 0);
}

TEST_CASE("a quoted text is JSON again") {
  const std::string text = "a\"\\\n\x01\x7f\xc3\xa4";
  CHECK(quote_json(text) == "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa4\"");
  CHECK(*parsed(quote_json(text)).string() == text);
}
