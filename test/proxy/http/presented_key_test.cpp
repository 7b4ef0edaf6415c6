#include "proxy/http/presented_key.hpp"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using namespace portico::proxy;

namespace {

bool presents(std::string_view target, std::string_view lines = {}) {
  const std::string head =
      "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
  h1::HeadFields fields(100);
  h1::RequestHead request;
  REQUIRE(h1::parse_request(head, {}, fields, request) == h1::HeadError::none);
  return http::presents_key(request);
}

}  // namespace

TEST_CASE("a key is presented in each place where a backend looks for one") {
  CHECK(presents("/", "Authorization: Bearer x\r\n"));
  CHECK(presents("/", "X-Api-Key: x\r\n"));
  CHECK(presents("/", "x-goog-api-key: x\r\n"));
  CHECK(presents("/", "X-Management-Key: x\r\n"));
  CHECK(presents("/", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.x\r\n"));
  CHECK(presents("/v1beta/models?key=x"));
  CHECK(presents("/v1beta/models?alt=sse&auth_token=x"));
  CHECK(presents("/v1beta/models?alt=sse&k%65y=x"));
}

TEST_CASE("a request without a key presents none") {
  CHECK_FALSE(presents("/v0/management/usage"));
  CHECK_FALSE(presents("/v1/models?", "Cookie: a=b\r\nX-Key: c\r\n"));
  CHECK_FALSE(presents("/v1beta/models?alt=sse&keys=1&monkey=2"));
}
