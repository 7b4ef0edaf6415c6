// Any bytes as an error's text: what comes out is short, valid and printable, and a secret planted in the
// middle of it is gone, however the text around it is written.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "telemetry/failures/request_field.hpp"
#include "telemetry/failures/sanitise.hpp"
#include "telemetry/utf8.hpp"

namespace {

using namespace portico::telemetry;

constexpr std::string_view secret = "Zq7xW2vK9pLm4TnB8cRd";

void demand(bool holds) {
  if (!holds) std::abort();
}

void check(std::string_view text, std::size_t limit) {
  const std::string safe = sanitise(text, limit);
  demand(safe.size() <= limit && utf8(safe) == safe);
  for (const char c : safe) demand(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  demand(safe.find(secret) == std::string::npos);
  demand(fault_shape(safe).size() <= 3 * safe.size() + 3);
  demand(request_field_in(safe).size() <= safe.size());
  demand(sanitise_name(text).size() <= longest_safe_name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find(secret) != std::string_view::npos) return 0;
  check(text, size % 700);
  const std::string_view half = text.substr(0, size / 2);
  for (const std::string_view name :
       {"sk-", "Bearer ", "\"api_key\": \"", "password=", "Cookie: sid=", "https://u:"}) {
    const std::string_view behind = name.starts_with("https") ? "@h.example " : " ";
    check(std::string(half) + " " + std::string(name) + std::string(secret) + std::string(behind) +
              std::string(text.substr(half.size())),
          4096);
  }
  return 0;
}
