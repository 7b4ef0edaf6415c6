#include "routing/explain.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico;
using namespace portico::routing;

namespace {

std::string explained(std::string_view target) {
  const conf::Settings settings = conf::Settings::defaults();
  std::vector<std::string> names;
  names.reserve(settings.upstreams.size());
  for (const auto& upstream : settings.upstreams) names.push_back(upstream.name);
  return explain(RouteTable(settings.routes, names), target);
}

}  // namespace

TEST_CASE("a plain target is explained by its rule and owner", "[explain]") {
  CHECK(explained("/v1/models") ==
        "target    /v1/models\n"
        "reading   /v1/models\n"
        "rule      prefix /v1/\n"
        "owner     upstream cpa\n");
}

TEST_CASE("what was normalised is named", "[explain]") {
  CHECK(explained("/v1//chat/completions?x=1") ==
        "target    /v1//chat/completions?x=1\n"
        "reading   /v1/chat/completions   (query cut off, `//` merged)\n"
        "rule      prefix /v1/\n"
        "owner     upstream cpa\n");
  CHECK(explained("http://h/v1/a%20b/./c")
            .find("reading   /v1/a b/c   (scheme and authority cut off, decoded, dot segments removed)\n") !=
        std::string::npos);
}

TEST_CASE("an answer of Portico's own is an owner", "[explain]") {
  CHECK(explained("/") ==
        "target    /\n"
        "reading   /\n"
        "rule      exact /\n"
        "owner     redirect 302 to /management.html\n");
  CHECK(explained("*") == "target    *\nowner     Portico itself: OPTIONS is answered with 204\n");
}

TEST_CASE("a fixed answer of the table is an owner", "[explain]") {
  conf::RouteSettings hello;
  hello.match = conf::RouteSettings::Match::exact;
  hello.path = "/hello";
  hello.action = conf::RouteSettings::Action::respond;
  const std::vector<conf::RouteSettings> rules{hello};
  const std::vector<std::string> names{"cpa"};
  CHECK(explain(RouteTable(rules, names), "/hello").find("owner     fixed answer 200\n") !=
        std::string::npos);
}

TEST_CASE("an ambiguous target is explained by the reading that disagrees and the owner it would have had",
          "[explain]") {
  const std::string text = explained("/v0/management/..%2fx");
  CHECK(text.find("refused   400 ambiguous_path: ") != std::string::npos);
  CHECK(text.find("reading   /v0/x   (decoded, dot segments removed): prefix /, upstream cpa\n") !=
        std::string::npos);
  CHECK(text.find("another   /v0/management/..%2fx   (taken as received): prefix /v0/management/, upstream "
                  "cpamp\n") != std::string::npos);
}

TEST_CASE("a guarded path is explained by the rule that would have let it through", "[explain]") {
  CHECK(explained("/v0/resource/x")
            .find("another   /v0/resource/x   (decoded and cleaned): prefix /, upstream cpa, which may not "
                  "serve a "
                  "path that CPA guards\n") != std::string::npos);
}

TEST_CASE("a target refused for its bytes is explained without a reading, and cannot drive the terminal",
          "[explain]") {
  CHECK(explained("/v1/\x1b[31m") ==
        "target    /v1/\\x1b[31m\n"
        "refused   400 bad_request: The request target holds a control byte, plain or escaped; remove it.\n");
}
