#include "conf/cli.hpp"

#include <initializer_list>

#include <catch2/catch.hpp>

#include "conf/describe.hpp"

using namespace portico::conf;

namespace {

CommandLine parse(std::initializer_list<std::string_view> arguments) {
  return parse_command_line(std::vector<std::string_view>(arguments));
}

CommandLine fine(std::initializer_list<std::string_view> arguments) {
  CommandLine line = parse(arguments);
  CAPTURE(line.early_exit ? line.early_exit->text : "");
  CHECK_FALSE(line.early_exit);
  return line;
}

/// The first line of what a wrong command line is answered with.
std::string refusal(std::initializer_list<std::string_view> arguments) {
  const CommandLine line = parse(arguments);
  REQUIRE(line.early_exit);
  CHECK(line.early_exit->code == 2);
  CHECK(line.early_exit->text.ends_with("\nTry: portico --help\n"));
  return line.early_exit->text.substr(0, line.early_exit->text.find('\n'));
}

std::string printed(std::initializer_list<std::string_view> arguments) {
  const CommandLine line = parse(arguments);
  REQUIRE(line.early_exit);
  CHECK(line.early_exit->code == 0);
  return line.early_exit->text;
}

}  // namespace

TEST_CASE("a bare portico runs with the defaults") {
  const CommandLine line = fine({});
  CHECK(line.command == Command::run);
  CHECK_FALSE(line.config);
  CHECK(line.overrides.empty());
  CHECK(line.sample_cpa.text() == "127.0.0.1:8317");
  CHECK(line.sample_cpamp.text() == "127.0.0.1:18317");
}

TEST_CASE("the first word is the command") {
  CHECK(fine({"run"}).command == Command::run);
  CHECK(fine({"check"}).command == Command::check);
  CHECK(fine({"sample"}).command == Command::sample);
  const CommandLine line = fine({"route", "/v1/models?x=%2F"});
  CHECK(line.command == Command::route);
  CHECK(line.path == "/v1/models?x=%2F");
}

TEST_CASE("inspect takes two files and says how to cut them") {
  const CommandLine line = fine({"inspect", "a.http", "b.http"});
  CHECK(line.command == Command::inspect);
  CHECK(line.request_file == "a.http");
  CHECK(line.response_file == "b.http");
  CHECK(line.split.how == Split::How::whole);
  const CommandLine every = fine({"inspect", "a", "b", "--split", "7"});
  CHECK(every.split.how == Split::How::every);
  CHECK(every.split.value == 7);
  const CommandLine random = fine({"inspect", "--split=random:42", "a", "b"});
  CHECK(random.split.how == Split::How::random);
  CHECK(random.split.value == 42);
  CHECK(refusal({"inspect", "a"}).find("needs two files") != std::string::npos);
  CHECK(refusal({"inspect", "a", "b", "c"}).find("does not take") != std::string::npos);
  for (const std::string_view wrong : {"0", "-1", "x", "7x", "random:", "random:x", ""})
    CHECK(refusal({"inspect", "a", "b", "--split", wrong}).find("--split") != std::string::npos);
  CHECK(refusal({"run", "--split", "7"}).find("does not take --split") != std::string::npos);
}

TEST_CASE("flags may stand before or after the command word, and repeat where they are lists") {
  const CommandLine line = fine({"--listen", ":1", "--cpa=http://a", "run", "--listen", "[::]:2", "--cpa",
                                 "http://b", "--cpamp", "http://c", "--admin", "127.0.0.1:3", "--workers",
                                 "4", "--log-level", "warn", "--config", "/p.json"});
  CHECK(line.config == "/p.json");
  const std::vector<Override> expected{{"--listen", {":1", "[::]:2"}}, {"--cpa", {"http://a", "http://b"}},
                                       {"--cpamp", {"http://c"}},      {"--admin", {"127.0.0.1:3"}},
                                       {"--workers", {"4"}},           {"--log-level", {"warn"}}};
  CHECK(line.overrides == expected);
  CHECK(line.sources().overrides == expected);
  CHECK(line.sources().file == "/p.json");
  CHECK(fine({"--config", "/p.json", "route", "/x", "--cpa", "http://a"}).path == "/x");
}

