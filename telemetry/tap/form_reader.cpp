#include "telemetry/tap/form_reader.hpp"

#include <algorithm>

#include "telemetry/tap/bytes.hpp"

namespace portico::telemetry {
namespace {

constexpr char lower(char byte) noexcept {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

/// Where `lower_word` begins in `text`, case left aside; npos if nowhere.
std::size_t find_folded(std::string_view text, std::string_view lower_word) noexcept {
  const auto found = std::search(text.begin(), text.end(), lower_word.begin(), lower_word.end(),
                                 [](char a, char b) { return lower(a) == b; });
  return found == text.end() ? std::string_view::npos : static_cast<std::size_t>(found - text.begin());
}

/// What stands behind a parameter's equals sign, its quotes taken off.
std::string_view parameter_value(std::string_view text) noexcept {
  if (text.starts_with('"')) return text.substr(1, text.find('"', 1) - 1);
  return text.substr(0, text.find_first_of("; \t"));
}

/// The value of the parameter `name`, not of `filename`; blanks in front of it may be missing.
std::string_view name_parameter(std::string_view line) noexcept {
  constexpr std::string_view parameter = "name=";
  std::size_t at = find_folded(line, parameter);
  while (at != std::string_view::npos) {
    const char before = at == 0 ? ';' : line[at - 1];
    line.remove_prefix(at + parameter.size());
    if (before == ';' || before == ' ' || before == '\t') return parameter_value(line);
    at = find_folded(line, parameter);
  }
  return {};
}

}  // namespace

std::string_view form_boundary(std::string_view content_type) noexcept {
  constexpr std::string_view parameter = "boundary=";
  if (find_folded(content_type.substr(0, 19), "multipart/form-data") != 0) return {};
  const std::size_t at = find_folded(content_type, parameter);
  if (at == std::string_view::npos) return {};
  return parameter_value(content_type.substr(at + parameter.size()));
}

FormReader::FormReader(std::string_view boundary, Texts& out) noexcept : out_(out) {
  if (boundary.empty() || boundary.size() > boundary_.size()) {
    state_ = State::done;
    return;
  }
  std::copy(boundary.begin(), boundary.end(), boundary_.begin());
  boundary_size_ = static_cast<std::uint8_t>(boundary.size());
}

void FormReader::feed(std::string_view bytes) noexcept {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (at != end && state_ != State::done) {
    const char* stop = find_byte(at, end, '\n');
    const auto size = static_cast<std::size_t>(stop - at);
    if (held_ == 0 && stop != end) {
      take_line({at, std::min(size, longest_line)});
    } else {
      const std::size_t fits = std::min(size, longest_line - held_);
      std::copy_n(at, fits, line_.data() + held_);
      held_ = static_cast<std::uint16_t>(held_ + fits);
      if (stop == end) return;
      take_line({line_.data(), held_});
      held_ = 0;
    }
    at = stop + 1;
  }
}

bool FormReader::is_delimiter(std::string_view line) const noexcept {
  return line.starts_with("--") && line.substr(2).starts_with({boundary_.data(), boundary_size_});
}

/// A line without its LF.
void FormReader::take_line(std::string_view line) noexcept {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (is_delimiter(line)) {
    state_ = line.substr(2U + boundary_size_).starts_with("--") ? State::done : State::head;
    field_ = Field::other;
    return;
  }
  if (state_ == State::head) {
    if (line.empty()) {
      state_ = State::value;
      return;
    }
    if (find_folded(line, "content-disposition:") != 0) return;
    const std::string_view name = name_parameter(line);
    field_ = name == "model" ? Field::model : name == "stream" ? Field::stream : Field::other;
    return;
  }
  if (state_ != State::value) return;
  if (field_ == Field::model && !has_model_ && !line.empty()) {
    out_.set(Text::model, line);
    has_model_ = true;
  }
  if (field_ == Field::stream) stream_ = line == "true";
  state_ = State::content;
}

}  // namespace portico::telemetry
