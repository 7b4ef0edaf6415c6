#include "routing/table.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace portico;
using namespace portico::routing;
using conf::RouteSettings;

namespace {

using Match = RouteSettings::Match;

RouteSettings rule(Match match, std::string path, std::string upstream) {
  RouteSettings settings;
  settings.match = match;
  settings.path = std::move(path);
  settings.upstream = std::move(upstream);
  return settings;
}

RouteSettings redirect(std::string path, std::string location) {
  RouteSettings settings;
  settings.match = Match::exact;
  settings.path = std::move(path);
  settings.action = RouteSettings::Action::redirect;
  settings.location = std::move(location);
  settings.status = 302;
  return settings;
}

RouteTable default_table() {
  const conf::Settings settings = conf::Settings::defaults();
  std::vector<std::string> names;
  names.reserve(settings.upstreams.size());
  for (const auto& upstream : settings.upstreams) names.push_back(upstream.name);
  return {settings.routes, names};
}

RouteTable table_of(const std::vector<RouteSettings>& rules,
                    std::vector<std::string> upstreams = {"cpa", "cpamp"}) {
  return {rules, upstreams};
}

/// `cpa`, `cpamp`, `302 /location`, `400 ambiguous`, `400` or `*`.
std::string outcome(const RouteTable& table, std::string_view target) {
  PathScratch scratch;
  const Decision decision = table.decide(target, scratch);
  CHECK((decision.route == nullptr) == (decision.refusal != Refusal::none || decision.is_asterisk));
  PathScratch other;
  CHECK(table.objection(target, other).has_value() == (decision.refusal == Refusal::ambiguous_path));
  if (decision.is_asterisk) return "*";
  if (decision.refusal == Refusal::ambiguous_path) return "400 ambiguous";
  if (decision.refusal != Refusal::none) return "400";
  if (decision.route->upstream) return std::string(table.upstream_name(*decision.route->upstream));
  return std::to_string(decision.route->settings.status) + " " + decision.route->settings.location;
}

}  // namespace

