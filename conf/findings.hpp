#pragma once
// What reading the settings found out: where each value came from, and what is wrong.
//
// owns:    everything by value, for the time of one load
// threads: one

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conf/json_reader.hpp"
#include "conf/problem.hpp"

namespace portico::conf {

/// Where a value was written.
struct Origin {
  std::string source;  ///< as in Problem
  Position at{0, 0};   ///< line 0: the source has no lines
  std::string name;    ///< the variable or flag; empty: the field's path names it
};

/// `limits` and `request_head` give `limits.request_head`; a key with odd characters is quoted and cut.
std::string child_path(std::string_view path, std::string_view key);
/// `listen` and 2 give `listen[2]`.
std::string item_path(std::string_view path, std::size_t index);

/// Origins and problems by field path.
class Findings {
 public:
  /// More problems than this are counted but not kept: what follows is rarely news.
  static constexpr std::size_t max_problems = 100;

  /// From now on the value at `path` (and all below it) comes from `origin`.
  void place(const std::string& path, Origin origin);

  /// Something is wrong with the value at `path`. It stands at the path's origin, or, where it has none, at
  /// that of the nearest path above it.
  void report(const std::string& path, std::string message);
  /// The same at a position of its own, for a key that became no value.
  void report_at(const std::string& path, const Origin& origin, std::string message);
  void add(Problem problem);

  /// True when something is wrong with the value at `path` or with one that contains it: further checks of
  /// it would only repeat that.
  [[nodiscard]] bool spoiled(std::string_view path) const;
  /// True when the list at `path` is spoiled or an item of it is: it keeps its old items then, and counting
  /// them would say what nobody wrote.
  [[nodiscard]] bool spoiled_within(std::string_view path) const;
  [[nodiscard]] bool placed(const std::string& path) const { return origins_.contains(path); }

  /// All problems, those of the file by position and then the others, with a last line that counts those that
  /// were not kept.
  [[nodiscard]] std::vector<Problem> take_problems() &&;

 private:
  [[nodiscard]] const Origin* origin_of(std::string_view path) const;

  std::map<std::string, Origin, std::less<>> origins_;
  std::set<std::string, std::less<>> spoiled_;
  std::vector<Problem> problems_;
  std::size_t dropped_ = 0;
};

}  // namespace portico::conf
