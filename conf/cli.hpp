#pragma once
// The command line, read into values. Nothing is done here but reading.
//
// owns:    plain values
// threads: any
// errors:  wrong usage is an EarlyExit with code 2, never an exception

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/address.hpp"
#include "conf/load.hpp"

namespace portico::conf {

enum class Command : std::uint8_t { run, check, route, sample, inspect };

/// How `inspect` cuts the bytes of a capture into pieces.
struct Split {
  enum class How : std::uint8_t { whole, every, random, once };
  How how = How::whole;
  std::uint64_t value = 0;  ///< bytes of each piece, the seed, or bytes of the first of two pieces
};

/// What to print instead of doing anything: to stdout when `code` is 0, else to stderr.
struct EarlyExit {
  std::string text;  ///< ends in a newline
  int code = 0;
};

struct CommandLine {
  Command command = Command::run;
  std::optional<std::string> config;  ///< --config; goes into Sources::file
  std::vector<Override> overrides;    ///< goes into Sources::overrides
  std::string path;                   ///< of `route`
  std::string request_file;           ///< of `inspect`
  std::string response_file;          ///< of `inspect`
  Split split;                        ///< of `inspect`
  ListenAddress sample_cpa;           ///< --cpa-listen, by default 127.0.0.1:8317
  ListenAddress sample_cpamp;         ///< --cpamp-listen, by default 127.0.0.1:18317
  std::optional<EarlyExit> early_exit;

  /// Where `load` shall read: this line's file and flags, and the process's environment.
  [[nodiscard]] Sources sources() const;
};

/// Reads the arguments, the program's name (argv[0]) not among them. Values of flags that are settings are
/// not checked here: load() does that and names the flag.
CommandLine parse_command_line(std::span<const std::string_view> arguments);

}  // namespace portico::conf
