#include "routing/readers.hpp"

#include <algorithm>

namespace portico::routing {
namespace {

// Works in place: a decoded path is never longer than the encoded one.
void decode_in_place(std::string& text, bool keep_slashes) {
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char byte = text[i];
    if (byte == '%' && i + 2 < text.size()) {
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      const bool escape = high >= 0 && low >= 0;
      const auto value = static_cast<char>(high * 16 + low);
      if (escape && (value != '/' || !keep_slashes)) {
        byte = value;
        i += 2;
      }
    }
    text[written++] = byte;
  }
  text.resize(written);
}

void remove_last_segment(std::string& out) {
  const std::size_t slash = out.rfind('/');
  out.resize(slash == std::string::npos ? 0 : slash);
}

void remove_dots(std::string_view path, bool merge, std::string& out) {
  out.clear();
  out.reserve(path.size());
  for (std::size_t slash = 0; slash < path.size();) {
    const std::size_t end = std::min(path.find('/', slash + 1), path.size());
    const std::string_view segment = path.substr(slash + 1, end - slash - 1);
    const bool last = end == path.size();
    if (segment == "..") remove_last_segment(out);
    const bool vanishes = segment == "." || segment == ".." || (merge && segment.empty());
    if (!vanishes) {
      out.push_back('/');
      out.append(segment);
    } else if (last) {
      out.push_back('/');
    }
    slash = end;
  }
}

void merge_slashes(std::string& text) {
  const auto both_slashes = [](char a, char b) { return a == '/' && b == '/'; };
  text.erase(std::unique(text.begin(), text.end(), both_slashes), text.end());
}

}  // namespace

std::string_view describe(Reader reader) noexcept {
  static constexpr std::string_view kWords[4][3] = {
      {"taken as received", "not decoded, cleaned",
       "not decoded, dot segments removed before `//` is merged"},
      {"decoded, not cleaned", "decoded and cleaned", "decoded, dot segments removed before `//` is merged"},
      {"decoded twice, not cleaned", "decoded twice and cleaned",
       "decoded twice, dot segments removed before `//` is merged"},
      {"decoded but for `%2F`, not cleaned", "decoded but for `%2F`, and cleaned",
       "decoded but for `%2F`, dot segments removed before `//` is merged"}};
  return kWords[static_cast<std::size_t>(reader.decoding)][static_cast<std::size_t>(reader.cleaning)];
}

void decode(std::string_view path, Decoding decoding, std::string& out) {
  out.assign(path);
  if (decoding == Decoding::none) return;
  decode_in_place(out, decoding == Decoding::keep_slashes);
  if (decoding == Decoding::twice) decode_in_place(out, false);
}

void clean(std::string_view path, Cleaning cleaning, std::string& out) {
  switch (cleaning) {
    case Cleaning::none:
      out.assign(path);
      break;
    case Cleaning::merge_then_dots:
      remove_dots(path, true, out);
      break;
    case Cleaning::dots_then_merge:
      remove_dots(path, false, out);
      merge_slashes(out);
      break;
  }
}

}  // namespace portico::routing
