#pragma once
// How a request target is read (RFC 9112 section 3.2): which bytes are its path, which targets are no target
// at all, and the one reading of the path by which Portico routes.
//
// owns:    a ReadTarget borrows from the target and the scratch
// threads: read_target() is pure; a PathScratch belongs to one thread
// bytes:   a target that is already clean is its own reading; else the reading is written into the scratch

#include <cstdint>
#include <string>
#include <string_view>

namespace portico::routing {

/// Why a target has no owner. Each is answered with 400.
enum class Refusal : std::uint8_t {
  none,
  empty,           ///< no target at all
  bad_form,        ///< neither origin-form, absolute-form (http, https) nor `*`; or it holds a space
  control_byte,    ///< a byte below 0x20, 0x7f or, after decoding, NUL or a control byte
  backslash,       ///< raw or escaped in the path; some readers take it for a slash
  bad_escape,      ///< `%` without two hexadecimal digits in the path
  raw_fragment,    ///< `#` is never sent in a target (RFC 9112 section 3.2)
  ambiguous_path,  ///< two readers could disagree about the owner, or it reaches CPA's guarded paths
};

/// One sentence for the client that says what is wrong; empty for Refusal::none.
std::string_view describe(Refusal refusal) noexcept;

/// Room for readings that differ from the target as received. Grows to the longest target seen, which the
/// request head's limit bounds.
class PathScratch {
 public:
  std::string reading;  ///< what Decision::path may point into
  std::string other;    ///< another reader's decoding
  std::string cleaned;  ///< the same, cleaned
};

/// A path that was decoded once, whose `//` were merged and whose dot segments were removed. Begins with `/`
/// unless it is empty, which means that there is no reading. Only read_target() makes one.
class NormalizedPath {
 public:
  NormalizedPath() = default;
  [[nodiscard]] std::string_view view() const noexcept { return text_; }

 private:
  explicit NormalizedPath(std::string_view text) noexcept : text_(text) {}
  friend struct PathReader;
  std::string_view text_;
};

struct ReadTarget {
  Refusal refusal = Refusal::none;  ///< never ambiguous_path: only a route table can tell that
  bool is_asterisk = false;         ///< the target is `*`; there is no path
  bool unanimous = false;  ///< no reader could read the path otherwise: decoding and cleaning do nothing
  /// The path as it stands in the target, scheme, authority and query cut off; `/` where an absolute target
  /// has none. If the target was refused: as much of that as could be told, so that an error can take the
  /// shape of the API that was meant; may be empty.
  std::string_view as_received{};
  NormalizedPath path{};  ///< empty if refused or `*`
};

/// Reads a target. Does not allocate once the scratch has grown, and not at all for a unanimous one in
/// origin-form. The scratch must outlive the use of the result.
[[nodiscard]] ReadTarget read_target(std::string_view target, PathScratch& scratch);

}  // namespace portico::routing
