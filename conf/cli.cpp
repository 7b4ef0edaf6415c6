#include "conf/cli.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include <CLI/CLI.hpp>

#include "conf/apply.hpp"
#include "conf/describe.hpp"
#include "conf/nearest.hpp"
#include "conf/schema.hpp"

namespace portico::conf {
namespace {

struct CommandWords {
  Command command;
  std::string_view word;
  std::string_view usage;
  std::string_view help;
};
constexpr std::array<CommandWords, 5> commands{{
    {Command::run, "run", "portico [run] [FLAG]...",
     "forward requests until told to stop (the default command)"},
    {Command::check, "check", "portico check [FLAG]...",
     "say what is wrong with the settings, or print what is in force"},
    {Command::route, "route", "portico route [FLAG]... PATH",
     "say which rule owns PATH, and how it was read"},
    {Command::sample, "sample", "portico sample [FLAG]...", "serve a built-in sample CPA and CPAMP"},
    {Command::inspect, "inspect", "portico inspect [FLAG]... REQUEST RESPONSE",
     "print what the tap makes of a captured exchange"},
}};

/// A flag that is no setting.
struct Flag {
  std::string_view name;
  std::string_view argument;  ///< empty: the flag takes none
  std::string_view help;
};
constexpr Flag config_flag{"--config", "FILE", "read the settings from FILE"};
constexpr Flag print_defaults{"--print-defaults", "", "print the default settings file, with comments"};
constexpr Flag print_reference{"--print-reference", "", "print the reference of all settings, in Markdown"};
constexpr Flag cpa_listen{"--cpa-listen", "ADDR",
                          "where the sample CPA listens, 127.0.0.1:8317 unless given"};
constexpr Flag cpamp_listen{"--cpamp-listen", "ADDR",
                            "where the sample CPAMP listens, 127.0.0.1:18317 unless given"};
constexpr Flag split_flag{"--split", "N|random:SEED", "show the bytes in pieces of N, or of random sizes"};
constexpr Flag help_flag{"--help", "", "print this"};
constexpr Flag version_flag{"--version", "", "print the version"};

const CommandWords& words_of(Command command) {
  return *std::find_if(commands.begin(), commands.end(), [&](const auto& c) { return c.command == command; });
}

/// The flags that a command takes, in the order of its help.
std::vector<Flag> flags_of(Command command) {
  std::vector<Flag> flags;
  if (command == Command::sample) {
    flags = {cpa_listen, cpamp_listen};
  } else if (command == Command::inspect) {
    flags = {split_flag};
  } else {
    flags = {config_flag};
    for (const Shortcut& shortcut : shortcuts())
      if (!shortcut.flag.empty()) flags.push_back({shortcut.flag, shortcut.argument, shortcut.help});
    if (command == Command::check) flags.insert(flags.end(), {print_defaults, print_reference});
  }
  flags.insert(flags.end(), {help_flag, version_flag});
  return flags;
}

std::vector<std::string_view> flag_names(Command command) {
  std::vector<std::string_view> names;
  for (const Flag& flag : flags_of(command)) names.push_back(flag.name);
  return names;
}

std::string help_text(Command command, bool with_commands) {
  std::string out = fmt::format("Usage: {}\n{}\n", words_of(command).usage, words_of(command).help);
  if (with_commands) {
    out = "Portico: the front door of CPA and CPAMP\n\n" + out +
          "\nCommands (portico COMMAND --help says more):\n";
    for (const auto& words : commands) out += fmt::format("  {:<24}{}\n", words.word, words.help);
  }
  out += "\nFlags:\n";
  for (const Flag& flag : flags_of(command))
    out += fmt::format("  {:<24}{}\n", fmt::format("{} {}", flag.name, flag.argument), flag.help);
  if (command == Command::inspect)
    return out +
           "\nREQUEST and RESPONSE are files with the raw bytes of one connection each way, as they crossed "
           "it.\n";
  out += "\nADDR is host:port, [v6]:port, :port or unix:/path.";
  if (command != Command::sample) out += " URL is http://host:port, https://host:port or unix:/path.";
  return out + "\n";
}

/// The parser's view of the line, before anything is made of it.
struct Parsed {
  std::vector<std::string> words;  // the command and its arguments
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  std::vector<std::string> unknown;
};

EarlyExit wrong_usage(std::string_view message) {
  return {fmt::format("portico: {}\nTry: portico --help\n", message), 2};
}

std::string with_meant(std::string text, std::string_view word, std::span<const std::string_view> known) {
  if (const auto meant = nearest(word, known)) text += fmt::format("; did you mean {}?", *meant);
  return text;
}

/// Reads every flag of every command, wherever it stands.
std::optional<EarlyExit> parse(std::span<const std::string_view> arguments, Parsed& parsed) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::map<std::string, bool, std::less<>> switches;
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  for (const auto& command : commands) {
    for (const Flag& flag : flags_of(command.command)) {
      const std::string name(flag.name);
      if (switches.contains(name) || values.contains(name)) continue;
      if (flag.argument.empty())
        app.add_flag(flag.name == help_flag.name ? "-h," + name : name, switches[name]);
      else
        app.add_option(name, values[name])->expected(1)->take_all()->allow_extra_args(false);
    }
  }
  // CLI11 takes its vector from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch& error) {
    // The only way a flag with a value can mismatch is to stand last; the text begins with its name.
    const std::string_view text = error.what();
    return wrong_usage(fmt::format("{} needs a value", text.substr(0, text.find(':'))));
  } catch (const CLI::ParseError& error) {
    return wrong_usage(error.what());
  }
  for (const std::string& extra : app.remaining()) {
    if (extra.size() > 1 && extra.front() == '-')
      parsed.unknown.push_back(extra);
    else
      parsed.words.push_back(extra);
  }
  for (auto& [name, texts] : values)
    if (!texts.empty()) parsed.values[name] = std::move(texts);
  for (const auto& [name, given] : switches)
    if (given) parsed.values[name] = {};
  return std::nullopt;
}

