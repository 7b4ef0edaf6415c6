// A query gives well-formed UTF-8 and no parameter twice, or an error; the pages answer whatever is asked.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/management_pages.hpp"
#include "telemetry/query.hpp"
#include "telemetry/utf8.hpp"

using namespace portico::telemetry;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

Stores& stores() {
  static Stores kept{portico::conf::TelemetrySettings{}};
  kept.failures = [](const Window&, std::chrono::system_clock::time_point) { return std::string("{}"); };
  return kept;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr std::array<std::string_view, 3> known{"window", "model", "limit"};
  const std::string target(reinterpret_cast<const char*>(data), size);
  const Query query(target, known);
  for (const std::string_view name : known) {
    const auto value = query.value(name);
    if (value) check(!value->empty() && utf8(*value) == *value);
  }
  HttpRequest request;
  request.target = target;
  for (const auto page : {usage_page, failures_page, requests_page, events_page}) {
    const HttpReply reply = page(stores(), request);
    check(reply.status == 200 || reply.status == 400);
    check(!reply.body.empty());
  }
  return 0;
}
