#pragma once
// Which word was probably meant.
//
// threads: any; a pure function

#include <optional>
#include <span>
#include <string_view>

namespace portico::conf {

/// The known word with the fewest typing mistakes (a letter missing, too many, wrong, or two swapped)
/// between it and `word`; std::nullopt when none is near. Borrowed from `known`.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace portico::conf