TEST_CASE("each rule of the default table has its owner", "[table]") {
  const RouteTable table = default_table();
  struct Row {
    std::string_view target, owner, label;
  };
  const Row row = GENERATE(
      Row{"/", "302 /management.html", "= /"}, Row{"/?a=b", "302 /management.html", "= /"},
      Row{"/management.html", "cpamp", "= /management.html"}, Row{"/health", "cpamp", "= /health"},
      Row{"/status", "cpamp", "= /status"}, Row{"/status?scope=database-maintenance", "cpamp", "= /status"},
      Row{"/setup", "cpamp", "= /setup"}, Row{"/models", "cpamp", "= /models"},
      Row{"/usage-service/info", "cpamp", "/usage-service/"},
      Row{"/usage-service/", "cpamp", "/usage-service/"}, Row{"/v0/management", "cpamp", "= /v0/management"},
      Row{"/v0/management?x", "cpamp", "= /v0/management"},
      Row{"/v0/management/", "cpamp", "/v0/management/"},
      Row{"/v0/management/usage", "cpamp", "/v0/management/"},
      Row{"/v0/resource/plugins/a.js", "cpamp", "/v0/resource/plugins/"},
      Row{"/v1/chat/completions", "cpa", "/v1/"}, Row{"/v1/", "cpa", "/v1/"},
      Row{"/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "cpa", "/v1beta/"},
      Row{"/backend-api/codex/responses", "cpa", "/backend-api/codex/"},
      Row{"/openai/v1/videos/v_1/content", "cpa", "/openai/v1/"}, Row{"/api/anything", "cpa", "/api/"},
      Row{"/v1internal:method", "cpa", "= /v1internal:method"}, Row{"/healthz", "cpa", "= /healthz"},
      Row{"/anthropic/callback?code=1&state=2", "cpa", "= /anthropic/callback"},
      Row{"/codex/callback", "cpa", "= /codex/callback"},
      Row{"/google/callback", "cpa", "= /google/callback"},
      Row{"/antigravity/callback", "cpa", "= /antigravity/callback"}, Row{"/keep-alive", "cpa", "/"},
      Row{"/health/", "cpa", "/"}, Row{"/Health", "cpa", "/"}, Row{"/healthy", "cpa", "/"},
      Row{"/v1", "cpa", "/"}, Row{"/v10/x", "cpa", "/"}, Row{"/usage-service", "cpa", "/"},
      Row{"/V0/Management/x", "cpa", "/"}, Row{"/v0/managements", "cpa", "/"},
      Row{"/v0/management-x", "cpa", "/"}, Row{"/v0/resources", "cpa", "/"},
      Row{"/management.html5", "cpa", "/"}, Row{"/v0/", "cpa", "/"}, Row{"/some/thing/else", "cpa", "/"});
  CAPTURE(row.target);
  CHECK(outcome(table, row.target) == row.owner);
  PathScratch scratch;
  const Decision decision = table.decide(row.target, scratch);
  REQUIRE(decision.route);
  CHECK(decision.route->label == row.label);
  CHECK(&table.routes()[static_cast<std::size_t>(decision.route->id)] == decision.route);
}

TEST_CASE("a target on which readers disagree about the owner is refused", "[table]") {
  const RouteTable table = default_table();
  const std::string target = GENERATE(values<std::string>(
      {// as received it is the panel's, cleaned it is CPA's
       "/v0/management/../x", "/v0/management/..%2fx", "/v0/management/%2e%2e/x", "/v0/management/.%2E/x",
       "/v0/management/..", "/v0/resource/plugins/../../../v1/models",
       "/health/../x/../v1/models/../../status",
       // as received it is CPA's, read it is the panel's
       "/v0%2fmanagement/../../v1/x", "/v1/../v0/management/x", "/v1/%2e%2e/v0/management/x",
       "//v0/management/x", "//v0/management", "/v0//management", "/v0//management/x", "/./v0/management/x",
       "/../v0/management/x", "/%760/management/x", "/v0/%6danagement/x", "/v0/management%2fx",
       "/v1%2f..%2fv0%2fmanagement", "/x/../management.html", "//management.html", "/%6danagement.html",
       "/%68ealth", "/x/../models", "http://h//v0/management/x", "http://h/v1/../v0/management/x",
       // decoded twice it is the panel's
       "/%2576%2530/management/x", "/v0%252fmanagement%252fx", "/v1/..%252fv0/management/x",
       "/v1/%252e%252e/v0/management/x", "/%256dodels",
       // only a reader who splits before it decodes, or takes `..` for the parent of nothing, gets to the
       // panel
       "/v0/a%2fb/../management/x", "/v0/a%2fb/%2e%2e/management/x", "/v0//../management/x",
       // the redirect is an owner too
       "//", "/.", "/v1/..", "/%2f", "http://h//"}));
  CAPTURE(target);
  CHECK(outcome(table, target) == "400 ambiguous");
}

TEST_CASE("no spelling of CPA's guarded paths reaches CPA", "[table]") {
  const RouteTable table = default_table();
  const std::string target = GENERATE(values<std::string>({"/v0/resource",
                                                           "/v0/resource/",
                                                           "/v0/resource/x",
                                                           "/v0/resource/plugins",
                                                           "/v0/./resource/x",
                                                           "/v1/../v0/resource/x",
                                                           "/v1/%2e%2e/v0/resource/x",
                                                           "/v1/..%252fv0/resource/x",
                                                           "/v0/resourc%65/x",
                                                           "/v0//resource",
                                                           "/v0/x%2fy/../resource",
                                                           "/management.html/",
                                                           "/management.html/x",
                                                           "/management.html%2f",
                                                           "/v0/management;x",
                                                           "/v0/management;x/y",
                                                           "/v0/management%3fx",
                                                           "/v0/management%3Fx",
                                                           "/v0/management%23",
                                                           "/v0/management%20",
                                                           "/v0/management%2500",
                                                           "/v0/resource;x",
                                                           "/management.html;x",
                                                           "/management.html%3f",
                                                           "/v0/management\xff",
                                                           "http://h/v0/resource/x",
                                                           "/v0/management:x"}));
  CAPTURE(target);
  CHECK(outcome(table, target) == "400 ambiguous");
}

TEST_CASE("what is refused for its bytes is not looked up", "[table]") {
  const RouteTable table = default_table();
  const std::string target =
      GENERATE(values<std::string>({"", "/v0/management%00", "/v1/%5cx", "/v1/\\x", "/v1/%zz", "/v1/x#y",
                                    "/v1/\x01", "v1/models", "ftp://h/v1/"}));
  CAPTURE(target);
  CHECK(outcome(table, target) == "400");
}

TEST_CASE("legitimate escapes and harmless unclean paths pass", "[table]") {
  const RouteTable table = default_table();
  struct Row {
    std::string_view target, owner, path;
  };
  const Row row = GENERATE(
      Row{"/v1beta/models/vendor%2Fmodel:generateContent", "cpa",
          "/v1beta/models/vendor/model:generateContent"},
      Row{"/v1/files/a%20b", "cpa", "/v1/files/a b"},
      Row{"/v1/%C3%A4%e4%b8%ad", "cpa", "/v1/\xc3\xa4\xe4\xb8\xad"}, Row{"/v1/100%25", "cpa", "/v1/100%"},
      Row{"/v1/a%252Fb", "cpa", "/v1/a%2Fb"}, Row{"/v1//chat/completions", "cpa", "/v1/chat/completions"},
      Row{"/v1/./models", "cpa", "/v1/models"}, Row{"/v1/a/../models", "cpa", "/v1/models"},
      Row{"//v1/models", "cpa", "/v1/models"}, Row{"/../v1/models", "cpa", "/v1/models"},
      Row{"/%76%31/models", "cpa", "/v1/models"},
      Row{"/v0/management/auth-files/a%2Fb.json", "cpamp", "/v0/management/auth-files/a/b.json"},
      Row{"/v0/management//usage", "cpamp", "/v0/management/usage"},
      Row{"/v0/management/a%20b", "cpamp", "/v0/management/a b"},
      Row{"/usage-service/../v0/management/x", "cpamp", "/v0/management/x"},
      Row{"/.well-known/x", "cpa", "/.well-known/x"},
      Row{"http://h/v0/management/x", "cpamp", "/v0/management/x"},
      Row{"http://h/v1/models", "cpa", "/v1/models"}, Row{"http://h", "302 /management.html", "/"},
      Row{"http://h?x", "302 /management.html", "/"},
      Row{"/v1/models?next=/v0/management/../x", "cpa", "/v1/models"});
  CAPTURE(row.target);
  CHECK(outcome(table, row.target) == row.owner);
  PathScratch scratch;
  CHECK(table.decide(row.target, scratch).path == row.path);
}

TEST_CASE("an asterisk has neither a route nor a refusal", "[table]") {
  CHECK(outcome(default_table(), "*") == "*");
}

TEST_CASE("a refusal as ambiguous names the reading that objects, and both rules", "[table]") {
  const RouteTable table = default_table();
  PathScratch scratch;
  const Decision decision = table.decide("/v1/..%252fv0/management/x", scratch);
  REQUIRE(decision.refusal == Refusal::ambiguous_path);
  CHECK(decision.path == "/v1/..%2fv0/management/x");
  const auto objection = table.objection("/v1/..%252fv0/management/x", scratch);
  REQUIRE(objection);
  CHECK(objection->reader == Reader{Decoding::twice, Cleaning::merge_then_dots});
  CHECK(objection->path == "/v0/management/x");
  CHECK(objection->route->label == "/v0/management/");
  CHECK(objection->owner->label == "/v1/");
  CHECK_FALSE(objection->guarded);
  CHECK(table.objection("/v0/resource/x", scratch)->guarded);
}

TEST_CASE("a table without a fallback gets one to the first upstream", "[table]") {
  const RouteTable table = table_of({rule(Match::prefix, "/panel/", "cpamp")});
  REQUIRE(table.routes().size() == 2);
  CHECK(table.routes()[1].label == "/");
  CHECK(outcome(table, "/anything") == "cpa");
  CHECK(outcome(table, "/panel/x") == "cpamp");
  CHECK(table_of({rule(Match::prefix, "/", "cpamp")}).routes().size() == 1);
  CHECK(table_of({rule(Match::exact, "/", "cpamp")}).routes().size() == 2);
}

TEST_CASE("settings that were not checked are refused by the table", "[table]") {
  CHECK_THROWS_AS(table_of({rule(Match::prefix, "/x/", "nobody")}), std::invalid_argument);
  CHECK_THROWS_AS(table_of({redirect("/", "/x")}, {}), std::invalid_argument);
  CHECK_THROWS_AS(table_of(std::vector<RouteSettings>(65'535, redirect("/x", "/y"))), std::invalid_argument);
}

TEST_CASE("guarded paths stay out of CPA's reach in a table that does not mention them", "[table]") {
  const RouteTable table = table_of({rule(Match::prefix, "/", "cpa")});
  CHECK(outcome(table, "/v1/models") == "cpa");
  CHECK(outcome(table, "/v0/management/usage") == "400 ambiguous");
  CHECK(outcome(table, "/v0/management") == "400 ambiguous");
  CHECK(outcome(table, "/v0/resource/plugins/x") == "400 ambiguous");
  CHECK(outcome(table, "/management.html") == "400 ambiguous");
}

TEST_CASE("an operator may give the guarded paths to any upstream by a rule that names management",
          "[table]") {
  const RouteTable table =
      table_of({rule(Match::prefix, "/v0/management/", "cpa"), rule(Match::prefix, "/", "cpa")});
  CHECK(outcome(table, "/v0/management/usage") == "cpa");
  CHECK(outcome(table, "/management.html") == "cpa");
}

TEST_CASE("a panel that owns management by a shorter rule may serve the guarded paths", "[table]") {
  const RouteTable by_fallback =
      table_of({rule(Match::prefix, "/v1/", "cpa"), rule(Match::prefix, "/", "cpamp")});
  CHECK(outcome(by_fallback, "/v0/management/usage") == "cpamp");
  CHECK(outcome(by_fallback, "/management.html") == "cpamp");
  CHECK(outcome(by_fallback, "/v1/../management.html") == "400 ambiguous");
  const RouteTable by_tree =
      table_of({rule(Match::prefix, "/v0/", "cpamp"), rule(Match::prefix, "/", "cpa")});
  CHECK(outcome(by_tree, "/v0/management") == "cpamp");
  CHECK(outcome(by_tree, "/management.html") == "400 ambiguous");
}

TEST_CASE("an exact rule of another upstream for a guarded path is refused", "[table]") {
  const RouteTable table =
      table_of({rule(Match::prefix, "/v0/management/", "cpamp"),
                rule(Match::exact, "/management.html", "cpa"), rule(Match::prefix, "/", "cpa")});
  CHECK(outcome(table, "/management.html") == "400 ambiguous");
}

TEST_CASE("a fixed answer for a guarded path reaches nobody and is given", "[table]") {
  const RouteTable table =
      table_of({redirect("/management.html", "/elsewhere"), rule(Match::prefix, "/", "cpa")});
  CHECK(outcome(table, "/management.html") == "302 /elsewhere");
}
