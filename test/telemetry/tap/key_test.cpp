#include "telemetry/tap/key.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico::telemetry;

namespace {

constexpr KeySecret counting{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

std::string_view presented(std::string_view target, std::string_view authorization = {}) {
  RequestFacts request;
  request.target = target;
  request.authorization = authorization;
  return presented_key(request);
}

}  // namespace

TEST_CASE("a fingerprint is SipHash-2-4 with 128 bits") {
  // The reference implementation's vectors: the secret counts up from 0, and so does the text.
  const std::vector<std::pair<std::string, KeyFingerprint>> vectors{
      {std::string("\x00", 1),
       {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
      {std::string("\x00\x01", 2),
       {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4}},
      {std::string("\x00\x01\x02\x03\x04\x05\x06\x07", 8),
       {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
  };
  KeyMarker marker(counting);
  for (const auto& [text, fingerprint] : vectors) {
    CHECK(marker.mark(text).fingerprint == fingerprint);
    // Nothing of the last key is left in the next one's hash.
    CHECK(marker.mark(text).fingerprint == fingerprint);
  }
}

TEST_CASE("one key has one fingerprint under one secret only") {
  KeyMarker one(counting);
  KeyMarker same(counting);
  KeyMarker other(KeySecret{1});
  CHECK(one.mark("sk-key").fingerprint == same.mark("sk-key").fingerprint);
  CHECK(one.mark("sk-key").fingerprint != one.mark("sk-kez").fingerprint);
  CHECK(one.mark("sk-key").fingerprint != other.mark("sk-key").fingerprint);
}

TEST_CASE("no key gives the empty mark") {
  KeyMarker marker(counting);
  CHECK(marker.mark("").fingerprint == KeyFingerprint{});
  CHECK(marker.mark("").mask_text().empty());
}

TEST_CASE("a mask shows four characters of each end, less of a short key and nothing of a very short one") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"x", "****"},
      {"sk-123456789012", "****"},
      {"sk-1234567890123", "sk...23"},
      {"sk-1234567890123456", "sk...56"},
      {"sk-1234567890123457", "sk...57"},
      {"sk-12345678901234567", "sk-1...4567"},
      {"sk-front-fixture-0001", "sk-f...0001"},
      {"sk-abcdefghijklmnopqrstuvwxy9f3c", "sk-a...9f3c"},
      {"sk-a23456789012345678901234567890123456789012345678901234567899f3c", "sk-a...9f3c"},
      {"sk\xff\n567890123456789012345678\"0\x01 ", "sk??...\"0??"},
  };
  KeyMarker marker(counting);
  for (const auto& [key, mask] : cases) CHECK(marker.mark(key).mask_text() == mask);
}

TEST_CASE("a marker goes on where it was moved to") {
  KeyMarker first(counting);
  const KeyMark mark = first.mark("sk-key");
  KeyMarker second(std::move(first));
  CHECK(second.mark("sk-key").fingerprint == mark.fingerprint);
}

TEST_CASE("the key is looked for where CPA looks, in its order") {
  RequestFacts request;
  request.target = "/v1/models?auth_token=last&key=fourth";
  request.authorization = "Bearer first";
  request.x_goog_api_key = "second";
  request.x_api_key = "third";
  CHECK(presented_key(request) == "first");
  request.authorization = "";
  CHECK(presented_key(request) == "second");
  request.x_goog_api_key = " ";
  CHECK(presented_key(request) == "third");
  request.x_api_key = "";
  CHECK(presented_key(request) == "fourth");
  request.target = "/v1/models?auth_token=last";
  CHECK(presented_key(request) == "last");
  request.target = "/v1/models";
  CHECK(presented_key(request).empty());
}

TEST_CASE("Bearer is known in any case, and without it the whole field is the key") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"Bearer sk-1", "sk-1"}, {"bearer  sk-1 ", "sk-1"},   {"BEARER sk-1", "sk-1"},
      {"sk-1", "sk-1"},        {"Basic abc", "Basic abc"},  {"Bearer", ""},
      {"Bearer ", ""},         {"Bearersk-1", "Bearersk-1"}};
  for (const auto& [field, key] : cases) CHECK(presented("/", field) == key);
}

TEST_CASE("a key in the query is found by its exact name") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"/p?key=a", "a"},       {"/p?alt=sse&key=a%2Bb&x=1", "a%2Bb"},
      {"/p?monkey=a", ""},     {"/p?key", ""},
      {"/p?key=&key=b", "b"},  {"/p?x=key=a", ""},
      {"/key=a", ""},          {"/p?&&key=a", "a"},
      {"/p?key=a#key=b", "a"}, {"/p?Key=a", ""}};
  for (const auto& [target, key] : cases) {
    CAPTURE(target);
    CHECK(presented(target) == key);
  }
}