TEST_CASE("several certificates are several flags, each with its key") {
  const CommandLine line = fine({"--tls-listen", ":443", "--tls-cert", "a.pem", "--tls-key", "a.key",
                                 "--tls-cert=b.pem", "--tls-key=b.key", "--tls-listen", ":8443"});
  const std::vector<Override> expected{{"--tls-listen", {":443", ":8443"}},
                                       {"--tls-cert", {"a.pem", "b.pem"}},
                                       {"--tls-key", {"a.key", "b.key"}}};
  CHECK(line.overrides == expected);
  CHECK(refusal({"--tls-key"}) == "portico: --tls-key needs a value");
  CHECK(refusal({"sample", "--tls-cert", "a"}) == "portico: portico sample does not take --tls-cert");
}

TEST_CASE("sample listens where it is told") {
  const CommandLine line = fine({"--cpa-listen", "127.0.0.1:0", "sample", "--cpamp-listen", "unix:/s"});
  CHECK(line.sample_cpa.port == 0);
  CHECK(line.sample_cpamp.path == "/s");
  CHECK(refusal({"sample", "--cpa-listen", "here"}).find("portico: --cpa-listen: expected an address") == 0);
  CHECK(refusal({"sample", "--cpamp-listen", "8"}).find("portico: --cpamp-listen: expected an address") == 0);
}

TEST_CASE("a flag or command that does not exist is named, with what was probably meant") {
  CHECK(refusal({"--tls-lisen", ":443"}) ==
        "portico: there is no flag \"--tls-lisen\"; did you mean --tls-listen?");
  CHECK(refusal({"--certificate=x", "check"}) == "portico: there is no flag \"--certificate\"");
  CHECK(refusal({"--wokers", "1"}) == "portico: there is no flag \"--wokers\"; did you mean --workers?");
  CHECK(refusal({"trace", "a", "b"}) == "portico: there is no command \"trace\"");
  CHECK(refusal({"chekc"}) == "portico: there is no command \"chekc\"; did you mean check?");
  CHECK(refusal({"-x"}) == "portico: there is no flag \"-x\"");
}

TEST_CASE("a command refuses flags and words that are not its own") {
  CHECK(refusal({"--cpa-listen", ":1"}) == "portico: portico run does not take --cpa-listen");
  CHECK(refusal({"sample", "--config", "x"}) == "portico: portico sample does not take --config");
  CHECK(refusal({"run", "--print-defaults"}) == "portico: portico run does not take --print-defaults");
  CHECK(refusal({"check", "/x"}) == "portico: portico check does not take \"/x\"");
  CHECK(refusal({"check", "run"}) == "portico: portico check does not take \"run\"");
  CHECK(refusal({"route", "/a", "/b"}) == "portico: portico route does not take \"/b\"");
}

TEST_CASE("a missing value, path or a value too many is named") {
  CHECK(refusal({"--listen"}) == "portico: --listen needs a value");
  CHECK(refusal({"check", "--config"}) == "portico: --config needs a value");
  CHECK(refusal({"route"}).find("portico: portico route needs a PATH") == 0);
  CHECK(refusal({"--admin", ":1", "--admin", ":2"}) == "portico: --admin stands 2 times; it takes one value");
  CHECK(refusal({"--config", "a", "--config", "b"}) ==
        "portico: --config stands 2 times; it takes one value");
}

TEST_CASE("help, version and the generated texts go out with code 0") {
  CHECK(printed({"--version"}) == "portico " PORTICO_VERSION "\n");
  CHECK(printed({"check", "--version"}) == printed({"--version"}));
  const std::string help = printed({"--help"});
  CHECK(printed({"-h"}) == help);
  for (const auto* word :
       {"run", "check", "route", "sample", "--config FILE", "--listen ADDR", "--tls-listen ADDR",
        "--tls-cert FILE", "--tls-key FILE", "https://host:port", "--cpa URL", "--cpamp URL", "--admin ADDR",
        "--workers N", "--log-level L", "--version"})
    CHECK(help.find(word) != std::string::npos);
  CHECK(printed({"sample", "--help"}).find("--cpa-listen ADDR") != std::string::npos);
  CHECK(printed({"sample", "--help"}).find("--config") == std::string::npos);
  CHECK(printed({"--help", "route"}).find("portico route [FLAG]... PATH") != std::string::npos);
  CHECK(printed({"check", "--help"}).find("--print-defaults") != std::string::npos);
  CHECK(printed({"check", "--print-defaults"}) == default_file());
  CHECK(printed({"check", "--print-reference"}) == reference());
}
