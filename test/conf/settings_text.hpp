#pragma once
// Settings out of a text, and what is wrong with them.
//
// threads: the test's own

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "conf/load.hpp"

namespace portico::test {

/// The only problem of a settings text.
inline std::string problem_of(std::string_view text) {
  const conf::Loaded loaded = conf::load_text(text, "p.json");
  CAPTURE(text, loaded.problem_text());
  CHECK(loaded.problems.size() == 1);
  return loaded.problems.empty() ? "" : loaded.problems.front().text();
}

/// The settings of a text without a mistake.
inline conf::Settings settings_of(std::string_view text) {
  const conf::Loaded loaded = conf::load_text(text, "p.json");
  CAPTURE(text, loaded.problem_text());
  CHECK(loaded.ok());
  return loaded.settings;
}

/// `count` items, a comma after each.
inline std::string repeated(std::size_t count, const std::function<std::string(std::size_t)>& item) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += item(i) + ",";
  return out;
}

}  // namespace portico::test
