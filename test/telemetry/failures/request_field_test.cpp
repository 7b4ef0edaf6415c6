#include "telemetry/failures/request_field.hpp"

#include <catch2/catch.hpp>

namespace portico::telemetry {
namespace {

struct Example {
  std::string_view message;
  std::string_view field;
};

TEST_CASE("an error's words name the request's field") {
  const Example example = GENERATE(values<Example>({
      {"Unsupported value: 'temperature' does not support 0.2 with this model.", "temperature"},
      {"Invalid type for 'messages[3].content': expected a string", "messages[3].content"},
      {"Unknown parameter: 'foo_bar'.", "foo_bar"},
      {"Missing required parameter: 'model'.", "model"},
      {"messages.0.content.1: text content blocks must be non-empty", "messages.0.content.1"},
      {"max_tokens: must be at least 1", "max_tokens"},
      {"Invalid value at 'generation_config.temperature' (type)", "generation_config.temperature"},
      {"Unknown name \"foo\" at 'contents[0]': Cannot find field.", "foo"},
      {"Invalid value: 'low'. Supported values are: 'medium' and 'high'.", ""},
      {"The value 'hello' is not allowed", ""},
      {"error: it failed", ""},
      {"parameter 'not a name' is odd", ""},
      {"unclosed 'temperature", ""},
      {"", ""},
  }));
  CAPTURE(example.message);
  CHECK(request_field_in(example.message) == example.field);
}

}  // namespace
}  // namespace portico::telemetry
