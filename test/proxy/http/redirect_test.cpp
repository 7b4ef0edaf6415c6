#include "proxy/http/redirect.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "heads.hpp"

using namespace portico::proxy;
using namespace portico::proxy::http;
using test::Request;
using test::Seen;

TEST_CASE("a target in origin-form is sent on as received") {
  for (const std::string target : {"/", "/v1/models", "/a/../b//c", "/x?q=1&r=/../", "/%2e%2E/%zz",
                                   "//other.example/x", "/caf\xc3\xa9", "/http://a/b", "/x\\y", "/?"}) {
    CAPTURE(target);
    CHECK(origin_form(target) == target);
  }
}

TEST_CASE("a target in absolute-form is sent on as its path and query") {
  CHECK(origin_form("http://a.example/x/y?z") == "/x/y?z");
  CHECK(origin_form("HTTP://a.example:80/x") == "/x");
  CHECK(origin_form("http://[::1]:80/x") == "/x");
  CHECK(origin_form("http://a.example") == "/");
  CHECK(origin_form("http://a.example?q") == "/?q");
}

TEST_CASE("any other target, and one with a byte that could break the head, is sent on as /") {
  for (const std::string target : {"", "*", "a.example:443", "x/y", "/x\r\nSet-Cookie: a=b", "/x\n", "/a b",
                                   "/x\x7f", "/x\ty", "/x#y", "http://a.example/x#y", "http://a/x\r\n"}) {
    CAPTURE(target);
    CHECK(origin_form(target) == "/");
  }
  CHECK(origin_form(std::string("/a\0b", 4)) == "/");
}

TEST_CASE(
    "the host of a redirect is the request's, its port cut off and the one of TLS added unless it is 443") {
  CHECK(https_location("a.example", "/x", 443) == "https://a.example/x");
  CHECK(https_location("a.example:80", "/x", 443) == "https://a.example/x");
  CHECK(https_location("a.example:", "/x", 443) == "https://a.example/x");
  CHECK(https_location("a.example:8080", "/x?y", 8443) == "https://a.example:8443/x?y");
  CHECK(https_location("10.0.0.1:80", "/", 443) == "https://10.0.0.1/");
  CHECK(https_location("[2001:db8::1]", "/", 443) == "https://[2001:db8::1]/");
  CHECK(https_location("[2001:db8::1]:80", "/", 8443) == "https://[2001:db8::1]:8443/");
  CHECK(https_location("A.Example", "*", 443) == "https://A.Example/");
}

TEST_CASE("there is no redirect to what is no valid host") {
  for (const std::string host : {"", ":80", "a.example/x", "user@a.example", "a b", "a\r\nb",
                                 "a.example:99999", "[::1", "a.example:80:80", "a,b", "\"a\""}) {
    CAPTURE(host);
    CHECK_FALSE(https_location(host, "/", 443));
  }
}

TEST_CASE("a request is redirected by 308, so that its method stays") {
  const Request request("POST /v1/messages?beta=true HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
  AnswerFacts facts;
  facts.request_id = "id-1";
  facts.close = true;
  const Seen seen(answer_redirect(request.head, 443, facts));
  CHECK(seen.start == "HTTP/1.1 308 Permanent Redirect");
  CHECK(seen.one("location") == "https://a.example/v1/messages?beta=true");
  CHECK(seen.one("x-request-id") == "id-1");
  CHECK(seen.one("connection") == "close");
  CHECK(seen.one("content-length") == std::to_string(seen.body.size()));
  facts.head_request = true;
  CHECK(Seen(answer_redirect(request.head, 443, facts)).body.empty());
}

TEST_CASE("a request that names no host is answered 400 and not redirected") {
  const Request request("GET /x HTTP/1.0\r\n\r\n");
  REQUIRE(request.error == h1::HeadError::none);
  const Seen seen(answer_redirect(request.head, 443, {}));
  CHECK(seen.start == "HTTP/1.1 400 Bad Request");
  CHECK_FALSE(seen.has("location"));
  CHECK(seen.body.find("add the header Host") != std::string::npos);
}
