// What the scanner tells of a document does not depend on where its bytes are cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "telemetry/tap/json_scanner.hpp"

using namespace portico::telemetry;

namespace {

constexpr JsonTrie trie = make_trie(std::array<JsonPath, 9>{{
    {"", 1, want_end},
    {"a", 2, want_text | want_scalar},
    {"b", 3, want_start | want_raw},
    {"b.c", 4, want_text | want_scalar},
    {"b.d.e", 5, want_filled},
    {"f[]", 6, want_start | want_end},
    {"f[].a", 7, want_text},
    {"f[].g[].h", 8, want_scalar},
    {"a_name_of_thirty_one_characters", 9, want_text | want_start},
}});

/// Writes down what it is told.
struct Recorder {
  TapPool& pool;
  Scratch scratch{pool};
  std::string told{};
  std::string raw{};

  void note(char what, std::uint8_t field, std::string_view text) {
    told += what;
    told += static_cast<char>('0' + field);
    told += text;
    told += '\n';
  }
  bool json_text(std::uint8_t field, std::string_view text) {
    note('t', field, text);
    return text != "stop";
  }
  void json_scalar(std::uint8_t field, std::string_view token) { note('s', field, token); }
  void json_filled(std::uint8_t field) { note('f', field, {}); }
  void json_start(std::uint8_t field, char first) { note('b', field, {&first, 1}); }
  void json_end(std::uint8_t field) { note('e', field, {}); }
  void json_raw(std::uint8_t field, std::string_view bytes, bool last) {
    raw += bytes;
    if (!last) return;
    note('r', field, raw);
    raw.clear();
  }
  Scratch& json_scratch() { return scratch; }
};

std::string read(TapPool& pool, std::string_view bytes, std::size_t step, Doubled doubled) {
  Recorder recorder{pool};
  JsonScanner scanner(doubled);
  scanner.begin(trie);
  while (!bytes.empty()) {
    // A copy of its own, so that reading beyond a piece is found.
    const std::string piece(bytes.substr(0, step));
    scanner.feed(piece, recorder);
    bytes.remove_prefix(piece.size());
  }
  recorder.note('i', scanner.inside() ? 1 : 0, {});
  return recorder.told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  TapPool pool;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Doubled doubled = (data[0] & 1) != 0 ? Doubled::first_counts : Doubled::last_counts;
  const std::string whole = read(pool, bytes, size, doubled);
  if (read(pool, bytes, 1, doubled) != whole) __builtin_trap();
  if (read(pool, bytes, data[0] / 2U + 1U, doubled) != whole) __builtin_trap();
  return 0;
}
