#pragma once
// One thing that is wrong with the settings, said so that an operator finds and mends it.
//
// owns:    plain values
// threads: any

#include <string>

namespace portico::conf {

/// A mistake and where it stands.
struct Problem {
  std::string source;   ///< file name as given, `environment` or `command line`
  unsigned line = 0;    ///< 1-based; 0 when the source has no lines
  unsigned column = 0;  ///< 1-based, in bytes
  std::string field;    ///< `limits.request_head`, or the variable's or flag's name; may be empty
  std::string message;

  /// `portico.json:12:5: limits.request_head: expected ...`, without what is empty.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

}  // namespace portico::conf
