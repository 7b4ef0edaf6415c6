#pragma once
// The query of a request to the management endpoint.
//
// owns:    the decoded texts
// threads: any; pure
// Strict, so that a misspelt parameter is told instead of silently ignored.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portico::telemetry {

class Query {
 public:
  /// Reads what stands after `?` in the form of HTML forms: `+` is a space, `%HH` a byte. `known`: the
  /// parameters' names. A parameter that is unknown or doubled, an escape that is none or a result that
  /// is not UTF-8 makes it bad; error() then says what is wrong.
  Query(std::string_view target, std::span<const std::string_view> known);

  /// Empty where the query is good; else a sentence for people.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  /// The parameter's value. Nothing where it is missing or empty.
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
  std::string error_;
};

}  // namespace portico::telemetry
