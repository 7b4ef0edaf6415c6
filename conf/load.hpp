#pragma once
// Settings from everywhere an operator can write them: flags beat the environment, which beats the file,
// which beats the built-in defaults.
//
// owns:    Loaded owns its settings and problems
// threads: any; nothing is shared. load() reads the file (and the environment, through the function given).
// errors:  never thrown for what an operator wrote: every problem found is in Loaded::problems

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/problem.hpp"
#include "conf/settings.hpp"

namespace portico::conf {

/// A flag as given on the command line; a repeated flag has several values.
struct Override {
  std::string flag;  ///< `--listen`; one of shortcuts() in conf/schema.hpp
  std::vector<std::string> values;
  friend bool operator==(const Override&, const Override&) = default;
};

/// The value of an environment variable; std::nullopt when it is not set. An empty value counts as not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The environment of this process. Not while another thread changes it.
std::optional<std::string> process_environment(const std::string& name);

/// Where to read from. Kept by the caller, so that a reload reads the same places again.
struct Sources {
  std::optional<std::string> file;  ///< beats PORTICO_CONFIG; neither: built-in defaults
  Environment environment = process_environment;
  std::vector<Override> overrides;
};

struct Loaded {
  Settings settings;              ///< use only when ok()
  std::vector<Problem> problems;  ///< all of them: those of the file by position, then the others
  std::string file;               ///< the file that was read; empty: none
  [[nodiscard]] bool ok() const noexcept { return problems.empty(); }
  /// One problem a line.
  [[nodiscard]] std::string problem_text() const;
};

/// Reads, merges and checks. The file may be at most 1 MiB.
Loaded load(const Sources& sources);

/// The same from a text in memory, without environment and flags. `name` is the source in problems.
Loaded load_text(std::string_view text, std::string_view name);

}  // namespace portico::conf
