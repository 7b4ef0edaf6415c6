#pragma once
// Finds the fields `model` and `stream` in a multipart/form-data body (RFC 7578), between files of any size.
//
// owns:    the boundary and the beginning of a line that is cut
// threads: one worker
// bytes:   borrowed for the call; nothing but the two values is kept

#include <array>
#include <cstdint>
#include <string_view>

#include "telemetry/tap/texts.hpp"

namespace portico::telemetry {

/// The boundary that a Content-Type of multipart/form-data names; empty for any other type.
std::string_view form_boundary(std::string_view content_type) noexcept;

class FormReader {
 public:
  /// Writes model to `out`. A boundary is at most 70 bytes (RFC 2046); what is longer is never found.
  FormReader(std::string_view boundary, Texts& out) noexcept;

  void feed(std::string_view bytes) noexcept;
  /// The field `stream` is `true`.
  [[nodiscard]] bool stream() const noexcept { return stream_; }

 private:
  enum class State : std::uint8_t { content, head, value, done };
  enum class Field : std::uint8_t { other, model, stream };
  /// Enough for a delimiter, a field's name and a model.
  static constexpr std::size_t longest_line = 300;

  void take_line(std::string_view line) noexcept;
  [[nodiscard]] bool is_delimiter(std::string_view line) const noexcept;

  Texts& out_;
  State state_ = State::content;
  Field field_ = Field::other;
  bool stream_ = false;
  bool has_model_ = false;
  std::uint8_t boundary_size_ = 0;
  std::uint16_t held_ = 0;
  std::array<char, 70> boundary_{};
  std::array<char, longest_line> line_{};
};

}  // namespace portico::telemetry