bool repeatable(std::string_view flag) {
  const auto all = shortcuts();
  return std::any_of(all.begin(), all.end(),
                     [&](const Shortcut& s) { return s.flag == flag && takes_list(s); });
}

std::optional<Command> command_named(std::string_view word) {
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const auto& c) { return c.word == word; });
  if (found == commands.end()) return std::nullopt;
  return found->command;
}

/// The first word names the command; `route` has one more, `inspect` two.
std::optional<EarlyExit> read_words(const Parsed& parsed, CommandLine& line) {
  std::size_t used = 0;
  if (!parsed.words.empty()) {
    const std::string& word = parsed.words.front();
    const auto command = command_named(word);
    if (!command) {
      std::vector<std::string_view> known;
      known.reserve(commands.size());
      for (const auto& words : commands) known.push_back(words.word);
      return wrong_usage(with_meant(fmt::format("there is no command {}", shown(word)), word, known));
    }
    line.command = *command;
    used = 1;
  }
  if (line.command == Command::route && parsed.words.size() > used) line.path = parsed.words[used++];
  if (line.command == Command::inspect) {
    if (parsed.words.size() > used) line.request_file = parsed.words[used++];
    if (parsed.words.size() > used) line.response_file = parsed.words[used++];
  }
  if (parsed.words.size() > used)
    return wrong_usage(
        fmt::format("portico {} does not take {}", words_of(line.command).word, shown(parsed.words[used])));
  return std::nullopt;
}

/// A flag that no command has.
EarlyExit unknown_flag(const Parsed& parsed) {
  // `--flag=value` is unknown as a whole.
  const std::string name = parsed.unknown.front().substr(0, parsed.unknown.front().find('='));
  const auto command = parsed.words.empty() ? std::nullopt : command_named(parsed.words.front());
  return wrong_usage(with_meant(fmt::format("there is no flag {}", shown(name)), name,
                                flag_names(command.value_or(Command::run))));
}

