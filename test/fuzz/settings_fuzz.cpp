// A settings file of any bytes never crashes the reader, and what is accepted can be written out and
// read back without a change.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "conf/describe.hpp"
#include "conf/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = portico::conf::load_text(text, "fuzz");
  if (!loaded.ok()) return 0;
  auto settings = loaded.settings;
  settings.admin.token.clear();  // masked when written
  if (!settings.admin.listen.is_loopback()) return 0;
  const auto again = portico::conf::load_text(portico::conf::describe(settings), "described");
  if (!again.ok() || again.settings != settings) std::abort();
  return 0;
}
