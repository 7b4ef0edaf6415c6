#include "telemetry/json_writer.hpp"

#include <cstdint>
#include <string>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace portico::telemetry;

TEST_CASE("commas stand between members and elements, and nowhere else") {
  std::string text;
  JsonWriter out(text);
  out.open_object()
      .key("a")
      .number(1)
      .key("b")
      .open_array()
      .number(2)
      .text("x")
      .null()
      .open_object()
      .close_object();
  out.close_array().key("c").open_array().close_array().key("d").number(std::optional<double>(0.25));
  out.key("e").number(std::optional<double>()).key("f").text_or_null("").key("g").raw("[1]").close_object();
  CHECK(text == R"({"a":1,"b":[2,"x",null,{}],"c":[],"d":0.25,"e":null,"f":null,"g":[1]})");
}

TEST_CASE("numbers of every size are exact") {
  std::string text;
  JsonWriter(text).open_array().number(UINT64_MAX).number(INT64_MIN).number(std::uint16_t{0}).close_array();
  CHECK(text == "[18446744073709551615,-9223372036854775808,0]");
}

TEST_CASE("any bytes become a string that reads back as well-formed UTF-8") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  std::string text;
  JsonWriter(text).text(bytes);
  const auto back = boost::json::parse(text).as_string();
  CHECK(back.size() == 256);
  CHECK(std::string_view(back).substr(0, 128) == std::string_view(bytes).substr(0, 128));
  CHECK(std::string_view(back).substr(128) == std::string(128, '?'));
  CHECK(text.find('\x7f') == std::string::npos);
}