/// Every flag given must be one of the command's, and stand once unless it is a list.
std::optional<EarlyExit> check_flags(const Parsed& parsed, Command command) {
  const auto flags = flags_of(command);
  for (const auto& [name, values] : parsed.values) {
    if (std::none_of(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; }))
      return wrong_usage(fmt::format("portico {} does not take {}", words_of(command).word, name));
    if (values.size() > 1 && !repeatable(name))
      return wrong_usage(fmt::format("{} stands {} times; it takes one value", name, values.size()));
  }
  return std::nullopt;
}

std::optional<EarlyExit> read_sample_address(const Parsed& parsed, std::string_view flag,
                                             ListenAddress& address) {
  const auto given = parsed.values.find(flag);
  if (given == parsed.values.end()) return std::nullopt;
  const auto read = ListenAddress::parse(given->second.front());
  if (!read)
    return wrong_usage(fmt::format("{}: expected an address such as 127.0.0.1:8317 or unix:/path, found {}",
                                   flag, shown(given->second.front())));
  address = *read;
  return std::nullopt;
}

std::optional<EarlyExit> read_split(const Parsed& parsed, Split& split) {
  const auto given = parsed.values.find(split_flag.name);
  if (given == parsed.values.end()) return std::nullopt;
  const std::string_view text = given->second.front();
  constexpr std::string_view random = "random:";
  split.how = text.starts_with(random) ? Split::How::random : Split::How::every;
  const std::string_view digits = text.starts_with(random) ? text.substr(random.size()) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), split.value);
  const bool number = error == std::errc() && end == digits.data() + digits.size();
  if (number && (split.how == Split::How::random || split.value > 0)) return std::nullopt;
  return wrong_usage(
      fmt::format("--split: expected a number of bytes such as 7, or random:SEED such as random:42, found {}",
                  shown(given->second.front())));
}

/// What the line asks to print instead of doing something.
std::optional<EarlyExit> print_request(const Parsed& parsed, Command command) {
  const auto given = [&](const Flag& flag) { return parsed.values.contains(flag.name); };
  if (given(help_flag)) return EarlyExit{help_text(command, parsed.words.empty()), 0};
  if (given(version_flag)) return EarlyExit{"portico " PORTICO_VERSION "\n", 0};
  if (given(print_defaults)) return EarlyExit{default_file(), 0};
  if (given(print_reference)) return EarlyExit{reference(), 0};
  return std::nullopt;
}

std::optional<EarlyExit> read_line(std::span<const std::string_view> arguments, CommandLine& line) {
  Parsed parsed;
  if (auto exit = parse(arguments, parsed)) return exit;
  if (!parsed.unknown.empty()) return unknown_flag(parsed);
  if (auto exit = read_words(parsed, line)) return exit;
  if (auto exit = check_flags(parsed, line.command)) return exit;
  if (auto exit = print_request(parsed, line.command)) return exit;
  if (line.command == Command::route && line.path.empty())
    return wrong_usage("portico route needs a PATH, for instance: portico route /v1/models");
  if (line.command == Command::inspect && line.response_file.empty())
    return wrong_usage(
        "portico inspect needs two files, for instance: portico inspect exchange.request.http "
        "exchange.response.http");
  if (auto exit = read_split(parsed, line.split)) return exit;
  if (auto exit = read_sample_address(parsed, cpa_listen.name, line.sample_cpa)) return exit;
  if (auto exit = read_sample_address(parsed, cpamp_listen.name, line.sample_cpamp)) return exit;

  if (const auto config = parsed.values.find(config_flag.name); config != parsed.values.end())
    line.config = config->second.front();
  for (const Shortcut& shortcut : shortcuts())
    if (const auto given = parsed.values.find(shortcut.flag); given != parsed.values.end())
      line.overrides.push_back({std::string(shortcut.flag), given->second});
  return std::nullopt;
}

}  // namespace

Sources CommandLine::sources() const {
  return {.file = config, .environment = process_environment, .overrides = overrides};
}

CommandLine parse_command_line(std::span<const std::string_view> arguments) {
  CommandLine line;
  line.sample_cpa.ip = line.sample_cpamp.ip = IpAddress::v4(0x7f000001);
  line.sample_cpa.port = 8317;
  line.sample_cpamp.port = 18317;
  line.early_exit = read_line(arguments, line);
  return line;
}

}  // namespace portico::conf
